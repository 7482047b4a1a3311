//! The reading of a query: RFC 9535, section 2, as far as it is taken here.
//!
//! Must never take a text for something that the RFC reads in another way; what it does not take it refuses.

use crate::wire::{Json, ScanLimits};

use super::super::value::Value;
use super::{Key, SELECT_BYTES_MAX, SELECT_SEGMENTS_MAX, Segment, SelectError};

/// Most digits of an index.
const INDEX_DIGITS_MAX: usize = 9;

/// The segments of the query `text`.
pub(super) fn segments(text: &str) -> Result<Vec<Segment>, SelectError> {
    if text.len() > SELECT_BYTES_MAX {
        return Err(SelectError::TooLong);
    }
    let mut rest = text.strip_prefix('$').ok_or(SelectError::NoRoot)?;
    let mut segments = Vec::new();
    while !rest.is_empty() {
        if segments.len() == SELECT_SEGMENTS_MAX {
            return Err(SelectError::TooManySegments);
        }
        let (segment, after) = segment(rest)?;
        segments.push(segment);
        rest = after;
    }
    Ok(segments)
}

/// The segment that `text` begins with, and what follows it.
fn segment(text: &str) -> Result<(Segment, &str), SelectError> {
    if text.starts_with("..") {
        return Err(SelectError::Descendant);
    }
    if let Some(rest) = text.strip_prefix(".*") {
        return Ok((Segment::All, rest));
    }
    if text.starts_with('.') {
        return shorthand(text).map(|(key, rest)| (Segment::One(key), rest));
    }
    let inner = blank(text.strip_prefix('[').ok_or(SelectError::Syntax)?);
    let (segment, rest) = if let Some(rest) = inner.strip_prefix('*') {
        (Segment::All, rest)
    } else if let Some(rest) = inner.strip_prefix('?') {
        filter(blank(rest))?
    } else if inner.starts_with(['\'', '"']) {
        let (name, rest) = quoted(inner).ok_or(SelectError::Name)?;
        (Segment::One(Key::Name(name)), rest)
    } else {
        indexed(inner)?
    };
    Ok((segment, closed(rest)?))
}

/// What follows the bracket that has to end here.
fn closed(rest: &str) -> Result<&str, SelectError> {
    let rest = blank(rest);
    match rest.strip_prefix(']') {
        Some(after) => Ok(after),
        None if rest.starts_with(',') => Err(SelectError::Several),
        None => Err(SelectError::Syntax),
    }
}

/// RFC 9535, 2.1.1: what may stand between the parts within a bracket.
fn blank(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

/// `.name` (RFC 9535, 2.5.1.1).
fn shorthand(text: &str) -> Result<(Key, &str), SelectError> {
    let rest = text.strip_prefix('.').ok_or(SelectError::Name)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii();
    let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
    let (name, rest) = rest.split_at_checked(end).ok_or(SelectError::Name)?;
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(SelectError::Name);
    }
    Ok((Key::Name(name.to_owned()), rest))
}

/// The string in quotes that `text` begins with. Of the escapes of RFC 9535, 2.3.1.1, those of the quotes and of the
/// backslash: every other character can stand for itself.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut chars = text.chars();
    let quote = chars.next()?;
    let mut out = String::new();
    loop {
        match chars.next()? {
            c if c == quote => return Some((out, chars.as_str())),
            '\\' => match chars.next()? {
                c if c == quote || c == '\\' => out.push(c),
                _ => return None,
            },
            c if c.is_control() => return None,
            c => out.push(c),
        }
    }
}

/// An index or a slice.
fn indexed(text: &str) -> Result<(Segment, &str), SelectError> {
    let (from, rest) = number(text)?;
    let after = blank(rest);
    let Some(rest) = after.strip_prefix(':') else {
        let index = from.ok_or(SelectError::Index)?;
        return Ok((Segment::One(Key::Index(index)), after));
    };
    let (to, rest) = number(blank(rest))?;
    if blank(rest).starts_with(':') {
        return Err(SelectError::Index);
    }
    Ok((Segment::Slice(from, to), rest))
}

/// The number that `text` begins with, if it begins with one (RFC 9535, 2.3.3.1: no leading zeros, no `-0`).
fn number(text: &str) -> Result<(Option<i64>, &str), SelectError> {
    let is_part = |c: char| c.is_ascii_digit() || c == '-';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let (written, rest) = text.split_at_checked(end).ok_or(SelectError::Index)?;
    if written.is_empty() {
        return Ok((None, rest));
    }
    let digits = written.strip_prefix('-').unwrap_or(written);
    let is_plain = digits.len() <= INDEX_DIGITS_MAX && (written == "0" || !digits.starts_with('0'));
    let value = written.parse().ok().filter(|_| is_plain);
    value.map(|value| (Some(value), rest)).ok_or(SelectError::Index)
}

/// One comparison of what lies below the current node with a literal, after the question mark.
fn filter(text: &str) -> Result<(Segment, &str), SelectError> {
    let mut rest = text.strip_prefix('@').ok_or(SelectError::Filter)?;
    let mut keys = Vec::new();
    while rest.starts_with(['.', '[']) && keys.len() <= SELECT_SEGMENTS_MAX {
        let (Segment::One(key), after) = segment(rest)? else { return Err(SelectError::Filter) };
        keys.push(key);
        rest = after;
    }
    let rest = blank(blank(rest).strip_prefix("==").ok_or(SelectError::Filter)?);
    let (value, rest) = literal(rest).ok_or(SelectError::Filter)?;
    if !blank(rest).starts_with(']') {
        return Err(SelectError::Filter);
    }
    Ok((Segment::Where(keys, value), rest))
}

/// The literal that `text` begins with: a string in quotes, a number, `true`, `false` or `null`.
fn literal(text: &str) -> Option<(Value, &str)> {
    if text.starts_with(['\'', '"']) {
        let (text, rest) = quoted(text)?;
        return Some((Value::Text(text), rest));
    }
    let end = text.find([']', ' ', '\t', '\n', '\r'])?;
    let (written, rest) = text.split_at_checked(end)?;
    let json = Json::read(written.as_bytes(), ScanLimits { depth_max: 0, members_max: 0 }).ok()?;
    Some((Value::of(&json)?, rest))
}
