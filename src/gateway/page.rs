//! Pages of a list: where one ends, and the cursor that says where the next begins.
//!
//! A cursor is bound to its principal, to what is listed and to the very list that it continues (I9): one that
//! another was given, or of a list that is another by now, is refused, and the client begins anew. Must never
//! keep anything: what a cursor means stands in it, under a key that no other process has.

use aws_lc_rs::hmac;
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;

use crate::chance;
use crate::model::digest::Sha256;
use crate::model::principal::Principal;
use crate::model::reason::Reason;
use crate::upstream::Tool;
use crate::wire::ListKind;

/// Most entries of one page.
pub(super) const PAGE_ENTRIES_MAX: usize = 1000;
/// Most bytes of one page; one entry always fits.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest cursor that is looked at, in bytes: longer than any that was given.
const CURSOR_BYTES_MAX: usize = 128;
/// Bytes of the place in a cursor.
const PLACE_BYTES: usize = 8;

/// What makes cursors and knows its own.
#[derive(Debug)]
pub(super) struct Cursors(hmac::Key);

/// One entry of a list, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) raw: Bytes,
    /// Of the bytes, where somebody took it before.
    digest: Option<Sha256>,
}

impl Shown {
    /// An entry that is made for this list.
    pub(super) fn new(raw: Bytes) -> Self {
        Self { raw, digest: None }
    }

    /// A tool of the catalogue: of thousands of them the digests are as good as the bytes, and a fraction of them.
    pub(super) fn of_tool(tool: &Tool) -> Self {
        Self { raw: tool.listed.clone(), digest: Some(tool.listed_digest) }
    }

    fn digest(&self) -> Sha256 {
        self.digest.unwrap_or_else(|| Sha256::of(&self.raw))
    }
}

/// A part of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<'a> {
    pub(super) entries: &'a [Shown],
    /// Where the next page begins; the last has none.
    pub(super) next: Option<String>,
}

impl Cursors {
    /// Under a key of its own.
    pub(super) fn new() -> Result<Self, Reason> {
        let secret = chance::bytes::<32>().map_err(|_| Reason::Fault)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &secret)))
    }

    /// The page of `entries` that begins at `cursor`.
    pub(super) fn page<'a>(
        &self,
        kind: ListKind,
        principal: &Principal,
        entries: &'a [Shown],
        cursor: Option<&str>,
    ) -> Result<Page<'a>, Reason> {
        if cursor.is_none() && length(entries) == entries.len() {
            return Ok(Page { entries, next: None });
        }
        let list = bound_to(kind, principal, entries);
        let start = cursor.map_or(Ok(0), |cursor| self.place(cursor, &list).ok_or(Reason::CursorUnknown))?;
        let rest = entries.get(start..).ok_or(Reason::CursorUnknown)?;
        let (page, after) = rest.split_at(length(rest));
        let next = (!after.is_empty()).then(|| self.cursor(start + page.len(), &list));
        Ok(Page { entries: page, next })
    }

    fn cursor(&self, place: usize, list: &Sha256) -> String {
        let place = u64::try_from(place).unwrap_or(u64::MAX).to_be_bytes();
        let tag = hmac::sign(&self.0, &[&place, list.as_bytes().as_slice()].concat());
        BASE64URL_NOPAD.encode(&[&place, tag.as_ref()].concat())
    }

    fn place(&self, cursor: &str, list: &Sha256) -> Option<usize> {
        let bytes =
            BASE64URL_NOPAD.decode(cursor.get(..CURSOR_BYTES_MAX).unwrap_or(cursor).as_bytes()).ok()?;
        let (place, tag) = bytes.split_at_checked(PLACE_BYTES)?;
        hmac::verify(&self.0, &[place, list.as_bytes().as_slice()].concat(), tag).ok()?;
        usize::try_from(u64::from_be_bytes(place.try_into().ok()?)).ok()
    }
}

