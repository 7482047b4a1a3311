//! A mail, handed to a program of the machine that takes mails as sendmail does.
//!
//! The program queues, signs, encrypts and tries again: it is made for that, and has the credentials. Must never put a
//! text of the message into its arguments, nor wait for it longer than its bound. Trusts the addresses of the
//! configuration.

use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use super::message::Message;
use crate::model::text::{Bounded, printable};

/// Longest time that the program may take for one mail.
pub const MAIL_TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// Most bytes of what the program complains that are told.
const COMPLAINT_BYTES_MAX: usize = 256;

/// Hands `message` to `command`, from `from` to everybody of `to`.
///
/// # Errors
/// Why it was not taken.
pub(super) async fn send(
    (command, from, to): (&[String], &str, &[String]),
    message: &Message,
    now: Timestamp,
) -> Result<(), String> {
    let [program, arguments @ ..] = command else { return Err("no program is named".to_owned()) };
    let mut child = Command::new(program)
        .args(arguments)
        .args(["-i", "-f", from, "--"])
        .args(to)
        // It is no part of the gateway: it gets none of what stands in the gateway's environment.
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    let text = written(from, to, message, now);
    let handed = async move {
        if let Some(mut input) = child.stdin.take() {
            // One that does not read says why with its exit code.
            let _ = input.write_all(text.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let output = timeout(MAIL_TIMEOUT_MAX, handed).await;
    let output =
        output.map_err(|_| format!("`{program}` took longer than {} s", MAIL_TIMEOUT_MAX.as_secs()))?;
    let output = output.map_err(|error| format!("`{program}`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = printable(String::from_utf8_lossy(&output.stderr).trim());
    let said = Bounded::<COMPLAINT_BYTES_MAX>::new(&said);
    Err(format!("`{program}` ended with {}: {}", output.status, said.as_str()))
}

/// The mail (RFC 5322), in UTF-8 of 8 bits: no line of it is long.
fn written(from: &str, to: &[String], message: &Message, now: Timestamp) -> String {
    let Message { id, topic, subject, text, .. } = message;
    let date = rfc2822::to_string(&now.to_zoned(jiff::tz::TimeZone::UTC)).unwrap_or_default();
    let host = from.rsplit_once('@').map_or("localhost", |(_, host)| host);
    format!(
        "From: {from}\nTo: {to}\nSubject: [sluicegate] {subject}\nDate: {date}\nMessage-ID: <{id}@{host}>\n\
         Auto-Submitted: auto-generated\nX-Sluicegate-Topic: {topic}\nMIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{text}",
        to = to.join(", "),
        topic = topic.as_str(),
    )
}
