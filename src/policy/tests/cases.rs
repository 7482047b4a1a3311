//! Single decisions that a person can follow.

use super::*;

/// `allow`, `plan`, `ask`, `deny`, on lines 10, 20, 30 and 40.
fn lists(allow: &[&str], plan: &[&str], ask: &[&str], deny: &[&str]) -> Lists {
    Lists {
        allow: permissions(allow, 10),
        plan: permissions(plan, 20),
        ask: permissions(ask, 30),
        deny: permissions(deny, 40),
    }
}

fn policy() -> Policy {
    let source = |name: &str, lists| (SourceName::new(name).unwrap(), for_tools(lists));
    let role = |name: &str, lists| (RoleName::new(name).unwrap(), for_tools(lists));
    let rules = Rules {
        sources: [
            source("chat", lists(&["*"], &[], &["mail.delete"], &["mail.purge"])),
            source("email", lists(&["mail.read_*"], &["mail.reply"], &["mail.*"], &[])),
            source("web", lists(&["browser.*", "mail.read_*"], &["mail.send"], &[], &[])),
        ]
        .into(),
        roles: [
            role("assistant", lists(&["mail.*", "browser.*"], &[], &[], &[])),
            role("careful", lists(&["mail.read_*"], &[], &["mail.send"], &["browser.*"])),
        ]
        .into(),
        ..Rules::default()
    };
    let tools = [
        "mail.send",
        "mail.delete",
        "mail.purge",
        "mail.reply",
        "mail.read_inbox",
        "browser.open",
        "calendar.add",
    ];
    Policy::compile(rules, &tools.map(known), PolicyEpoch(7))
}

/// What a chat or email run gets: reason, and the lines of the determining rules.
fn ask(who: &Principal, taint: &[&str], name: &str, pin: Pin) -> (Reason, Vec<u32>) {
    let decided =
        decision(policy().decide(who, standing(&provenance(taint.iter().copied())), call(name, pin)));
    assert_eq!(decided.epoch, PolicyEpoch(7));
    let lines = decided.rules.iter().filter_map(|rule| rule.place.as_ref().map(|place| place.line));
    (decided.reason, lines.collect())
}

#[test]
fn the_strictest_list_of_a_row_answers() {
    let chat = principal(&["chat"], &["assistant"], &[]);
    let email = principal(&["email"], &["assistant"], &[]);
    assert_eq!(ask(&chat, &[], "mail.send", accepted()), (Reason::Allowed, vec![10, 10]));
    assert_eq!(ask(&chat, &[], "mail.delete", accepted()), (Reason::ApprovalRequired, vec![30]));
    assert_eq!(ask(&chat, &[], "mail.purge", accepted()), (Reason::NotVisible, vec![40]));
    // `ask = ["mail.*"]` is stricter than `plan` and `allow`, however exact these are.
    assert_eq!(ask(&email, &[], "mail.reply", accepted()), (Reason::ApprovalRequired, vec![30]));
    assert_eq!(ask(&email, &[], "mail.read_inbox", accepted()), (Reason::ApprovalRequired, vec![30]));
}

#[test]
fn taint_closes_a_visible_tool_with_its_reason() {
    let chat = principal(&["chat"], &["assistant"], &[]);
    assert_eq!(ask(&chat, &["chat", "web"], "mail.send", accepted()), (Reason::PlanRequired, vec![20]));
    assert_eq!(ask(&chat, &["chat", "web"], "mail.reply", accepted()).0, Reason::SourceDenies);
    assert_eq!(ask(&chat, &["chat", "web"], "browser.open", accepted()).0, Reason::Allowed);
    assert_eq!(ask(&chat, &["chat", "elsewhere"], "browser.open", accepted()).0, Reason::SourceDenies);
}

#[test]
fn i5_what_a_role_withholds_is_hidden_like_what_does_not_exist() {
    let chat = principal(&["chat"], &["assistant"], &[]);
    let who = principal(&["chat"], &[], &[]);
    let policy = policy();
    let hidden =
        decision(policy.decide(&chat, standing(&provenance(["chat"])), call("calendar.add", accepted())));
    let unknown =
        decision(policy.decide(&chat, standing(&provenance(["chat"])), call("calendar.nothing", accepted())));
    assert_eq!(unknown, policy.explain_unknown());
    assert_eq!(Decision { rules: Vec::new(), ..hidden.clone() }, unknown);
    assert_eq!(hidden.rules.len(), 1, "the audit tells them apart");
    let nobody =
        decision(policy.decide(&who, standing(&provenance(["chat"])), call("mail.send", accepted())));
    assert_eq!(nobody.reason, Reason::NotVisible);
    assert_eq!(nobody.rules.first().unwrap().dimension, crate::model::decision::Dimension::Roles);
}

#[test]
fn roles_join_by_the_loosest() {
    let both = principal(&["chat"], &["assistant", "careful"], &[]);
    let careful = principal(&["chat"], &["careful"], &[]);
    // A role's deny binds that role's own lists alone (DESIGN §4.2).
    assert_eq!(ask(&both, &[], "browser.open", accepted()).0, Reason::Allowed);
    assert_eq!(ask(&careful, &[], "browser.open", accepted()).0, Reason::NotVisible);
    assert_eq!(ask(&careful, &[], "mail.send", accepted()).0, Reason::ApprovalRequired);
}

#[test]
fn a_changed_definition_refuses_what_nobody_denies() {
    let chat = principal(&["chat"], &["assistant"], &[]);
    assert_eq!(ask(&chat, &[], "mail.send", changed()).0, Reason::PinChanged);
    assert_eq!(ask(&chat, &[], "mail.delete", changed()).0, Reason::PinChanged);
    assert_eq!(ask(&chat, &["web"], "mail.reply", changed()).0, Reason::SourceDenies);
    assert_eq!(ask(&chat, &[], "calendar.add", changed()).0, Reason::NotVisible, "hidden before pinned");
}

#[test]
fn a_permit_owns_the_call_it_was_made_for() {
    let chat = principal(&["chat"], &["assistant"], &[]);
    let Ruling::Permit(permit) =
        policy().decide(&chat, standing(&provenance(["chat"])), call("mail.send", accepted()))
    else {
        panic!("allowed");
    };
    assert_eq!(permit.call().target, Target::Tool(tool("mail.send")));
    assert_eq!(permit.into_call().target, Target::Tool(tool("mail.send")));
}

#[test]
fn a_decision_names_a_bounded_number_of_rules() {
    let many: Vec<String> = (0..100).map(|number| format!("s{number}")).collect();
    let sources = many.iter().map(|name| (SourceName::new(name).unwrap(), RowLists::default()));
    let rules = Rules { sources: sources.collect(), ..Rules::default() };
    let policy = Policy::compile(rules, &[known("mail.send")], PolicyEpoch(1));
    let names: Vec<&str> = many.iter().map(String::as_str).collect();
    let who = principal(&names, &[], &[]);
    let decided =
        decision(policy.decide(&who, standing(&Provenance::default()), call("mail.send", accepted())));
    assert_eq!(decided.rules.len(), DETERMINING_RULES_MAX);
}
