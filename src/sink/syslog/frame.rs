//! A record as a syslog message (RFC 5424), framed for its transport.
//!
//! Must never let a record end a message or begin another: in a stream each says its length first (RFC 6587, 3.4.1), and
//! what a record holds of control characters is escaped in the journal already (CASES A69).

use rustix::system::uname;

use crate::sink::parcel::Parcel;
use crate::sink::severity::Severity;

/// The name under which all messages come (RFC 5424, 6.2.5).
const APP_NAME: &str = "sluicegate";
/// Longest host name in a message, in bytes (RFC 5424, 6.2.4).
const HOSTNAME_BYTES_MAX: usize = 255;

/// How a message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// With its datagram.
    Datagram,
    /// After as many bytes as it says.
    Counted,
}

/// Who sends.
#[derive(Debug)]
pub(super) struct Sender {
    facility: u8,
    message_max: usize,
    host: String,
    process: u32,
}

impl Sender {
    pub(super) fn of_this_process(facility: u8, message_max: usize) -> Self {
        let host = uname().nodename().to_string_lossy().into_owned();
        Self { facility, message_max, host: printable(&host), process: std::process::id() }
    }

    /// `parcel` as one message. What is larger than receivers take is announced with its number, kind and digest, and
    /// stands in the journal.
    pub(super) fn message(&self, parcel: &Parcel, frame: Frame) -> Vec<u8> {
        let whole = self.line(parcel, &parcel.text);
        let message = match whole.len() <= self.message_max {
            true => whole,
            false => self.line(parcel, &announced(parcel)),
        };
        match frame {
            Frame::Datagram => message.into_bytes(),
            Frame::Counted => format!("{} {message}", message.len()).into_bytes(),
        }
    }

    /// RFC 5424, 6: HEADER, no STRUCTURED-DATA, and the record as MSG, in UTF-8 without a BOM: what parses JSON does
    /// not expect one.
    fn line(&self, parcel: &Parcel, text: &str) -> String {
        let priority = u32::from(self.facility) * 8 + Severity::of(parcel.kind) as u32;
        let (time, kind) = (&parcel.time, parcel.kind.as_str());
        let Self { host, process, .. } = self;
        format!("<{priority}>1 {time} {host} {APP_NAME} {process} {kind} - {text}")
    }
}

/// What stands for a record that is too large.
fn announced(parcel: &Parcel) -> String {
    let Parcel { seq, kind, time, digest, text } = parcel;
    let (seq, kind, bytes) = (seq.0, kind.as_str(), text.len());
    format!(
        r#"{{"v":1,"seq":{seq},"t":"{time}","kind":"{kind}","too_large_bytes":{bytes},"digest":"{digest}"}}"#
    )
}

/// RFC 5424, 6: PRINTUSASCII, or the nil value.
fn printable(host: &str) -> String {
    let text: String = host.chars().filter(char::is_ascii_graphic).take(HOSTNAME_BYTES_MAX).collect();
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Kind, Seq};

    fn sender(message_max: usize) -> Sender {
        Sender { facility: 13, message_max, host: "gate".to_owned(), process: 7 }
    }

    fn parcel(kind: Kind, more: &str) -> Parcel {
        let text = format!(
            r#"{{"v":1,"seq":9,"t":"2026-11-27T10:00:00.000001Z","mono_ns":1,"prev":"00","kind":"{}",{more}"digest":"ab"}}"#,
            kind.as_str()
        );
        let time = "2026-11-27T10:00:00.000001Z".to_owned();
        Parcel { seq: Seq(9), kind, time, digest: "ab".to_owned(), text }
    }

    #[test]
    fn a_message_has_the_header_of_rfc_5424_and_says_its_length() {
        let denied = parcel(Kind::Denial, "");
        let message = String::from_utf8(sender(8192).message(&denied, Frame::Datagram)).unwrap();
        let head = "<108>1 2026-11-27T10:00:00.000001Z gate sluicegate 7 denial - {\"v\":1,";
        assert!(message.starts_with(head), "{message}");
        let counted = String::from_utf8(sender(8192).message(&denied, Frame::Counted)).unwrap();
        assert_eq!(counted, format!("{} {message}", message.len()));
    }

    #[test]
    fn what_is_too_large_is_announced_whole_and_valid() {
        let large = parcel(Kind::Intent, &format!(r#""a":"{}","#, "\u{e9}".repeat(5000)));
        let message = String::from_utf8(sender(4096).message(&large, Frame::Datagram)).unwrap();
        assert!(message.len() <= 4096);
        let json = message.split_once(" - ").unwrap().1;
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!((&json["seq"], &json["digest"]), (&9.into(), &"ab".into()));
        assert_eq!(json["too_large_bytes"], large.text.len());
    }

    #[test]
    fn a_host_name_is_printable_or_nothing() {
        assert_eq!(printable("gate 1\n<1>"), "gate1<1>");
        assert_eq!(printable("\u{e9}"), "-");
    }
}
