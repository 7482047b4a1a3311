//! Tool servers under a uid of their own. As root they are started so; as anybody else the system refuses
//! it, and nothing may have been started instead.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use super::bench::gone;
use crate::upstream::Account;
use crate::upstream::notice::{NOTICES_MAX, Notice, Notices};
use crate::upstream::process::{Leftovers, Pipes, Plan, Process};

struct Place {
    state: tempfile::TempDir,
    leftovers: Leftovers,
    notices: mpsc::Receiver<Notice>,
}

impl Place {
    fn new() -> Self {
        Self::inside(tempfile::tempdir().unwrap())
    }

    fn inside(state: tempfile::TempDir) -> Self {
        // As the gateway makes its state directory.
        std::fs::set_permissions(state.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let (sender, notices) = mpsc::channel(NOTICES_MAX);
        let leftovers = Leftovers::reap(state.path(), &Notices::new(sender)).unwrap();
        Self { state, leftovers, notices }
    }

    /// Starts a shell as the user `nobody`; `None` where this process may not, having seen that it said so.
    fn shell(&self, script: &str) -> Option<(Process, Pipes)> {
        let home = "/nonexistent".into();
        let user = Account { name: "nobody".to_owned(), uid: 65534, gid: 65534, home };
        let command = ["sh", "-c", script].map(str::to_owned);
        let env = BTreeMap::new();
        let plan = Plan { command: &command, env: &env, cwd: Some(Path::new("/")), user: Some(&user) };
        match Process::spawn(plan, &self.leftovers) {
            Ok(started) => Some(started),
            Err(error) => {
                assert_ne!(rustix::process::geteuid().as_raw(), 0, "{error}");
                assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
                None
            }
        }
    }
}

async fn line(pipes: &mut Pipes) -> String {
    let mut line = String::new();
    while !line.ends_with('\n') {
        line.push(char::from(pipes.stdout.read_u8().await.unwrap()));
    }
    line.trim_end().to_owned()
}

#[tokio::test]
async fn a_tool_server_has_the_uid_and_the_group_of_its_user_and_nothing_of_ours() {
    let place = Place::new();
    let secret = place.state.path().join("secret");
    std::fs::write(&secret, "s3cret").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    let script = format!(
        "id -u; id -g; id -G; echo $HOME $USER ${{TMPDIR-none}}; cat {} 2>/dev/null || echo shut",
        secret.display()
    );
    let Some((process, mut pipes)) = place.shell(&script) else { return };
    let mut text = String::new();
    pipes.stdout.read_to_string(&mut text).await.unwrap();
    process.end().await;
    // Also a file that everybody may read is out of reach inside a folder that is ours alone.
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        ["65534", "65534", "65534", "/nonexistent nobody none", "shut"]
    );
}

/// Says that this process is the second one, which has groups.
const IN_GROUPS: &str = "SLUICEGATE_TEST_IN_GROUPS";

#[tokio::test]
async fn the_groups_of_the_gateway_do_not_go_over_to_a_tool_server() {
    if std::env::var_os(IN_GROUPS).is_none() {
        // Once more, as a process that is in two groups.
        let name = "upstream::tests::user::the_groups_of_the_gateway_do_not_go_over_to_a_tool_server";
        let mut again = std::process::Command::new("setpriv");
        if rustix::process::geteuid().is_root() {
            again.args(["--groups", "20,27"]);
        }
        again.arg(std::env::current_exe().unwrap()).args(["--exact", name]).env(IN_GROUPS, "yes");
        let output = again.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let Some((process, mut pipes)) = Place::new().shell("grep Groups: /proc/self/status") else { return };
    assert!(own.contains("Groups:\t20 27"), "{own}");
    let groups = line(&mut pipes).await;
    process.end().await;
    assert_eq!(groups.split_whitespace().collect::<Vec<_>>(), ["Groups:"]);
}

#[tokio::test]
async fn a_group_of_another_uid_that_does_not_want_to_go_is_ended() {
    let place = Place::new();
    let stubborn = "trap '' TERM; (trap '' TERM; exec sleep 1000) & echo $$ $!; wait; sleep 1000";
    let Some((process, mut pipes)) = place.shell(stubborn) else { return };
    let pids = line(&mut pipes).await;
    drop(pipes);
    process.end().await;
    for pid in pids.split(' ') {
        gone(pid.parse().unwrap()).await;
    }
}

#[tokio::test]
async fn what_a_killed_gateway_left_under_another_uid_is_ended_by_the_next() {
    let place = Place::new();
    let Some((process, mut pipes)) = place.shell("echo $$; exec sleep 1000") else { return };
    let leader: i32 = line(&mut pipes).await.parse().unwrap();
    // As a kill does: nothing of the first gateway runs any more, not even what would forget the child.
    std::mem::forget(process);
    let mut next = Place::inside(place.state);
    assert_eq!(next.notices.try_recv().unwrap(), Notice::LeftoverKilled { pid: leader });
}
