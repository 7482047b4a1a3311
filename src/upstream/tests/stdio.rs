//! Children that hang, die, flood and lie.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::bench::{Bench, child, text_of};
use crate::model::secret::Secret;
use crate::upstream::process::{Plan, Process};
use crate::upstream::*;

fn quick(mut settings: Settings) -> Settings {
    settings.call_timeout = Duration::from_millis(700);
    settings
}

#[tokio::test]
async fn f01_a_call_that_hangs_ends_by_its_deadline_and_holds_up_nobody() {
    let bench = Bench::listed(vec![quick(child("mail", &[]))]).await;
    let (hanging, echoed) =
        tokio::join!(bench.call("mail__hang", "{}"), bench.call("mail__echo", "{\"a\":1}"));
    let failure = hanging.unwrap_err();
    assert_eq!(failure, Failure::Timeout(Executed::Unknown));
    assert_eq!(text_of(&echoed.unwrap()), "{\"a\": 1}");
    assert!(bench.call("mail__echo", "{}").await.is_ok());
    let ledger = bench.ledger("mail");
    assert_eq!(ledger, ["list", "hang", "echo", "cancelled", "echo"], "told to stop, and never sent again");
    assert_eq!(bench.figures("mail").starts, 1, "a slow tool ends no instance (F48)");
}

#[tokio::test]
async fn f24_a_child_that_dies_fails_its_calls_now_and_is_started_again() {
    let mut bench = Bench::listed(vec![child("mail", &[])]).await;
    let (hanging, dying) = tokio::join!(bench.call("mail__hang", "{}"), bench.call("mail__die", "{}"));
    for outcome in [hanging, dying] {
        let failure = outcome.unwrap_err();
        assert!(
            matches!(&failure, Failure::Closed(why) if why.as_str().contains("exit status: 3")),
            "{failure}"
        );
        assert_eq!(failure.executed(), Executed::Unknown);
    }
    assert!(bench.call("mail__echo", "{}").await.is_ok());
    bench.notice(|notice| matches!(notice, Notice::Exited { .. }).then_some(())).await;
    assert_eq!(bench.figures("mail").starts, 2);
    let calls = bench.ledger("mail").into_iter().filter(|line| line == "die").count();
    assert_eq!(calls, 1, "never sent twice");
}

#[tokio::test]
async fn f24_a_crash_loop_opens_the_breaker_of_the_subject_that_crashes_it_and_of_nobody_else() {
    let mut settings = child("mail", &[]);
    settings.share = Share::Subject;
    let mut bench = Bench::listed(vec![settings]).await;
    for _ in 0..BREAKER_FAILURES_MAX {
        let failure = bench.call_as("user:bad", "mail__die", "{}").await.unwrap_err();
        assert!(matches!(failure, Failure::Closed(_)), "{failure}");
        bench.notice(|notice| matches!(notice, Notice::Exited { .. }).then_some(())).await;
        bench.clock.advance(BACKOFF_MAX / 4);
    }
    let failure = bench.call_as("user:bad", "mail__echo", "{}").await.unwrap_err();
    assert_eq!(failure, Failure::Broken);
    assert_eq!(failure.executed(), Executed::No);
    assert!(bench.call_as("user:good", "mail__echo", "{}").await.is_ok());
    bench.clock.advance(BREAKER_OPEN);
    assert!(bench.call_as("user:bad", "mail__echo", "{}").await.is_ok());
}

#[tokio::test]
async fn f21_f22_f23_f30_noise_changes_no_answer_and_is_counted() {
    let mut bench = Bench::listed(vec![child("mail", &["chatty"])]).await;
    for tool in ["flood_stderr", "garbage", "invalid_utf8", "unknown_ids", "twice", "progress"] {
        let answer = bench.call(&format!("mail__{tool}"), "{\"tag\":7}").await;
        assert_eq!(text_of(&answer.unwrap()), "{\"tag\": 7}", "{tool}");
    }
    assert!(bench.call("mail__echo", "{}").await.is_ok());
    let figures = bench.figures("mail");
    assert_eq!(figures.garbage, 1 + 5 + 1);
    assert_eq!(figures.unmatched_responses, 5 + 1);
    let told = bench.told();
    let lines = told.iter().filter(|notice| matches!(notice, Notice::Stderr { .. })).count();
    assert!(lines <= 60, "{lines} lines of 20,000 were shown");
    let shown = format!("{told:?}");
    assert!(shown.contains("noise 0") && !shown.contains('\u{1b}'));
}

