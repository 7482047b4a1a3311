//! JSON, edited in place: members are taken out and put in, and every other byte stays.
//!
//! Trusts nothing: what comes out is compared by the caller with what was meant.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::clients::OWN_NAME;
use crate::clients::jsonc;

/// `text` with `entry` as our server in the table at `path`, without the servers that are `gone`.
pub(super) fn edit(
    text: &str,
    path: &[String],
    gone: &impl Fn(&String) -> bool,
    entry: &Value,
) -> Option<String> {
    let (last, parents) = path.split_last()?;
    if text.trim().is_empty() {
        let whole = serde_json::json!({ last.clone(): { OWN_NAME: entry } });
        return parents.is_empty().then(|| format!("{whole:#}\n"));
    }
    let blanked = jsonc::blank(text);
    let mut parent = 0..blanked.len();
    for key in parents {
        parent = members(&blanked, &parent)?.into_iter().find(|(name, _)| name == key)?.1;
    }
    let inside = members(&blanked, &parent)?;
    let (object, kept, member) = match inside.into_iter().find(|(name, _)| name == last) {
        Some((_, table)) => {
            let kept = segments(text, &blanked, &table, gone)?;
            (table.clone(), kept, member(OWN_NAME, entry, &indent(text, table.start)))
        }
        None => {
            let table = serde_json::json!({ OWN_NAME: entry });
            let kept = segments(text, &blanked, &parent, &|_: &String| false)?;
            (parent.clone(), kept, member(last, &table, &indent(text, parent.start)))
        }
    };
    let (open, close) = braces(&blanked, &object)?;
    let Segments { kept, end } = kept;
    let tail = text.get(end..close)?;
    let tail =
        if tail.contains('\n') { tail.to_owned() } else { format!("\n{}", indent(text, object.start)) };
    let all: Vec<String> = std::iter::once(member).chain(kept).collect();
    Some(format!("{}{}{tail}{}", text.get(..=open)?, all.join(","), text.get(close..)?))
}

/// The members that stay, each with the space and the comments before it and without its comma.
struct Segments {
    kept: Vec<String>,
    /// Where the last member has ended.
    end: usize,
}

fn segments(
    text: &str,
    blanked: &str,
    object: &Range<usize>,
    gone: &impl Fn(&String) -> bool,
) -> Option<Segments> {
    let (open, _) = braces(blanked, object)?;
    let mut segments = Segments { kept: Vec::new(), end: open + 1 };
    for (at, (name, value)) in members(blanked, object)?.into_iter().enumerate() {
        let mut segment = text.get(segments.end..value.end)?.to_owned();
        if at > 0 {
            segment.remove(blanked.get(segments.end..value.start)?.find(',')?);
        }
        segments.end = value.end;
        if !gone(&name) {
            segments.kept.push(segment);
        }
    }
    Some(segments)
}

/// The members of the object at `object`, in their order, each with the place of its value.
fn members(blanked: &str, object: &Range<usize>) -> Option<Vec<(String, Range<usize>)>> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(blanked.get(object.clone())?).ok()?;
    let place = |value: &RawValue| {
        // The value is a part of the text, so it begins not before it.
        let start = value.get().as_ptr().addr().checked_sub(blanked.as_ptr().addr())?;
        Some(start..start + value.get().len())
    };
    let placed = members.into_iter().map(|(name, value)| Some((name, place(value)?)));
    let mut placed = placed.collect::<Option<Vec<_>>>()?;
    placed.sort_by_key(|(_, place)| place.start);
    Some(placed)
}

/// Where the braces of the object at `object` are.
fn braces(blanked: &str, object: &Range<usize>) -> Option<(usize, usize)> {
    let text = blanked.get(object.clone())?;
    Some((object.start + text.find('{')?, object.start + text.rfind('}')?))
}

/// The white space at the beginning of the line that holds the byte at `at`.
fn indent(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    line.chars().take_while(|c| matches!(c, ' ' | '\t')).collect()
}

fn member(name: &str, value: &Value, indent: &str) -> String {
    let step = if indent.contains('\t') { "\t" } else { "  " };
    let text = format!("{}: {value:#}", Value::from(name));
    text.lines().map(|line| format!("\n{indent}{step}{line}")).collect()
}
