//! What an answer holds that later steps may use: the values that queries select, kept as digests.
//!
//! Must never keep a value itself (I10), and never one out of an answer that says that it failed. The answer is a
//! stranger's: what cannot be read selects nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::digest::Sha256;
use crate::wire::{DEPTH_MAX, Json, MEMBERS_MAX, ScanLimits};

use super::select::Select;
use super::value::scalar_digest;

/// Most different values of one query that are kept of one answer, and of all answers of its step together. A query
/// that selects more selects nothing: which of them were kept nobody could tell.
pub const SELECTED_MAX: usize = 128;

const LIMITS: ScanLimits = ScanLimits { depth_max: DEPTH_MAX, members_max: MEMBERS_MAX };

/// The digests of the scalars that each of `queries` selects of the raw result of a `tools/call`; `None` where the
/// result says that the tool failed, or is none.
pub(super) fn selected<'q>(
    result: &[u8],
    queries: impl Iterator<Item = &'q Select>,
) -> Option<BTreeMap<String, BTreeSet<Sha256>>> {
    let result = Json::read(result, LIMITS).ok()?;
    let has_failed = !matches!(result.get("isError"), None | Some(Json::Bool(false)));
    if has_failed || result.members().is_none() {
        return None;
    }
    // DESIGN §9: `structuredContent`, or text that is one JSON value.
    let text = || only_text(&result).and_then(|text| Json::read(text.as_bytes(), LIMITS).ok());
    let document = result.get("structuredContent").cloned().or_else(text);
    let select =
        |document| queries.map(|query| (query.as_str().to_owned(), digests(query, &document))).collect();
    Some(document.map(select).unwrap_or_default())
}

/// The text of a result whose content is one block of text.
fn only_text<'j>(result: &'j Json<'_>) -> Option<&'j str> {
    let [block] = result.get("content")?.elements()? else { return None };
    let is_text = block.get("type").and_then(Json::text) == Some("text");
    block.get("text").filter(|_| is_text)?.text()
}

fn digests(query: &Select, document: &Json<'_>) -> BTreeSet<Sha256> {
    let found: BTreeSet<Sha256> = query.of(document).into_iter().filter_map(scalar_digest).collect();
    if found.len() > SELECTED_MAX { BTreeSet::new() } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(result: &str, query: &str) -> Option<usize> {
        let query = Select::new(query).unwrap();
        selected(result.as_bytes(), [&query].into_iter()).map(|all| all.values().map(BTreeSet::len).sum())
    }

    #[test]
    fn values_come_from_structured_content_or_from_text_that_is_one_value() {
        assert_eq!(count(r#"{"structuredContent":{"a":[1,1.0,"1"]}}"#, "$.a[*]"), Some(2));
        assert_eq!(count(r#"{"content":[{"type":"text","text":"{\"a\":\"x\"}"}]}"#, "$.a"), Some(1));
        // What stands as text beside structured content is for people.
        let both = r#"{"structuredContent":{},"content":[{"type":"text","text":"{\"a\":\"x\"}"}]}"#;
        assert_eq!(count(both, "$.a"), Some(0));
        for nothing in [
            r#"{"content":[{"type":"text","text":"hello"}]}"#,
            r#"{"content":[{"type":"text","text":"{\"a\":1,\"a\":2}"}]}"#,
            r#"{"content":[{"type":"text","text":"{\"a\":1}"},{"type":"text","text":"{\"a\":1}"}]}"#,
            r#"{"content":[{"type":"image","text":"{\"a\":1}"}]}"#,
            r#"{"structuredContent":{"a":{"b":1}}}"#,
            "{}",
        ] {
            assert_eq!(count(nothing, "$.a"), Some(0), "{nothing}");
        }
    }

    #[test]
    fn a_failed_or_broken_answer_selects_nothing_at_all() {
        for failed in [
            r#"{"structuredContent":{"a":1},"isError":true}"#,
            r#"{"structuredContent":{"a":1},"isError":1}"#,
            r#"{"structuredContent":{"a":1},"structuredContent":{"a":2}}"#,
            "[]",
            "",
        ] {
            assert_eq!(count(failed, "$.a"), None, "{failed}");
        }
    }

    #[test]
    fn a_query_that_selects_too_much_selects_nothing() {
        let list = |len: usize| {
            let all: Vec<String> = (0..len).map(|number| number.to_string()).collect();
            format!("{{\"structuredContent\":[{}]}}", all.join(","))
        };
        assert_eq!(count(&list(SELECTED_MAX), "$[*]"), Some(SELECTED_MAX));
        assert_eq!(count(&list(SELECTED_MAX + 1), "$[*]"), Some(0));
    }
}
