//! `sluicegate run`: how a command gets its token, what it is told, how it ends, and what is left.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::audit::of_kind;
use crate::support::tokens::{leaks, minting, verified};
use crate::support::{Client, Site, check_audit};

/// Longest wait for a process or a file to be gone, and how often it is looked for.
const GONE_WAIT_MAX: Duration = Duration::from_secs(20);
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

const LABEL: [&str; 8] =
    ["--source", "email", "--subject", "user:1", "--role", "assistant", "--trigger", "sender=x@y.example"];

fn site() -> Site {
    let site = Site::with_oracle(&minting());
    std::fs::create_dir(site.path("tmp")).unwrap();
    site
}

/// `sluicegate run … -- sh -c SCRIPT`, its folders under the site's own.
fn running(site: &Site, options: &[&str], script: &str) -> Command {
    let arguments = [&["run"], &LABEL[..], options, &["--", "sh", "-c", script]].concat();
    let mut command = site.command(&arguments);
    command.env("TMPDIR", site.path("tmp")).env_remove("XDG_RUNTIME_DIR").stdin(Stdio::null());
    command
}

/// Runs the script to its end: exit code, standard output, standard error.
fn run(site: &Site, options: &[&str], script: &str) -> (i32, String, String) {
    let output = running(site, options, script).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// What stands in the folder where `run` makes its own.
fn left(site: &Site) -> Vec<PathBuf> {
    std::fs::read_dir(site.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_sluicegate")
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    // Another process's end has no event here but its absence.
    let deadline = tokio::time::Instant::now() + GONE_WAIT_MAX;
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        looks.tick().await;
    }
}

#[test]
fn each_way_hands_over_a_token_that_says_the_label() {
    let site = site();
    let gateway = site.start();
    let ways = [
        (
            "file",
            "cat \"$SLUICEGATE_TOKEN_FILE\"; stat -c %a \"$SLUICEGATE_TOKEN_FILE\" \"$(dirname \"$SLUICEGATE_TOKEN_FILE\")\"",
        ),
        ("fd", "head -n1 /proc/self/fd/$SLUICEGATE_TOKEN_FD; head -n1 /proc/self/fd/$SLUICEGATE_TOKEN_FD"),
        (
            "socket",
            "python3 -c 'import os,socket; s=socket.socket(socket.AF_UNIX); s.connect(os.environ[\"SLUICEGATE_TOKEN_SOCKET\"]); print(s.makefile().read(), end=\"\")'",
        ),
        ("env", "echo \"$SLUICEGATE_TOKEN\""),
    ];
    for (via, script) in ways {
        let script = format!("{script}; echo \"$SLUICEGATE_URL\"; echo \"$SLUICEGATE_TXN\"");
        let (code, out, err) = run(&site, &["--via", via], &script);
        assert_eq!(code, 0, "{via}: {err}");
        let lines: Vec<&str> = out.lines().collect();
        let claims = verified(&site, lines[0]).1;
        let src = json!([{ "kind": "email", "sender": "x@y.example" }]);
        assert_eq!((&claims["sub"], &claims["tctx"]["src"]), (&json!("user:1"), &src), "{via}");
        assert_eq!(lines[lines.len() - 2], gateway.url);
        assert_eq!(lines[lines.len() - 1], claims["txn"]);
        match via {
            "file" => assert_eq!(lines[1..3], ["600", "700"]),
            "fd" => assert_eq!(lines[0], lines[1], "it is read from its beginning each time"),
            _ => {}
        }
        assert_eq!(err.contains("in the environment"), via == "env", "{err}");
        assert_eq!(left(&site), Vec::<PathBuf>::new(), "{via}");
    }
    assert!(gateway.stop().success());
}

#[test]
fn i10_the_token_is_on_no_command_line_and_in_no_environment() {
    let site = site();
    let gateway = site.start();
    // Everything that any process of this test says of itself, the run's own and its guard's included.
    let script = "cat \"$SLUICEGATE_TOKEN_FILE\"; echo; \
        for p in $$ $PPID $(cat /proc/$PPID/task/*/children); do cat /proc/$p/cmdline /proc/$p/environ 2>/dev/null | tr '\\0' '\\n'; done";
    let (code, out, err) = run(&site, &["--client", "mcp-json"], script);
    assert_eq!(code, 0, "{err}");
    let (token, rest) = out.split_once('\n').unwrap();
    verified(&site, token);
    assert!(rest.contains("SLUICEGATE_TOKEN_FILE=") && rest.contains("run-guard"), "{rest}");
    assert!(!leaks(rest, token) && !leaks(&err, token));
    let config = "cat \"$SLUICEGATE_MCP_CONFIG\"";
    let (_, config, _) = run(&site, &["--client", "mcp-json"], config);
    assert!(config.contains("--token-file") && !config.contains("eyJ"), "{config}");
    assert!(gateway.stop().success());
}

#[test]
fn the_exit_code_is_that_of_the_command() {
    let site = site();
    let gateway = site.start();
    assert_eq!(run(&site, &[], "exit 7").0, 7);
    assert_eq!(run(&site, &[], "kill -TERM $$").0, 128 + 15);
    let missing = |program: &str| {
        let arguments = [&["run"], &LABEL[..], &["--", program]].concat();
        site.command(&arguments)
            .env("TMPDIR", site.path("tmp"))
            .env_remove("XDG_RUNTIME_DIR")
            .output()
            .unwrap()
    };
    assert_eq!(missing("no-such-program").status.code(), Some(127));
    assert_eq!(missing("/etc/passwd").status.code(), Some(126));
    assert_eq!(left(&site), Vec::<PathBuf>::new());
    let (code, _, err) = run(&site, &["--role", "admin"], "exit 0");
    assert!(code != 0 && err.contains("role `admin` may not be asserted"), "{err}");
    assert!(gateway.stop().success());
    let (code, _, err) = run(&site, &[], "exit 0");
    assert!(code == 69 && err.contains("no gateway answers"), "{err}");
    assert_eq!(left(&site), Vec::<PathBuf>::new());
}

/// A run whose command says its process id and waits.
fn waiting(site: &Site, script: &str) -> (Child, i32) {
    let mut child = running(site, &[], script).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let pid = line.trim().parse().unwrap_or_else(|_| panic!("no process id: {line}"));
    (child, pid)
}

#[test]
fn signals_reach_the_command_and_its_answer_is_the_exit_code() {
    let site = site();
    let gateway = site.start();
    for (signal, code) in [(Signal::TERM, 11), (Signal::HUP, 12), (Signal::INT, 13), (Signal::USR1, 14)] {
        let script = "trap 'exit 11' TERM; trap 'exit 12' HUP; trap 'exit 13' INT; trap 'exit 14' USR1; \
            sleep 1000 >/dev/null & echo $$; wait; wait";
        let (mut child, _) = waiting(&site, script);
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal:?}");
    }
    assert_eq!(left(&site), Vec::<PathBuf>::new());
    assert!(gateway.stop().success());
}

