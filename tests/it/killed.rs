//! `kill -9` between any two file operations of the journal, of its keys and of the sinks, with two sinks attached: what
//! clients saw, what the upstream executed, what the journal says and what the sinks have agree, each time.
//!
//! CI kills before what the journal itself does in each of these, as often as takes seconds;
//! `SLUICEGATE_KILLS=1000 cargo nextest run --profile long killed:: crash::` kills before every operation until a life
//! comes through.

use std::os::unix::process::ExitStatusExt as _;

use crate::support::audit::{check_signed, of_kind, segments};
use crate::support::load::{Answers, Load, Seen, answers, check_answers, kills};
use crate::support::receiver::{Receiver, status};
use crate::support::sink::{assert_whole, two_sinks};
use crate::support::tracer::{Point, Threads, Tracer, start_killed, start_noted};
use crate::support::{Site, check_audit};

/// What the journal does with files.
const OF_THE_JOURNAL: &[&str] =
    &["mkdir", "unlinkat", "fallocate", "pwrite64", "fdatasync", "renameat", "fsync", "ftruncate", "fchmod"];
/// What those do as well that make keys and keep places.
const OF_OTHERS: &[&str] = &["openat", "write", "rename"];
/// Files whose opening and writing is met, among all that a process opens and writes.
const FILES: &[&str] = &[
    "state/journal",
    "state/journal/standby",
    "state/audit-key",
    "state/audit-key.new",
    "state/audit-key.before.new",
    "state/audit-key.pub.new",
    "state/sinks/file.json",
    "state/sinks/file.json.new",
    "out.jsonl",
];
/// What a life without a new segment does.
const SHORT: Load = Load { clients: 4, calls: 6, padding: 0 };
/// What fills a segment.
const LONG: Load = Load { clients: 8, calls: 9, padding: 60 * 1024 };
/// More operations of one kind than any life here has: whoever comes here was not met by the tracer.
const LIVES_MAX: usize = 10_000;

/// A gateway with two sinks, over all its lives.
struct House {
    site: Site,
    receiver: Receiver,
    answers: Answers,
    lives: usize,
}

impl House {
    async fn new() -> Self {
        let receiver = Receiver::start(|_, _| status(200)).await;
        let site = two_sinks(&receiver.url);
        site.edit(|config| {
            let whole = "call_timeout = \"5s\"\ntools = [{ tool = \"read\", audit = { whole = \"64KiB\" } }]";
            config.replacen("call_timeout = \"5s\"", whole, 1)
        });
        Self { site, receiver, answers: Answers::new(), lives: 0 }
    }

    /// One life that ends before `point`, or with a stop where it never comes there. Gives whether it was killed.
    async fn life(&mut self, load: Load, threads: Threads, point: &Point<'_>) -> bool {
        self.lives += 1;
        let gateway = self.site.start();
        let callers = load.sessions(&gateway).await;
        let tracer = Tracer::kill(&self.site, &gateway, threads, point);
        let clients = callers.call(&format!("life-{}", self.lives), &Seen::default());
        self.answers.extend(answers(clients).await);
        let ended = gateway.stop();
        drop(tracer);
        is_kill(ended)
    }

    /// One life that gets another audit key and ends before `point`, and a whole one: the key before vouches for both.
    async fn new_key(&mut self, point: &Point<'_>) -> bool {
        self.lives += 1;
        let gateway = self.site.start();
        let before = std::fs::read_to_string(self.site.path("state/audit-key.pub")).unwrap();
        let callers = SHORT.sessions(&gateway).await;
        let tracer = Tracer::kill(&self.site, &gateway, Threads::Journal, point);
        // Whether that is answered is for the kill to say.
        let (_code, _out, _err) = self.site.run(&["audit", "rotate-key"]);
        let clients = callers.call(&format!("life-{}", self.lives), &Seen::default());
        self.answers.extend(answers(clients).await);
        let ended = gateway.stop();
        drop(tracer);
        assert!(self.site.start().stop().success());
        let (code, out, err) = self.site.run(&["audit", "verify", "--key", before.trim_end()]);
        assert_eq!(code, 0, "{point:?}: {out}{err}");
        is_kill(ended)
    }

    /// The gateway starts again, goes, stops, and everything agrees.
    async fn agrees(mut self) {
        self.lives += 1;
        let gateway = self.site.start();
        let callers = Load { clients: 1, calls: 2, padding: 0 }.sessions(&gateway).await;
        let clients = callers.call(&format!("life-{}", self.lives), &Seen::default());
        self.answers.extend(answers(clients).await);
        assert!(gateway.stop().success());
        check_audit(&self.site);
        check_signed(&self.site);
        check_answers(&self.site, &self.answers);
        let text = std::fs::read_to_string(self.site.path("out.jsonl")).unwrap();
        assert!(text.ends_with('\n'));
        assert_whole(&self.site, &text.lines().map(str::to_owned).collect::<Vec<_>>(), &[]);
        assert_whole(&self.site, &self.receiver.taken(), &[]);
    }
}

#[track_caller]
fn is_kill(ended: std::process::ExitStatus) -> bool {
    assert!(ended.success() || ended.signal() == Some(9), "{ended}");
    !ended.success()
}

/// Kills of one kind at most, where not all were asked for.
fn most(few: usize) -> usize {
    if kills().is_some() { LIVES_MAX } else { few }
}

fn operations() -> impl Iterator<Item = &'static str> {
    let others = if kills().is_some() { OF_OTHERS } else { &[] };
    OF_THE_JOURNAL.iter().chain(others).copied()
}

fn point(syscall: &str, when: usize) -> Point<'_> {
    let is_everywhere = matches!(syscall, "openat" | "write");
    Point { syscall, when, paths: if is_everywhere { FILES } else { &[] } }
}

