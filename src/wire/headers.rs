//! The headers that repeat the body in 2026-07-28 (SEP-2243), checked against the body.
//!
//! Must never be what something is decided on: the body is (CASES A13). It trusts neither.

use bytes::Bytes;
use data_encoding::BASE64;

use super::envelope::Request;
use super::fault::{Fault, HeaderFlaw};
use super::method::Method;
use super::object::Object;
use super::param_header::{ParamHeader, repeated};
use super::params::Params;

pub use super::param_header::check_params;

/// `Mcp-Method`.
pub const METHOD: &str = "mcp-method";
/// `Mcp-Name`.
pub const NAME: &str = "mcp-name";

/// The `_meta` key that names the revision.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The `_meta` key under which a client says what it can do.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// The `_meta` key under which a client says what it is.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";

/// The `_meta` key under which a client says which log messages it wants.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// The headers of one request, every occurrence of each.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    /// `MCP-Protocol-Version`.
    pub version: &'a [Bytes],
    /// `Mcp-Method`.
    pub method: &'a [Bytes],
    /// `Mcp-Name`.
    pub name: &'a [Bytes],
}

/// The revision that the body of a request of 2026-07-28 claims; `None` where it is a request of another.
#[must_use]
pub fn claimed_revision(params: Option<&Params>) -> Option<Result<String, Fault>> {
    params?.meta()?.text(PROTOCOL_VERSION)
}

/// Checks what every request of 2026-07-28 over HTTP has to carry: first that `_meta` is whole, then that
/// the headers say what the body says. Whether the revision is spoken and the method exists comes later:
/// a client that disagrees with itself is told so.
///
/// # Errors
/// [`Fault::Params`] for `_meta`, [`Fault::Header`] for headers.
pub fn check(request: &Request, presented: &Presented<'_>) -> Result<(), Fault> {
    let version = check_meta(request)?;
    exactly("MCP-Protocol-Version", presented.version, &version)?;
    exactly("Mcp-Method", presented.method, request.method.name())?;
    let named = match name_key(&request.method) {
        Some(key) => request.params.as_ref().and_then(|params| params.text(key)),
        None => None,
    };
    match named {
        Some(Ok(name)) => encoded("Mcp-Name", presented.name, &name),
        // A name that is no text is refused with the parameters, where the method is known.
        Some(Err(_)) => Ok(()),
        None if presented.name.is_empty() => Ok(()),
        None => Err(Fault::header("Mcp-Name", HeaderFlaw::Orphan)),
    }
}

/// `_meta` has to name the revision and the client's capabilities (2026-07-28, "Request `_meta`").
fn check_meta(request: &Request) -> Result<String, Fault> {
    let meta = request.params.as_ref().and_then(Params::meta).ok_or(Fault::Params("`_meta` is missing"))?;
    let version = match meta.text(PROTOCOL_VERSION) {
        Some(Ok(version)) => version,
        _ => return Err(Fault::Params("`_meta` does not name the protocol version")),
    };
    let capabilities = meta.get(CLIENT_CAPABILITIES);
    if capabilities.is_none_or(|raw| raw.first() != Some(&b'{')) {
        return Err(Fault::Params("`_meta` does not name the client's capabilities"));
    }
    Ok(version)
}

/// The headers that a request of 2026-07-28 carries over HTTP beside `MCP-Protocol-Version`: what they
/// repeat of `method`, of `params`, and of the arguments that the tool declares (2026-07-28, "Standard
/// Request Headers", "Client Behavior").
#[must_use]
pub fn of_request(method: &Method, params: &Bytes, declared: &[ParamHeader]) -> Vec<(String, String)> {
    let mut headers = vec![(METHOD.to_owned(), method.name().to_owned())];
    let params = Object::of(params).ok();
    let named = name_key(method).and_then(|key| params.as_ref()?.text(key)?.ok());
    headers.extend(named.map(|name| (NAME.to_owned(), encode(&name))));
    let arguments =
        params.as_ref().filter(|_| !declared.is_empty()).and_then(|params| params.get("arguments"));
    headers.extend(repeated(arguments.as_ref(), declared));
    headers
}

/// The member of `params` that `Mcp-Name` repeats; `None` where a request of `method` has no such header.
#[must_use]
pub const fn name_key(method: &Method) -> Option<&'static str> {
    match method {
        Method::ToolsCall | Method::PromptsGet => Some("name"),
        Method::ResourcesRead => Some("uri"),
        Method::TasksGet | Method::TasksUpdate | Method::TasksCancel => Some("taskId"),
        _ => None,
    }
}

/// The one value of the header has to be `expected`, byte for byte.
fn exactly(header: &str, values: &[Bytes], expected: &str) -> Result<(), Fault> {
    let value = only(header, values)?;
    if value == expected { Ok(()) } else { Err(Fault::header(header, HeaderFlaw::Differs)) }
}

/// The one value of the header has to stand for `expected`.
fn encoded(header: &str, values: &[Bytes], expected: &str) -> Result<(), Fault> {
    let value = only(header, values)?;
    let decoded = decode(value).ok_or(Fault::header(header, HeaderFlaw::Undecodable))?;
    if decoded == expected { Ok(()) } else { Err(Fault::header(header, HeaderFlaw::Differs)) }
}

/// The one value of the header.
pub(super) fn only<'v, T>(header: &str, values: &'v [T]) -> Result<&'v T, Fault> {
    match values {
        [value] => Ok(value),
        [] => Err(Fault::header(header, HeaderFlaw::Missing)),
        _ => Err(Fault::header(header, HeaderFlaw::Duplicated)),
    }
}

/// The text that the header value stands for: itself, or what its base64 holds
/// (2026-07-28, "Value Encoding": `=?base64?…?=`, the markers in lower case).
#[must_use]
pub fn decode(value: &[u8]) -> Option<String> {
    if let Some(base64) = value.strip_prefix(b"=?base64?").and_then(|rest| rest.strip_suffix(b"?=")) {
        return String::from_utf8(BASE64.decode(base64).ok()?).ok();
    }
    let visible = value.iter().all(|byte| matches!(byte, b'\t' | 0x20..=0x7e));
    visible.then(|| String::from_utf8_lossy(value).into_owned())
}

/// `text` as a header value.
#[must_use]
pub fn encode(text: &str) -> String {
    let visible = text.bytes().all(|byte| matches!(byte, b'\t' | 0x20..=0x7e));
    let trimmed = text.trim_matches([' ', '\t']) == text;
    let looks_encoded = text.starts_with("=?base64?") && text.ends_with("?=");
    if visible && trimmed && !looks_encoded {
        return text.to_owned();
    }
    format!("=?base64?{}?=", BASE64.encode(text.as_bytes()))
}