#[tokio::test]
async fn what_the_command_left_running_is_ended_with_it() {
    let site = site();
    let gateway = site.start();
    let (code, out, _) = run(&site, &[], "sleep 1000 >/dev/null 2>&1 & echo $!; trap '' TERM; exit 0");
    assert_eq!(code, 0);
    let left_behind = out.trim().parse().unwrap();
    until("what the command started is gone", || !lives(left_behind)).await;
    assert!(gateway.stop().success());
}

#[tokio::test]
async fn a_killed_run_leaves_neither_the_command_nor_the_token() {
    let site = site();
    let gateway = site.start();
    let script = "trap '' TERM; sleep 1000 & echo $!; wait; sleep 1000";
    let (mut child, started) = waiting(&site, script);
    assert_eq!(left(&site).len(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    until("what was started is gone", || !lives(started)).await;
    until("the folder is gone", || left(&site).is_empty()).await;
    assert!(gateway.stop().success());
}

/// Whether a process lives: one that has ended and was not collected yet does not.
fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[tokio::test]
async fn the_token_is_renewed_while_the_command_lives() {
    let site = site();
    let gateway = site.start();
    // Two thirds of six seconds after the start the file holds another token.
    let script = "cat \"$SLUICEGATE_TOKEN_FILE\"; first=$(cat \"$SLUICEGATE_TOKEN_FILE\"); \
        while [ \"$(cat \"$SLUICEGATE_TOKEN_FILE\")\" = \"$first\" ]; do :; done; cat \"$SLUICEGATE_TOKEN_FILE\"";
    let (code, out, err) = run(&site, &["--ttl", "6s"], script);
    assert_eq!(code, 0, "{err}");
    let claims: Vec<Value> = out.lines().map(|token| verified(&site, token).1).collect();
    assert_eq!(claims[0]["txn"], claims[1]["txn"]);
    assert!(claims[1]["exp"].as_i64() > claims[0]["exp"].as_i64());
    let acts: Vec<_> = of_kind(&site, "mint").into_iter().map(|record| record["act"].clone()).collect();
    assert_eq!(acts, ["mint", "renew"]);
    assert!(gateway.stop().success());
}

#[tokio::test]
async fn a_renewed_token_is_seen_by_descriptor_and_socket_too() {
    let site = site();
    let gateway = site.start();
    let helper = format!("'{}' token --json-headers", binary());
    // The helper asks the socket; of the descriptor the first line counts.
    for (via, read) in [("socket", helper.as_str()), ("fd", "head -n1 /proc/self/fd/$SLUICEGATE_TOKEN_FD")] {
        let script = format!(
            "first=$({read}); echo \"$first\"; while next=$({read}); [ \"$next\" = \"$first\" ]; do :; done; echo \"$next\""
        );
        let (code, out, err) = run(&site, &["--via", via, "--ttl", "6s"], &script);
        assert_eq!(code, 0, "{via}: {err}");
        let token = |line: &str| {
            line.trim_start_matches("{\"Authorization\":\"Bearer ").trim_end_matches("\"}").to_owned()
        };
        let tokens: Vec<String> = out.lines().map(token).collect();
        let txn = |token: &str| verified(&site, token).1["txn"].clone();
        assert_eq!(txn(&tokens[0]), txn(&tokens[1]), "{via}");
        assert_ne!(tokens[0], tokens[1], "{via}");
    }
    assert!(gateway.stop().success());
}

/// A client that writes its arguments, one a line.
fn client(site: &Site) -> PathBuf {
    let path = site.path("client");
    std::fs::write(&path, "#!/bin/sh\nfor a in \"$@\"; do echo \"$a\"; done\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).unwrap();
    path
}

fn told(site: &Site, options: &[&str], command: &[&str]) -> Vec<String> {
    let arguments = [&["run"], &LABEL[..], options, &["--"], command].concat();
    let output = site
        .command(&arguments)
        .env("TMPDIR", site.path("tmp"))
        .env_remove("XDG_RUNTIME_DIR")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn clients_are_told_how_to_reach_the_gateway() {
    let site = site();
    let gateway = site.start();
    let path = client(&site);
    let path = path.to_str().unwrap();
    let claude = told(&site, &["--client", "claude"], &[path, "-p", "hello"]);
    assert_eq!(claude[..4], ["-p", "hello", "--strict-mcp-config", "--mcp-config"]);
    assert!(claude[4].ends_with("/mcp.json"), "{claude:?}");
    let codex = told(&site, &["--client", "codex"], &[path, "exec", "hello"]);
    assert_eq!(codex[..3], ["exec", "hello", "-c"]);
    assert!(
        codex[3].starts_with("mcp_servers.sluicegate.command=\"") && codex[5].contains("--token-file"),
        "{codex:?}"
    );
    let any = told(&site, &["--client", "mcp-json"], &[path, "--config={MCP_CONFIG}"]);
    assert!(any.len() == 1 && any[0].starts_with("--config=/") && any[0].ends_with("/mcp.json"), "{any:?}");
    let (code, _, err) = run(&site, &["--client", "claude", "--via", "fd"], "exit 0");
    assert!(code != 0 && err.contains("passes no descriptor"), "{err}");
    assert!(gateway.stop().success());
}

#[test]
fn an_outer_runs_token_is_not_handed_on() {
    let site = site();
    let gateway = site.start();
    // The outer run's descriptor is open in `run`, and what it says stands in its environment.
    let inner = format!(
        "'{}' run {} --via file -- sh -c 'env; ls -l /proc/self/fd; echo \"token $(head -n1 /proc/self/fd/{{}} 2>&1)\"'",
        binary(),
        LABEL.join(" ")
    );
    let script = inner.replace("{}", "'\"$SLUICEGATE_TOKEN_FD\"'");
    for client in [&["--client", "connect"][..], &["--client", "mcp-json"]] {
        let options = [&["--via", "fd"], client].concat();
        let (code, out, err) = run(&site, &options, &script);
        assert_eq!(code, 0, "{out}{err}");
        for outer in ["SLUICEGATE_TOKEN_FD=", "SLUICEGATE_CONNECT=", "SLUICEGATE_MCP_CONFIG=", "memfd", "eyJ"]
        {
            assert!(!out.contains(outer), "{outer}: {out}");
        }
        assert!(out.contains("SLUICEGATE_TOKEN_FILE=") && out.contains("No such file"), "{out}");
    }
    assert!(gateway.stop().success());
}

/// Runs `sluicegate` with these arguments in a terminal of its own and writes what stands there to standard
/// output.
const IN_A_TERMINAL: &str =
    "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

#[test]
fn another_users_command_cannot_type_into_the_callers_terminal() {
    let site = site();
    let gateway = site.start();
    let is_root = rustix::process::geteuid().is_root();
    let folder = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o711))
        .tempdir()
        .unwrap();
    // Our own user may: it is the same person's terminal. Only root can become another.
    for (options, has_terminal) in [(&[][..], true), (&["--user", "nobody"][..], false)] {
        if !options.is_empty() && !is_root {
            continue;
        }
        let script = "(: </dev/tty) 2>/dev/null && echo has-it; test -t 0 && echo sees-it; exit 7";
        let command = [&["run"], &LABEL[..], options, &["--", "sh", "-c", script]].concat();
        let mut terminal = Command::new("python3");
        terminal.args(["-c", IN_A_TERMINAL, binary()]).args(command).current_dir(site.path(""));
        let ended = terminal.env("TMPDIR", folder.path()).env_remove("XDG_RUNTIME_DIR").output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        assert_eq!(ended.status.code(), Some(7), "{options:?}: {said}");
        assert!(said.contains("sees-it"), "{options:?}: {said}");
        assert_eq!(said.contains("has-it"), has_terminal, "{options:?}: {said}");
    }
    assert!(gateway.stop().success());
}

#[test]
fn another_user_gets_the_token_and_not_the_callers_environment() {
    if !rustix::process::geteuid().is_root() {
        let site = site();
        let _gateway = site.start();
        let (code, _, err) = run(&site, &["--user", "nobody"], "exit 0");
        assert!(code != 0 && err.contains("needs root"), "{err}");
        return;
    }
    let site = site();
    let gateway = site.start();
    let folder = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o711))
        .tempdir()
        .unwrap();
    for (via, read) in [
        ("file", "cat \"$SLUICEGATE_TOKEN_FILE\""),
        ("fd", "head -n1 /proc/self/fd/$SLUICEGATE_TOKEN_FD"),
        (
            "socket",
            "python3 -c 'import os,socket; s=socket.socket(socket.AF_UNIX); s.connect(os.environ[\"SLUICEGATE_TOKEN_SOCKET\"]); print(s.makefile().read(), end=\"\")'",
        ),
    ] {
        let script = format!(
            "{read}; id -u; id -G; echo \"$HOME $PASSED${{SECRET:-none}}\"; cat state/keys/* 2>&1 | head -c 200"
        );
        let mut command = running(&site, &["--user", "nobody", "--env", "PASSED", "--via", via], &script);
        let output = command
            .env("TMPDIR", folder.path())
            .env("SECRET", "of-root")
            .env("PASSED", "yes-")
            .output()
            .unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = out.lines().collect();
        assert!(output.status.success(), "{via}: {out}{}", String::from_utf8_lossy(&output.stderr));
        verified(&site, lines[0]);
        assert_eq!(lines[1], "65534", "{out}");
        assert_eq!(lines[2], "65534", "no group of root's: {out}");
        assert!(lines[3].ends_with("yes-none"), "{out}");
        assert!(out.contains("ermission denied") || out.contains("cannot open"), "{out}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    assert!(gateway.stop().success());
}

#[tokio::test]
async fn a_command_calls_the_gateway_by_the_bridge_and_nothing_else_of_it_is_needed() {
    let site = site();
    let gateway = site.start();
    let info = json!({ "name": "test", "version": "1" });
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
    let initialize = crate::support::client::message(0, "initialize", &params);
    let done = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    for via in ["file", "fd", "socket", "env"] {
        let call = json!({ "name": "tools__read", "arguments": { "id": via } });
        let call = crate::support::client::message(1, "tools/call", &call);
        let lines = format!("{initialize}\n{done}\n{call}\n");
        std::fs::write(site.path("lines"), lines).unwrap();
        // Nothing is said but where the messages are: the run's variables say the rest.
        let script = format!("'{}' connect < lines", binary());
        let (code, out, err) = run(&site, &["--via", via], &script);
        assert_eq!(code, 0, "{via}: {err}");
        assert!(out.contains(&format!("ok {via}")), "{via}: {out}{err}");
    }
    assert!(gateway.stop().success());
    let intents = of_kind(&site, "intent");
    assert_eq!(intents.len(), 4);
    for intent in intents {
        let principal = &intent["principal"];
        assert_eq!(
            (&principal["entry_point"], &principal["sources"]),
            (&json!("issuers.sluicegate"), &json!(["email"]))
        );
    }
    check_audit(&site);
}

#[tokio::test]
async fn a_run_ends_with_its_command_and_a_token_that_got_away_opens_nothing() {
    for (kept, said) in [(&[][..], "run_ended"), (&["--keep-run"][..], "ok")] {
        let site = site();
        let gateway = site.start();
        let script = format!("{} connect < lines && cp \"$SLUICEGATE_TOKEN_FILE\" stolen", binary());
        let params = json!({ "name": "tools__read", "arguments": { "id": "command" } });
        let info = json!({ "name": "test", "version": "1" });
        let opening = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
        let lines = [
            crate::support::client::message(0, "initialize", &opening),
            json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string(),
            crate::support::client::message(1, "tools/call", &params),
        ];
        std::fs::write(site.path("lines"), lines.join("\n") + "\n").unwrap();
        let (code, out, err) = run(&site, kept, &script);
        assert_eq!(code, 0, "{out}{err}");
        let stolen = std::fs::read_to_string(site.path("stolen")).unwrap();
        let params = json!({ "name": "tools__read", "arguments": { "id": "stolen" } });
        let thief = Client::new(&gateway.url, stolen.trim());
        assert_eq!(thief.modern(2, "tools/call", params).await.reason(), said);
        assert!(gateway.stop().success());
        check_audit(&site);
    }
}

#[tokio::test]
async fn a_token_of_a_command_that_never_called_opens_nothing_after_its_end() {
    let site = site();
    let gateway = site.start();
    let (code, out, err) = run(&site, &[], "cp \"$SLUICEGATE_TOKEN_FILE\" stolen; echo $SLUICEGATE_TXN");
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let stolen = std::fs::read_to_string(site.path("stolen")).unwrap();
    let ends = of_kind(&site, "run_end");
    assert_eq!(ends.len(), 1);
    assert_eq!((&ends[0]["why"], &ends[0]["txn"]), (&json!("person"), &json!(out.trim())));
    assert_eq!(ends[0]["entry_point"], "issuers.sluicegate");
    let steal = async |url: &str| {
        let params = json!({ "name": "tools__read", "arguments": { "id": "stolen" } });
        Client::new(url, stolen.trim()).modern(2, "tools/call", params).await.reason().to_owned()
    };
    assert_eq!(steal(&gateway.url).await, "run_ended");
    // Nor is another token made for it, whoever asks.
    let again = [&["token", "mint"], &LABEL[..6], &["--txn", out.trim()]].concat();
    let (code, _, err) = site.run(&again);
    assert!(code != 0 && err.contains("run of this token has ended"), "{code}: {err}");
    gateway.kill();
    let gateway = site.start();
    assert_eq!(steal(&gateway.url).await, "run_ended");
    let (code, runs, _) = site.run(&["runs", "list", "--json"]);
    assert_eq!((code, runs.trim()), (0, "[]"));
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), Vec::<String>::new());
    check_audit(&site);
}

#[tokio::test]
async fn the_line_for_a_client_that_starts_servers_is_whole() {
    let site = site();
    let gateway = site.start();
    let (code, out, err) =
        run(&site, &["--client", "connect"], "eval \"$SLUICEGATE_CONNECT\" < /dev/null && echo fine");
    assert_eq!((code, out.trim()), (0, "fine"), "{err}");
    assert!(gateway.stop().success());
}