/// A start that ends before `point`, or comes to listen and is stopped. Gives whether it was killed.
fn start(site: &Site, point: &Point<'_>) -> bool {
    match start_killed(site, point) {
        Err(said) => {
            assert!(said.contains("SIGKILL"), "{point:?}: {said}");
            true
        }
        Ok(gateway) => is_kill(gateway.stop()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f55_a_first_start_that_is_killed_before_any_of_its_file_operations_is_followed_by_a_sound_one() {
    let mut met = Vec::new();
    for operation in operations() {
        for when in 1..=most(2) {
            let house = House::new().await;
            if !start(&house.site, &point(operation, when)) {
                break;
            }
            met.push(operation);
            house.agrees().await;
        }
    }
    for operation in ["mkdir", "unlinkat", "fallocate", "pwrite64", "fdatasync", "renameat", "fsync"] {
        assert!(met.contains(&operation), "never killed before {operation}");
    }
}

#[tokio::test]
async fn f55_the_folders_of_a_journal_are_durable_before_it_takes_a_call() {
    let site = Site::with_oracle("");
    let noted = site.path("noted");
    assert!(start_noted(&site, "mkdir,fsync", &noted).stop().success());
    let noted = std::fs::read_to_string(noted).unwrap();
    let home = site.path("gateway.toml").parent().unwrap().display().to_string();
    for (folder, parent) in [("state", String::new()), ("state/journal", "/state".to_owned())] {
        let made = format!("{folder}\", 0700)");
        let behind = noted.split_once(&made).unwrap_or_else(|| panic!("{folder} is not made: {noted}")).1;
        let next = behind.lines().find(|line| line.contains("fsync(")).unwrap();
        assert!(next.contains(&format!("<{home}{parent}>")), "{folder}: {next}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f55_a_later_start_that_is_killed_before_any_of_its_file_operations_loses_nothing() {
    let mut house = House::new().await;
    let never = Point { syscall: "ftruncate", when: LIVES_MAX, paths: &[] };
    assert!(!house.life(SHORT, Threads::Journal, &never).await);
    let mut met = Vec::new();
    for operation in operations() {
        let mut when = 1;
        while start(&house.site, &point(operation, when)) {
            met.push(operation);
            when += 1;
        }
    }
    for operation in
        ["unlinkat", "fallocate", "pwrite64", "fdatasync", "renameat", "fsync", "ftruncate", "fchmod"]
    {
        assert!(met.contains(&operation), "never killed before {operation}");
    }
    house.agrees().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f55_a_kill_before_any_write_or_sync_of_calls_loses_nothing_that_was_answered() {
    for operation in ["pwrite64", "fdatasync"] {
        let mut house = House::new().await;
        let mut killed = 0;
        for when in 1..=most(5) {
            if !house.life(SHORT, Threads::Journal, &point(operation, when)).await {
                break;
            }
            killed += 1;
        }
        assert!(killed >= 5, "killed {killed} times before {operation}");
        house.agrees().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f55_a_kill_before_any_operation_of_a_new_segment_loses_nothing_that_was_answered() {
    let standby = &["state/journal/standby"];
    let head = |syscall| Point { syscall, when: 1, paths: standby };
    let begin = ["renameat", "fsync", "ftruncate", "fallocate"].map(|call| point(call, 1));
    // Space is given back, and then reserved for the next.
    let last = [point("fchmod", 1), point("openat", 1), point("fallocate", 2)];
    let rest = [head("pwrite64"), head("fdatasync")].into_iter().chain(last);
    let mut house = House::new().await;
    for point in begin.into_iter().chain(rest).take(most(begin.len())) {
        assert!(house.life(LONG, Threads::Journal, &point).await, "never killed before {point:?}");
    }
    house.agrees().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f66_a_kill_before_any_operation_of_a_sink_duplicates_nothing_but_the_same_record() {
    for operation in ["openat", "write", "fdatasync", "rename"] {
        let mut house = House::new().await;
        let mut killed = 0;
        for when in 1..=most(2) {
            let point =
                Point { syscall: operation, when, paths: &["out.jsonl", "state/sinks/file.json.new"] };
            if !house.life(SHORT, Threads::All, &point).await {
                break;
            }
            killed += 1;
        }
        assert!(killed > 0, "never killed before {operation}");
        house.agrees().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f55_a_kill_before_any_operation_of_a_new_audit_key_leaves_one_that_the_old_one_vouches_for() {
    let mut house = House::new().await;
    for operation in
        ["rename", "fsync", "pwrite64"].into_iter().chain(operations().filter(|_| kills().is_some()))
    {
        let mut killed = 0;
        for when in 1..=most(3) {
            if !house.new_key(&point(operation, when)).await {
                break;
            }
            killed += 1;
        }
        assert!(killed > 0 || kills().is_some(), "never killed before {operation}");
    }
    house.agrees().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f67_a_new_segment_and_reloads_under_load_lose_nothing() {
    let mut house = House::new().await;
    let gateway = house.site.start();
    let seen = Seen::default();
    let clients = LONG.sessions(&gateway).await.call("reloaded", &seen);
    for answered in [5, 25, 45] {
        seen.subscribe().wait_for(|seen| *seen >= answered).await.unwrap();
        house.site.edit(|config| {
            config.replacen("ask = [\"tools.write\"", "ask = [\"tools.write\", \"tools.exit\"", 1)
        });
        gateway.signal(rustix::process::Signal::HUP);
    }
    house.answers.extend(answers(clients).await);
    assert!(gateway.stop().success());
    assert_eq!(house.answers.len(), LONG.clients * LONG.calls, "every call was answered");
    assert!(segments(&house.site).len() > 1 && !of_kind(&house.site, "reload").is_empty());
    house.agrees().await;
}
