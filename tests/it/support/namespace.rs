//! Tests that need root, for whoever is not: the same test once more in a user namespace, where they are.

use std::process::Command;

/// Whether this process is root, if need be of a namespace that it is in by now.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs `test` of this binary as root of a user namespace that knows the other users too.
pub fn as_root(test: &str) {
    let status = Command::new("unshare")
        .args(["--user", "--map-auto", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .status();
    let help = "this test needs root, or a user namespace with many users (Debian: apt-get install uidmap)";
    assert!(status.is_ok_and(|status| status.success()), "{help}");
}
