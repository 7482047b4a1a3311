//! JSON strings: their escapes, and the folding under which keys can be mistaken for each other.
//!
//! Must never repair text: an escape that stands for no character is a fault.

use std::borrow::Cow;

use super::fault::Fault;

/// Decodes the escape that `rest` begins with: the character, and how many bytes it was written in.
///
/// The scanner checks escapes with this function and readers decode with it, so that what is accepted
/// and what is understood cannot differ.
pub(super) fn escape(rest: &[u8]) -> Result<(char, usize), Fault> {
    let simple = match rest.get(1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode_escape(rest),
        Some(_) => return Err(Fault::Escape),
        None => return Err(Fault::End),
    };
    Ok((simple, 2))
}

fn unicode_escape(rest: &[u8]) -> Result<(char, usize), Fault> {
    let first = code_unit(rest, 2)?;
    if !(0xd800..=0xdfff).contains(&first) {
        return char::from_u32(first).map(|c| (c, 6)).ok_or(Fault::Surrogate);
    }
    // The low half has to follow at once, as an escape of its own (RFC 8259 §7).
    if first > 0xdbff || rest.get(6..8) != Some(b"\\u") {
        return Err(Fault::Surrogate);
    }
    let second = code_unit(rest, 8)?;
    if !(0xdc00..=0xdfff).contains(&second) {
        return Err(Fault::Surrogate);
    }
    let point = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    char::from_u32(point).map(|c| (c, 12)).ok_or(Fault::Surrogate)
}

fn code_unit(rest: &[u8], at: usize) -> Result<u32, Fault> {
    let digits = rest.get(at..at + 4).ok_or(Fault::End)?;
    digits.iter().try_fold(0, |unit, byte| {
        let digit = char::from(*byte).to_digit(16).ok_or(Fault::Escape)?;
        Ok(unit << 4 | digit)
    })
}

/// The text that `inner`, the part between the quotes, stands for.
pub(super) fn unescape(inner: &str) -> Result<Cow<'_, str>, Fault> {
    let Some(first) = memchr::memchr(b'\\', inner.as_bytes()) else {
        return Ok(Cow::Borrowed(inner));
    };
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    let mut next = Some(first);
    while let Some(backslash) = next {
        let (plain, escaped) = rest.split_at_checked(backslash).ok_or(Fault::Escape)?;
        out.push_str(plain);
        let (c, bytes) = escape(escaped.as_bytes())?;
        out.push(c);
        rest = escaped.get(bytes..).ok_or(Fault::Escape)?;
        next = memchr::memchr(b'\\', rest.as_bytes());
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// The text of `raw` if that is a JSON string.
pub(super) fn of_value(raw: &str) -> Result<Cow<'_, str>, Fault> {
    let inner = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or(Fault::NotText)?;
    unescape(inner)
}

/// Appends `text` as a JSON string with as few escapes as the grammar allows.
pub(super) fn push_quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\0'..='\u{1f}' => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Whether some parser that ignores case could take `key` for `defined`.
///
/// Upper case first and lower case then reaches what Unicode's case folding reaches: `ſ` (U+017F) folds
/// to `s` and the Kelvin sign (U+212A) to `k`, as Go's `encoding/json` has it (CVE-2026-27896).
pub(super) fn folds_to(key: &str, defined: &str) -> bool {
    if key.is_ascii() {
        return key.eq_ignore_ascii_case(defined);
    }
    // One character folds from three bytes at most (U+212A to `k`): what is longer cannot be equal.
    key.len() <= defined.len() * 3 && folded(key).eq(folded(defined))
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}
