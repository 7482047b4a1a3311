//! The table of methods, written a second time as the specification's revisions have it (I8).

use crate::wire::method::{Kind, Mark, Method, Toward};
use crate::wire::revision::Revision;

/// Name; kind; revisions toward the server and toward the client, oldest first (2024-11-05, 2025-03-26,
/// 2025-06-18, 2025-11-25, 2026-07-28); marks `T`aints and `W`rites in each direction.
const TABLE: &[(&str, &str, &str, &str, &str, &str)] = &[
    ("initialize", "R", "1111.", "--", ".....", ""),
    ("notifications/initialized", "N", "1111.", "--", ".....", ""),
    ("ping", "R", "1111.", "--", "1111.", "--"),
    ("server/discover", "R", "....1", "--", ".....", ""),
    ("notifications/cancelled", "N", "11111", "-W", "11111", "T-"),
    ("notifications/progress", "N", "1111.", "-W", "11111", "T-"),
    ("tools/list", "R", "11111", "--", ".....", ""),
    ("tools/call", "R", "11111", "TW", ".....", ""),
    ("notifications/tools/list_changed", "N", ".....", "", "11111", "--"),
    ("prompts/list", "R", "11111", "--", ".....", ""),
    ("prompts/get", "R", "11111", "TW", ".....", ""),
    ("notifications/prompts/list_changed", "N", ".....", "", "11111", "--"),
    ("resources/list", "R", "11111", "--", ".....", ""),
    ("resources/templates/list", "R", "11111", "--", ".....", ""),
    ("resources/read", "R", "11111", "TW", ".....", ""),
    ("resources/subscribe", "R", "1111.", "-W", ".....", ""),
    ("resources/unsubscribe", "R", "1111.", "-W", ".....", ""),
    ("notifications/resources/list_changed", "N", ".....", "", "11111", "--"),
    ("notifications/resources/updated", "N", ".....", "", "11111", "T-"),
    ("subscriptions/listen", "R", "....1", "TW", ".....", ""),
    ("notifications/subscriptions/acknowledged", "N", ".....", "", "....1", "T-"),
    ("completion/complete", "R", "11111", "TW", ".....", ""),
    ("logging/setLevel", "R", "1111.", "--", ".....", ""),
    ("notifications/message", "N", ".....", "", "11111", "T-"),
    ("sampling/createMessage", "R", ".....", "", "1111.", "TW"),
    ("elicitation/create", "R", ".....", "", "..11.", "TW"),
    ("notifications/elicitation/complete", "N", ".....", "", "...1.", "T-"),
    ("roots/list", "R", ".....", "", "1111.", "-W"),
    ("notifications/roots/list_changed", "N", "1111.", "--", ".....", ""),
    ("tasks/get", "R", "...11", "TW", "...1.", "TW"),
    ("tasks/result", "R", "...1.", "TW", "...1.", "TW"),
    ("tasks/list", "R", "...1.", "TW", "...1.", "TW"),
    ("tasks/cancel", "R", "...11", "TW", "...1.", "TW"),
    ("tasks/update", "R", "....1", "TW", ".....", ""),
    ("notifications/tasks/status", "N", "...1.", "-W", "...1.", "T-"),
    ("notifications/tasks", "N", ".....", "", "....1", "T-"),
];

#[test]
fn i8_the_table_is_total_over_methods_revisions_and_directions() {
    assert_eq!(Method::DEFINED.len(), TABLE.len(), "a method is missing from one of the two tables");
    for (method, (name, kind, up, up_marks, down, down_marks)) in Method::DEFINED.iter().zip(TABLE) {
        assert_eq!(method.code(), *name);
        assert_eq!(method.name(), *name);
        let expected = if *kind == "R" { Kind::Request } else { Kind::Notification };
        assert_eq!(method.kind(), Some(expected), "{name}");
        for (toward, revisions, marks) in
            [(Toward::Upstream, up, up_marks), (Toward::Downstream, down, down_marks)]
        {
            let has: String = Revision::ALL
                .iter()
                .map(|revision| if method.in_revision(*revision, toward) { '1' } else { '.' })
                .collect();
            assert_eq!(has, *revisions, "{name} {toward:?}");
            // A direction that no revision has is marked as carrying everything.
            let expected = if marks.is_empty() { "TW" } else { marks };
            assert_eq!(marks_of(method, toward), expected, "{name} {toward:?}");
        }
        assert!(has_some_revision(method), "{name} is in no revision");
    }
}

fn marks_of(method: &Method, toward: Toward) -> String {
    let letter = |mark, letter| if mark == Mark::Carries { letter } else { '-' };
    [letter(method.taints(toward), 'T'), letter(method.writes(toward), 'W')].into_iter().collect()
}

fn has_some_revision(method: &Method) -> bool {
    let ways = [Toward::Upstream, Toward::Downstream];
    Revision::ALL.iter().any(|revision| ways.iter().any(|toward| method.in_revision(*revision, *toward)))
}

#[test]
fn i8_a_name_is_one_method_of_one_kind() {
    for method in Method::DEFINED {
        let kind = method.kind().unwrap();
        let other = if kind == Kind::Request { Kind::Notification } else { Kind::Request };
        assert_eq!(&Method::of(method.code(), kind), method);
        assert!(matches!(Method::of(method.code(), other), Method::Unknown(_)));
        assert_eq!(kind == Kind::Notification, method.code().starts_with("notifications/"));
    }
}

#[test]
fn i8_what_is_unknown_is_in_no_revision_and_carries_everything() {
    let unknown = Method::of("tools/call2", Kind::Request);
    for toward in [Toward::Upstream, Toward::Downstream] {
        assert!(Revision::ALL.iter().all(|revision| !unknown.in_revision(*revision, toward)));
        assert_eq!(marks_of(&unknown, toward), "TW");
    }
    assert_eq!(unknown.kind(), None);
}

#[test]
fn i8_every_way_that_is_given_to_a_client_is_one_that_is_marked() {
    // Whatever is not the gateway's own answer, accepted definitions, or a fixed word carries text.
    let clean = |method: &Method, toward| marks_of(method, toward) == "--";
    let free_text = ["message", "reason", "data", "statusMessage", "arguments", "uri", "argument"];
    for method in Method::DEFINED {
        if method.param_keys().iter().any(|key| free_text.contains(key)) {
            assert!(!clean(method, Toward::Upstream), "{}", method.code());
            assert!(!clean(method, Toward::Downstream), "{}", method.code());
        }
    }
}

#[test]
fn revisions_are_known_by_their_exact_names() {
    for revision in Revision::ALL {
        assert_eq!(Revision::parse(revision.as_str()), Some(*revision));
        assert_eq!(revision.to_string(), revision.as_str());
    }
    assert!(Revision::ALL.is_sorted());
    assert_eq!(Revision::ALL.iter().filter(|revision| revision.is_modern()).count(), 1);
    for text in ["", "2025-06-18 ", "2025-6-18", "2025-06-17", "DRAFT-2026-v1"] {
        assert_eq!(Revision::parse(text), None, "{text}");
    }
}
