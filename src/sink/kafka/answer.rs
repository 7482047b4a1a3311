//! What Kafka's errors mean (kafka.apache.org/protocol, "Error Codes").
//!
//! Must never hold against a record what is no record's fault: only what speaks of the records themselves counts
//! against them.

use super::message::Produced;
use crate::outbound::said;
use crate::sink::failure::Failure;
use crate::sink::spans::Objection;

/// Codes that speak of what is in a batch, or of its size.
const OF_RECORDS: [i16; 4] = [10, 18, 32, 87];

/// Nothing, where the leader has the batch; why it does not take it, where that is for what is in it.
pub(super) fn taken(produced: &Produced) -> Result<Option<Objection>, Failure> {
    let Produced { error, wrong, message } = produced;
    let (at, of_it) = wrong.first().map_or((None, ""), |(at, why)| (usize::try_from(*at).ok(), why.as_str()));
    let message = if of_it.is_empty() { message.as_str() } else { of_it };
    match *error {
        0 => Ok(None),
        code if OF_RECORDS.contains(&code) => Ok(Some(Objection { why: text(code, message), at })),
        code => Err(failure(code, message)),
    }
}

/// That a broker does not have what it was given, or does not say what it was asked.
pub(super) fn failure(code: i16, message: &str) -> Failure {
    let mut answer = text(code, message);
    if let Some(remedy) = remedy(code) {
        answer.push_str("; ");
        answer.push_str(remedy);
    }
    Failure::Answer { answer, retry_after: None }
}

/// That what it answered is not of the protocol.
pub(super) fn malformed() -> Failure {
    let answer = "what is not of Kafka's protocol; name a listener for clients in `url`".to_owned();
    Failure::Answer { answer, retry_after: None }
}

fn text(code: i16, message: &str) -> String {
    let mut text = format!("{} ({code})", name(code));
    if !message.is_empty() {
        text.push_str(": ");
        text.push_str(&said(message));
    }
    text
}

/// Those that a producer meets.
const fn name(code: i16) -> &'static str {
    match code {
        2 => "CORRUPT_MESSAGE",
        3 => "UNKNOWN_TOPIC_OR_PARTITION",
        5 => "LEADER_NOT_AVAILABLE",
        6 => "NOT_LEADER_OR_FOLLOWER",
        7 => "REQUEST_TIMED_OUT",
        10 => "MESSAGE_TOO_LARGE",
        17 => "INVALID_TOPIC_EXCEPTION",
        18 => "RECORD_LIST_TOO_LARGE",
        19 => "NOT_ENOUGH_REPLICAS",
        20 => "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        29 => "TOPIC_AUTHORIZATION_FAILED",
        31 => "CLUSTER_AUTHORIZATION_FAILED",
        32 => "INVALID_TIMESTAMP",
        33 => "UNSUPPORTED_SASL_MECHANISM",
        34 => "ILLEGAL_SASL_STATE",
        35 => "UNSUPPORTED_VERSION",
        56 => "KAFKA_STORAGE_ERROR",
        58 => "SASL_AUTHENTICATION_FAILED",
        87 => "INVALID_RECORD",
        _ => "an error",
    }
}

/// What somebody has to mend, where that is so.
const fn remedy(code: i16) -> Option<&'static str> {
    match code {
        3 => Some("make the topic, or let the user describe it"),
        29 => Some("let the user write to the topic"),
        33 | 34 => Some("give the listener the mechanism PLAIN, or leave `user` and `password` out"),
        58 => Some("write a `user` and `password` that it knows"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn produced(error: i16, wrong: &[(i32, &str)], message: &str) -> Produced {
        let wrong = wrong.iter().map(|(at, why)| (*at, (*why).to_owned())).collect();
        Produced { error, wrong, message: message.to_owned() }
    }

    #[test]
    fn only_what_kafka_says_of_records_counts_against_them() {
        assert_eq!(taken(&produced(0, &[], "")).unwrap(), None);
        for code in OF_RECORDS {
            let objection = taken(&produced(code, &[], "")).unwrap().unwrap();
            assert_eq!(objection.at, None);
            assert!(
                objection.why.ends_with(&format!("({code})")) && !objection.why.starts_with("an"),
                "{code}"
            );
        }
        let named = produced(87, &[(3, "no schema"), (4, "")], "wrong");
        let objection = Objection { why: "INVALID_RECORD (87): no schema".to_owned(), at: Some(3) };
        assert_eq!(taken(&named).unwrap(), Some(objection));
        let odd = taken(&produced(87, &[(-1, "")], "wrong")).unwrap().unwrap();
        assert_eq!((odd.at, odd.why.as_str()), (None, "INVALID_RECORD (87): wrong"));
        for code in [-1, 1, 2, 3, 5, 6, 7, 19, 20, 29, 31, 35, 56, 58, 74, 89, i16::MAX] {
            let failure = taken(&produced(code, &[], "")).unwrap_err().to_string();
            assert!(failure.contains(&format!("({code})")), "{failure}");
        }
    }

    #[test]
    fn what_kafka_wants_mended_is_said() {
        let said = failure(29, "Topic authorization failed.\n").to_string();
        assert!(said.contains("TOPIC_AUTHORIZATION_FAILED (29): Topic authorization failed."), "{said}");
        assert!(said.ends_with("; let the user write to the topic") && !said.contains('\n'), "{said}");
    }
}
