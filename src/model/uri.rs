//! The normal form of a resource's URI: what permissions are matched against (RFC 3986, section 6.2.2).
//!
//! Must never repair what servers could read in two ways: a path that climbs, a separator that hides behind
//! a percent sign, a control character (CASES A62). Such a URI has no normal form, and so no permission.

use std::fmt;
use std::sync::Arc;

/// Longest URI, in bytes.
pub const URI_BYTES_MAX: usize = 4096;

/// A URI in its normal form: visible ASCII, the scheme in lower case, nothing percent-encoded that need not
/// be. What is forwarded is what came in; this is what was decided on, and both mean the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uri(Arc<str>);

/// Why a URI has no normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// It is longer than [`URI_BYTES_MAX`].
    #[error("a resource URI has at most {URI_BYTES_MAX} bytes")]
    TooLong,
    /// It does not begin with a scheme.
    #[error("a resource URI begins with a scheme and a colon")]
    Scheme,
    /// It holds a control character, a space, a backslash or another character that no URI has.
    #[error("it holds a character that no URI has")]
    Character,
    /// A percent sign is not followed by two hexadecimal digits, or what it encodes is encoded twice, is a
    /// separator or a control character.
    #[error("its percent-encoding can be read in two ways")]
    Encoding,
    /// A segment of its path is `.` or `..`.
    #[error("its path climbs")]
    Climbs,
}

impl Uri {
    /// The normal form of `text`.
    ///
    /// # Errors
    /// [`UriError`] says why it has none.
    pub fn new(text: &str) -> Result<Self, UriError> {
        if text.len() > URI_BYTES_MAX {
            return Err(UriError::TooLong);
        }
        let (scheme, rest) = text.split_once(':').ok_or(UriError::Scheme)?;
        // RFC 3986, section 3.1.
        let is_scheme_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            || !scheme.bytes().all(is_scheme_byte)
        {
            return Err(UriError::Scheme);
        }
        let mut normal = scheme.to_ascii_lowercase();
        normal.push(':');
        decode(rest, &mut normal)?;
        let path = normal.split(['?', '#']).next().unwrap_or_default();
        if path.split(['/', ':']).any(|segment| segment == "." || segment == "..") {
            return Err(UriError::Climbs);
        }
        Ok(Self(normal.into()))
    }

    /// Whether it is `outer`, or below it.
    #[must_use]
    pub fn is_within(&self, outer: &Self) -> bool {
        let below = self.0.strip_prefix(&*outer.0);
        below.is_some_and(|below| {
            below.is_empty() || outer.0.ends_with('/') || below.starts_with(['/', '?', '#'])
        })
    }

    /// The normal form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Appends `rest` with what is encoded for no reason decoded, and hexadecimal digits in upper case.
fn decode(rest: &str, normal: &mut String) -> Result<(), UriError> {
    let mut bytes = rest.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digits = [bytes.next(), bytes.next()].map(|digit| digit.and_then(hex));
                let [Some(high), Some(low)] = digits else { return Err(UriError::Encoding) };
                let decoded = high << 4 | low;
                if decoded.is_ascii_control() || b"/\\%".contains(&decoded) {
                    return Err(UriError::Encoding);
                }
                if is_unreserved(decoded) {
                    normal.push(char::from(decoded));
                } else {
                    push_encoded(decoded, normal);
                }
            }
            // Servers take text beyond ASCII as it is (an IRI): its normal form is encoded (RFC 3987, 3.1).
            0x80.. => push_encoded(byte, normal),
            b' ' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' => return Err(UriError::Character),
            _ if byte.is_ascii_control() => return Err(UriError::Character),
            // `{` and `}` stand in templates, `|` in paths of Windows: kept as they are.
            _ => normal.push(char::from(byte)),
        }
    }
    Ok(())
}

fn push_encoded(byte: u8, normal: &mut String) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    normal.extend(['%', digit(byte >> 4), digit(byte & 15)]);
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> Result<String, UriError> {
        Uri::new(text).map(|uri| uri.as_str().to_owned())
    }

    #[test]
    fn what_lies_within_a_resource_is_it_or_below_it() {
        let uri = |text| Uri::new(text).unwrap();
        let outer = uri("file:///a");
        for inner in ["file:///a", "file:///a/b", "FILE:///%61?x", "file:///a#f"] {
            assert!(uri(inner).is_within(&outer), "{inner}");
        }
        for other in ["file:///ab", "file:///", "http:///a"] {
            assert!(!uri(other).is_within(&outer), "{other}");
        }
        assert!(uri("note:a/b").is_within(&uri("note:a/")));
    }

    #[test]
    fn a62_what_can_be_read_in_two_ways_has_no_normal_form() {
        let climbing =
            ["file:///../../etc/passwd", "file:///a/./b", "file:///a/..", "file:..", "x:/%2e%2e/y"];
        for text in climbing.into_iter().chain(["file:///%2E./etc", "note://a/.%2e?x"]) {
            assert_eq!(normal(text), Err(UriError::Climbs), "{text}");
        }
        for text in ["f:///a%2fb", "f:///a%5cb", "f:///a%00b", "f:///a%252e", "f:///%", "f:///%4", "f:///%zz"]
        {
            assert_eq!(normal(text), Err(UriError::Encoding), "{text}");
        }
        for text in ["f:///a\u{0}", "\\\\host\\share:x", "f:\\\\host", "f:///a b", "f:///a\n"] {
            assert!(normal(text).is_err(), "{text}");
        }
        for text in ["", "no scheme", "/etc/passwd", ":x", "1a:x", "a_b:x"] {
            assert_eq!(normal(text), Err(UriError::Scheme), "{text}");
        }
    }

    #[test]
    fn equal_uris_have_one_normal_form() {
        assert_eq!(normal("FILE:///%61%2Eb").unwrap(), "file:///a.b");
        assert_eq!(normal("note:///gr\u{fc}n").unwrap(), normal("note:///gr%c3%bcn").unwrap());
        assert_eq!(normal("a:b?c=../d#..").unwrap(), "a:b?c=../d#..");
        let longest = format!("a:{}", "b".repeat(URI_BYTES_MAX - 2));
        assert!(normal(&longest).is_ok());
        assert_eq!(normal(&format!("{longest}b")), Err(UriError::TooLong));
    }
}
