//! `sluicegate check`: loads a configuration exactly as `serve` does, and says everything about it.
//!
//! Must never start, change or reach anything.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::{self, Config, Coverage, Machine, Problems, Severity};
use crate::model::place::Place;

use super::form::Form;
use super::{exit, privileges};

/// The arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "gateway.toml", env = "SLUICEGATE_CONFIG")]
    config: PathBuf,
    /// List the entries for tools that no test of the file exercises
    #[arg(long)]
    coverage: bool,
    /// Write one JSON object instead of text (docs/CONFIGURATION.md)
    #[arg(long)]
    json: bool,
}

/// What is told beside the problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    Coverage,
}

pub(super) fn run(command: Check) -> anyhow::Result<ExitCode> {
    // As `serve` does, so that it finds what `serve` will find.
    privileges::keep()?;
    let form = Form::from(command.json);
    let beside = if command.coverage { Beside::Coverage } else { Beside::Nothing };
    let code = check(&command.config, &Machine::this(), form, beside, &mut std::io::stdout().lock())?;
    Ok(ExitCode::from(code))
}

fn check(
    path: &Path,
    machine: &Machine,
    form: Form,
    beside: Beside,
    out: &mut impl Write,
) -> std::io::Result<u8> {
    let loaded = config::load_on(path, machine);
    let (problems, code) = match &loaded {
        Ok(config) => (&config.warnings, 0),
        Err(problems) => (problems, exit::CONFIGURATION),
    };
    match form {
        Form::Json => {
            let mut answer = problems.to_json();
            if let (Some(object), Ok(config)) = (answer.as_object_mut(), &loaded) {
                object.insert("digest".to_owned(), config.digest.to_string().into());
                let Coverage { tests, calls, unexercised } = &config.coverage;
                object.insert("tests".to_owned(), serde_json::json!({ "tests": tests, "calls": calls }));
                if beside == Beside::Coverage {
                    let entry = |(place, what): &(Place, String)| serde_json::json!({ "file": &*place.file, "line": place.line, "column": place.column, "entry": what });
                    let all: Vec<_> = unexercised.iter().map(entry).collect();
                    object.insert("unexercised".to_owned(), all.into());
                }
            }
            writeln!(out, "{answer}")?;
        }
        Form::Text => {
            write!(out, "{problems}")?;
            if let (Beside::Coverage, Ok(config)) = (beside, &loaded) {
                coverage(&config.coverage, out)?;
            }
            writeln!(out, "{}", summary(path, problems, loaded.as_ref().ok()))?;
        }
    }
    Ok(code)
}

fn coverage(coverage: &Coverage, out: &mut impl Write) -> std::io::Result<()> {
    let Coverage { tests, calls, unexercised } = coverage;
    for (place, what) in unexercised {
        writeln!(out, "{place}: no test exercises {what}")?;
    }
    writeln!(
        out,
        "tests: {tests}, calls decided: {calls}, entries for tools without a test: {}",
        unexercised.len()
    )
}

fn summary(path: &Path, problems: &Problems, config: Option<&Config>) -> String {
    let counted = [Severity::Error, Severity::Warning, Severity::Note]
        .into_iter()
        .filter_map(|severity| match problems.count(severity) {
            0 => None,
            1 => Some(format!("1 {severity}")),
            count => Some(format!("{count} {severity}s")),
        })
        .collect::<Vec<_>>();
    let counted = if counted.is_empty() { "nothing to say".to_owned() } else { counted.join(", ") };
    match config {
        Some(_) => format!("{}: ok ({counted})", path.display()),
        None => format!("{}: refused ({counted})", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str, form: Form) -> (u8, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gateway.toml");
        std::fs::write(&path, text).unwrap();
        let mut out = Vec::new();
        let code = check(&path, &Machine::this(), form, Beside::Nothing, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap().replace(&path.display().to_string(), "gateway.toml"))
    }

    const GOOD: &str = r#"
        [listen.main]
        address = "127.0.0.1:7400"
        insecure_local = true
        vouches = { source = "chat", subject = "user:1", roles = ["assistant"] }
        [upstreams.web]
        url = "http://127.0.0.1:9100/mcp"
        returns = "chat"
        [sources.chat]
        allow = ["*"]
        [roles.assistant]
        allow = ["web.*"]
    "#;

    #[test]
    fn warnings_are_said_and_do_not_fail() {
        let (code, out) = checked(GOOD, Form::Text);
        assert_eq!(code, 0, "{out}");
        assert!(out.contains("gateway.toml:4:26: warning[insecure_local]: "), "{out}");
        assert!(out.ends_with("gateway.toml: ok (1 warning, 1 note)\n"), "{out}");
    }

    #[test]
    fn every_error_is_said_at_once() {
        let (code, out) = checked(&GOOD.replace("\"chat\"", "\"chatt\""), Form::Text);
        assert_eq!(code, exit::CONFIGURATION);
        assert!(out.contains("gateway.toml:5:30: error[unknown_source]: the source `chatt` is not declared"));
        assert!(out.contains("gateway.toml:8:19: error[unknown_source]: "), "{out}");
        assert!(out.contains("help: did you mean `chat`?"), "{out}");
    }

    #[test]
    fn json_says_the_same() {
        let (code, out) = checked(&GOOD.replace("web.*", "wbe.*"), Form::Json);
        assert_eq!(code, exit::CONFIGURATION);
        let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(answer["ok"], false);
        assert_eq!(answer["errors"], 1);
        let problem = &answer["problems"][2];
        assert_eq!(problem["code"], "unknown_upstream");
        assert_eq!(problem["severity"], "error");
        assert_eq!((&problem["line"], &problem["column"]), (&12.into(), &18.into()));
        let (_, out) = checked(GOOD, Form::Json);
        let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(answer["digest"].as_str().unwrap().len(), 64);
    }

    #[test]
    fn a_file_that_is_not_there_is_one_clear_error() {
        let mut out = Vec::new();
        let path = Path::new("/nonexistent/gateway.toml");
        let code = check(path, &Machine::this(), Form::Text, Beside::Nothing, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(code, exit::CONFIGURATION);
        assert!(out.starts_with("/nonexistent/gateway.toml:1:1: error[file_unreadable]: "), "{out}");
        assert_eq!(out.matches("error").count(), 3, "{out}");
    }
}
