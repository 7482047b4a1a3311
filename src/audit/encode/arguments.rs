//! What a record says of the arguments of a call (docs/AUDIT.md §4).
//!
//! Must never write a value that is not in `kept`, nor the digest of what an operator left out.

use crate::audit::line::{Flag, Object};
use crate::model::facts::CallFacts;
use crate::model::keep::{DigestOf, Kept, KeptText, KeptValue, Whole};

pub(super) fn write(object: &mut Object<'_>, facts: &CallFacts) {
    if facts.arguments.is_none() && facts.kept.is_none() {
        return;
    }
    let kept = facts.kept.as_deref();
    object.object("arguments", |object| {
        let is_recorded = kept.is_none_or(|kept| kept.digest == DigestOf::Recorded);
        if let Some(arguments) = facts.arguments.as_ref().filter(|_| is_recorded) {
            object.number("bytes", arguments.bytes);
            object.digest("sha256", &arguments.sha256);
        }
        if let Some(kept) = kept {
            write_kept(object, kept);
        }
    });
}

fn write_kept(object: &mut Object<'_>, kept: &Kept) {
    if !kept.values.is_empty() {
        object.objects("kept", kept.values.iter(), |object, KeptValue { pointer, value, whole_bytes }| {
            object.text("pointer", pointer.as_str());
            match value {
                KeptText::Json(text) => object.text("json", text),
                KeptText::Sealed(text) => object.text("sealed", text),
            }
            if let Some(bytes) = whole_bytes {
                object.number("whole_bytes", *bytes);
            }
        });
    }
    if let Some(key) = &kept.key {
        object.text("key", key);
    }
    if !kept.hashes.is_empty() {
        object.objects("hashed", kept.hashes.iter(), |object, (pointer, hash)| {
            object.text("pointer", pointer.as_str());
            object.digest("hmac_sha256", hash);
        });
    }
    if let Some(key) = &kept.hash_key {
        object.text("hash_key", key);
    }
    if kept.whole == Whole::Lacking {
        object.flag("lacking", Flag::True);
    }
}
