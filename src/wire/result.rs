//! Results of methods: what they say about themselves, and the one member that revisions differ in.
//!
//! Must never touch `content` or `structuredContent` (I7).

use bytes::{BufMut, Bytes, BytesMut};

use crate::model::text::Bounded;

use super::code;
use super::fault::Fault;
use super::method::Method;
use super::object::{Object, elements, value_text};
use super::revision::Revision;
use super::tool::canonical;

/// Longest `resultType` that is kept of one that is not known, in bytes.
const RESULT_TYPE_BYTES_MAX: usize = 64;

/// What a result says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultFacts {
    /// `isError` is true.
    pub is_error: bool,
    /// There is a `content`. A `tools/call` answered without is no answer (CASES F14), unless
    /// `structuredContent` stands for it.
    pub has_content: bool,
    /// There is a `structuredContent`.
    pub has_structured_content: bool,
    /// What kind of result it is (2026-07-28); an older server says nothing and means complete.
    pub result_type: ResultType,
}

/// The kind of a result (2026-07-28, `resultType`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultType {
    /// The answer.
    Complete,
    /// The server needs input of the client first.
    InputRequired,
    /// What an extension defines, for instance `task`. Invalid unless it was negotiated.
    Other(Bounded<RESULT_TYPE_BYTES_MAX>),
}

/// What the result `raw` says about itself.
///
/// # Errors
/// [`Fault::Result`] where it is no object, or `isError` or `resultType` is of another type.
pub fn inspect(raw: &Bytes) -> Result<ResultFacts, Fault> {
    facts(&Object::of(raw).map_err(|_| Fault::Result("it is not an object"))?)
}

pub(super) fn facts(result: &Object) -> Result<ResultFacts, Fault> {
    let is_error = match result.get("isError").as_deref() {
        None | Some(b"false") => false,
        Some(b"true") => true,
        Some(_) => return Err(Fault::Result("`isError` is not a boolean")),
    };
    let result_type = match result.get("resultType") {
        None => ResultType::Complete,
        Some(raw) => match value_text(&raw).as_deref() {
            Ok("complete") => ResultType::Complete,
            Ok("input_required") => ResultType::InputRequired,
            Ok(other) => ResultType::Other(Bounded::new(other)),
            Err(_) => return Err(Fault::Result("`resultType` is not a string")),
        },
    };
    Ok(ResultFacts {
        is_error,
        has_content: result.entry("content").is_some(),
        has_structured_content: result.entry("structuredContent").is_some(),
        result_type,
    })
}

/// Whether what a tool result says in text is something else than its `structuredContent` (CASES A68): one of its
/// texts is a JSON object or array, and none of them is the same value. A text that is none is for people, and
/// nothing is told of a result of more than [`COMPARED_BYTES_MAX`].
#[must_use]
pub fn texts_differ(raw: &Bytes) -> bool {
    if raw.len() > COMPARED_BYTES_MAX {
        return false;
    }
    let differs = || {
        let result = Object::of(raw).ok()?;
        let structured = canonical(&result.get("structuredContent")?).ok()?;
        let text = |element: &Bytes| value_text(&Object::of(element).ok()?.get("text")?).ok();
        let texts = elements(&result.get("content")?)?;
        let is_value = |text: &String| text.trim_start().starts_with(['{', '[']);
        let mut values = texts
            .iter()
            .filter_map(text)
            .filter(is_value)
            .filter_map(|text| canonical(&Bytes::from(text)).ok())
            .peekable();
        values.peek()?;
        Some(values.all(|value| value != structured))
    };
    differs().unwrap_or_default()
}

/// Largest result whose text and `structuredContent` are compared, in bytes.
const COMPARED_BYTES_MAX: usize = 64 * 1024;

/// The code in `raw`, the `error` of a response, for the record; `None` where it is no integer.
#[must_use]
pub fn error_code(raw: &Bytes) -> Option<i64> {
    let code = Object::of(raw).ok()?.get("code")?;
    std::str::from_utf8(&code).ok()?.parse().ok()
}

/// Whether `raw`, the `error` of a response that is about one resource, says that there is no such resource: by
/// the code of its revision, or by the one that some servers use instead (server/resources, "Error Handling").
#[must_use]
pub fn is_not_found(raw: &Bytes) -> bool {
    matches!(error_code(raw), Some(code::RESOURCE_NOT_FOUND | code::INVALID_PARAMS))
}

/// `raw`, the answer to `method`, as a client of `revision` expects it: 2026-07-28 requires `resultType`, and
/// the official 1.x TypeScript client refuses it on empty results. Every other byte is as it was; what is no
/// object stays.
#[must_use]
pub fn for_revision(raw: &Bytes, method: &str, revision: Revision) -> Bytes {
    let Ok(result) = Object::of(raw) else { return raw.clone() };
    match (revision.is_modern(), result.entry("resultType").is_some()) {
        (true, _) => with_members(&result, method),
        (false, false) => raw.clone(),
        (false, true) => result.without(&["resultType"]),
    }
}

/// What 2026-07-28 requires of the result: `resultType` of each, and of what may be cached for how long and
/// for whom (`CacheableResult`). What one caller may read is never for another.
fn with_members(result: &Object, method: &str) -> Bytes {
    let mut members: Vec<&str> = Vec::new();
    if result.entry("resultType").is_none() {
        members.push("\"resultType\":\"complete\"");
    }
    let mut rest = result.raw();
    if method == Method::ResourcesRead.code() {
        if result.entry("ttlMs").is_none() {
            members.push("\"ttlMs\":0");
        }
        members.push("\"cacheScope\":\"private\"");
        rest = result.without(&["cacheScope"]);
    }
    if members.is_empty() {
        return result.raw();
    }
    let mut out = BytesMut::with_capacity(rest.len() + 64);
    out.put_u8(b'{');
    out.put_slice(members.join(",").as_bytes());
    let inner = rest.get(1..).unwrap_or_default();
    if inner.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'}') {
        out.put_u8(b',');
    }
    out.put_slice(inner);
    out.freeze()
}
