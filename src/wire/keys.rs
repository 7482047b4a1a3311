//! Duplicate keys: the keys of every object that is open, after unescaping.
//!
//! Must never take time in proportion to the square of an object's size, nor let a sender choose which
//! keys collide (CASES A09). It trusts the scanner to bound the number of keys.

use std::borrow::Cow;
use std::collections::HashSet;

use super::fault::Fault;

/// Up to this many keys, comparing each with each is cheaper than hashing.
const COMPARED_MAX: usize = 16;

/// The keys of the objects that are open.
#[derive(Debug, Default)]
pub(super) struct Keys<'a> {
    /// Keys of small objects, those of an inner object after those of the outer one.
    compared: Vec<Cow<'a, str>>,
    objects: Vec<OpenObject<'a>>,
}

#[derive(Debug)]
struct OpenObject<'a> {
    /// Where its keys begin in `compared`.
    start: usize,
    /// Its keys once they are many. A set of its own for each object, hashed with a random key: one that
    /// is emptied and used again would cost its largest size for every later object.
    hashed: Option<HashSet<Cow<'a, str>>>,
}

impl<'a> Keys<'a> {
    /// An object begins.
    pub(super) fn open(&mut self) {
        self.objects.push(OpenObject { start: self.compared.len(), hashed: None });
    }

    /// The innermost object ends.
    pub(super) fn close(&mut self) {
        if let Some(object) = self.objects.pop() {
            self.compared.truncate(object.start);
        }
    }

    /// The innermost object has `key`.
    pub(super) fn insert(&mut self, key: Cow<'a, str>) -> Result<(), Fault> {
        let Some(object) = self.objects.last_mut() else { return Ok(()) };
        if let Some(hashed) = &mut object.hashed {
            return if hashed.insert(key) { Ok(()) } else { Err(Fault::DuplicateKey) };
        }
        let own = self.compared.get(object.start..).unwrap_or_default();
        if own.contains(&key) {
            return Err(Fault::DuplicateKey);
        }
        self.compared.push(key);
        if self.compared.len() - object.start > COMPARED_MAX {
            object.hashed = Some(self.compared.drain(object.start..).collect());
        }
        Ok(())
    }
}
