//! What is listed, accepted, changed, gone, and what never gets there.

use std::time::Duration;

use super::bench::{Bench, child, moved, text_of};
use crate::model::call::{Call, Pin};
use crate::model::name::ToolId;
use crate::model::pin::{PinChange, PinId};
use crate::upstream::*;

fn names(bench: &Bench) -> Vec<String> {
    bench.upstreams.catalogue().tools().iter().map(|tool| tool.wire_name.clone()).collect()
}

fn pin_of(bench: &Bench, wire_name: &str) -> Pin {
    bench.upstreams.catalogue().find(wire_name).unwrap().pin
}

fn pin_id(call: &Call) -> PinId {
    PinId::of_tool(call.target.tool().unwrap().clone())
}

fn listed(bench: &Bench, wire_name: &str) -> String {
    String::from_utf8(bench.upstreams.catalogue().find(wire_name).unwrap().listed.to_vec()).unwrap()
}

fn quarantined(bench: &mut Bench) -> Vec<(String, Quarantine)> {
    let told = bench.told().into_iter();
    let mut found: Vec<_> = told
        .filter_map(|notice| match notice {
            Notice::Quarantined { name, why, .. } => Some((name.as_str().to_owned(), why)),
            _ => None,
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

async fn changed(bench: &mut Bench) -> ToolId {
    bench.notice(|notice| moved(notice, &[PinChange::Changed, PinChange::Restored])).await
}

#[tokio::test]
async fn the_last_accepted_catalogue_is_served_until_an_upstream_is_up() {
    let settings = vec![child("mail", &[])];
    let bench = Bench::listed(settings.clone()).await;
    let (before, definition) = (names(&bench), listed(&bench, "mail__echo"));
    assert!(definition.starts_with("{\"name\":\"mail__echo\",\"description\":"), "{definition}");
    let directory = bench.close().await;
    let lock = std::fs::read_to_string(directory.path().join("gateway.lock")).unwrap();
    assert!(
        lock.contains("\"mail\": {\n      \"tools\": {\n        \"ask\": {\n          \"digest\": \""),
        "{lock}"
    );
    let bench = Bench::inside(directory, settings);
    assert_eq!(names(&bench), before);
    assert_eq!(listed(&bench, "mail__echo"), definition, "the same bytes");
    assert_eq!(bench.figures("mail").starts, 0);
    assert!(bench.call("mail__echo", "{}").await.is_ok(), "a call starts it");
    assert_eq!(std::fs::read_to_string(bench.file("gateway.lock")).unwrap(), lock, "nothing changed");
}

#[tokio::test]
async fn a56_a_changed_definition_is_refused_until_accepted_and_changing_back_mends_it() {
    let mut bench = Bench::listed(vec![child("mail", &[])]).await;
    let call = bench.call_of("mail__changing", "{}");
    let (accepted, definition) = (pin_of(&bench, "mail__changing"), listed(&bench, "mail__changing"));
    assert!(bench.call("mail__change", "{\"generation\":1}").await.is_ok());
    assert_eq!(Some(&changed(&mut bench).await), call.target.tool());
    assert!(
        matches!(pin_of(&bench, "mail__changing"), Pin::Changed { accepted: still, .. } if still == accepted.accepted())
    );
    assert_eq!(listed(&bench, "mail__changing"), definition, "listed as it was accepted");
    // What was decided before the change is not sent after it (A29).
    let told = bench.deliver(&call, "user:1", CancelSignal::never()).await;
    assert_eq!(told.outcome, Err(Failure::PinChanged));
    assert!(bench.call("mail__echo", "{}").await.is_ok(), "other tools are not concerned");
    assert!(bench.call("mail__change", "{\"generation\":0}").await.is_ok());
    changed(&mut bench).await;
    assert_eq!(pin_of(&bench, "mail__changing"), accepted);
    assert!(bench.deliver(&call, "user:1", CancelSignal::never()).await.outcome.is_ok());
    // Accepting what was shown; what was shown is what is accepted.
    assert!(bench.call("mail__change", "{\"generation\":2}").await.is_ok());
    changed(&mut bench).await;
    let pins = bench.upstreams.pins().await;
    let offered = pins[0].offered.clone().unwrap();
    assert!(String::from_utf8_lossy(&offered.raw).contains("generation 2"));
    assert_eq!((pins[0].state, offered.revision), (PinState::Changed, Some(Revision::V2025_11_25)));
    let stale = Acceptance { id: pin_id(&call), offered: Some(accepted.accepted()) };
    assert!(matches!(bench.upstreams.accept(&[stale]).await, Err(AcceptError::Stale(_))));
    let shown = Acceptance { id: pin_id(&call), offered: Some(offered.digest) };
    bench.upstreams.accept(&[shown]).await.unwrap();
    assert_eq!(pin_of(&bench, "mail__changing"), Pin::Accepted(offered.digest));
    assert_eq!(bench.upstreams.pins().await, []);
    assert_eq!(text_of(&bench.call("mail__changing", "{}").await.unwrap()), "generation 2");
    let ledger = bench.ledger("mail").into_iter().filter(|line| line == "changing").count();
    assert_eq!(ledger, 2, "nothing that was refused was executed");
}

#[tokio::test]
async fn a29_a_definition_that_changed_while_nobody_looked_is_refused_by_the_first_call() {
    let settings = vec![child("mail", &[])];
    let directory = Bench::listed(settings.clone()).await.close().await;
    std::fs::write(directory.path().join("mail.GENERATION"), "7").unwrap();
    let bench = Bench::inside(directory, settings);
    assert!(matches!(pin_of(&bench, "mail__changing"), Pin::Accepted(_)));
    let failure = bench.call("mail__changing", "{}").await.unwrap_err();
    assert_eq!((&failure, failure.executed()), (&Failure::PinChanged, Executed::No));
    assert!(!bench.ledger("mail").contains(&"changing".to_owned()));
    assert!(matches!(pin_of(&bench, "mail__changing"), Pin::Changed { .. }));
}

#[tokio::test]
async fn f42_ten_thousand_announcements_are_one_or_two_refreshes() {
    let mut bench = Bench::listed(vec![child("mail", &[])]).await;
    assert!(bench.call("mail__storm", "{\"generation\":5}").await.is_ok());
    changed(&mut bench).await;
    assert!(bench.call("mail__echo", "{}").await.is_ok());
    let figures = bench.figures("mail");
    assert_eq!(figures.list_changes, 10_000);
    assert!(figures.refreshes <= 2, "{figures:?}");
}

#[tokio::test]
async fn f43_a_tool_that_vanished_is_not_listed_and_not_called() {
    let mut bench = Bench::listed(vec![child("mail", &["vanish"])]).await;
    let call = bench.call_of("mail__changing", "{}");
    bench.told();
    assert!(bench.call("mail__change", "{}").await.is_ok());
    bench.notice(|notice| matches!(notice, Notice::ToolsChanged { .. }).then_some(())).await;
    assert!(bench.upstreams.catalogue().find("mail__changing").is_none());
    let told = bench.deliver(&call, "user:1", CancelSignal::never()).await;
    assert_eq!(told.outcome, Err(Failure::Vanished));
    let pins = bench.upstreams.pins().await;
    assert_eq!((&pins[0].id, pins[0].state, &pins[0].offered), (&pin_id(&call), PinState::Gone, &None));
    let lock = std::fs::read_to_string(bench.file("gateway.lock")).unwrap();
    assert!(lock.contains("\"changing\": {"), "it stays accepted");
    bench.upstreams.accept(&[Acceptance { id: pin_id(&call), offered: None }]).await.unwrap();
    assert_eq!(bench.upstreams.pins().await, []);
}

#[tokio::test]
async fn f37_f38_lists_end_whatever_their_cursors_say_and_all_pages_are_read() {
    let whole = names(&Bench::listed(vec![child("mail", &[])]).await);
    for behaviour in ["cursor_loop", "cursor_forever", "cursor_empty", "pages"] {
        let bench = Bench::listed(vec![child("mail", &[behaviour])]).await;
        assert_eq!(names(&bench), whole, "{behaviour}");
        let pages = bench.ledger("mail").len();
        assert!(pages <= PAGES_MAX, "{behaviour}: {pages} pages");
    }
}

#[tokio::test]
async fn a59_what_cannot_be_listed_is_quarantined_and_the_rest_is_served() {
    let mut bench = Bench::listed(vec![child("mail", &["illegal_names"])]).await;
    assert!(bench.call("mail__echo", "{}").await.is_ok());
    let found = quarantined(&mut bench);
    let long = found.iter().find(|(name, _)| name.starts_with("xxx")).unwrap();
    assert_eq!(long.1, Quarantine::IllegalName);
    for (name, why) in [
        ("verify_\u{441}ser", Quarantine::IllegalName),
        ("a b", Quarantine::IllegalName),
        ("\\u{1b}[2J", Quarantine::IllegalName),
        ("\u{ff45}cho", Quarantine::IllegalName),
        ("", Quarantine::IllegalName),
        ("same", Quarantine::Duplicate),
        ("long", Quarantine::DefinitionTooLong),
    ] {
        assert!(found.contains(&(name.to_owned(), why)), "{name:?} is not in {found:?}");
    }
    assert!(names(&bench).iter().all(|name| !name.contains("same") && !name.contains("xxx")));
}

#[tokio::test]
async fn a57_a58_no_bare_name_can_be_taken_for_another_upstreams_tool() {
    let mut bare = child("bare", &["shadow"]);
    bare.prefix = Prefix::Bare;
    let mut also_bare = child("other", &["many"]);
    also_bare.prefix = Prefix::Bare;
    let mut bench = Bench::listed(vec![bare]).await;
    let found = quarantined(&mut bench);
    assert_eq!(found, [("sluicegate__submit_plan".to_owned(), Quarantine::Collision)]);
    assert!(bench.upstreams.catalogue().find("fine__name").is_some());
    let mut settings = bench.settings.clone();
    settings.push(also_bare);
    let directory = bench.close().await;
    let mut bench = Bench::inside(directory, settings);
    bench.upstreams.list_ready().await;
    assert!(bench.call("echo", "{}").await.is_ok());
    let catalogue = bench.upstreams.catalogue();
    assert_eq!(
        catalogue.find("echo").unwrap().id.upstream.as_str(),
        "bare",
        "the accepted one keeps its name"
    );
    assert!(catalogue.find("t1").is_some());
    let found = quarantined(&mut bench);
    assert!(found.contains(&("echo".to_owned(), Quarantine::Collision)), "{found:?}");
    assert!(found.iter().any(|(_, why)| *why == Quarantine::TooMany));
    // `other` is configured now, so its prefix is its own.
    assert!(found.contains(&("other__send".to_owned(), Quarantine::Collision)), "{found:?}");
}

#[tokio::test]
async fn a57_what_was_accepted_under_a_prefix_is_not_listed_bare_as_a_tool_of_the_gateway() {
    let mut shadow = child("mail", &["shadow"]);
    let bench = Bench::listed(vec![shadow.clone()]).await;
    let own = "sluicegate__submit_plan";
    assert!(bench.upstreams.catalogue().find(&format!("mail__{own}")).is_some());
    let lock = bench.file("gateway.lock");
    shadow.prefix = Prefix::Bare;
    let catalogue = accepted(&[shadow], &lock).unwrap();
    assert!(catalogue.find("echo").is_some());
    assert!(catalogue.find(own).is_none());
    for name in ["sluicegate__x", "Sluicegate__x", "sluicegate___x"] {
        assert!(is_own_name(name), "{name}");
    }
    for name in ["sluicegate", "mail__sluicegate__x", "sluicegate_x", "sluicegates__x"] {
        assert!(!is_own_name(name), "{name}");
    }
}

#[tokio::test]
async fn a65_annotations_raise_no_trust() {
    let bench = Bench::listed(vec![child("mail", &["annotated"])]).await;
    let catalogue = bench.upstreams.catalogue();
    let (one, other) = (catalogue.find("mail__delete_all").unwrap(), catalogue.find("mail__echo").unwrap());
    assert_eq!((&one.returns, one.stores), (&other.returns, other.stores));
    assert!(listed(&bench, "mail__delete_all").contains("\"readOnlyHint\":true"), "shown as it was written");
}

#[tokio::test]
async fn f16_a_list_waits_once_and_briefly_for_an_upstream_that_was_never_seen() {
    let mut mute = child("mute", &["mute"]);
    mute.list_wait = Duration::from_millis(200);
    let mut bench = Bench::listed(vec![mute, child("mail", &[])]).await;
    assert!(names(&bench).iter().all(|name| name.starts_with("mail__")) && !names(&bench).is_empty());
    let waited = bench.notice(|notice| match notice {
        Notice::ListWaitExceeded { upstream } => Some(upstream.to_string()),
        _ => None,
    });
    assert_eq!(waited.await, "mute");
    bench.clock.advance(Duration::from_millis(200));
    // Its start still goes on; nobody waits for it again.
    for _ in 0..50 {
        bench.upstreams.list_ready().await;
    }
    assert_eq!(bench.figures("mute").start_failures, 0);
    assert!(bench.call("mail__echo", "{}").await.is_ok());
}

#[tokio::test]
async fn nothing_is_accepted_that_could_not_be_written() {
    let bench = Bench::new(vec![child("mail", &[])]);
    std::fs::create_dir(bench.file("gateway.lock")).unwrap();
    let mut bench = bench;
    bench.upstreams.list_ready().await;
    assert_eq!(names(&bench), [""; 0]);
    bench.notice(|notice| matches!(notice, Notice::LockUnwritable { .. }).then_some(())).await;
}
