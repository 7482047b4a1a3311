//! JSON-RPC batches: an array cut into the messages that it holds.
//!
//! Only 2025-03-26 has them. Must never understand a member: each is read again by itself, as strictly as
//! one that came alone, from the very bytes that the client sent.

use bytes::Bytes;

use super::envelope::Malformed;
use super::fault::Fault;
use super::scan::{self, Container, Flaw, Key, Reader, ScanLimits};

/// Most messages of one batch.
pub const BATCH_MESSAGES_MAX: usize = 64;

/// Whether `body` is written as an array, which no single message is.
#[must_use]
pub fn is_batch(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}

/// The messages of the batch `body`, each as its bytes. `limits` hold for all of it together.
///
/// # Errors
/// [`Malformed`] where it is no JSON array, holds nothing (JSON-RPC 2.0, section 6), or holds too much.
pub fn split(body: &Bytes, limits: &ScanLimits) -> Result<Vec<Bytes>, Malformed> {
    let malformed = |fault, at| Malformed::whole(fault, at);
    let document = std::str::from_utf8(body).map_err(|error| malformed(Fault::Utf8, error.valid_up_to()))?;
    let mut members = Members::default();
    scan::scan(document, limits, &mut members).map_err(|Flaw { fault, at }| malformed(fault, at))?;
    match (members.root, members.spans.len()) {
        (Some(Container::Array), 1..=BATCH_MESSAGES_MAX) => {}
        (Some(Container::Array), 0) => return Err(malformed(Fault::Envelope("an empty batch"), 0)),
        (Some(Container::Array), _) => return Err(malformed(Fault::BatchTooLarge, 0)),
        _ => return Err(malformed(Fault::Envelope("not a batch"), 0)),
    }
    Ok(members.spans.into_iter().map(|(start, end)| body.slice(start..end)).collect())
}

/// Notes where the elements of the outermost array stand.
#[derive(Default)]
struct Members {
    root: Option<Container>,
    spans: Vec<(usize, usize)>,
    depth: usize,
}

impl<'a> Reader<'a> for Members {
    fn key(&mut self, _: Key<'a>) -> Result<(), Fault> {
        Ok(())
    }

    fn open(&mut self, container: Container, start: usize) {
        match self.depth {
            0 => self.root = Some(container),
            1 => self.spans.push((start, start)),
            _ => {}
        }
        self.depth += 1;
    }

    fn close(&mut self, _: Container, end: usize) {
        self.depth -= 1;
        if let (1, Some(span)) = (self.depth, self.spans.last_mut()) {
            span.1 = end;
        }
    }

    fn scalar(&mut self, raw: &'a str, start: usize) {
        if self.depth == 1 {
            self.spans.push((start, start + raw.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reason::Reason;

    fn members(text: &'static str) -> Result<Vec<String>, Reason> {
        let split = split(&Bytes::from_static(text.as_bytes()), &ScanLimits::default());
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        split.map(|members| members.into_iter().map(text).collect()).map_err(|malformed| malformed.reason)
    }

    #[test]
    fn a_batch_is_cut_at_its_own_commas_and_nowhere_else() {
        let good: [(&str, &[&str]); 4] = [
            ("[{}]", &["{}"]),
            (
                " [ {\"a\":[1,{\"b\":\"],[\"}]} , 2,\"x,y\" ]\n",
                &["{\"a\":[1,{\"b\":\"],[\"}]}", "2", "\"x,y\""],
            ),
            ("[[],[1,2]]", &["[]", "[1,2]"]),
            ("[null,true]", &["null", "true"]),
        ];
        for (text, expected) in good {
            assert!(is_batch(text.as_bytes()), "{text}");
            assert_eq!(members(text).unwrap(), expected, "{text}");
        }
        let bad = [
            ("[]", Reason::EnvelopeInvalid),
            ("{}", Reason::EnvelopeInvalid),
            ("[{},]", Reason::JsonInvalid),
            ("[{}", Reason::JsonInvalid),
            ("[{}]]", Reason::JsonInvalid),
            ("[{}][{}]", Reason::JsonInvalid),
        ];
        for (text, reason) in bad {
            assert_eq!(members(text), Err(reason), "{text}");
        }
        assert!(!is_batch(b"{\"a\":[]}") && !is_batch(b"") && !is_batch("\u{feff}[]".as_bytes()));
    }

    #[test]
    fn i11_a_batch_holds_a_bounded_number_of_messages_and_members() {
        let of = |count: usize| Bytes::from(format!("[{}]", vec!["{}"; count].join(",")));
        assert_eq!(split(&of(BATCH_MESSAGES_MAX), &ScanLimits::default()).unwrap().len(), BATCH_MESSAGES_MAX);
        let more = split(&of(BATCH_MESSAGES_MAX + 1), &ScanLimits::default()).unwrap_err();
        assert_eq!((more.reason, more.code(), more.id), (Reason::BatchTooLarge, -32600, None));
        let limits = ScanLimits { members_max: 3, ..ScanLimits::default() };
        assert_eq!(split(&of(4), &limits).unwrap_err().reason, Reason::JsonTooManyKeys);
    }
}
