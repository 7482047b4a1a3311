//! One form body (`application/x-www-form-urlencoded`), read strictly (RFC 6749, appendix B).
//!
//! Must never take the first of two parameters of one name, nor repair an escape. A parameter without a
//! value counts as one that is not there (RFC 6749, 3.2).

use std::collections::BTreeMap;
use std::fmt;

/// Most parameters of a form.
const PARAMETERS_MAX: usize = 32;

/// The parameters of a form, decoded. Some are credentials: prints none.
pub(super) struct Form(BTreeMap<String, String>);

impl fmt::Debug for Form {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Form(…)")
    }
}

impl Form {
    /// The form that `body` is; says what is wrong with it where it is none.
    pub(super) fn of(body: &[u8]) -> Result<Self, &'static str> {
        let mut parameters = BTreeMap::new();
        for part in body.split(|byte| *byte == b'&').filter(|part| !part.is_empty()) {
            let mut halves = part.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default()).ok_or(BROKEN)?;
            let value = decode(halves.next().unwrap_or_default()).ok_or(BROKEN)?;
            if parameters.insert(name, value).is_some() {
                return Err("a parameter stands in the form twice");
            }
            if parameters.len() > PARAMETERS_MAX {
                return Err("the form has too many parameters");
            }
        }
        parameters.retain(|_, value| !value.is_empty());
        Ok(Self(parameters))
    }

    /// The parameter `name`.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

const BROKEN: &str = "the form is not well-formed";

/// Text in form encoding: `+` is a blank, `%XX` a byte, and all of it UTF-8.
pub(super) fn decode(text: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (digit(*bytes.next()?)?, digit(*bytes.next()?)?);
                high << 4 | low
            }
            other => *other,
        });
    }
    String::from_utf8(out).ok()
}

fn digit(byte: u8) -> Option<u8> {
    u8::try_from(char::from(byte).to_digit(16)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded_once_and_exactly() {
        let form = Form::of(b"a=1+2&b=%7B%22x%22%3A%22%C3%A4%22%7D&c=x=y&d=&&e=%2525").unwrap();
        let get = |name| form.get(name);
        assert_eq!(get("a"), Some("1 2"));
        assert_eq!(get("b"), Some("{\"x\":\"ä\"}"));
        assert_eq!((get("c"), get("d"), get("e"), get("f")), (Some("x=y"), None, Some("%25"), None));
        assert_eq!(format!("{form:?}"), "Form(…)");
    }

    #[test]
    fn what_is_no_form_is_refused() {
        let many: Vec<String> = (0..=PARAMETERS_MAX).map(|n| format!("a{n}=1")).collect();
        for body in ["a=1&a=2", "a=%", "a=%4", "a=%zz", "a=%+1", "a=%ff", "%ff=1", "a=&a=1", &many.join("&")]
        {
            assert!(Form::of(body.as_bytes()).is_err(), "{body}");
        }
    }
}
