//! What `deploy` watches a gateway with, against what a gateway shows: no alert waits for a metric that is never there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::gateway::CHAT_KEY;
use crate::support::{Client, Site, check_audit, interop, tls};

fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root(name)).unwrap()
}

/// What every metric of ours begins with.
const PREFIX: &str = "sluicegate_";
const RULES: &str = "deploy/prometheus/sluicegate.rules.yml";
const RULE_TESTS: &str = "deploy/prometheus/sluicegate.rules.test.yml";
const DASHBOARD: &str = "deploy/grafana/sluicegate.json";

/// The names under which Prometheus keeps what `text` shows.
fn served(text: &str) -> BTreeSet<String> {
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let names = families.flat_map(|(name, kind)| match kind {
        "counter" => vec![format!("{name}_total")],
        "histogram" => ["bucket", "sum", "count"].map(|part| format!("{name}_{part}")).to_vec(),
        _ => vec![name.to_owned()],
    });
    names.collect()
}

/// The metrics that `text` names, each with what it says behind it.
fn named(text: &str) -> impl Iterator<Item = (String, &str)> {
    text.split(PREFIX).skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        (format!("{PREFIX}{name}"), behind)
    })
}

/// The values that a selector right behind a metric asks for.
fn values(behind: &str) -> Vec<&str> {
    let selector = behind.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or_default();
    let conditions = selector.split(',').filter(|condition| !condition.contains("=~"));
    let values = conditions.filter_map(|condition| condition.split('"').nth(1));
    values.map(|value| value.trim_end_matches('\\')).collect()
}

/// Every expression of the dashboard.
fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let annotations = dashboard["annotations"]["list"].as_array().unwrap().iter();
    targets.chain(annotations).map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn alerts_and_dashboard_watch_what_a_gateway_shows() {
    let site = Site::with_oracle(&format!(
        "[admin]\naddress = \"127.0.0.1:0\"\n[listen.secure]\naddress = \"127.0.0.1:0\"\n{}\n\
         [[budgets]]\nname = \"day\"\nper = \"subject\"\ncalls_per_day = 9\n\
         [[notify]]\nname = \"ops\"\ntype = \"mail\"\non = \"halted\"\nfrom = \"a@a.test\"\nto = \"b@a.test\"\n\
         [[audit.sinks]]\nname = \"file\"\ntype = \"file\"\npath = \"out.jsonl\"\n",
        tls::TLS
    ));
    tls::set_up(&site);
    let gateway = site.start();
    // A metric without a value yet is not shown: everything happens once.
    let stranger = Client::new(&gateway.url, "sk_nobody").send(http::Method::POST, "{}").await;
    assert_eq!(stranger.status, 401);
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__read", "one").await.reason(), "ok");
    let text = gateway.shows("/metrics").await;
    assert!(gateway.stop().success());
    let served = served(&text);
    let documented = read("docs/OPERATIONS.md") + &read("docs/REASONS.md");
    let dashboard = expressions(&serde_json::from_str(&read(DASHBOARD)).unwrap()).join("\n");
    for (file, watched) in [(RULES, read(RULES)), (DASHBOARD, dashboard)] {
        let mut names = BTreeSet::new();
        for (name, behind) in named(&watched) {
            assert!(served.contains(&name), "{file}: no gateway shows {name}");
            // Instances are the names of machines, not ours.
            for value in values(behind) {
                assert!(
                    documented.contains(&format!("`{value}`")),
                    "{file}: `{value}` is no value of {name}"
                );
            }
            names.insert(name);
        }
        assert!(names.len() > 15, "{file}: {names:?}");
    }
}

#[tokio::test]
async fn figures_of_the_journal_are_of_what_it_did() {
    let site = Site::with_oracle(
        "[admin]\naddress = \"127.0.0.1:0\"\n[[budgets]]\nname = \"day\"\nper = \"subject\"\ncalls_per_day = 9\n",
    );
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    for id in ["one", "two", "three"] {
        assert_eq!(client.call("tools__read", id).await.reason(), "ok");
    }
    let text = gateway.shows("/metrics").await;
    let value = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        line.unwrap_or_else(|| panic!("{name} is not in {text}")).split(' ').nth(1).unwrap().parse().unwrap()
    };
    // Each of the calls waited for a sync of its own.
    let syncs = value("sluicegate_journal_sync_seconds_count");
    assert!(syncs >= 3.0 && value("sluicegate_journal_sync_seconds_sum") > 0.0, "{text}");
    assert!(value("sluicegate_journal_wait_seconds_count") >= syncs, "{text}");
    assert!(
        value("sluicegate_journal_wait_seconds_sum") >= value("sluicegate_journal_sync_seconds_sum") / 2.0
    );
    assert!(value("sluicegate_journal_group_records_sum") >= 6.0, "{text}");
    assert_eq!(value("sluicegate_journal_queue_max"), 8192.0);
    assert!(value("sluicegate_journal_synced_seq") <= value("sluicegate_journal_seq"));
    assert_eq!(value("sluicegate_journal_sync_failures_total"), 0.0);
    // What is watched for a rise is there before its first one.
    assert_eq!(value("sluicegate_budget_refusals_total{budget=\"day\",reason=\"budget_exceeded\"}"), 0.0);
    assert!(gateway.stop().success());
    check_audit(&site);
}

/// Runs Prometheus's own tool.
#[track_caller]
fn promtool(arguments: &[&str], file: &Path) {
    let output = Command::new(interop("bin/promtool")).args(arguments).arg(file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn prometheus_takes_the_rules_and_they_fire_when_they_should() {
    promtool(&["check", "rules"], &root(RULES));
    promtool(&["test", "rules"], &root(RULE_TESTS));
}

#[test]
fn prometheus_takes_every_expression_of_the_dashboard() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let plain = |expr: String| expr.replace("$__rate_interval", "5m").replace("$instance", ".*");
    let numbered = expressions(&dashboard).into_iter().map(plain).enumerate();
    let rules: Vec<_> =
        numbered.map(|(number, expr)| json!({ "record": format!("x{number}"), "expr": expr })).collect();
    assert!(rules.len() > 30, "{}", rules.len());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules.yml");
    // JSON is YAML.
    std::fs::write(&file, json!({ "groups": [{ "name": "dashboard", "rules": rules }] }).to_string())
        .unwrap();
    promtool(&["check", "rules", "--lint=none"], &file);
}
