//! `sluicegate init`, `clients`, `doctor` and `schema`: from the files of real clients to calls that they make.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::RunningService;
use rmcp::transport::TokioChildProcess;
use rmcp::{RoleClient, ServiceExt};
use serde_json::{Value, json};

use crate::support::{Site, check_audit};

/// A hung server fails the test rather than the run.
const PATIENCE: Duration = Duration::from_secs(60);

/// A user with clients: a home and a project, in the folder of a site whose configuration `init` writes.
struct Desk {
    site: Site,
    address: String,
}

impl Desk {
    /// One with these files of tests/cases/clients.
    fn new(files: &[&str]) -> Self {
        let site = Site::new("");
        std::fs::remove_file(site.path("gateway.toml")).unwrap();
        for folder in ["home", "project", "bin"] {
            std::fs::create_dir(site.path(folder)).unwrap();
        }
        // Free a moment ago; nobody else on this machine asks for it by number.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let desk = Self { site, address };
        for file in files {
            let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/clients").join(file);
            desk.write(file, &std::fs::read_to_string(case).unwrap());
        }
        desk
    }

    /// One with the files of every client.
    fn full() -> Self {
        Self::new(&[
            "home/.claude.json",
            "home/.config/Claude/claude_desktop_config.json",
            "home/.cursor/mcp.json",
            "home/.config/Code/User/mcp.json",
            "home/.codex/config.toml",
            "home/.gemini/settings.json",
            "home/.codeium/windsurf/mcp_config.json",
            "project/.mcp.json",
            "project/.cursor/mcp.json",
            "project/.vscode/mcp.json",
        ])
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.site.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let project = self.site.path("project").canonicalize().unwrap();
        let text = text.replace("SLUICEGATE", env!("CARGO_BIN_EXE_sluicegate"));
        std::fs::write(path, text.replace("PROJECT", &project.to_string_lossy())).unwrap();
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.site.path(file)).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.site.command(arguments);
        command.current_dir(self.site.path("project")).env_clear();
        // Nothing of this machine is started, whatever the files name.
        command.env("HOME", self.site.path("home")).env("PATH", self.site.path("bin"));
        command
            .env("TMPDIR", self.site.path("bin"))
            .env("GITHUB_TOKEN", "seed-github-3f2e")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    fn init(&self, arguments: &[&str]) -> (i32, String, String) {
        let fixed = ["init", "--dir", "..", "--address", &self.address];
        self.run(&[&fixed[..], arguments].concat())
    }

    fn doctor(&self, arguments: &[&str]) -> (i32, Value) {
        let fixed = ["doctor", "--config", "../gateway.toml", "--json"];
        let (code, out, err) = self.run(&[&fixed[..], arguments].concat());
        (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}")))
    }

