//! The strict reading of a JSON document that is no message: a token's parts, a set of keys.
//!
//! The same grammar and the same limits as for messages, for rooms that know no MCP. Must never let a
//! document pass that two readers could understand differently: one document, no key twice after
//! unescaping, no lone surrogate (CASES A01, A07, A12).

use super::fault::Fault;
use super::keys::Keys;
use super::scan::{self, Container, Key, Reader, ScanLimits};

/// The text of `document`, once it is known to be one strict JSON document within these limits: what it
/// says is then the same for every reader of JSON.
///
/// # Errors
/// [`Fault`] says what is wrong with it.
pub fn document(document: &[u8], depth_max: usize, members_max: usize) -> Result<&str, Fault> {
    let text = std::str::from_utf8(document).map_err(|_| Fault::Utf8)?;
    let limits = ScanLimits { depth_max, members_max };
    scan::scan(text, &limits, &mut Unique::default()).map_err(|flaw| flaw.fault)?;
    Ok(text)
}

/// Looks at keys alone.
#[derive(Default)]
struct Unique<'a> {
    keys: Keys<'a>,
}

impl<'a> Reader<'a> for Unique<'a> {
    fn key(&mut self, key: Key<'a>) -> Result<(), Fault> {
        self.keys.insert(key.text()?)
    }

    fn open(&mut self, container: Container, _: usize) {
        if container == Container::Object {
            self.keys.open();
        }
    }

    fn close(&mut self, container: Container, _: usize) {
        if container == Container::Object {
            self.keys.close();
        }
    }

    fn scalar(&mut self, _: &'a str, _: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_two_readers_could_understand_differently_is_refused() {
        let read = |text: &str| document(text.as_bytes(), 4, 8).map(drop);
        for good in ["{}", " [1,{\"a\":1}] ", "\"x\"", "{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":2}]}"] {
            assert_eq!(read(good), Ok(()), "{good}");
        }
        let bad = [
            ("{\"a\":1,\"a\":2}", Fault::DuplicateKey),
            ("{\"b\":[{\"a\":1,\"\\u0061\":2}]}", Fault::DuplicateKey),
            ("{}{}", Fault::Trailing),
            ("", Fault::End),
            ("{\"a\":\"\\ud800\"}", Fault::Surrogate),
            ("[[[[[1]]]]]", Fault::TooDeep),
            ("[1,2,3,4,5,6,7,8,9]", Fault::TooMany),
        ];
        for (text, fault) in bad {
            assert_eq!(read(text), Err(fault), "{text}");
        }
        assert_eq!(document(b"\"\xff\"", 4, 8), Err(Fault::Utf8));
    }
}
