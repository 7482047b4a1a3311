//! `sluicegate token inspect`: what a token says, and whether the running gateway accepts it.
//!
//! Must never believe what it shows, show the signature, or let a claim steer the terminal.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::read_token;
use crate::cli::admin::Target;
use crate::cli::exit;
use crate::clock::Clock;
use crate::config;
use crate::console::{Client, ClientError, TokenVerdict};
use crate::model::mint::TokenText;
use crate::model::text::printable;

/// The arguments of `token inspect`.
#[derive(Debug, clap::Args)]
pub(super) struct Inspect {
    /// The token, or `-` for standard input. On the command line other users of this machine see it
    #[arg(default_value = "-", hide_default_value = true, value_name = "TOKEN")]
    token: String,
    #[command(flatten)]
    target: Target,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// What a token says of itself.
struct Said {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    signature_bytes: usize,
}

/// Claims that are times, in seconds since 1970.
const TIMES: [&str; 5] = ["iat", "exp", "nbf", "auth_time", "txn_iat"];

pub(super) async fn run(command: Inspect, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let token = if command.token == "-" {
        read_token()?
    } else {
        let mut notes = std::io::stderr();
        // Where nobody can read the warning, the token is shown all the same.
        let _unheard = writeln!(
            notes,
            "sluicegate: warning: other users of this machine see what stands on a command line; pipe the \
             token in"
        );
        TokenText::new(command.token)
    };
    let said = decode(token.reveal())?;
    let verdict = judge(token, &command.target).await;
    let code = match &verdict {
        Ok(TokenVerdict::Refused { .. }) => exit::FINDINGS,
        _ => 0,
    };
    if command.json {
        let verdict = match &verdict {
            Ok(verdict) => serde_json::to_value(verdict)?,
            Err(why) => serde_json::json!({ "verdict": "not_asked", "why": why }),
        };
        let answer = serde_json::json!({ "header": said.header, "claims": said.claims, "gateway": verdict });
        writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?;
    } else {
        show(&said, &verdict, Clock::system().wall(), out)?;
    }
    Ok(ExitCode::from(code))
}

fn decode(token: &str) -> anyhow::Result<Said> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else {
        bail!("this is no signed token: it does not have three parts with two dots between them");
    };
    let object = |text: &str, what| -> anyhow::Result<Map<String, Value>> {
        let json = BASE64URL_NOPAD
            .decode(text.as_bytes())
            .with_context(|| format!("the {what} is not base64url"))?;
        serde_json::from_slice(&json).with_context(|| format!("the {what} is not a JSON object"))
    };
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).context("the signature is not base64url")?;
    Ok(Said {
        header: object(header, "header")?,
        claims: object(claims, "body")?,
        signature_bytes: signature.len(),
    })
}

/// What the running gateway says; why it was not asked, where it could not be.
async fn judge(token: TokenText, target: &Target) -> Result<TokenVerdict, String> {
    let config = config::load(&target.config);
    let config = config.map_err(|_| format!("`{}` cannot be loaded", target.config.display()))?;
    let judged = Client::new(config.admin.socket).judge_token(token).await;
    judged.map_err(|error| match error {
        ClientError::Unreachable { .. } => "no gateway runs".to_owned(),
        other => other.to_string(),
    })
}

fn show(
    said: &Said,
    verdict: &Result<TokenVerdict, String>,
    now: Timestamp,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    for (title, members) in [("header", &said.header), ("claims", &said.claims)] {
        writeln!(out, "{title}")?;
        for (name, value) in members {
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let time = TIMES.contains(&name.as_str()).then(|| time(value, now)).flatten().unwrap_or_default();
            writeln!(out, "  {:<8} {}{time}", printable(name), printable(&text))?;
        }
    }
    writeln!(out, "signature\n  {} bytes, not shown", said.signature_bytes)?;
    let verdict = match verdict {
        Ok(TokenVerdict::Accepted { entry_point, sources }) => {
            let sources: Vec<_> = sources.iter().map(ToString::to_string).collect();
            format!("accepts it: {entry_point} vouches for {}", sources.join(","))
        }
        Ok(TokenVerdict::Refused { reason }) => format!("refuses it: {reason} ({})", reason.sentence()),
        Err(why) => format!("was not asked: {}", printable(why)),
    };
    Ok(writeln!(out, "gateway\n  {verdict}")?)
}

/// A time as people read it, UTC, and how far away it is.
fn time(value: &Value, now: Timestamp) -> Option<String> {
    let time = Timestamp::from_second(value.as_i64()?).ok()?;
    let away = time.as_second().saturating_sub(now.as_second());
    let distance = match away.unsigned_abs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    };
    let distance = if away < 0 { format!("{distance} ago") } else { format!("in {distance}") };
    Some(format!("  ({}, {distance})", time.strftime("%Y-%m-%d %H:%M:%SZ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reason::Reason;

    fn shown(header: &str, claims: &str, verdict: &Result<TokenVerdict, String>) -> String {
        let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        let said = decode(&format!("{}.{}.{}", encode(header), encode(claims), encode("sig"))).unwrap();
        let mut out = Vec::new();
        show(&said, verdict, Timestamp::from_second(1_800_000_000).unwrap(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_token_is_shown_without_its_signature_and_steers_no_terminal() {
        let claims = r#"{"sub":"user:1\u001b[2J\u202e","exp":1800000600,"iat":1799999000,"tctx":{"src":[]}}"#;
        let refused = Ok(TokenVerdict::Refused { reason: Reason::TokenExpired });
        let text = shown(r#"{"alg":"ES256"}"#, claims, &refused);
        assert!(text.contains("exp      1800000600  (2027-01-15 08:10:00Z, in 10 min)"), "{text}");
        assert!(text.contains("(2027-01-15 07:43:20Z, 16 min ago)"), "{text}");
        assert!(text.contains("refuses it: token_expired (The token has expired.)"), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
        assert!(
            !text.contains(&BASE64URL_NOPAD.encode(b"sig")) && text.contains("3 bytes, not shown"),
            "{text}"
        );
        assert!(shown("{}", "{}", &Err("no gateway runs".into())).contains("was not asked: no gateway runs"));
    }

    #[test]
    fn what_is_no_token_is_said() {
        for text in ["", "sg_key", "a.b", "a.b.c.d", "!.e30.c2ln", "e30.!.c2ln", "e30.e30.!", "W10.e30.c2ln"]
        {
            assert!(decode(text).is_err(), "{text}");
        }
    }
}
