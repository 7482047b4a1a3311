//! The official conformance suite, bare against a reference server and through the gateway in front of it:
//! what the bare server passes, passes.
//!
//! `docs/CONFORMANCE.md` holds the table of the run, and `tests/interop/conformance-gaps.txt` what is known
//! not to pass. That list may only shrink: what fails and is not on it fails the test, and so does what is on
//! it and passes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Site, check_audit, document};

/// The suites of `tests/interop/conformance`, each with the heading of its table.
const SUITES: [(&str, &str); 4] = [
    ("2026-07-28", "0.2.0-alpha.12 `--requirements 2026-07-28`"),
    ("2025-11-25", "0.2.0-alpha.12 `--requirements 2025-11-25`"),
    ("2025-06-18", "0.2.0-alpha.12 `--spec-version 2025-06-18 --suite all`"),
    ("0.1.16", "0.1.16 `--suite all`"),
];

/// The suite's scenarios for clients, which the gateway is toward a tool server.
const CLIENTS: &str = "clients";

#[test]
fn docs_conformance_md_every_scenario_that_the_bare_server_passes_passes_through_the_gateway() {
    let known = gaps(&std::fs::read_to_string(root().join("tests/interop/conformance-gaps.txt")).unwrap());
    let (mut tables, mut seen) = (Vec::new(), BTreeMap::new());
    for (suite, heading) in SUITES {
        let scenarios = run(suite);
        assert!(!scenarios.is_empty(), "{suite} has no scenario");
        tables.push((suite, table(heading, &scenarios)));
        for scenario in scenarios {
            let name = format!("{suite} {}", scenario["scenario"].as_str().unwrap());
            seen.insert(name, lost(&scenario));
        }
    }
    let scenarios = run(CLIENTS);
    assert_eq!(scenarios.len(), 11, "{scenarios:?}");
    tables.push((CLIENTS, client_table(&scenarios)));
    for scenario in scenarios {
        seen.insert(format!("{CLIENTS} {}", scenario["scenario"].as_str().unwrap()), lost(&scenario));
    }
    document::holds("docs/CONFORMANCE.md", &tables);
    let findings = findings(&seen, &known);
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn a_gap_that_is_new_or_was_closed_is_found() {
    let known = gaps("# words\n\n2025-11-25 ping: no ping yet\n2025-11-25 gone: renamed\n");
    let mut seen = BTreeMap::from([
        ("2025-11-25 ping".to_owned(), vec!["http ping: FAILURE".to_owned()]),
        ("2025-11-25 tools-list".to_owned(), Vec::new()),
    ]);
    assert_eq!(findings(&seen, &known), ["2025-11-25 gone is a known gap and no scenario"]);
    seen.insert("2025-11-25 gone".to_owned(), Vec::new());
    assert_eq!(findings(&seen, &known), ["2025-11-25 gone passes: take it off the list of known gaps"]);
    seen.insert("2025-11-25 tools-list".to_owned(), vec!["stdio tools-list: FAILURE".to_owned()]);
    assert!(findings(&seen, &known).contains(&"2025-11-25 tools-list: stdio tools-list: FAILURE".to_owned()));
}

/// Runs one suite, both gateways in folders whose journals are then held to their rules.
fn run(suite: &str) -> Vec<Value> {
    let (stdio, http) = (Site::new(""), Site::new(""));
    let output = Command::new(root().join("tests/interop/conformance"))
        .args(["--json", "--gateway", env!("CARGO_BIN_EXE_sluicegate")])
        .arg("--stdio-folder")
        .arg(stdio.path(""))
        .arg("--http-folder")
        .arg(http.path(""))
        .arg(suite)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{suite}: {said}{}", String::from_utf8_lossy(&output.stderr));
    if suite != CLIENTS {
        check_audit(&stdio);
        check_audit(&http);
    }
    let mut scenarios: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    scenarios.sort_by_key(|scenario| scenario["scenario"].as_str().unwrap().to_owned());
    scenarios
}

/// What a scenario loses on the way, by each way.
fn lost(scenario: &Value) -> Vec<String> {
    let ways = scenario["lost"].as_object().unwrap();
    let lines = ways.iter().flat_map(|(way, losses)| {
        losses.as_array().unwrap().iter().map(move |loss| format!("{way} {}", loss.as_str().unwrap()))
    });
    lines.collect()
}

/// The known gaps: one a line, `suite scenario: reason`.
fn gaps(text: &str) -> BTreeSet<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").expect("`suite scenario: reason`").0.to_owned()).collect()
}

fn findings(seen: &BTreeMap<String, Vec<String>>, known: &BTreeSet<String>) -> Vec<String> {
    let fresh = seen.iter().filter(|(name, _)| !known.contains(*name));
    let mut findings: Vec<_> =
        fresh.flat_map(|(name, losses)| losses.iter().map(move |loss| format!("{name}: {loss}"))).collect();
    for name in known {
        match seen.get(name) {
            None => findings.push(format!("{name} is a known gap and no scenario")),
            Some(losses) if losses.is_empty() => {
                findings.push(format!("{name} passes: take it off the list of known gaps"));
            }
            Some(_) => {}
        }
    }
    findings
}

fn table(heading: &str, scenarios: &[Value]) -> String {
    let mut text =
        format!("### {heading}\n\n| scenario | bare | through, stdio | through, HTTP |\n|---|---|---|---|\n");
    for scenario in scenarios {
        let cell = |key: &str| scenario[key].as_str().unwrap().to_owned();
        let (name, bare, stdio, http) = (cell("scenario"), cell("bare"), cell("stdio"), cell("http"));
        let _ = writeln!(text, "| `{name}` | {bare} | {stdio} | {http} |");
    }
    text
}

fn client_table(scenarios: &[Value]) -> String {
    let mut text = "| scenario | through, HTTP |\n|---|---|\n".to_owned();
    for scenario in scenarios {
        let cell = |key: &str| scenario[key].as_str().unwrap().to_owned();
        let _ = writeln!(text, "| `{}` | {} |", cell("scenario"), cell("http"));
    }
    text
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
