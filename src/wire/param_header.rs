//! `Mcp-Param-*`: arguments that a client of 2026-07-28 repeats in headers (SEP-2243), as tools declare
//! them and as requests carry them.
//!
//! Must never decide by a header, nor compute with a number: numbers are equal by their exact decimal
//! value. It trusts neither the definition nor the request.

use bytes::Bytes;

use super::fault::{Fault, HeaderFlaw};
use super::headers::{decode, encode, only};
use super::object::{Entry, Object, elements};
use super::text;

/// What stands before the declared part of a header's name.
const PREFIX: &str = "Mcp-Param-";

/// Most headers that one tool may declare: each is looked up in the arguments of every call. More than
/// HTTP servers accept of headers altogether.
const DECLARED_MAX: usize = 64;

/// The keyword that declares such a header.
const KEYWORD: &str = "x-mcp-header";

/// The types that a header can repeat. `number` is none: its text differs between implementations.
const TYPES: &[&str] = &["string", "integer", "boolean"];

/// Keywords of JSON Schema 2020-12 whose value is a schema.
const SCHEMA: &[&str] = &[
    "items",
    "contains",
    "unevaluatedItems",
    "additionalProperties",
    "propertyNames",
    "unevaluatedProperties",
    "not",
    "if",
    "then",
    "else",
    "contentSchema",
];
/// Keywords whose value is a list of schemas.
const SCHEMA_LIST: &[&str] = &["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords whose value is an object of schemas, beside `properties`.
const SCHEMA_MAP: &[&str] = &["patternProperties", "dependentSchemas", "$defs", "definitions"];

/// An argument that is repeated in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamHeader {
    /// What follows `Mcp-Param-`, in lower case.
    pub header: String,
    /// The keys that lead to the argument.
    pub path: Vec<String>,
}

/// The headers that the tool `raw` declares in its `inputSchema`, in the order of their names.
///
/// # Errors
/// [`Fault::Tool`] where a declaration is not valid: clients have to drop such a tool (2026-07-28, "Custom
/// Headers from Tool Parameters"), so it cannot be offered to them.
pub fn param_headers(raw: &Bytes) -> Result<Vec<ParamHeader>, Fault> {
    let mut found: Vec<ParamHeader> = Vec::new();
    let Some(schema) = Object::of(raw).ok().and_then(|tool| tool.get("inputSchema")) else {
        return Ok(found);
    };
    let mut open = vec![Position { path: Some(Vec::new()), schema }];
    while let Some(position) = open.pop() {
        let Ok(schema) = Object::of(&position.schema) else { continue };
        if let Some(header) = declared(&schema, position.path.as_deref())? {
            if found.iter().any(|other| other.header == header.header) {
                return Err(Fault::Tool("two arguments have the same x-mcp-header"));
            }
            if found.len() >= DECLARED_MAX {
                return Err(Fault::Tool("too many x-mcp-header"));
            }
            found.push(header);
        }
        for entry in &schema.entries {
            below(&schema, entry, position.path.as_deref(), &mut open);
        }
    }
    found.sort_by(|one, other| one.header.cmp(&other.header));
    Ok(found)
}

/// A place in a schema where a schema stands.
struct Position {
    /// The keys of `properties` that lead there; `None` beyond any other keyword.
    path: Option<Vec<String>>,
    schema: Bytes,
}

/// Adds the schemas that stand directly in the member `entry` of `schema`.
fn below(schema: &Object, entry: &Entry, path: Option<&[String]>, open: &mut Vec<Position>) {
    let keyword = schema.key_of(entry);
    let value = schema.source.slice(entry.value.clone());
    let elsewhere = |schema| Position { path: None, schema };
    if keyword == "properties" || SCHEMA_MAP.contains(&keyword) {
        let Ok(schemas) = Object::of(&value) else { return };
        open.extend(schemas.entries.iter().map(|entry| {
            let path = path.filter(|_| keyword == "properties").map(|path| {
                let mut path = path.to_vec();
                path.push(schemas.key_of(entry).to_owned());
                path
            });
            Position { path, schema: schemas.source.slice(entry.value.clone()) }
        }));
    } else if SCHEMA.contains(&keyword) {
        open.push(elsewhere(value));
    } else if SCHEMA_LIST.contains(&keyword) {
        open.extend(elements(&value).unwrap_or_default().into_iter().map(elsewhere));
    }
}

