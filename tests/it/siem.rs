//! The examples of `examples/siem`, as they are written, in the receivers that they are for; only places are this
//! test's own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::audit::of_kind;
use crate::support::gateway::CHAT_KEY;
use crate::support::{Client, Site, check_audit, interop};

/// A receiver that runs in the foreground. Killed when dropped.
struct Receiver(Child);

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The example with its places in `site`, on a port that nobody has.
fn example(site: &Site, name: &str) -> (PathBuf, u16) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/siem").join(name));
    let folder = site.path("logs");
    std::fs::create_dir_all(&folder).unwrap();
    let here = text
        .unwrap()
        .replace("/var/log/sluicegate", folder.to_str().unwrap())
        .replace("1601", &port.to_string());
    let path = site.path(name);
    std::fs::write(&path, here).unwrap();
    (path, port)
}

/// Starts `command` and waits until it listens.
fn start(mut command: Command, port: u16) -> Receiver {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut receiver = Receiver(command.spawn().unwrap_or_else(|error| {
        let program = command.get_program().display();
        panic!("cannot start {program}: {error}; tests/run installs it as root on Debian")
    }));
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(receiver.0.try_wait().unwrap().is_none(), "it ended before it listened");
        std::thread::yield_now();
    }
    receiver
}

/// What the journal holds is what the receiver wrote, byte by byte, and each refusal is told by its members.
async fn ingests(site: &Site, port: u16, receiver: impl FnOnce() -> Receiver) {
    site.edit(|config| {
        format!("{config}\n[[audit.sinks]]\nname = \"siem\"\ntype = \"syslog\"\nurl = \"tcp://127.0.0.1:{port}\"\nmessage_max = \"64KiB\"\n")
    });
    let receiver = receiver();
    let gateway = site.start();
    let chat = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    for number in 0..20 {
        assert_eq!(chat.call("tools__read", &number.to_string()).await.reason(), "ok");
    }
    assert_eq!(chat.call("tools__write", "refused").await.reason(), "approval_pending");
    assert!(gateway.stop().success());
    let written = || std::fs::read_to_string(site.path("logs").join("records.jsonl")).unwrap_or_default();
    let told = || std::fs::read_to_string(site.path("logs").join("refusals.log")).unwrap_or_default();
    while !written().contains("\"kind\":\"stop\"") || !told().contains('\n') {
        tokio::task::yield_now().await;
    }
    drop(receiver);
    let mut journal = String::new();
    let mut segments: Vec<_> = std::fs::read_dir(site.path("state").join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    segments.sort();
    for line in segments.iter().flat_map(std::fs::read_to_string).collect::<String>().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        if !matches!(record["kind"].as_str().unwrap(), "state" | "commit") {
            journal.push_str(line);
            journal.push('\n');
        }
    }
    assert_eq!(written(), journal);
    let word = |record: &Value, at: &str| record.pointer(at).unwrap().as_str().unwrap().to_owned();
    let refusals: String = of_kind(site, "denial")
        .iter()
        .map(|record| {
            ["/t", "/principal/subject", "/tool", "/reason"].map(|at| word(record, at)).join(" ") + "\n"
        })
        .collect();
    assert_eq!(told(), refusals);
    assert!(!site.path("logs").join("unparsed.log").exists());
    check_audit(site);
}

#[tokio::test]
async fn rsyslog_ingests_the_stream_without_a_parser_of_ours() {
    let site = Site::with_oracle("");
    let (path, port) = example(&site, "rsyslog.conf");
    ingests(&site, port, || {
        let mut command = Command::new("/usr/sbin/rsyslogd");
        command.args(["-n", "-iNONE", "-f"]).arg(path);
        start(command, port)
    })
    .await;
}

#[tokio::test]
async fn syslog_ng_ingests_the_stream_without_a_parser_of_ours() {
    let site = Site::with_oracle("");
    let (path, port) = example(&site, "syslog-ng.conf");
    let at = |name: &str| site.path(name);
    ingests(&site, port, || {
        let mut command = Command::new(interop("bin/syslog-ng"));
        command.args(["--foreground", "--no-caps", "--cfgfile"]).arg(path);
        command.arg("--persist-file").arg(at("persist")).arg("--control").arg(at("control"));
        command.arg("--pidfile").arg(at("pid"));
        start(command, port)
    })
    .await;
}
