//! What is recorded of arguments: pointers that point, sizes that a record can hold, nothing said twice.
//!
//! Must never take an entry that records nothing that it names.

use std::sync::Arc;

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::raw::{Audit, KeepRule, KeepTable};
use crate::model::keep::{
    DigestOf, KEPT_BYTES_MAX, Keep, KeptForm, KeptPart, POINTERS_MAX, Pointer, WHOLE_BYTES_DEFAULT,
    WHOLE_BYTES_MAX,
};

use super::quantity::Quantities;
use super::{Scope, bad_word};

/// `audit.values`: in which form values are kept, whatever tool they are of.
pub(super) fn form(written: &Audit, scope: Scope<'_>) -> KeptForm {
    written.values.as_ref().map_or(KeptForm::default(), |word| match word.value.as_str() {
        "sealed" => KeptForm::Sealed,
        "plain" => KeptForm::Plain,
        _ => {
            bad_word(word, "values", &["sealed", "plain"], scope.found);
            KeptForm::default()
        }
    })
}

/// `audit` of an entry of `tools`.
pub(super) fn check(written: &KeepRule, scope: Scope<'_>) -> Arc<Keep> {
    Arc::new(match written {
        KeepRule::Word(word) => named(word, scope),
        KeepRule::Table(table) => listed(table, scope),
    })
}

fn named(word: &Located<String>, scope: Scope<'_>) -> Keep {
    match word.value.as_str() {
        "digest" => Keep::default(),
        "omit" => Keep { digest: DigestOf::Omitted, ..Keep::default() },
        "whole" => Keep { parts: vec![whole(WHOLE_BYTES_DEFAULT)], ..Keep::default() },
        _ => {
            bad_word(word, "audit", &["digest", "omit", "whole"], scope.found);
            Keep::default()
        }
    }
}

fn whole(bytes_max: usize) -> KeptPart {
    KeptPart { pointer: Pointer::whole(), bytes_max }
}

fn listed(table: &KeepTable, scope: Scope<'_>) -> Keep {
    let found = scope.found;
    let KeepTable { place, digest, keep, hash, whole: size } = table;
    let says = [digest.is_some(), keep.is_some(), hash.is_some(), size.is_some()];
    if !says.contains(&true) && found.lacks(place, &["digest", "keep", "hash", "whole"]) {
        let help = "add `keep`, `hash`, `whole` or `digest = false`, or write `audit = \"digest\"`";
        found.error(Code::MissingKey, place, "this `audit` says nothing", help);
    }
    let (kept, hashed) = (pointers(keep.as_deref(), scope), pointers(hash.as_deref(), scope));
    let most = kept.len().saturating_add(hashed.len());
    if most > POINTERS_MAX {
        let message = format!("{most} parts of the arguments of one tool are recorded");
        found.error(Code::OutOfRange, place, message, format!("at most {POINTERS_MAX} can be"));
    }
    let mut parts: Vec<_> =
        kept.into_iter().map(|pointer| KeptPart { pointer, bytes_max: KEPT_BYTES_MAX }).collect();
    if let Some(written) = size {
        if let Some(first) = keep.iter().flatten().next() {
            let help = "remove `keep`: what is kept whole holds every part";
            found.error(Code::Conflict, &first.place, "`keep` beside `whole` keeps values twice", help);
        }
        let bytes_max = Quantities::new(found).bytes_in_memory(size, "whole", WHOLE_BYTES_DEFAULT);
        if bytes_max > WHOLE_BYTES_MAX {
            let help = format!("write a size up to {} KiB; what is longer is cut", WHOLE_BYTES_MAX / 1024);
            found.error(Code::OutOfRange, &written.place, "no record can hold this much", help);
        }
        parts.push(whole(bytes_max));
    }
    let is_omitted = digest.as_ref().is_some_and(|digest| !digest.value);
    let digest = if is_omitted { DigestOf::Omitted } else { DigestOf::Recorded };
    Keep { digest, parts, hashed, form: KeptForm::default() }
}

fn pointers(written: Option<&[Located<String>]>, scope: Scope<'_>) -> Vec<Pointer> {
    let mut pointers = Vec::new();
    for text in written.unwrap_or_default() {
        let help = "write a JSON Pointer (RFC 6901): \"/to\", \"/to/0\", \"/customer/iban\"";
        match Pointer::new(&text.value) {
            Ok(pointer) if pointer.tokens().is_empty() => {
                let help = "for all of the arguments write `whole = \"16KiB\"`";
                scope.found.error(Code::BadValue, &text.place, "an empty pointer names no argument", help);
            }
            Ok(pointer) if pointers.contains(&pointer) => {
                let message = format!("`{}` is listed twice", text.value);
                scope.found.error(Code::Duplicate, &text.place, message, "remove one");
            }
            Ok(pointer) => pointers.push(pointer),
            Err(error) => {
                let message = format!("`{}` is no JSON Pointer: {error}", text.value);
                scope.found.error(Code::BadValue, &text.place, message, help);
            }
        }
    }
    pointers
}
