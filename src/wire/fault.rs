//! What can be wrong with bytes from outside, each with the reason code it is refused under.
//!
//! Must never quote what it complains about: the text of a fault may be shown to anyone.

use crate::model::reason::Reason;
use crate::model::text::Bounded;

use super::code;

/// Longest header name that a fault repeats, in bytes.
const HEADER_NAME_BYTES_MAX: usize = 64;

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes are not UTF-8 (RFC 8259 §8.1).
    #[error("the bytes are not valid UTF-8")]
    Utf8,
    /// The document ends inside a value.
    #[error("the document ends too early")]
    End,
    /// Something else stands where a value has to.
    #[error("a JSON value was expected")]
    Value,
    /// Something else stands where the key of a member has to.
    #[error("a key in double quotes was expected")]
    Key,
    /// There is no colon after a key.
    #[error("a colon was expected after the key")]
    Colon,
    /// Neither a comma nor the end of the container follows a value.
    #[error("a comma or the end of the object or array was expected")]
    Comma,
    /// Something follows the document (CASES A07, F52).
    #[error("more follows after the end of the document")]
    Trailing,
    /// A number breaks the grammar of RFC 8259 §6.
    #[error("a number is not written as JSON writes numbers")]
    Number,
    /// A control character stands in a string unescaped (RFC 8259 §7).
    #[error("a control character stands unescaped in a string")]
    Control,
    /// A backslash is followed by what is no escape.
    #[error("a backslash begins no escape that JSON has")]
    Escape,
    /// Half of a surrogate pair: there is no text it stands for, and parsers differ in what they make of it.
    #[error("an escape is half of a surrogate pair")]
    Surrogate,
    /// The same key twice in one object, after unescaping (CASES A01, A02).
    #[error("an object holds the same key twice")]
    DuplicateKey,
    /// More levels than [`super::ScanLimits::depth_max`].
    #[error("the document is nested too deeply")]
    TooDeep,
    /// More keys and elements than [`super::ScanLimits::members_max`].
    #[error("the document holds too many keys or elements")]
    TooMany,
    /// An array where a message has to be (CASES A06, F53).
    #[error("batches are not accepted")]
    Batch,
    /// More messages than [`super::batch::BATCH_MESSAGES_MAX`] in one batch.
    #[error("the batch holds too many messages")]
    BatchTooLarge,
    /// The document is not a JSON-RPC 2.0 message.
    #[error("not a JSON-RPC 2.0 message: {0}")]
    Envelope(&'static str),
    /// A key differs from one that the protocol defines in case only, or holds a control character
    /// (CASES A03 to A05).
    #[error("a key can be mistaken for one that the protocol defines")]
    Confusable,
    /// The id is null, a fraction, a container, or too long.
    #[error("the id is neither a short string nor an integer")]
    Id,
    /// `params` are not what the method takes.
    #[error("the parameters are not valid: {0}")]
    Params(&'static str),
    /// A value is not a string.
    #[error("the value is not a string")]
    NotText,
    /// A value is not an object.
    #[error("the value is not an object")]
    NotObject,
    /// The result of an upstream is not what its method returns.
    #[error("the result is not valid: {0}")]
    Result(&'static str),
    /// A tool's definition cannot be used.
    #[error("the tool's definition is not valid: {0}")]
    Tool(&'static str),
    /// A line is longer than its limit (CASES F11).
    #[error("the line is too long")]
    LineTooLong,
    /// An event is larger than its limit (CASES F11).
    #[error("the event is too large")]
    EventTooLarge,
    /// A key is longer than its limit in a message of that size.
    #[error("a key is too long")]
    KeyTooLong,
    /// A protocol header is not what the body says (2026-07-28, SEP-2243; CASES A13, A14).
    #[error("the header {} {flaw}", .header.as_str())]
    Header {
        /// Which header.
        header: Bounded<HEADER_NAME_BYTES_MAX>,
        /// What is wrong with it.
        flaw: HeaderFlaw,
    },
}

/// What is wrong with a protocol header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFlaw {
    /// It has to be there.
    #[error("is missing")]
    Missing,
    /// It is there more than once.
    #[error("is there more than once")]
    Duplicated,
    /// It says something else than the body.
    #[error("differs from the body")]
    Differs,
    /// Its bytes, or its base64, are not what a header of the protocol can hold.
    #[error("cannot be decoded")]
    Undecodable,
    /// The body has nothing that it could name.
    #[error("names what the body does not hold")]
    Orphan,
}

impl Fault {
    pub(super) fn header(header: &str, flaw: HeaderFlaw) -> Self {
        Self::Header { header: Bounded::new(header), flaw }
    }

    /// The reason code that a message with this fault is refused under.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Utf8
            | Self::End
            | Self::Value
            | Self::Key
            | Self::Colon
            | Self::Comma
            | Self::Trailing
            | Self::Number
            | Self::Control
            | Self::Escape
            | Self::Surrogate => Reason::JsonInvalid,
            Self::DuplicateKey => Reason::JsonDuplicateKey,
            Self::TooDeep => Reason::JsonTooDeep,
            Self::TooMany => Reason::JsonTooManyKeys,
            Self::Batch => Reason::BatchForbidden,
            Self::BatchTooLarge => Reason::BatchTooLarge,
            Self::Envelope(_) => Reason::EnvelopeInvalid,
            Self::Confusable => Reason::KeyConfusable,
            Self::Id => Reason::IdInvalid,
            Self::Params(_) | Self::NotText | Self::NotObject => Reason::ParamsInvalid,
            Self::Result(_) | Self::Tool(_) => Reason::UpstreamInvalid,
            Self::LineTooLong | Self::EventTooLarge | Self::KeyTooLong => Reason::BodyTooLarge,
            Self::Header { .. } => Reason::HeaderMismatch,
        }
    }

    /// The JSON-RPC error code that says so to the sender.
    #[must_use]
    pub const fn code(&self) -> i64 {
        match self.reason() {
            Reason::JsonInvalid
            | Reason::JsonDuplicateKey
            | Reason::JsonTooDeep
            | Reason::JsonTooManyKeys => code::PARSE_ERROR,
            Reason::ParamsInvalid => code::INVALID_PARAMS,
            Reason::HeaderMismatch => code::HEADER_MISMATCH,
            Reason::UpstreamInvalid => code::INTERNAL_ERROR,
            _ => code::INVALID_REQUEST,
        }
    }
}
