//! Sockets that a service manager bound: served as one's own, and refused where they are not what is written.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::gateway::{CHAT_KEY, Gateway, oracle};
use crate::support::{Client, Site, check_audit};

const SOCKETS: &str = r#"
[listen.web]
address = "127.0.0.1:0"
systemd = "web"

[listen.agents]
socket = "agents.sock"
mode = "0660"
systemd = "agents"
peers.self = { vouches = { source = "chat", subject = "user:9", roles = ["assistant"] } }
"#;

/// A gateway that is started with `passed`, each as `activate.py` takes it.
fn activate(site: &Site, passed: &[&str]) -> Result<Gateway, String> {
    let serve = site.command(&["serve", "--config", "gateway.toml"]);
    let mut command = Command::new("python3");
    command
        .arg(fixture("activate.py"))
        .args(passed)
        .arg("--")
        .arg(serve.get_program())
        .args(serve.get_args());
    command.current_dir(site.path(""));
    site.try_start_by(command)
}

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Why it did not start.
#[track_caller]
fn refusal(site: &Site, passed: &[&str]) -> String {
    match activate(site, passed) {
        Ok(_) => panic!("it started with {passed:?}"),
        Err(said) => said,
    }
}

/// Asserts that what was passed is refused, and why.
#[track_caller]
fn assert_refused(site: &Site, passed: &[&str], why: &str) {
    let said = refusal(site, passed);
    assert!(said.contains(why) && said.contains("exit status: 69"), "{passed:?}: {said}");
    // What unix sockets leave behind is in the way of the next.
    let _none = std::fs::remove_file(site.path("agents.sock"));
}

#[tokio::test]
async fn sockets_that_a_service_manager_passes_are_served_under_their_own_label() {
    let site = Site::with_oracle(SOCKETS);
    let agents = format!("agents=unix:660:{}", site.path("agents.sock").display());
    let gateway = activate(&site, &["web=tcp:127.0.0.1:0", &agents]).unwrap();
    let web = &gateway.place("web");
    let client = Client::new(web, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__read", "over-tcp").await.reason(), "ok");
    let said = connect(&site, "agents.sock");
    assert!(said.contains("tools__read"), "{said}");
    assert!(gateway.stop().success());
    let left = std::fs::metadata(site.path("agents.sock")).unwrap();
    assert_eq!(left.permissions().mode() & 0o777, 0o660, "the path is the service manager's");
    check_audit(&site);
}

#[test]
fn i10_a_tool_server_inherits_no_socket_that_was_passed() {
    let site = Site::new("");
    let script = format!("ls -l /proc/$$/fd >fds; exec python3 {:?} ledger", oracle());
    site.configure(&format!(
        r#"
[listen.web]
address = "127.0.0.1:0"
systemd = "web"
insecure_local = true
vouches = {{ source = "chat", subject = "user:1", roles = ["assistant"] }}
[upstreams.tools]
command = ["sh", "-c", {script:?}]
returns = "trusted"
[sources.chat]
allow = ["*"]
[roles.assistant]
allow = ["*"]
"#
    ));
    let gateway = activate(&site, &["web=tcp:127.0.0.1:0"]).unwrap();
    assert!(gateway.stop().success());
    let inherited = std::fs::read_to_string(site.path("fds")).unwrap();
    assert!(inherited.contains("pipe:") && !inherited.contains("socket:"), "{inherited}");
}

#[test]
fn a_passed_socket_that_is_not_what_is_written_is_refused() {
    let site = Site::with_oracle(SOCKETS);
    let unix = |mode: &str| format!("agents=unix:{mode}:{}", site.path("agents.sock").display());
    let good = unix("660");
    let web = "web=tcp:127.0.0.1:0";
    assert_refused(&site, &[], "none is left");
    assert_refused(&site, &["--pid", "1", web, &good], "none is left");
    assert_refused(&site, &[web], "as `agents`: no such socket was passed");
    assert_refused(&site, &["other=tcp:127.0.0.1:0", &good], "`other` at 127.0.0.1:");
    assert_refused(&site, &["web=tcp:0.0.0.0:0", &good], "`web` at 0.0.0.0:");
    assert_refused(&site, &["web=tcp:::1:0", &good], "`web` at [::1]:");
    assert_refused(&site, &["web=closed:127.0.0.1:0", &good], "does not listen");
    assert_refused(&site, &["web=datagram:", &good], "neither a TCP nor a unix stream socket");
    assert_refused(&site, &[web, "agents=abstract:sluicegate-test"], "it has no path");
    assert_refused(&site, &[web, &unix("666")], "has the mode 0666 and not 0660");
    assert_refused(&site, &[web, &good, "more=tcp:127.0.0.1:0"], "`more` at 127.0.0.1:");
}

#[test]
fn a_socket_that_nobody_asked_for_is_refused() {
    let site = Site::with_oracle("");
    assert_refused(&site, &["web=tcp:127.0.0.1:0"], "no listener takes every socket");
}

#[test]
fn a_listener_beyond_loopback_is_none_because_a_service_manager_bound_it() {
    let site = Site::with_oracle("[listen.web]\naddress = \"0.0.0.0:7400\"\nsystemd = \"web\"\n");
    let said = refusal(&site, &["web=tcp:0.0.0.0:0"]);
    assert!(said.contains("error[not_loopback]"), "{said}");
}

#[test]
fn a_reload_neither_takes_up_nor_leaves_what_only_a_start_can_be_passed() {
    let site = Site::with_oracle(SOCKETS);
    let as_passed = std::fs::read_to_string(site.path("gateway.toml")).unwrap();
    let agents = format!("agents=unix:660:{}", site.path("agents.sock").display());
    let gateway = activate(&site, &["web=tcp:127.0.0.1:0", &agents]).unwrap();
    let more = "\n[listen.more]\naddress = \"127.0.0.1:0\"\nsystemd = \"more\"\n";
    let (before, left) = as_passed.split_once("[listen.web]").unwrap();
    let (_, agents) = left.split_once("\n[listen.agents]").unwrap();
    for refused in [
        format!("{as_passed}{more}"),
        format!("{before}[listen.agents]{agents}"),
        as_passed.replace("systemd = \"web\"\n", ""),
    ] {
        site.configure(&refused);
        let (code, out, err) = site.run(&["reload"]);
        assert!(
            code != 0 && format!("{out}{err}").contains("restart_needed"),
            "{refused}\n{code} {out}{err}"
        );
    }
    site.configure(&as_passed.replace("deny = [\"tools.refuse\"]", ""));
    let (code, out, err) = site.run(&["reload"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(connect(&site, "agents.sock").contains("tools__read"));
    assert!(gateway.stop().success());
}

/// What `connect` answers to a `tools/list` over the socket.
fn connect(site: &Site, socket: &str) -> String {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut bridge = site
        .command(&["connect", "--socket", socket])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let mut input = bridge.stdin.take().unwrap();
    writeln!(input, "{}", json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }))
        .unwrap();
    writeln!(input, "{}", json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" })).unwrap();
    drop(input);
    String::from_utf8(bridge.wait_with_output().unwrap().stdout).unwrap()
}