/// How many of `entries` make one page.
fn length(entries: &[Shown]) -> usize {
    let mut bytes = 0_usize;
    let fits = |entry: &&Shown| {
        bytes = bytes.saturating_add(entry.raw.len());
        bytes <= PAGE_BYTES_MAX
    };
    entries.iter().take(PAGE_ENTRIES_MAX).take_while(fits).count().max(usize::from(!entries.is_empty()))
}

/// One word for everything that a cursor is bound to.
fn bound_to(kind: ListKind, principal: &Principal, entries: &[Shown]) -> Sha256 {
    let Principal { entry_point, subject, txn, .. } = principal;
    let txn = txn.as_ref().map(|txn| txn.as_str()).unwrap_or_default();
    let who = format!("{}\n{entry_point}\n{subject}\n{txn}\n", kind.member());
    let digests: Vec<_> = entries.iter().map(Shown::digest).collect();
    let mut parts = vec![who.as_bytes()];
    parts.extend(digests.iter().map(|digest| digest.as_bytes().as_slice()));
    Sha256::of_parts(&parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::tests::principal_of;

    fn shown(texts: impl IntoIterator<Item = String>) -> Vec<Shown> {
        texts.into_iter().map(|text| Shown::new(text.into())).collect()
    }

    fn pages(cursors: &Cursors, principal: &Principal, entries: &[Shown]) -> Vec<usize> {
        let (mut lengths, mut cursor) = (Vec::new(), None);
        loop {
            let page = cursors.page(ListKind::Resources, principal, entries, cursor.as_deref()).unwrap();
            lengths.push(page.entries.len());
            match page.next {
                Some(next) => cursor = Some(next),
                None => return lengths,
            }
        }
    }

    #[test]
    fn pages_follow_each_other_and_end() {
        let (cursors, who) = (Cursors::new().unwrap(), principal_of("user:1"));
        assert_eq!(pages(&cursors, &who, &[]), [0]);
        let many = shown((0..2 * PAGE_ENTRIES_MAX + 1).map(|n| n.to_string()));
        assert_eq!(pages(&cursors, &who, &many), [PAGE_ENTRIES_MAX, PAGE_ENTRIES_MAX, 1]);
        let large = shown((0..3).map(|_| "x".repeat(PAGE_BYTES_MAX - 1)));
        assert_eq!(pages(&cursors, &who, &large), [1, 1, 1]);
        let huge = shown(["x".repeat(PAGE_BYTES_MAX + 1), "y".to_owned()]);
        assert_eq!(pages(&cursors, &who, &huge), [1, 1]);
    }

    #[test]
    fn i9_a_cursor_is_of_one_principal_one_kind_and_one_list() {
        let (cursors, who) = (Cursors::new().unwrap(), principal_of("user:1"));
        let list = shown((0..PAGE_ENTRIES_MAX + 1).map(|n| n.to_string()));
        let next = cursors.page(ListKind::Tools, &who, &list, None).unwrap().next.unwrap();
        assert!(cursors.page(ListKind::Tools, &who, &list, Some(&next)).is_ok());
        let other = principal_of("user:2");
        let mut changed = list.clone();
        changed[0] = Shown::new("another".into());
        let refused = Err(Reason::CursorUnknown);
        assert_eq!(cursors.page(ListKind::Prompts, &who, &list, Some(&next)), refused);
        assert_eq!(cursors.page(ListKind::Tools, &other, &list, Some(&next)), refused);
        assert_eq!(cursors.page(ListKind::Tools, &who, &changed, Some(&next)), refused);
        assert_eq!(Cursors::new().unwrap().page(ListKind::Tools, &who, &list, Some(&next)), refused);
        for odd in ["", "AAAA", "\u{e9}", &"A".repeat(10_000), &next.chars().skip(1).collect::<String>()] {
            assert_eq!(cursors.page(ListKind::Tools, &who, &list, Some(odd)), refused, "{odd}");
        }
    }
}
