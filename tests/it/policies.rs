//! The examples that hold a whole policy, in front of real tool servers: their own tests run against what these
//! accept, every entry is exercised, and calls are decided as the tests say.

use std::ffi::OsString;
use std::path::Path;

use serde_json::{Value, json};

use crate::examples::at_any_port;
use crate::support::gateway::Gateway;
use crate::support::tokens::minted;
use crate::support::{Client, Site, check_audit, interop};

/// An example as it stands there; only its places are this test's own.
struct Place {
    site: Site,
    gateway: Gateway,
}

impl Place {
    async fn new(example: &str, label: &[&str]) -> (Self, String) {
        let site = Site::new("");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example);
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, site.path(path.file_name().unwrap().to_str().unwrap())).unwrap();
        }
        let state = site.path("state").display().to_string();
        let served = site.path("srv").display().to_string();
        site.edit(|config| {
            at_any_port(&config)
                .replace("/var/lib/sluicegate", &state)
                .replace("/srv/", &format!("{served}/"))
        });
        for folder in ["docs/public", "runbooks", "repo"] {
            std::fs::create_dir_all(Path::new(&served).join(folder)).unwrap();
        }
        std::fs::write(Path::new(&served).join("docs/public/faq.md"), "Ask away.").unwrap();
        git(&Path::new(&served).join("repo"));
        let gateway = site.try_start_with(&[("PATH", &path())]).unwrap();
        let token = minted(&site, label);
        // The first list starts the servers and accepts what they offer.
        let listed = Client::new(&gateway.place("web"), &token).modern(1, "tools/list", json!({})).await;
        assert!(!crate::support::client::names(&listed).is_empty());
        // Where a server took longer than a list waits, its tools are announced later.
        let place = Self { site, gateway };
        place.all_accepted().await;
        (place, token)
    }

    /// Waits until every upstream is in the lock file.
    async fn all_accepted(&self) {
        let config = std::fs::read_to_string(self.site.path("gateway.toml")).unwrap();
        let upstreams: Vec<_> =
            config.lines().filter_map(|line| line.strip_prefix("[upstreams.")?.split(']').next()).collect();
        let lock = self.site.path("state").join("gateway.lock");
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        // The lock file is another process's: there is no event to wait on but its growth.
        let mut looks = tokio::time::interval(std::time::Duration::from_millis(20));
        loop {
            let text = std::fs::read_to_string(&lock).unwrap_or_default();
            let known: Value = serde_json::from_str(&text).unwrap_or_default();
            if upstreams.iter().all(|name| known["upstreams"].get(name).is_some()) {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "{upstreams:?} {text}");
            looks.tick().await;
        }
    }

    /// Everything that the example says of itself is right, and every entry has a test.
    fn is_proved(&self) {
        let (code, said, _) = self.run(&["check", "--coverage", "--json"]);
        let answer: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(code, 0, "{answer:#}");
        let problems: Vec<_> = answer["problems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|problem| problem["code"].as_str().unwrap())
            .collect();
        for unwanted in ["test_not_run", "labels_missing", "matches_nothing", "never_decides", "unused"] {
            assert!(!problems.contains(&unwanted), "{answer:#}");
        }
        assert_eq!(answer["unexercised"], json!([]), "{answer:#}");
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let output = self.site.command(args).env("PATH", path()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    async fn call(&self, token: &str, tool: &str, arguments: Value) -> String {
        let params = json!({ "name": tool, "arguments": arguments });
        let answer = Client::new(&self.gateway.place("web"), token).modern(2, "tools/call", params).await;
        match answer.reason() {
            reason if reason == "ok" => "allowed".to_owned(),
            reason => reason,
        }
    }

    fn end(self) {
        assert!(self.gateway.stop().success());
        check_audit(&self.site);
    }
}

/// The real servers that `tests/interop/install` installs, before what the machine has.
fn path() -> OsString {
    let folders = ["bin", "servers/bin", "node_modules/.bin"].map(interop);
    let machine = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&machine))).unwrap()
}

fn git(folder: &Path) {
    for arguments in [
        &["init", "-q", "-b", "main"][..],
        &[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@t.example",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "first",
        ],
    ] {
        let status = std::process::Command::new("git").args(arguments).current_dir(folder).status().unwrap();
        assert!(status.success());
    }
}