    /// What a client starts, as its file says it.
    async fn client(&self, file: &str, table: &str) -> RunningService<RoleClient, ()> {
        let text = self.read(file);
        let plain: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let document: Value = serde_json::from_str(&plain.replace("},]", "}]").replace("},  ]", "}]"))
            .unwrap_or_else(|error| panic!("{error}: {plain}"));
        let entry = &document[table]["sluicegate"];
        let mut command = tokio::process::Command::new(entry["command"].as_str().unwrap());
        command.args(entry["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()));
        let serving = ().serve(TokioChildProcess::new(command).unwrap());
        tokio::time::timeout(PATIENCE, serving).await.unwrap().unwrap()
    }
}

/// Every file below `folder`, by its path and mode.
fn files(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all.push((path.clone(), path.symlink_metadata().unwrap().permissions().mode() & 0o777));
        if path.is_dir() {
            all.extend(files(&path));
        }
    }
    all.sort();
    all
}

fn codes(answer: &Value) -> BTreeSet<String> {
    let findings = answer["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

async fn call(client: &RunningService<RoleClient, ()>, tool: &'static str, args: Value) -> CallToolResult {
    let args = args.as_object().unwrap().clone();
    let calling = client.call_tool(CallToolRequestParams::new(tool).with_arguments(args));
    tokio::time::timeout(PATIENCE, calling).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_servers_of_two_clients_are_taken_over_served_and_called_through_what_was_written() {
    let desk = Desk::new(&["home/.claude.json"]);
    let browser = json!({ "servers": { "browser": { "command": "SLUICEGATE", "args": ["demo-upstream", "browser"] } } });
    desk.write("project/.vscode/mcp.json", &browser.to_string());
    let (code, out, err) = desk.init(&["--yes", "--apply", "--json"]);
    assert_eq!(code, 0, "{err}");
    let answer: Value = serde_json::from_str(&out).unwrap();
    let names: BTreeSet<&str> =
        answer["upstreams"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["browser", "calendar", "mail"]), "{out}");
    assert!(answer["clients"].as_array().unwrap().iter().all(|client| client["written"] == true), "{out}");

    let config = desk.read("gateway.toml");
    assert!(config.starts_with("#:schema ./gateway.schema.json\n"), "{config}");
    assert!(
        !config.contains("seed-") && config.contains("LOG_LEVEL") && config.contains("mail.acme.example"),
        "{config}"
    );
    let (code, said, _) = desk.site.run(&["check", "--coverage"]);
    assert_eq!(code, 0, "{said}\n{config}");
    assert!(desk.read("gateway.lock").contains("\"fetch\""));
    // What was the user's stays, but for the servers.
    let claude: Value = serde_json::from_str(&desk.read("home/.claude.json")).unwrap();
    assert_eq!((&claude["numStartups"], &claude["tipsHistory"]), (&json!(214), &json!({ "shift-enter": 3 })));
    assert_eq!(claude["mcpServers"].as_object().unwrap().len(), 1);
    assert_eq!(claude["projects"]["/somewhere/else"]["mcpServers"]["other"]["command"], "other-mcp");

    let gateway = desk.site.start();
    for (file, table) in [("project/.vscode/mcp.json", "servers"), ("home/.claude.json", "mcpServers")] {
        let client = desk.client(file, table).await;
        assert_eq!(client.list_all_tools().await.unwrap().len(), 10, "{file}, with what goes on after a yes");
        let mail = || json!({ "to": "dana@acme.example", "subject": "Hello", "body": "Hello" });
        assert_eq!(call(&client, "mail__send", mail()).await.is_error, Some(false), "{file}");
        client.cancel().await.unwrap();
        // A new process of the bridge is a new run.
        let client = desk.client(file, table).await;
        let page = json!({ "url": "https://pasta.example/" });
        assert_eq!(call(&client, "browser__fetch", page.clone()).await.is_error, Some(false));
        assert_eq!(
            call(&client, "browser__fetch", page).await.is_error,
            Some(false),
            "reading on is allowed"
        );
        assert_eq!(call(&client, "mail__send", mail()).await.is_error, Some(true), "{file}");
        client.cancel().await.unwrap();
    }
    let (code, answer) = desk.doctor(&[]);
    assert_eq!(code, 0, "{answer:#}");
    assert!(answer["good"].to_string().contains("the running gateway lists 10 tools"), "{answer:#}");
    assert!(gateway.stop().success());
    check_audit(&desk.site);
}

#[test]
fn i10_no_secret_of_a_client_is_shown_or_left_in_the_configuration() {
    let desk = Desk::full();
    let before: Vec<String> = ["home/.claude.json", "project/.mcp.json", "home/.codex/config.toml"]
        .map(|file| desk.read(file))
        .into();
    let (code, out, err) = desk.init(&["--offline"]);
    assert_eq!(code, 0, "{err}");
    let config = desk.read("gateway.toml");
    for (what, text) in [("output", &out), ("errors", &err), ("gateway.toml", &config)] {
        assert!(!text.contains("seed-"), "{what}: {text}");
    }
    let (code, said, _) = {
        let output = desk.command(&["check", "--config", "../gateway.toml"]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), ())
    };
    assert!(code == Some(0) && !said.contains("seed-") && !said.contains("secret_in_file"), "{said}");
    let mut held = String::new();
    for (path, mode) in files(&desk.site.path("secrets")) {
        let expected = if path.ends_with(".gitignore") { 0o644 } else { 0o600 };
        assert_eq!(mode, expected, "{}", path.display());
        held.push_str(&std::fs::read_to_string(path).unwrap());
    }
    let folder = std::fs::metadata(desk.site.path("secrets")).unwrap().permissions().mode() & 0o777;
    assert_eq!(folder, 0o700);
    for seed in [
        "mail-token-0c9f1d77",
        "other-token-55aa",
        "argument-key-91b2c3",
        "linear-4411aa",
        "github-3f2e",
        "db-password",
    ] {
        assert!(held.contains(&format!("seed-{seed}")), "{seed}");
    }
    // What could not be taken over stands as a comment, with the reason.
    for why in ["asks its user for `pg-password`", "its URL holds a secret", "`NOTES_KEY` is not set"] {
        assert!(
            config.lines().any(|line| line.starts_with("# Not taken over: ") && line.contains(why)),
            "{why}: {config}"
        );
    }
    assert!(config.contains("env.\"MAIL_TOKEN\" = { file = \"secrets/mail.MAIL_TOKEN\" }"), "{config}");
    // Without --apply nothing of a client's was touched.
    let after: Vec<String> = ["home/.claude.json", "project/.mcp.json", "home/.codex/config.toml"]
        .map(|file| desk.read(file))
        .into();
    assert_eq!(before, after);
}

#[test]
fn what_fails_or_hangs_is_kept_as_a_comment_and_the_others_are_taken_over() {
    let desk = Desk::new(&[]);
    let servers = json!({
        "calendar": { "command": "SLUICEGATE", "args": ["demo-upstream", "calendar"] },
        "hangs": { "command": "/bin/sh", "args": ["-c", "while read line; do :; done"] },
        "dies": { "command": "/bin/sh", "args": ["-c", "echo no luck today >&2; exit 3"] },
        "missing": { "command": "no-such-program" },
    });
    desk.write("project/.mcp.json", &json!({ "mcpServers": servers }).to_string());
    let (code, out, err) = desk.init(&["--yes", "--timeout", "3s", "--from", ".mcp.json"]);
    assert_eq!(code, 0, "{err}");
    let config = desk.read("gateway.toml");
    assert!(config.contains("\n[upstreams.calendar]"), "{config}");
    for name in ["hangs", "dies", "missing"] {
        assert!(config.contains(&format!("\n# [upstreams.{name}]")), "{name}: {config}");
        assert!(out.contains(&format!("{name}: a comment for now")), "{out}");
    }
    assert!(config.contains("no luck today"), "{config}");
    assert_eq!(desk.site.run(&["check"]).0, 0);
    assert!(out.contains("\"--key-file\""), "the snippet: {out}");
}

#[test]
fn nothing_is_started_overwritten_or_left_without_a_word() {
    let desk = Desk::new(&[]);
    let marker = desk.site.path("started");
    let server = json!({ "command": "/bin/sh", "args": ["-c", format!("echo > {}", marker.display())] });
    desk.write("project/.mcp.json", &json!({ "mcpServers": { "a": server } }).to_string());
    let before = files(&desk.site.path("."));
    let (code, _, err) = desk.init(&[]);
    assert!(code == 2 && err.contains("say --yes, or --offline") && err.contains("`/bin/sh "), "{err}");
    assert_eq!(files(&desk.site.path(".")), before);
    // It was started, offered nothing, and nothing of it stays.
    let (code, _, err) = desk.init(&["--yes", "--timeout", "5s"]);
    assert!(code == 1 && err.contains("none of the servers can be taken over"), "{err}");
    assert!(marker.exists());
    std::fs::remove_file(marker).unwrap();
    assert_eq!(files(&desk.site.path(".")), before);

    desk.write("gateway.toml", "mine");
    let (code, _, err) = desk.init(&["--offline"]);
    assert!(code == 1 && err.contains("--force"), "{err}");
    assert_eq!(desk.read("gateway.toml"), "mine");
    let (code, _, err) = desk.init(&["--offline", "--force"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(desk.read("gateway.toml.old"), "mine");

    let empty = Desk::new(&[]);
    let (code, _, err) = empty.init(&["--yes"]);
    assert!(code == 1 && err.contains("no client has a tool server"), "{err}");
    empty.write("project/notes.txt", "x");
    let (code, _, err) = empty.init(&["--yes", "--from", "notes.txt"]);
    assert!(code == 1 && err.contains("the file of no client that is known"), "{err}");
}

#[test]
fn the_doctor_says_what_is_wrong_and_how_to_mend_it() {
    let desk = Desk::new(&[]);
    let servers = json!({ "calendar": { "command": "SLUICEGATE", "args": ["demo-upstream", "calendar"] } });
    desk.write("home/.cursor/mcp.json", &json!({ "mcpServers": servers }).to_string());
    let (code, _, err) = desk.init(&["--yes", "--apply"]);
    assert_eq!(code, 0, "{err}");
    let (code, answer) = desk.doctor(&[]);
    assert_eq!((code, codes(&answer)), (1, BTreeSet::from(["not_running".to_owned()])), "{answer:#}");
    assert_eq!(desk.doctor(&["--offline"]).0, 0);

    let key = desk.site.path("secrets/clients.key");
    let finds = |code: &str| {
        let (exit, answer) = desk.doctor(&["--offline"]);
        let found = codes(&answer).contains(code);
        assert!(found == (exit == 1) && found, "{code}: {answer:#}");
        assert!(!answer.to_string().contains("sg_"), "{answer}");
    };
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    finds("credential");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let known = std::fs::read_to_string(&key).unwrap();
    std::fs::write(&key, "sg_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
    finds("credential");
    std::fs::write(&key, known).unwrap();

    let entry = |entry: Value| {
        desk.write("home/.cursor/mcp.json", &json!({ "mcpServers": { "sluicegate": entry } }).to_string());
    };
    let url = format!("http://{}/mcp", desk.address);
    entry(json!({ "url": url }));
    finds("header_lost");
    entry(json!({ "url": url, "headers": { "Authorization": "Bearer ${env:SLUICEGATE_KEY}" } }));
    finds("header_lost");
    entry(json!({ "url": "http://127.0.0.1:9/mcp", "headers": { "Authorization": "Bearer x" } }));
    finds("wrong_place");
    desk.write(
        "home/.cursor/mcp.json",
        &json!({ "mcpServers": { "other": { "command": "other" } } }).to_string(),
    );
    finds("beside");
    desk.write("home/.cursor/mcp.json", "{ broken");
    finds("unreadable");
    std::fs::remove_file(desk.site.path("home/.cursor/mcp.json")).unwrap();

    // A definition that is not the accepted one, and a server that does not start.
    let lock = desk.read("gateway.lock");
    let config = desk.read("gateway.toml");
    desk.write(
        "gateway.toml",
        &config.replace("\"demo-upstream\", \"calendar\"", "\"demo-upstream\", \"mail\""),
    );
    let (_, answer) = desk.doctor(&[]);
    assert!(codes(&answer).contains("definition_gone"), "{answer:#}");
    desk.write(
        "gateway.toml",
        &config.replace("\"demo-upstream\", \"calendar\"", "\"demo-upstream\", \"nothing\""),
    );
    let (code, answer) = desk.doctor(&[]);
    assert!(code == 1 && codes(&answer).contains("down"), "{answer:#}");
    assert_eq!(desk.read("gateway.lock"), lock, "it accepts nothing");
    let (code, _, _) = desk.run(&["doctor", "--config", "../nothing.toml"]);
    assert_eq!(code, 78);
}

/// Answers every request at `address` with 200 until the test is over.
fn impostor(address: &str) {
    let listener = std::net::TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _head = std::io::Read::read(&mut stream, &mut [0; 4096]);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
            let _unread = std::io::Write::write_all(&mut stream, answer);
        }
    });
}

#[test]
fn the_doctor_knows_labels_that_see_nothing_long_names_and_what_takes_the_gateways_place() {
    let desk = Desk::new(&[]);
    let name = "calendar_of_the_whole_co";
    let servers = json!({ name: { "command": "SLUICEGATE", "args": ["demo-upstream", "calendar"] } });
    desk.write("project/.cursor/mcp.json", &json!({ "mcpServers": servers }).to_string());
    let (code, _, err) = desk.init(&["--yes", "--apply"]);
    assert_eq!(code, 0, "{err}");
    // The gateway under a name of the client's own that is too long with the tools behind it.
    let file = desk.read("project/.cursor/mcp.json");
    let long = format!("sluicegate-{}", "x".repeat(30));
    desk.write("project/.cursor/mcp.json", &file.replace("\"sluicegate\"", &format!("\"{long}\"")));
    let (_, answer) = desk.doctor(&["--offline"]);
    assert_eq!(codes(&answer), BTreeSet::from(["name_too_long".to_owned()]), "{answer:#}");
    desk.write("project/.cursor/mcp.json", &file);

    impostor(&desk.address);
    let (_, answer) = desk.doctor(&[]);
    assert_eq!(
        codes(&answer),
        BTreeSet::from(["discovery".to_owned(), "wrong_place".to_owned()]),
        "{answer:#}"
    );

    let config = desk.read("gateway.toml");
    let (before, _) = config.split_once("[[tests]]").unwrap();
    let closed = before.replace("[roles.owner]\nallow = [\"*\"]", "[roles.owner]\nallow = []");
    desk.write("gateway.toml", &closed);
    let (_, answer) = desk.doctor(&["--offline"]);
    assert_eq!(codes(&answer), BTreeSet::from(["label".to_owned(), "closed".to_owned()]), "{answer:#}");
}

#[test]
fn clients_prints_what_each_needs_and_no_key() {
    let desk = Desk::new(&[]);
    let servers = json!({ "calendar": { "command": "SLUICEGATE", "args": ["demo-upstream", "calendar"] } });
    desk.write("project/.mcp.json", &json!({ "mcpServers": servers }).to_string());
    assert_eq!(desk.init(&["--offline"]).0, 0);
    let config = ["clients", "--config", "../gateway.toml"];
    let (code, out, err) = desk.run(&config);
    assert_eq!(code, 0, "{err}");
    let key = desk.read("secrets/clients.key");
    assert!(!out.contains(key.trim()) && out.contains("clients.key"), "{out}");
    for title in [
        "# Claude Code:",
        "# Claude Desktop:",
        "# Cursor:",
        "# VS Code:",
        "# Codex:",
        "[mcp_servers.sluicegate]",
    ] {
        assert!(out.contains(title), "{title}: {out}");
    }
    assert!(
        out.contains("\"Bearer ${env:SLUICEGATE_KEY}\"") && out.contains("bearer_token_env_var"),
        "{out}"
    );
    let (_, out, _) = desk.run(&[&config[..], &["--json", "--client", "codex"]].concat());
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer.as_array().unwrap().len(), 1);
    let (code, _, err) = desk.run(&[&config[..], &["--client", "netscape"]].concat());
    assert!(code == 2 && err.contains("claude-code"), "{err}");
}

#[test]
fn schema_prints_the_schema_that_init_writes_beside_its_configuration() {
    let desk = Desk::new(&[]);
    let (code, out, _) = desk.run(&["schema"]);
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/gateway.schema.json");
    assert_eq!((code, out), (0, std::fs::read_to_string(kept).unwrap()));
}
