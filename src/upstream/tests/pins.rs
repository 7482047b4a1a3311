//! What `pins` accepts by itself, what it leaves to a person, and what is told of it.

use super::bench::{Bench, child, moved, text_of};
use crate::model::pin::{PinChange, PinId, Pinned};
use crate::upstream::*;

fn settings(pins: Pins) -> Vec<Settings> {
    vec![Settings { pins, ..child("mail", &[]) }]
}

fn names(bench: &Bench) -> Vec<String> {
    bench.upstreams.catalogue().tools().iter().map(|tool| tool.wire_name.clone()).collect()
}

async fn report(bench: &Bench, id: &str) -> PinReport {
    let id = PinId::parse(id).unwrap();
    bench.upstreams.pins().await.into_iter().find(|report| report.id == id).unwrap()
}

fn accepting(report: &PinReport) -> Acceptance {
    Acceptance { id: report.id.clone(), offered: report.offered.as_ref().map(|offered| offered.digest) }
}

#[tokio::test]
async fn a55_under_lock_nothing_new_is_listed_until_a_person_accepts_it() {
    let mut bench = Bench::listed(settings(Pins::Lock)).await;
    assert_eq!(names(&bench), [""; 0]);
    assert!(!bench.file("gateway.lock").exists(), "nothing is written that nobody accepted");
    bench.notice(|notice| moved(notice, &[PinChange::New])).await;
    let waiting = bench.upstreams.pin_counts(&bench.settings[0].name).waiting;
    let pins = bench.upstreams.pins().await;
    assert_eq!(pins.len(), waiting);
    assert!(pins.iter().all(|report| report.state == PinState::New && report.accepted.is_none()));
    // Exactly what was accepted is listed and can be called.
    let accepted = [report(&bench, "mail.echo").await, report(&bench, "mail.change").await];
    let acceptances: Vec<_> = accepted.iter().map(accepting).collect();
    bench.upstreams.accept(&acceptances).await.unwrap();
    assert_eq!(names(&bench), ["mail__change", "mail__echo"]);
    assert!(bench.call("mail__echo", "{}").await.is_ok());
    assert!(matches!(
        bench.upstreams.accept(&[Acceptance { offered: None, ..acceptances[0].clone() }]).await,
        Err(AcceptError::Stale(_))
    ));
    // A change of what nobody accepted is told, and changes nothing.
    bench.told();
    assert!(bench.call("mail__change", "{\"generation\":1}").await.is_ok());
    assert_eq!(bench.notice(|notice| moved(notice, &[PinChange::New])).await.to_string(), "mail.changing");
    assert_eq!(names(&bench), ["mail__change", "mail__echo"]);
    // The same holds after a restart.
    let (directory, settings) = (bench.close().await, settings(Pins::Lock));
    let bench = Bench::inside(directory, settings);
    assert_eq!(names(&bench), ["mail__change", "mail__echo"]);
    bench.upstreams.list_ready().await;
    assert_eq!(names(&bench), ["mail__change", "mail__echo"]);
}

#[tokio::test]
async fn a_changed_definition_that_is_trusted_is_taken_at_once_and_stays_on_the_record() {
    let mut bench = Bench::listed(settings(Pins::Trust)).await;
    let before = bench.upstreams.catalogue().find("mail__changing").unwrap().pin.accepted();
    assert!(bench.call("mail__change", "{\"generation\":1}").await.is_ok());
    let taken = bench.notice(|notice| match notice {
        Notice::Pins(moves) => moves.iter().find(|moved| moved.change == PinChange::Taken).cloned(),
        _ => None,
    });
    let taken = taken.await;
    assert_eq!((taken.id.to_string().as_str(), taken.before), ("mail.changing", Some(before)));
    let now = bench.upstreams.catalogue().find("mail__changing").unwrap().pin;
    assert_eq!(Some(now.accepted()), taken.accepted);
    assert_eq!(text_of(&bench.call("mail__changing", "{}").await.unwrap()), "generation 1");
    assert_eq!(bench.upstreams.pins().await, []);
    let lock = std::fs::read_to_string(bench.file("gateway.lock")).unwrap();
    assert!(lock.contains(&now.accepted().to_string()) && !lock.contains(&before.to_string()));
}

#[tokio::test]
async fn where_less_is_asked_for_what_waits_is_accepted_by_the_reload() {
    let bench = Bench::listed(settings(Pins::Lock)).await;
    let mut after = bench.settings.clone();
    after[0].pins = Pins::FirstUse;
    let prepared = bench.upstreams.prepare(after).unwrap();
    bench.upstreams.replace(prepared).await;
    assert!(names(&bench).contains(&"mail__echo".to_owned()));
    assert_eq!(bench.upstreams.pins().await, []);
    assert_eq!(bench.figures("mail").starts, 1, "no new instance");
}

#[test]
fn what_is_pinned_is_told_apart_by_its_kind() {
    let kinds = ["mail.a", "prompt:mail.a", "template:mail:a", "instructions:mail"];
    let kinds = kinds.map(|text| PinId::parse(text).unwrap().pinned);
    assert_eq!(kinds.each_ref().map(Pinned::kind), ["tool", "prompt", "template", "instructions"]);
}
