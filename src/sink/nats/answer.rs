//! What a stream says to a message: `PubAck`, of "JetStream wire API".
//!
//! Must never take for an acknowledgement what names no stream and no place in it: anybody who listens to the subject
//! may answer. Must never hold against a record what is the fault of a stream.

use serde::Deserialize;

use crate::outbound::said;
use crate::sink::failure::Failure;

/// The message is larger than the stream takes (`JSStreamMessageExceedsMaximumErr`).
const MESSAGE_TOO_LARGE: u64 = 10054;

#[derive(Deserialize)]
struct PubAck {
    error: Option<Objection>,
    stream: Option<String>,
    seq: Option<u64>,
}

#[derive(Deserialize)]
struct Objection {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// Nothing, where `payload` says that the message is stored; why the stream does not take it, where it never will.
pub(super) fn taken(payload: &[u8]) -> Result<Option<String>, Failure> {
    let answer = match serde_json::from_slice(payload) {
        Ok(PubAck { error: None, stream: Some(_), seq: Some(1..) }) => return Ok(None),
        Ok(PubAck { error: Some(Objection { err_code, description }), .. }) => {
            let why = format!("{} ({err_code})", said(&description));
            if err_code == MESSAGE_TOO_LARGE {
                return Ok(Some(why));
            }
            why
        }
        _ => "what is no acknowledgement of a stream; see who else answers on the subject".to_owned(),
    };
    Err(Failure::Answer { answer, retry_after: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As nats-server 2.10 says it.
    #[test]
    fn only_what_a_stream_of_nats_stored_is_taken_and_only_its_size_counts_against_a_message() {
        let taken = |text: &str| taken(text.as_bytes());
        assert_eq!(taken(r#"{"stream":"AUDIT","seq":1}"#).unwrap(), None);
        assert_eq!(taken(r#"{"stream":"AUDIT","domain":"hub","seq":7,"duplicate":true}"#).unwrap(), None);
        let too_large = r#"{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"},"stream":"AUDIT","seq":0}"#;
        let why = taken(too_large).unwrap().unwrap();
        assert_eq!(why, "message size exceeds maximum allowed (10054)");
        let full = r#"{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"},"stream":"AUDIT","seq":0}"#;
        assert!(taken(full).unwrap_err().to_string().contains("maximum messages exceeded (10077)"));
        for text in
            ["", "+OK", "{}", r#"{"stream":"AUDIT"}"#, r#"{"stream":"AUDIT","seq":0}"#, r#"{"seq":3}"#, "[]"]
        {
            assert!(taken(text).unwrap_err().to_string().contains("no acknowledgement"), "{text}");
        }
    }
}
