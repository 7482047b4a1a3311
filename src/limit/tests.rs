//! Tests of admission.

mod budgets;
mod property;

use std::collections::BTreeSet;

use super::*;
use crate::model::principal::{
    Label, RUN_IDLE_DEFAULT, RUN_MAX_DEFAULT, RunRule, RunScope, TOKEN_TTL_MAX_DEFAULT,
};
use crate::model::provenance::Provenance;

fn principal(entry_point: &str, subject: &str) -> Principal {
    Principal::configured(
        Label {
            entry_point: EntryPointName::new(entry_point).unwrap(),
            subject: Subject::new(subject).unwrap(),
            roles: BTreeSet::new(),
            agents: Vec::new(),
            sources: Provenance::default(),
        },
        RunRule {
            scope: RunScope::Subject,
            idle: RUN_IDLE_DEFAULT,
            max: RUN_MAX_DEFAULT,
            token_ttl_max: TOKEN_TTL_MAX_DEFAULT,
        },
    )
}

fn gate(in_flight_max: usize, per_principal: usize, per_upstream: usize) -> Gate {
    let settings = Settings {
        in_flight_max,
        in_flight_per_principal_max: per_principal,
        in_flight_per_upstream_max: [(upstream("mail"), per_upstream), (upstream("web"), per_upstream)]
            .into(),
        ..Settings::default()
    };
    Gate::new(settings, Ledger::default())
}

fn upstream(name: &str) -> UpstreamName {
    UpstreamName::new(name).unwrap()
}

fn admit(gate: &Gate, who: &Principal, to: &str) -> Result<Admission<&'static str>, Reason> {
    let (target, sources) = (Target::Completion(upstream(to)), Provenance::default());
    let keys = Keys { who: Who { principal: who, run: None, sources: &sources }, target: &target };
    gate.admit("call", keys, 1, Timestamp::UNIX_EPOCH).map_err(|(call, refused)| {
        assert_eq!(call, "call", "a refused call is handed back");
        assert_eq!(refused.spent, None, "no budget says so");
        refused.reason
    })
}

#[test]
fn each_limit_refuses_with_its_own_reason() {
    let (ann, bob) = (principal("keys.a", "user:ann"), principal("keys.a", "user:bob"));
    let full = gate(1, 9, 9);
    let _kept = admit(&full, &ann, "mail").unwrap();
    assert_eq!(admit(&full, &bob, "web").unwrap_err(), Reason::GatewayBusy);

    let full = gate(9, 1, 9);
    let _kept = admit(&full, &ann, "mail").unwrap();
    assert_eq!(admit(&full, &ann, "web").unwrap_err(), Reason::PrincipalBusy);
    assert!(admit(&full, &bob, "mail").is_ok(), "another subject has room");
    assert!(admit(&full, &principal("keys.b", "user:ann"), "mail").is_ok(), "another entry point has room");

    let full = gate(9, 9, 1);
    let _kept = admit(&full, &ann, "mail").unwrap();
    assert_eq!(admit(&full, &bob, "mail").unwrap_err(), Reason::UpstreamBusy);
    assert!(admit(&full, &bob, "web").is_ok(), "I12: another upstream has room");
}

#[test]
fn an_upstream_without_a_limit_gets_nothing() {
    let gate = gate(9, 9, 9);
    assert_eq!(admit(&gate, &principal("keys.a", "user:ann"), "new").unwrap_err(), Reason::UpstreamBusy);
}

#[test]
fn room_is_free_again_when_the_last_part_is_dropped() {
    let ann = principal("keys.a", "user:ann");
    let gate = gate(1, 1, 1);
    let (call, place) = admit(&gate, &ann, "mail").unwrap().into_parts();
    assert_eq!(call, "call");
    assert_eq!(admit(&gate, &ann, "mail").unwrap_err(), Reason::GatewayBusy, "the place is still kept");
    drop(place);
    assert!(admit(&gate, &ann, "mail").is_ok());
}

#[test]
fn i11_tables_hold_live_calls_alone() {
    let gate = gate(3, 3, 3);
    for round in 0..1000 {
        let who = principal("keys.a", &format!("user:{round}"));
        drop(admit(&gate, &who, "mail").unwrap());
        assert!(admit(&gate, &who, "nowhere").is_err());
    }
    let nothing = Figures { in_flight: 0, principals: 0, per_upstream: BTreeMap::new() };
    assert_eq!(gate.figures(), nothing);
}

#[test]
fn many_threads_never_exceed_a_limit() {
    let gate = gate(4, 3, 2);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let gate = gate.clone();
            scope.spawn(move || {
                let who = principal("keys.a", &format!("user:{}", thread % 2));
                for _ in 0..500 {
                    let kept = admit(&gate, &who, if thread % 3 == 0 { "mail" } else { "web" });
                    let figures = gate.figures();
                    assert!(figures.in_flight <= 4);
                    assert!(figures.per_upstream.values().all(|count| *count <= 2));
                    drop(kept);
                }
            });
        }
    });
    assert_eq!(gate.figures().in_flight, 0);
}

#[tokio::test]
async fn draining_refuses_the_new_and_ends_with_the_last() {
    let ann = principal("keys.a", "user:ann");
    let gate = gate(9, 9, 9);
    let kept = admit(&gate, &ann, "mail").unwrap();
    gate.drain();
    assert_eq!(admit(&gate, &ann, "mail").unwrap_err(), Reason::Draining);
    let waiting = tokio::spawn({
        let gate = gate.clone();
        async move { gate.drained().await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(kept);
    waiting.await.unwrap();
}

#[test]
fn other_limits_count_for_the_next_call_and_evict_nothing_live() {
    let (gate, ann) = (gate(2, 2, 2), principal("keys.a", "user:ann"));
    let live = [admit(&gate, &ann, "mail").unwrap(), admit(&gate, &ann, "web").unwrap()];
    let in_flight_per_upstream_max = [(upstream("mail"), 2)].into();
    gate.adjust(Settings {
        in_flight_max: 1,
        in_flight_per_principal_max: 2,
        in_flight_per_upstream_max,
        ..Settings::default()
    });
    assert_eq!(gate.figures().in_flight, 2);
    assert_eq!(admit(&gate, &ann, "mail").unwrap_err(), Reason::GatewayBusy);
    drop(live);
    assert_eq!(admit(&gate, &ann, "web").unwrap_err(), Reason::UpstreamBusy, "it is no longer configured");
    drop(admit(&gate, &ann, "mail").unwrap());
}

#[test]
fn a_family_of_agents_has_one_count_and_another_run_of_its_subject_its_own() {
    let claim = |agent: &str, txn: &str| {
        let base = principal("issuers.a", "svc:mail");
        let agents = vec![crate::model::name::AgentName::new(agent).unwrap()];
        let runs = RunRule { scope: RunScope::Claim, ..base.runs };
        Principal { agents, txn: Some(Txn::new(txn).unwrap()), runs, ..base }
    };
    let gate = gate(9, 1, 9);
    let _kept = admit(&gate, &claim("inbox", "r1"), "mail").unwrap();
    assert_eq!(admit(&gate, &claim("helper", "r1"), "mail").unwrap_err(), Reason::PrincipalBusy);
    assert!(admit(&gate, &claim("inbox", "r2"), "mail").is_ok());
}
