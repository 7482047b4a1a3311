//! A configuration that is refused changes nothing, and is on the record.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::{Edited, records, reload};
use crate::support::gateway::{CHAT_KEY, Gateway};
use crate::support::{Client, check_audit};

fn codes(answer: &Value) -> Vec<&str> {
    let problems = answer["problems"].as_array().unwrap().iter();
    let errors = problems.filter(|problem| problem["severity"] == "error");
    errors.map(|problem| problem["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_bad_configuration_is_told_whole_and_the_last_good_one_stays() {
    let mut edited = Edited::new("[admin]\naddress = \"127.0.0.1:0\"\n");
    let gateway = edited.site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let good = edited.config.clone();
    edited.edit("ask = [\"tools.write\"]", "ask = [\"nowhere.write\"]\nalow = []");
    let (code, answer) = edited.reload();
    assert_eq!((code, &answer["result"], &answer["epoch"]), (78, &"refused".into(), &1.into()));
    assert_eq!(codes(&answer), ["unknown_upstream", "unknown_key"], "{answer:#}");
    let all = answer["problems"].as_array().unwrap();
    let problem = all.iter().find(|problem| problem["code"] == "unknown_upstream").unwrap();
    let line = edited.config.lines().position(|line| line.contains("nowhere.write")).unwrap() + 1;
    assert_eq!((&problem["line"], &problem["column"]), (&line.into(), &8.into()));
    assert!(problem["file"] == "gateway.toml" && !problem["help"].as_str().unwrap().is_empty());
    // What people read says the same, and the probe says that disk and process differ.
    let (code, out, _) = edited.site.run(&["reload"]);
    assert_eq!(code, 78);
    assert!(out.contains(&format!("gateway.toml:{line}:8: error[unknown_upstream]: ")), "{out}");
    assert!(out.ends_with("refused: what was in force stays so (number 1)\n"), "{out}");
    assert!(findings(&gateway).await.contains(&"reload_refused".to_owned()));
    // Nor do the other commands need the file to be right.
    assert_eq!(edited.site.run(&["runs", "list"]).0, 0);
    assert_eq!(client.call("tools__write", "asks").await.reason(), "approval_pending");
    assert_eq!(client.call("tools__read", "reads").await.reason(), "ok");
    edited.site.configure(&good);
    assert_eq!(reload(&edited.site).0, 0);
    assert!(!findings(&gateway).await.contains(&"reload_refused".to_owned()));
    let metrics = gateway.shows("/metrics").await;
    for line in ["sluicegate_config_epoch 2\n", "sluicegate_reloads_total{result=\"refused\"} 2\n"] {
        assert!(metrics.contains(line), "{metrics}");
    }
    assert!(gateway.stop().success());
    let records = records(&edited.site);
    let results: Vec<_> = records.iter().map(|record| record["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["in_force", "refused", "refused", "in_force"]);
    assert!(records[1]["detail"].as_str().unwrap().contains("unknown_upstream"), "{records:?}");
    assert_ne!(records[1]["config"], records[0]["config"]);
    assert_eq!(records[3]["config"], records[0]["config"]);
    check_audit(&edited.site);
}

#[tokio::test]
async fn a_file_that_is_no_toml_or_not_there_is_refused_and_the_gateway_is_still_found() {
    let edited = Edited::new("");
    let gateway = edited.site.start();
    edited.site.configure("[listen.main\n");
    let (code, answer) = edited.reload();
    assert_eq!((code, codes(&answer)), (78, vec!["syntax"]), "{answer:#}");
    std::fs::remove_file(edited.site.path("gateway.toml")).unwrap();
    let (code, answer) = edited.reload();
    assert_eq!((code, codes(&answer)), (78, vec!["file_unreadable"]), "{answer:#}");
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__read", "reads").await.reason(), "ok");
    assert!(gateway.stop().success());
    // Nobody is there to ask any more.
    assert_eq!(edited.reload().0, 69);
    edited.site.configure(&edited.config);
    check_audit(&edited.site);
}

#[tokio::test]
async fn what_only_a_restart_can_change_is_named_and_nothing_else_of_it_counts() {
    let mut edited = Edited::new("[audit]\nqueue_max = 100\n");
    let gateway = edited.site.start();
    let good = edited.config.clone();
    edited.edit("queue_max = 100", "queue_max = 200");
    edited.edit("ask = [\"tools.write\"]", "ask = []");
    let socket = edited.site.path("state/admin.sock");
    edited.edit("state_dir = \"./state\"", "state_dir = \"./elsewhere\"");
    let (code, out, err) = edited.site.run(&["reload", "--json"]);
    assert_eq!(code, 69, "there is no gateway where the file says: {out}{err}");
    let (code, out, _) = edited.site.run(&["reload", "--json", "--socket", socket.to_str().unwrap()]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, codes(&answer)), (78, vec!["restart_needed"; 3]), "{answer:#}");
    for key in ["gateway.state_dir", "admin.socket", "audit.queue_max"] {
        let of_key = |problem: &&Value| problem["message"].as_str().unwrap().contains(&format!("`{key}`"));
        let problem = answer["problems"].as_array().unwrap().iter().find(of_key).unwrap();
        assert!(problem["help"].as_str().unwrap().contains("restart the gateway"), "{problem}");
    }
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__write", "asks").await.reason(), "approval_pending");
    assert!(gateway.stop().success());
    edited.site.configure(&good);
    check_audit(&edited.site);
}

#[tokio::test]
async fn i6_a_halted_journal_refuses_the_reload_and_everything_stays_as_it_was() {
    let mut edited = Edited::new("");
    let gateway = edited.site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let journal = edited.site.path("state/journal");
    std::fs::remove_dir_all(&journal).unwrap();
    std::fs::write(&journal, "not a folder").unwrap();
    assert_eq!(client.call("tools__read", "halts").await.reason(), "journal_halted");
    edited.edit("ask = [\"tools.write\"]", "ask = []");
    let (code, out, err) = edited.site.run(&["reload"]);
    assert_eq!((code, out.as_str()), (69, ""), "{err}");
    assert!(err.contains("The audit journal cannot be written"), "{err}");
    std::fs::remove_file(&journal).unwrap();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    let mut tries = tokio::time::interval(std::time::Duration::from_millis(50));
    while client.call("tools__write", "asks").await.reason() != "approval_pending" {
        assert!(tokio::time::Instant::now() < deadline, "it does not go again, or was reloaded");
        tries.tick().await;
    }
    assert_eq!(edited.take_effect()["epoch"], 2);
    assert_eq!(client.call("tools__write", "writes").await.reason(), "ok");
    assert!(gateway.stop().success());
    // What was deleted is missing, so the chain is not whole; what is there says the rest.
    assert_eq!(records(&edited.site).len(), 1, "only the reload that was in force");
    assert_eq!(edited.site.executed(), ["writes"]);
}

#[tokio::test]
async fn what_is_only_risky_is_a_warning_of_the_reload_too() {
    let mut edited = Edited::new("[upstreams.more]\nurl = \"http://127.0.0.1:9/mcp\"\nreturns = \"web\"\n");
    std::fs::write(edited.site.path("token"), "secret").unwrap();
    let open = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(edited.site.path("token"), open).unwrap();
    let gateway = edited.site.start();
    edited.edit("url = \"http", "headers = { x-token = { file = \"token\" } }\nurl = \"http");
    let answer = edited.take_effect();
    let codes: Vec<_> =
        answer["problems"].as_array().unwrap().iter().map(|problem| &problem["code"]).collect();
    assert!(codes.contains(&&Value::from("secret_file_open")), "{answer:#}");
    assert!(gateway.stop().success());
    check_audit(&edited.site);
}

async fn findings(gateway: &Gateway) -> Vec<String> {
    let ready: Value = serde_json::from_str(&gateway.shows("/readyz").await).unwrap();
    let findings = ready["findings"].as_array().unwrap().iter();
    findings.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}