#[tokio::test]
async fn a66_a_personal_assistant_books_for_a_stranger_and_sends_nothing_after_a_page() {
    let mail = [
        "--source",
        "email",
        "--subject",
        "user:1",
        "--role",
        "owner",
        "--trigger",
        "sender=s@b.example",
        "--trigger",
        "auth=none",
    ];
    let (place, stranger) = Place::new("personal-assistant", &mail).await;
    place.is_proved();
    let meeting = |with: Value| json!({ "title": "t", "start": "2026-12-01T10:00:00Z", "minutes": 30, "attendees": with });
    assert_eq!(
        place.call(&stranger, "calendar__create_event", meeting(json!(["s@b.example"]))).await,
        "allowed"
    );
    let more = meeting(json!(["s@b.example", "eve@evil.example"]));
    assert_eq!(place.call(&stranger, "calendar__create_event", more).await, "source_denies");
    let user = minted(&place.site, &["--source", "chat", "--subject", "user:1", "--role", "owner"]);
    let letter = json!({ "to": "friend@b.example", "subject": "s", "body": "b" });
    assert_eq!(place.call(&user, "mail__send", letter.clone()).await, "allowed");
    assert_eq!(place.call(&user, "browser__open", json!({ "url": "https://example.com" })).await, "allowed");
    assert_eq!(place.call(&user, "mail__send", letter).await, "source_denies");
    place.end();
}

#[tokio::test]
async fn a_support_chatbot_reads_what_is_public_and_writes_to_whom_it_talks() {
    let visitor = [
        "--source",
        "visitor",
        "--subject",
        "visitor:7",
        "--role",
        "support",
        "--trigger",
        "address=v@b.example",
        "--trigger",
        "signed_in=true",
    ];
    let (place, token) = Place::new("support-chatbot", &visitor).await;
    place.is_proved();
    let docs = place.site.path("srv").join("docs").display().to_string();
    let read = |path: String| json!({ "path": path });
    assert_eq!(
        place.call(&token, "docs__read_text_file", read(format!("{docs}/public/faq.md"))).await,
        "allowed"
    );
    assert_eq!(
        place.call(&token, "docs__read_text_file", read(format!("{docs}/keys.md"))).await,
        "source_denies"
    );
    let letter = |to: &str| json!({ "to": to, "subject": "s", "body": "b" });
    assert_eq!(place.call(&token, "mail__send", letter("v@b.example")).await, "allowed");
    assert_eq!(place.call(&token, "mail__send", letter("eve@evil.example")).await, "source_denies");
    place.end();
}

#[tokio::test]
async fn a_ci_bot_branches_for_a_pipeline_and_only_reads_for_an_issue() {
    let label = ["--subject", "svc:ci", "--role", "ci", "--agent", "ci-bot"];
    let issue = [&["--source", "webhook.issue"], &label[..]].concat();
    let (place, issue) = Place::new("ci-bot", &issue).await;
    place.is_proved();
    let repo = place.site.path("srv").join("repo").display().to_string();
    let branch = json!({ "repo_path": repo, "branch_name": "bot/fix", "base_branch": "main" });
    assert_eq!(place.call(&issue, "git__git_status", json!({ "repo_path": repo })).await, "allowed");
    let refused = place.call(&issue, "git__git_create_branch", branch.clone()).await;
    assert_eq!(refused, "Unknown tool: git__git_create_branch", "hidden, as if it did not exist");
    let pipeline = [&["--source", "webhook.pipeline", "--trigger", "branch=main"], &label[..]].concat();
    let pipeline = minted(&place.site, &pipeline);
    assert_eq!(place.call(&pipeline, "git__git_create_branch", branch).await, "allowed");
    place.end();
}

#[tokio::test]
async fn an_on_call_assistant_wakes_the_team_of_a_critical_alert() {
    let alert = [
        "--source",
        "alert",
        "--subject",
        "svc:oncall",
        "--role",
        "sre",
        "--trigger",
        "severity=critical",
        "--trigger",
        "team=db@acme.example",
    ];
    let (place, token) = Place::new("on-call", &alert).await;
    place.is_proved();
    let page = |to: &str| json!({ "to": to, "subject": "s", "body": "b" });
    assert_eq!(place.call(&token, "pager__send", page("db@acme.example")).await, "allowed");
    assert_eq!(place.call(&token, "pager__send", page("ceo@acme.example")).await, "source_denies");
    assert_eq!(place.call(&token, "clock__get_current_time", json!({ "timezone": "UTC" })).await, "allowed");
    place.end();
}