#[tokio::test]
async fn f11_a67_a_line_of_64_mib_is_cut_during_the_read_and_its_call_alone_fails() {
    let bench = Bench::listed(vec![child("mail", &[])]).await;
    assert!(bench.call("mail__big", "{\"bytes\":100000}").await.is_ok());
    let before = peak_kib();
    assert_eq!(bench.call("mail__long_line", "{}").await, Err(Failure::TooLarge));
    assert_eq!(bench.call("mail__big", "{\"bytes\":2000000}").await, Err(Failure::TooLarge));
    assert!(bench.call("mail__echo", "{}").await.is_ok(), "the next line works");
    assert!(peak_kib() - before < 16 * 1024, "memory stays flat");
    assert_eq!(bench.figures("mail").oversize, 2);
    assert_eq!(bench.figures("mail").starts, 1);
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn f26_a_child_that_talks_no_more_is_found_out_and_replaced() {
    for tool in ["mail__block", "mail__stop_reading", "mail__endless_line"] {
        let mut bench = Bench::listed(vec![quick(child("mail", &[]))]).await;
        let failure = bench.call(tool, "{}").await.unwrap_err();
        if tool == "mail__endless_line" {
            assert_eq!(failure, Failure::TooLarge);
            assert_eq!(bench.call("mail__echo", "{}").await, Err(Failure::Timeout(Executed::Unknown)));
        } else {
            assert_eq!(failure, Failure::Timeout(Executed::Unknown), "{tool}");
        }
        let why = bench.notice(exit_of("mail")).await;
        assert_eq!(why.as_str(), "it no longer answered", "{tool}");
        // The start of the next one may take longer than a call may.
        let pool = &bench.upstreams.fleet().pools().next().unwrap().clone();
        drop(pool.acquire(&pool.key_for_listing()).await.unwrap());
        assert!(bench.call("mail__echo", "{}").await.is_ok(), "{tool}");
    }
}

fn exit_of(upstream: &'static str) -> impl FnMut(&Notice) -> Option<Detail> {
    move |notice| match notice {
        Notice::Exited { upstream: name, why } if name.as_str() == upstream => Some(why.clone()),
        _ => None,
    }
}

#[tokio::test]
async fn i12_a_child_that_does_not_read_harms_only_its_own_calls() {
    let bench = Bench::listed(vec![quick(child("bad", &[])), child("good", &[])]).await;
    let big = format!("{{\"pad\":\"{}\"}}", "p".repeat(100_000));
    let stuck = async {
        bench.call("bad__stop_reading", "{}").await.unwrap_err();
    };
    let queued = async {
        // Too long for the pipe: the first is written in part, the second not at all.
        let (one, two) = tokio::join!(bench.call("bad__echo", &big), bench.call("bad__echo", &big));
        let mut executed = [one.unwrap_err().executed(), two.unwrap_err().executed()];
        executed.sort_by_key(|executed| *executed == Executed::No);
        executed
    };
    let good = async {
        for _ in 0..20 {
            assert!(bench.call("good__echo", "{}").await.is_ok());
        }
    };
    let ((), executed, ()) = tokio::join!(stuck, queued, good);
    assert_eq!(executed, [Executed::Unknown, Executed::No]);
}

#[tokio::test]
async fn f31_a_late_answer_reaches_no_other_call() {
    let bench = Bench::listed(vec![child("mail", &[])]).await;
    let (canceller, signal) = cancel();
    let call = bench.call_of("mail__late", "{}");
    let late = bench.deliver(&call, "user:1", signal);
    let cancelling = async {
        // The call is out when the server has answered one that was sent after it.
        assert!(bench.call("mail__echo", "{}").await.is_ok());
        canceller.cancel();
    };
    let (late, ()) = tokio::join!(late, cancelling);
    assert_eq!(late.outcome, Err(Failure::Cancelled(Executed::Unknown)));
    assert_eq!(text_of(&bench.call("mail__echo", "{\"n\":2}").await.unwrap()), "{\"n\": 2}");
    assert_eq!(bench.figures("mail").unmatched_responses, 1);
    assert_eq!(bench.ledger("mail"), ["list", "late", "echo", "cancelled", "echo"]);
}

#[tokio::test]
async fn f14_f32_answers_that_are_none_are_withheld() {
    let bench = Bench::listed(vec![child("mail", &[])]).await;
    for tool in ["empty", "broken", "duplicate_keys", "deep", "null_error"] {
        let failure = bench.call(&format!("mail__{tool}"), "{}").await.unwrap_err();
        assert!(matches!(failure, Failure::Invalid(_)), "{tool}: {failure}");
        assert_eq!(failure.executed(), Executed::Unknown);
    }
    assert_eq!(bench.figures("mail").starts, 1);
}

#[tokio::test]
async fn i7_f48_what_is_answered_is_handed_on_byte_for_byte_errors_too() {
    let bench = Bench::listed(vec![child("mail", &[])]).await;
    let answer = bench.call("mail__number", "{}").await.unwrap();
    let bytes = &b"{\"content\":[],\"n\":12345678901234567890.10,\"x\":\"\\u00e9\"}"[..];
    assert_eq!(
        answer,
        Answer { kind: AnswerKind::Result, raw: bytes.into(), rest: crate::spool::Rest::default() }
    );
    assert!(bench.call("mail__tool_error", "{}").await.is_ok());
    let error = bench.call("mail__rpc_error", "{}").await.unwrap();
    assert_eq!(
        (error.kind, error.raw.as_ref()),
        (AnswerKind::Error, &b"{\"code\": -32050, \"message\": \"no\"}"[..])
    );
    assert_eq!(bench.figures("mail").starts, 1, "a failed tool is no failed upstream");
}

#[tokio::test]
async fn i7_newlines_between_tokens_do_not_break_the_framing() {
    let bench = Bench::listed(vec![child("mail", &[])]).await;
    let answer = bench.call("mail__echo", "{\r\n \"a\": \"x\\ny\",\n\"b\":[\n1]\n}").await.unwrap();
    assert_eq!(text_of(&answer), "{\"a\": \"x\\ny\", \"b\": [1]}");
}

#[tokio::test]
async fn requests_of_an_upstream_are_refused_and_told_but_ping_is_answered() {
    let mut bench = Bench::listed(vec![child("mail", &[])]).await;
    bench.told();
    let replies = text_of(&bench.call("mail__ask", "{}").await.unwrap());
    let replies: Vec<serde_json::Value> = serde_json::from_str(&replies).unwrap();
    for (n, reply) in replies.iter().enumerate() {
        assert_eq!(reply["id"], format!("ask{n}"));
        assert_eq!(reply["error"]["code"], -32601);
    }
    let refused = bench.told().into_iter().filter_map(|notice| match notice {
        Notice::RequestRefused { method, .. } => Some(method.as_str().to_owned()),
        _ => None,
    });
    let expected = ["sampling/createMessage", "elicitation/create", "roots/list", "x/y"];
    assert_eq!(refused.collect::<Vec<_>>(), expected);
    // A request of theirs under the number of one of ours ends nothing (F34).
    let replies = text_of(&bench.call("mail__ping_me", "{}").await.unwrap());
    assert!(replies.contains("\"result\": {}"), "{replies}");
}

#[tokio::test]
async fn i9_progress_goes_to_its_call_and_a_client_that_does_not_read_loses_it() {
    let bench = Bench::listed(vec![child("mail", &[])]).await;
    let call = bench.call_of("mail__progress", "{}");
    let told = bench.deliver(&call, "user:1", CancelSignal::never()).await;
    assert!(told.outcome.is_ok());
    let messages: Vec<serde_json::Value> =
        told.progress.iter().map(|raw| serde_json::from_slice(raw).unwrap()).collect();
    assert_eq!(
        messages.iter().map(|params| params["message"].as_str().unwrap()).collect::<Vec<_>>(),
        ["m0", "m1", "m2"]
    );
    assert_ne!(messages[0]["progressToken"], "client", "the token of one client never meets another's");
    let call = bench.call_of("mail__progress_flood", "{}");
    let told = bench.deliver(&call, "user:1", CancelSignal::never()).await;
    assert!(told.outcome.is_ok());
    assert_eq!(told.progress.len(), 8);
    assert_eq!(bench.figures("mail").progress_dropped, 5000 - 8);
}

#[tokio::test]
async fn i10_a_child_gets_five_variables_and_what_is_configured() {
    let bench = Bench::new(vec![]);
    let (notices, _) = tokio::sync::mpsc::channel(NOTICES_MAX);
    let leftovers = Leftovers::reap(bench.directory.path(), &Notices::new(notices)).unwrap();
    let env = BTreeMap::from([("MAIL_TOKEN".to_owned(), Secret::new("s3cret".to_owned()))]);
    let plan = Plan { command: &["env".to_owned(), "-0".to_owned()], env: &env, cwd: None, user: None };
    let (process, mut pipes) = Process::spawn(plan, &leftovers).unwrap();
    let mut text = String::new();
    pipes.stdout.read_to_string(&mut text).await.unwrap();
    process.end().await;
    let found: BTreeMap<_, _> = text.split_terminator('\0').filter_map(|line| line.split_once('=')).collect();
    let allowed = ["PATH", "HOME", "LANG", "TMPDIR", "USER", "MAIL_TOKEN"];
    let strangers: Vec<_> = found.keys().filter(|name| !allowed.contains(name)).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    assert_eq!(found["MAIL_TOKEN"], "s3cret");
    assert!(!format!("{env:?}").contains("s3cret"));
}
