//! What an argument is for, by its name and its type.
//!
//! Must never call content what may say who, where, which or how much.

use serde_json::Value;

use super::words::{any, split};

/// Most arguments of one tool that are looked at.
const ARGUMENTS_MAX: usize = 64;
/// Longest name of an argument that is proposed, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// What an argument is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// It says to whom.
    Recipient,
    /// It is an address that anything can be written into.
    Address,
    /// It says where, which or how much.
    Place,
    /// It is run.
    Code,
    /// It names what is taken in.
    Package,
    /// It is what is told.
    Content,
    /// It says how much of an answer is wanted, and in which form.
    Form,
    /// Nobody knows.
    Unknown,
}

const RECIPIENTS: &[&str] = &[
    "to",
    "cc",
    "bcc",
    "recipient",
    "recipients",
    "receiver",
    "attendee",
    "attendees",
    "invitee",
    "invitees",
    "participants",
    "channel",
    "channels",
    "chat",
    "room",
    "phone",
    "assignee",
    "assignees",
    "reviewer",
    "reviewers",
    "beneficiary",
    "payee",
];
const ADDRESSES: &[&str] = &[
    "url", "urls", "uri", "uris", "href", "link", "endpoint", "webhook", "host", "hostname", "domain",
    "callback",
];
const PLACES: &[&str] = &[
    "id",
    "ids",
    "uid",
    "uuid",
    "path",
    "paths",
    "file",
    "files",
    "filename",
    "directory",
    "dir",
    "folder",
    "source",
    "target",
    "destination",
    "repo",
    "repository",
    "owner",
    "org",
    "organization",
    "branch",
    "ref",
    "sha",
    "account",
    "accounts",
    "iban",
    "amount",
    "price",
    "currency",
    "quantity",
    "user",
    "username",
    "users",
    "email",
    "emails",
    "name",
    "database",
    "db",
    "table",
    "schema",
    "bucket",
    "key",
    "project",
    "team",
    "workspace",
    "space",
    "page",
    "issue",
    "number",
    "calendar",
    "mailbox",
    "label",
    "labels",
    "from",
    "sender",
    "thread",
    "selector",
    "element",
    "port",
    "region",
    "environment",
    "namespace",
    "location",
    "address",
    "parent",
    "status",
    "state",
];
const CODE: &[&str] =
    &["command", "cmd", "code", "script", "sql", "expression", "program", "function", "statement"];
const PACKAGES: &[&str] =
    &["package", "packages", "plugin", "module", "dependency", "image", "extension", "library"];
const CONTENT: &[&str] = &[
    "body",
    "text",
    "message",
    "content",
    "contents",
    "title",
    "subject",
    "description",
    "comment",
    "summary",
    "note",
    "notes",
    "html",
    "markdown",
    "caption",
    "question",
    "edits",
    "attachment",
    "attachments",
];
const FORM: &[&str] = &[
    "limit",
    "offset",
    "cursor",
    "count",
    "per",
    "sort",
    "order",
    "direction",
    "format",
    "timezone",
    "language",
    "locale",
    "query",
    "q",
    "pattern",
    "filter",
    "since",
    "until",
    "before",
    "after",
    "start",
    "end",
    "date",
    "time",
    "depth",
    "max",
    "min",
    "length",
    "verbose",
    "raw",
    "timeout",
    "head",
    "tail",
    "page_size",
    "size",
];

/// The arguments that `schema` names, and what each is for.
pub(super) fn of(schema: &Value) -> Vec<(String, For)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let named = properties.into_iter().flatten().filter(|(name, _)| name.len() <= NAME_BYTES_MAX);
    named.take(ARGUMENTS_MAX).map(|(name, schema)| (name.clone(), purpose(name, schema))).collect()
}

fn purpose(name: &str, schema: &Value) -> For {
    let words = split(name);
    let ends = |known: &[&str]| words.last().is_some_and(|last| known.contains(&last.as_str()));
    let is_of = |kind: &str| schema.get("type").and_then(Value::as_str) == Some(kind);
    // The last word is the noun: a `message_id` is an id, and a `file_content` content.
    if ends(CODE) {
        For::Code
    } else if ends(ADDRESSES) {
        For::Address
    } else if ends(RECIPIENTS) || words.first().is_some_and(|first| first == "to" || first == "recipient") {
        For::Recipient
    } else if ends(PACKAGES) {
        For::Package
    } else if is_of("boolean") || words.first().is_some_and(|first| first == "max" || first == "min") {
        For::Form
    } else if ends(PLACES) {
        For::Place
    } else if ends(CONTENT) {
        For::Content
    } else if ends(FORM) || any(&words, &["page", "limit"]) {
        For::Form
    } else {
        For::Unknown
    }
}
