//! What the signals of OpenTelemetry have in common over HTTP, in JSON (OTLP 1.9.0, opentelemetry.io/docs/specs/otlp;
//! opentelemetry/proto/common/v1/common.proto, resource.proto).
//!
//! Must never say what an answer means: only what it says.

use serde::{Deserialize, Serialize};

use super::client::Response;

/// The media type of requests ("OTLP/HTTP", "JSON Protobuf Encoding").
pub const MEDIA: &str = "application/json";

const SERVICE: &str = "sluicegate";

/// What a request is about: this gateway.
#[derive(Debug, Serialize)]
pub struct Resource {
    attributes: [KeyValue<'static>; 2],
}

impl Resource {
    /// The gateway of this version (semantic conventions, "Service").
    #[must_use]
    pub const fn own() -> Self {
        let version = env!("CARGO_PKG_VERSION");
        Self {
            attributes: [KeyValue::text("service.name", SERVICE), KeyValue::text("service.version", version)],
        }
    }
}

/// `InstrumentationScope`.
#[derive(Debug, Serialize)]
pub struct Scope {
    name: &'static str,
    version: &'static str,
}

impl Scope {
    /// The gateway of this version.
    #[must_use]
    pub const fn own() -> Self {
        Self { name: SERVICE, version: env!("CARGO_PKG_VERSION") }
    }
}

/// One attribute.
#[derive(Debug, Serialize)]
pub struct KeyValue<'a> {
    /// Its name.
    pub key: &'static str,
    /// What it is.
    pub value: AnyValue<'a>,
}

impl<'a> KeyValue<'a> {
    /// An attribute that is a text.
    #[must_use]
    pub const fn text(key: &'static str, value: &'a str) -> Self {
        Self { key, value: AnyValue::StringValue(value) }
    }
}

/// A value of an attribute.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AnyValue<'a> {
    /// A text.
    StringValue(&'a str),
    /// Of 64 bits: JSON has it as a string.
    IntValue(String),
    /// A list.
    ArrayValue(ArrayValue<'a>),
}

/// A list of values.
#[derive(Debug, Serialize)]
pub struct ArrayValue<'a> {
    /// Each of them.
    pub values: Vec<AnyValue<'a>>,
}

/// `Export…ServiceResponse`, or the `Status` of a failure.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Reply {
    /// What was not taken of a request that was taken otherwise.
    pub partial_success: Option<PartialSuccess>,
    /// What a failure says.
    pub message: String,
}

impl Reply {
    /// What `response` says; none where that is no answer of OTLP over HTTP.
    #[must_use]
    pub fn of(response: &Response) -> Option<Self> {
        match &response.body {
            // What nothing is said of was taken whole.
            Some(body) if body.is_empty() => Some(Self::default()),
            _ => response.json(),
        }
    }
}

/// What was not taken ("Partial Success").
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PartialSuccess {
    /// How much.
    #[serde(alias = "rejectedLogRecords", alias = "rejectedSpans")]
    pub rejected: Option<Count>,
    /// Why; a warning where nothing was rejected.
    pub error_message: String,
}

/// A number of 64 bits: JSON has it as a string, and readers take both ("JSON Protobuf Encoding").
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Count {
    /// A number.
    Number(i64),
    /// The digits of one.
    Text(String),
}

impl Count {
    /// Which; none where it cannot be read.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
        }
    }

    /// What cannot be read counts as some.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.number() == Some(0)
    }
}
