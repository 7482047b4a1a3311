//! JSON as editors write it: comments and trailing commas become spaces, and every other byte stays where it is.
//!
//! Must never change what stands inside a string, nor the place of anything. Says nothing of whether the rest is JSON.

/// `text` as JSON of the same length.
pub(super) fn blank(text: &str) -> String {
    let mut out: Vec<u8> = text.bytes().collect();
    let mut at = 0;
    // The comma that is trailing if nothing but a bracket follows.
    let mut comma = None;
    while let Some(&byte) = out.get(at) {
        match byte {
            b'"' => {
                comma = None;
                at = after_string(&out, at);
                continue;
            }
            b'/' if out.get(at + 1) == Some(&b'/') => {
                at = erase(&mut out, at, |rest| rest.first().is_none_or(|b| matches!(b, b'\n' | b'\r')), 0);
                continue;
            }
            b'/' if out.get(at + 1) == Some(&b'*') => {
                at = erase(&mut out, at, |rest| rest.is_empty() || rest.starts_with(b"*/"), 2);
                continue;
            }
            b',' => comma = Some(at),
            b'}' | b']' => {
                if let Some(trailing) = comma.take().and_then(|at| out.get_mut(at)) {
                    *trailing = b' ';
                }
            }
            _ if byte.is_ascii_whitespace() => {}
            _ => comma = None,
        }
        at += 1;
    }
    // Whole characters alone were replaced, each byte by a space.
    String::from_utf8(out).unwrap_or_default()
}

/// Where the string that begins at `start` has ended.
fn after_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// Makes spaces of what stands from `start` until `ends` says so of the rest, and of `more` bytes after that.
fn erase(bytes: &mut [u8], start: usize, ends: impl Fn(&[u8]) -> bool, more: usize) -> usize {
    // What begins a comment is no end of it: `/*/` opens one.
    let rest = bytes.get(start + 2..).unwrap_or_default();
    let length = (0..=rest.len()).find(|at| rest.get(*at..).is_some_and(&ends));
    let end = (start + 2 + length.unwrap_or_default() + more).min(bytes.len());
    for byte in bytes.get_mut(start..end).into_iter().flatten() {
        if !matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_trailing_commas_become_spaces_and_strings_stay() {
        let text = "{ // ü \"a\"\n \"b\": [1, 2, /* , ] */ ], \"c//\": \"/* \\\" ,}\",\r\n /*/ , */ }";
        let blanked = blank(text);
        assert_eq!(blanked.len(), text.len());
        let value: serde_json::Value = serde_json::from_str(&blanked).unwrap();
        assert_eq!(value, serde_json::json!({ "b": [1, 2], "c//": "/* \" ,}" }));
        for whole in ["{\"a\":[1,{\"b\":2}],\"c\":3}", "", "\"\\\\\"", "[]"] {
            assert_eq!(blank(whole), whole);
        }
        for broken in ["\"a", "/*", "//", "/* ,", "\"\\", ",}", "[,]"] {
            assert_eq!(blank(broken).len(), broken.len(), "{broken}");
        }
    }
}
