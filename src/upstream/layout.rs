//! Whitespace of JSON text: taken out, or put in for people.
//!
//! Must never touch a byte that is not insignificant whitespace (I7). It trusts its input to be one
//! valid JSON value; `wire` has parsed it.

/// `json` without insignificant whitespace.
pub(super) fn compact(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let mut text = Text::Outside;
    for byte in json {
        if text == Text::Outside && is_space(*byte) {
            continue;
        }
        text = text.after(*byte);
        out.push(*byte);
    }
    out
}

/// `json` on one line: newlines, which valid JSON holds only between tokens, become spaces. The
/// stdio transport ends a message at a newline (2025-11-25, basic/transports, "stdio": messages "MUST
/// NOT contain embedded newlines").
pub(super) fn one_line(json: &[u8]) -> Vec<u8> {
    let flat = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
    json.iter().map(flat).collect()
}

/// Compact `json` with two spaces an indent and one member or element a line.
pub(super) fn indent(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let mut text = Text::Outside;
    let mut depth = 0_usize;
    let mut before = 0;
    for &byte in json {
        let is_structure = text == Text::Outside;
        text = text.after(byte);
        match byte {
            _ if !is_structure => out.push(byte),
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if !matches!(before, b'{' | b'[') {
                    break_line(&mut out, depth);
                }
                out.push(byte);
            }
            _ => {
                if matches!(before, b'{' | b'[') {
                    break_line(&mut out, depth);
                }
                out.push(byte);
                match byte {
                    b'{' | b'[' => depth += 1,
                    b',' => break_line(&mut out, depth),
                    b':' => out.push(b' '),
                    _ => {}
                }
            }
        }
        before = if is_structure { byte } else { b'"' };
    }
    out
}

fn break_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b' ', depth * 2));
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Where a byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Outside,
    Inside,
    Escaped,
}

impl Text {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Outside, b'"') | (Self::Escaped, _) => Self::Inside,
            (Self::Inside, b'"') => Self::Outside,
            (Self::Inside, b'\\') => Self::Escaped,
            (unchanged, _) => unchanged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &[u8] = br#" { "a\"{ " : [ 1.0e2 , "x y\\" , { } , [ ] ] , "b" : null } "#;

    #[test]
    fn only_whitespace_between_tokens_is_touched() {
        assert_eq!(compact(SAMPLE), br#"{"a\"{ ":[1.0e2,"x y\\",{},[]],"b":null}"#);
    }

    #[test]
    fn indenting_can_be_undone() {
        let flat = compact(SAMPLE);
        let tall = indent(&flat);
        let expected =
            "{\n  \"a\\\"{ \": [\n    1.0e2,\n    \"x y\\\\\",\n    {},\n    []\n  ],\n  \"b\": null\n}";
        assert_eq!(std::str::from_utf8(&tall).unwrap(), expected);
        assert_eq!(compact(&tall), flat);
    }

    #[test]
    fn one_line_has_no_newline() {
        assert_eq!(one_line(b"{\r\n\"a\":\n1}"), b"{  \"a\": 1}");
    }
}
