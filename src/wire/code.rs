//! The error codes of JSON-RPC and of MCP, by name.
//!
//! Must never hold a code of our own: −32768 to −32000 is reserved by JSON-RPC 2.0 §5.1, and
//! −32020 to −32099 by the MCP specification (2026-07-28, "Error Codes").

/// The bytes are not JSON.
pub const PARSE_ERROR: i64 = -32_700;
/// The JSON is not a request.
pub const INVALID_REQUEST: i64 = -32_600;
/// There is no such method.
pub const METHOD_NOT_FOUND: i64 = -32_601;
/// The parameters are not what the method takes; also an unknown tool.
pub const INVALID_PARAMS: i64 = -32_602;
/// The server has a fault.
pub const INTERNAL_ERROR: i64 = -32_603;
/// There is no such resource; up to 2025-11-25 only.
pub const RESOURCE_NOT_FOUND: i64 = -32_002;
/// A header is missing or differs from the body (2026-07-28).
pub const HEADER_MISMATCH: i64 = -32_020;
/// The client did not declare a capability that the request needs (2026-07-28).
pub const MISSING_CLIENT_CAPABILITY: i64 = -32_021;
/// The revision is not spoken here (2026-07-28).
pub const UNSUPPORTED_PROTOCOL_VERSION: i64 = -32_022;
/// The client has to visit a URL first (2025-11-25 only).
pub const URL_ELICITATION_REQUIRED: i64 = -32_042;