/// The header that `schema` declares.
fn declared(schema: &Object, path: Option<&[String]>) -> Result<Option<ParamHeader>, Fault> {
    let Some(header) = schema.text(KEYWORD) else { return Ok(None) };
    let header =
        header.ok().filter(|name| is_token(name)).ok_or(Fault::Tool("x-mcp-header is no header name"))?;
    let Some(path) = path.filter(|path| !path.is_empty()) else {
        return Err(Fault::Tool("x-mcp-header stands where no argument is"));
    };
    match schema.text("type") {
        Some(Ok(kind)) if TYPES.contains(&kind.as_str()) => {}
        _ => return Err(Fault::Tool("x-mcp-header stands at what no header can repeat")),
    }
    Ok(Some(ParamHeader { header: header.to_ascii_lowercase(), path: path.to_vec() }))
}

/// Whether `text` can be part of a header name (RFC 9110 §5.6.2, `token`).
fn is_token(text: &str) -> bool {
    let in_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(in_token)
}

/// Checks `Mcp-Param-*` against the arguments, for the headers that the tool declares. `presented` holds
/// what follows the prefix, in lower case, and each value. Headers that the tool does not declare mean
/// nothing to it.
///
/// # Errors
/// [`Fault::Header`] for the first that is missing, doubled, differs, or names an argument that is absent.
pub fn check_params(
    arguments: Option<&Bytes>,
    declared: &[ParamHeader],
    presented: &[(String, Bytes)],
) -> Result<(), Fault> {
    for param in declared {
        let name = format!("{PREFIX}{}", param.header);
        let values: Vec<&Bytes> =
            presented.iter().filter(|(header, _)| *header == param.header).map(|(_, value)| value).collect();
        let argument = arguments.and_then(|arguments| at_path(arguments, &param.path));
        // Null and containers have no text: a client leaves the header out, and the tool's schema is
        // the server's to check.
        let Some(argument) = argument.filter(|raw| !matches!(raw.first(), Some(b'n' | b'{' | b'['))) else {
            if values.is_empty() {
                continue;
            }
            return Err(Fault::header(&name, HeaderFlaw::Orphan));
        };
        let decoded = decode(only(&name, &values)?).ok_or(Fault::header(&name, HeaderFlaw::Undecodable))?;
        if !repeats(&decoded, &argument) {
            return Err(Fault::header(&name, HeaderFlaw::Differs));
        }
    }
    Ok(())
}

/// The headers that a call with `arguments` has to carry for what the tool declares, each with its value
/// (2026-07-28, "Client Behavior"). What is absent, null or a container is left out.
pub(super) fn repeated(arguments: Option<&Bytes>, declared: &[ParamHeader]) -> Vec<(String, String)> {
    let value = |param: &ParamHeader| {
        let raw = at_path(arguments?, &param.path)?;
        let raw = std::str::from_utf8(&raw).ok()?;
        match raw.as_bytes().first()? {
            b'"' => text::of_value(raw).ok().map(std::borrow::Cow::into_owned),
            b'n' | b'{' | b'[' => None,
            // A number keeps its spelling: servers compare by value, and a computed one could differ.
            _ => Some(raw.to_owned()),
        }
    };
    let header = |param: &ParamHeader| Some((format!("{PREFIX}{}", param.header), encode(&value(param)?)));
    declared.iter().filter_map(header).collect()
}

/// The argument that `path` leads to, raw.
fn at_path(arguments: &Bytes, path: &[String]) -> Option<Bytes> {
    path.iter().try_fold(arguments.clone(), |value, key| Object::of(&value).ok()?.get(key))
}

/// Whether `header` stands for the scalar `raw`.
fn repeats(header: &str, raw: &[u8]) -> bool {
    let Ok(raw) = std::str::from_utf8(raw) else { return false };
    match raw.as_bytes().first() {
        Some(b'"') => text::of_value(raw).is_ok_and(|text| text == header),
        Some(b't' | b'f') => raw == header,
        _ => Decimal::of(raw).is_some_and(|number| Decimal::of(header) == Some(number)),
    }
}

/// The exact value of a number: `0.digits × 10^exponent`, the digits without outer zeros.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    /// The value that `text` has as a JSON number; `None` where it is none.
    fn of(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let leading = all.iter().take_while(|digit| **digit == b'0').count();
        let trailing = all.iter().rev().take_while(|digit| **digit == b'0').count();
        let digits = all.get(leading..all.len().saturating_sub(trailing)).unwrap_or_default().to_vec();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, exponent: 0 });
        }
        let shift = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()?;
        Some(Self { negative, digits, exponent: exponent.checked_add(shift)? })
    }
}
