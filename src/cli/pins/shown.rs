//! Two definitions as lines, and what differs between them.
//!
//! Must never show a definition other than it is: text is laid out over lines, and nothing is parsed into
//! values and written anew. What a terminal would obey or hide is written as `\u{…}`.

use crate::model::text::printable;

/// Lines of both definitions beyond which no difference is sought and both are shown whole.
const LINES_MAX: usize = 2_000;

/// The lines of both, each marked ` ` (in both), `-` (accepted) or `+` (offered).
pub(super) fn difference(accepted: &str, offered: &str) -> Vec<String> {
    let (old, new) = (lay_out(accepted), lay_out(offered));
    if old.len().max(new.len()) > LINES_MAX {
        let marked = old.iter().map(|line| format!("- {line}"));
        return marked.chain(new.iter().map(|line| format!("+ {line}"))).collect();
    }
    let lengths = common_lengths(&old, &new);
    let length = |at: (usize, usize)| lengths.get(at.0).and_then(|row| row.get(at.1)).copied().unwrap_or(0);
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    loop {
        match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) if a == b => {
                lines.push(format!("  {a}"));
                i += 1;
                j += 1;
            }
            (Some(a), b) if b.is_none() || length((i + 1, j)) >= length((i, j + 1)) => {
                lines.push(format!("- {a}"));
                i += 1;
            }
            (_, Some(b)) => {
                lines.push(format!("+ {b}"));
                j += 1;
            }
            (_, None) => return lines,
        }
    }
}

/// For each pair of suffixes the length of their longest common subsequence.
fn common_lengths(old: &[String], new: &[String]) -> Vec<Vec<u16>> {
    let mut rows = vec![vec![0_u16; new.len() + 1]];
    for a in old.iter().rev() {
        let below = rows.last().cloned().unwrap_or_default();
        let mut row = vec![0_u16; new.len() + 1];
        for (j, b) in new.iter().enumerate().rev() {
            let at = |row: &[u16], index: usize| row.get(index).copied().unwrap_or(0);
            let best = if a == b { at(&below, j + 1) + 1 } else { at(&below, j).max(at(&row, j + 1)) };
            if let Some(cell) = row.get_mut(j) {
                *cell = best;
            }
        }
        rows.push(row);
    }
    rows.reverse();
    rows
}

/// `json` with a line for each member and element.
fn lay_out(json: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut depth = 0_usize;
    let mut state = Inside::Structure;
    for c in json.chars() {
        match (state, c) {
            (Inside::Escape, _) => state = Inside::Text,
            (Inside::Text, '\\') => state = Inside::Escape,
            (Inside::Text, '"') => state = Inside::Structure,
            (Inside::Text, _) => {}
            (Inside::Structure, '"') => state = Inside::Text,
            (Inside::Structure, '{' | '[') => {
                line.push(c);
                end_line(&mut lines, &mut line, depth);
                depth += 1;
                continue;
            }
            (Inside::Structure, '}' | ']') => {
                end_line(&mut lines, &mut line, depth);
                depth = depth.saturating_sub(1);
            }
            (Inside::Structure, ',') => {
                line.push(c);
                end_line(&mut lines, &mut line, depth);
                continue;
            }
            (Inside::Structure, ' ' | '\t' | '\n' | '\r') => continue,
            (Inside::Structure, _) => {}
        }
        line.push(c);
    }
    end_line(&mut lines, &mut line, depth);
    lines
}

#[derive(Clone, Copy)]
enum Inside {
    Structure,
    Text,
    Escape,
}

fn end_line(lines: &mut Vec<String>, line: &mut String, depth: usize) {
    if !line.is_empty() {
        lines.push("  ".repeat(depth) + &printable(&std::mem::take(line)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_stands_out_among_what_did_not() {
        let old = r#"{"name":"send","description":"Sends, mail [x]","inputSchema":{"type":"object"}}"#;
        let new = r#"{"name":"send","description":"Sends mail to \"me\"","inputSchema":{"type":"object"}}"#;
        let lines = difference(old, new);
        assert_eq!(
            lines,
            [
                "  {",
                "    \"name\":\"send\",",
                "-   \"description\":\"Sends, mail [x]\",",
                "+   \"description\":\"Sends mail to \\\"me\\\"\",",
                "    \"inputSchema\":{",
                "      \"type\":\"object\"",
                "    }",
                "  }",
            ]
        );
    }

    #[test]
    fn a60_a61_what_hides_or_steers_is_shown() {
        let lines = difference("{}", "{\"a\":\"x\u{200b}\u{1b}[2J\u{e0041}\"}");
        assert!(lines.contains(&"+   \"a\":\"x\\u{200b}\\u{1b}[2J\\u{e0041}\"".to_owned()), "{lines:?}");
    }

    #[test]
    fn numbers_and_doubled_keys_are_shown_as_they_are() {
        let lines = difference("[]", "[{\"a\":1e400,\"a\":123456789012345678901}]");
        assert!(lines.iter().any(|line| line.contains("1e400")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("123456789012345678901")), "{lines:?}");
    }
}
