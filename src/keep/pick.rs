//! Finding a part of the arguments, as it was written.
//!
//! Must never write a value anew, nor take a part for another: a name is compared whole and as it is. Trusts the
//! strict parse for one document without double keys, within its bounds of depth.

use std::cell::OnceCell;

use bytes::Bytes;

use crate::model::keep::Pointer;
use crate::wire::{Object, elements};

/// The arguments of a call, an object or nothing; its members are found once, however many pointers ask for them.
pub(super) struct Arguments<'a> {
    raw: &'a Bytes,
    members: OnceCell<Option<Object>>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(raw: &'a Bytes) -> Self {
        Self { raw, members: OnceCell::new() }
    }

    /// What `pointer` points at (RFC 6901, 4); nothing where nothing is there.
    pub(super) fn pick(&self, pointer: &Pointer) -> Option<Bytes> {
        let Some((first, rest)) = pointer.tokens().split_first() else {
            return (!self.raw.is_empty()).then(|| self.raw.clone());
        };
        let members = self.members.get_or_init(|| Object::of(self.raw).ok()).as_ref()?;
        rest.iter().try_fold(members.get(first)?, |at, token| match at.first()? {
            b'{' => Object::of(&at).ok()?.get(token),
            b'[' => elements(&at)?.into_iter().nth(index(token)?),
            _ => None,
        })
    }
}

/// RFC 6901, 4: an index has no leading zeros; `-` names what is not there.
fn index(token: &str) -> Option<usize> {
    let is_index = token == "0" || token.bytes().next().is_some_and(|first| (b'1'..=b'9').contains(&first));
    token.parse().ok().filter(|_| is_index)
}

/// As much of `value` as may be kept, and how long it was where that is not all.
pub(super) fn cut(value: &[u8], bytes_max: usize) -> (&str, Option<u64>) {
    // What the strict parse let through is UTF-8.
    let text = std::str::from_utf8(value).unwrap_or_default();
    if text.len() <= bytes_max {
        return (text, None);
    }
    let end = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    (text.get(..end).unwrap_or_default(), Some(value.len() as u64))
}
