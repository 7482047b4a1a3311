//! The boundary that the gateway's uid is: what it keeps for itself, and tool servers beyond it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::gateway::{CHAT_KEY, oracle};
use crate::support::{Client, Site, check_audit};

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Everything below `dir`, and `dir` itself.
fn below(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(below(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn whatever_the_gateway_keeps_is_its_owners_alone() {
    let site = Site::with_oracle(
        "[listen.agents]\nsocket = \"agents.sock\"\n\n[listen.agents.peers.self]\n\
         vouches = { source = \"email\", subject = \"user:1\", roles = [\"assistant\"] }\n",
    );
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__read", "once").await.reason(), "ok");
    // While its tool servers run: they are remembered there too.
    let kept = below(&site.path("state"));
    for name in ["state", "journal", "children", "admin.sock"] {
        assert!(kept.iter().any(|path| path.ends_with(name)), "{name}: {kept:?}");
    }
    for path in kept.iter().chain([&site.path("agents.sock")]) {
        let mode = std::fs::symlink_metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[test]
fn a_gateway_whose_state_others_may_read_does_not_start_and_names_it() {
    let site = Site::with_oracle("");
    assert!(site.start().stop().success());
    let journal = site.path("state/journal");
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "jsonl");
    let segment = below(&journal).into_iter().find(is_segment).unwrap();
    for (path, right, wrong) in [
        (site.path("state"), 0o700, 0o750),
        (site.path("state"), 0o700, 0o701),
        (journal, 0o700, 0o755),
        (segment.clone(), 0o600, 0o640),
        (segment, 0o600, 0o604),
    ] {
        set_mode(&path, wrong);
        let Err(said) = site.try_start() else { panic!("{}: {wrong:o}", path.display()) };
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(said.contains(name), "{wrong:o}: {said}");
        set_mode(&path, right);
    }
    assert!(site.start().stop().success());
}

#[tokio::test]
async fn the_start_says_what_tool_servers_under_the_gateways_own_uid_can_do() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    assert!(gateway.stop().success());
    let log = std::fs::read_to_string(site.path("log")).unwrap();
    assert_eq!(log.matches("code=\"same_uid\"").count(), 1, "{log}");
    assert!(log.contains("`[upstreams.browser]` runs under the gateway's own uid"), "{log}");
}

#[tokio::test]
async fn a_tool_server_runs_under_its_own_user_or_the_gateway_does_not_start() {
    let site = Site::with_oracle("");
    // What another user has to be able to read, and its ledger to write.
    set_mode(site.path("gateway.toml").parent().unwrap(), 0o755);
    std::fs::copy(oracle(), site.path("oracle.py")).unwrap();
    set_mode(&site.path("oracle.py"), 0o644);
    std::fs::write(site.path("ledger"), "").unwrap();
    set_mode(&site.path("ledger"), 0o666);
    let own = format!("{:?}", oracle());
    site.edit(|config| {
        let copied = config.replace(&own, &format!("{:?}", site.path("oracle.py")));
        copied.replace("\nreturns = ", "\nuser = \"nobody\"\nreturns = ")
    });
    if !rustix::process::geteuid().is_root() {
        let said = site.try_start().err().expect("nobody but root may start it");
        assert!(said.contains("error[user_forbidden]"), "{said}");
        return;
    }
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__read", "as-nobody").await.reason(), "ok");
    let children = below(&site.path("state/children"));
    let pids: Vec<_> =
        children.iter().filter_map(|path| path.file_name()?.to_str()?.parse::<u32>().ok()).collect();
    assert!(!pids.is_empty(), "{children:?}");
    for pid in &pids {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(field("Uid:"), ["65534"; 4], "{status}");
        assert_eq!(field("Groups:"), [""; 0], "{status}");
        assert_eq!(field("CapEff:"), ["0000000000000000"], "{status}");
    }
    assert!(gateway.stop().success());
    for pid in pids {
        assert!(!Path::new(&format!("/proc/{pid}/exe")).exists(), "{pid} is still there");
    }
    assert_eq!(site.executed(), ["as-nobody"]);
    let log = std::fs::read_to_string(site.path("log")).unwrap();
    assert!(!log.contains("same_uid"), "{log}");
    check_audit(&site);
}
