//! JSON as one line that is harmless wherever it is shown.
//!
//! Must never let a control or format character through as itself: the journal has them escaped (docs/AUDIT.md §2.8),
//! and what is made of its records has them too.

use std::io::{self, Write};

use serde::Serialize as _;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

use crate::model::text::is_hidden;

/// `value` as one line, without its line break.
pub(super) fn one_line(value: &Value) -> String {
    let mut bytes = Vec::new();
    // Writing a value into memory does not fail.
    drop(value.serialize(&mut Serializer::with_formatter(&mut bytes, Escaping)));
    String::from_utf8(bytes).unwrap_or_default()
}

/// Without blanks, and with what is hidden as `\uXXXX`.
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, hidden)) = rest.char_indices().find(|(_, c)| is_hidden(*c)) {
            let (plain, from) = rest.split_at(at);
            out.write_all(plain.as_bytes())?;
            // RFC 8259, 7: beyond the basic plane as a pair of surrogates.
            for unit in hidden.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = from.get(hidden.len_utf8()..).unwrap_or_default();
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a69_what_is_hidden_is_escaped_and_means_the_same() {
        let value = json!({ "a\u{202e}": ["\u{7f}\u{2028}x\u{e0041}\"", 1, "é\n"] });
        let line = one_line(&value);
        assert_eq!(line, "{\"a\\u202e\":[\"\\u007f\\u2028x\\udb40\\udc41\\\"\",1,\"é\\n\"]}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
    }
}
