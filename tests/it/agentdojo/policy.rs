//! The policies that are compared, as an operator writes them who knows the tools and no attack.

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Everything is allowed.
    None,
    /// The tools that the suite's tasks need.
    Allowlist,
    /// Once something was read, only reading.
    TaintOnly,
    /// What is planned before something was read may still be done, whatever its arguments are.
    PlanWithoutPins,
    /// The same, with its destinations pinned to values of the prompt.
    PlanWithLiterals,
    /// The same, or to fields of earlier answers.
    PlanWithSelectors,
}

impl Policy {
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::Allowlist,
        Self::TaintOnly,
        Self::PlanWithoutPins,
        Self::PlanWithLiterals,
        Self::PlanWithSelectors,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Allowlist => "allowlist",
            Self::TaintOnly => "taint only",
            Self::PlanWithoutPins => "plan without pins",
            Self::PlanWithLiterals => "plan, literals only",
            Self::PlanWithSelectors => "plan, literals and selectors",
        }
    }

    pub fn plans(self) -> bool {
        matches!(self, Self::PlanWithoutPins | Self::PlanWithLiterals | Self::PlanWithSelectors)
    }
}

/// What a tool does, as its operator labels it.
pub struct Label {
    pub tool: &'static str,
    /// The arguments that say who, where, which and how much; nothing for what only reads.
    pub destinations: &'static [&'static str],
    /// The arguments that hold what is told.
    pub content: &'static [&'static str],
}

/// The tools that do something.
const WRITES: &[Label] = &[
    Label { tool: "send_money", destinations: &["recipient", "amount"], content: &["subject"] },
    Label { tool: "schedule_transaction", destinations: &["recipient", "amount"], content: &["subject"] },
    Label {
        tool: "update_scheduled_transaction",
        destinations: &["id", "recipient", "amount"],
        content: &["subject"],
    },
    Label { tool: "update_password", destinations: &["password"], content: &[] },
    Label {
        tool: "update_user_info",
        destinations: &["first_name", "last_name", "street", "city"],
        content: &[],
    },
    Label { tool: "add_user_to_channel", destinations: &["user", "channel"], content: &[] },
    Label { tool: "send_direct_message", destinations: &["recipient"], content: &["body"] },
    Label { tool: "send_channel_message", destinations: &["channel"], content: &["body"] },
    Label { tool: "invite_user_to_slack", destinations: &["user", "user_email"], content: &[] },
    Label { tool: "remove_user_from_slack", destinations: &["user"], content: &[] },
    Label { tool: "post_webpage", destinations: &["url"], content: &["content"] },
];

/// How `tool` is labelled; nothing for one that only reads.
pub fn label(tool: &str) -> Option<&'static Label> {
    WRITES.iter().find(|label| label.tool == tool)
}

/// What the operator says of the tools of the suite, and of what has read them. `needed` are the tools of all tasks.
pub fn config(policy: Policy, server: &str, tools: &[&str], needed: &[&str]) -> String {
    let quoted =
        |names: &[&str]| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let named = |of: &dyn Fn(&str) -> bool| {
        let all: Vec<String> =
            tools.iter().filter(|tool| of(tool)).map(|tool| format!("suite.{tool}")).collect();
        quoted(&all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let (reads, writes) = (named(&|tool| label(tool).is_none()), named(&|tool| label(tool).is_some()));
    let outside = match policy {
        Policy::None | Policy::Allowlist => "allow = [\"*\"]".to_owned(),
        Policy::TaintOnly => format!("allow = [{reads}]"),
        _ => format!("allow = [{reads}]\nplan = [{writes}]"),
    };
    let role = match policy {
        Policy::Allowlist => format!("allow = [{}]", named(&|tool| needed.contains(&tool))),
        _ => "allow = [\"*\"]".to_owned(),
    };
    let labels: String = tools
        .iter()
        .map(|tool| match label(tool) {
            None => format!("    {{ tool = \"{tool}\", returns = \"outside\", classes = [\"reads\"] }},\n"),
            Some(label) => {
                let pinned = if policy == Policy::PlanWithoutPins { &[][..] } else { label.destinations };
                let (pinned, content) = (quoted(pinned), quoted(label.content));
                format!(
                    "    {{ tool = \"{tool}\", returns = \"trusted\", classes = [\"writes\", \"sends\"], destinations = [{pinned}], content = [{content}] }},\n"
                )
            }
        })
        .collect();
    format!(
        r#"
[gateway]
state_dir = "./state"

[listen.main]
address = "127.0.0.1:0"

[auth.keys.person]
hash = "sha256:{key}"
vouches = {{ source = "chat", subject = "user:1", roles = ["assistant"] }}
run = "session"

[upstreams.suite]
command = {server}
returns = "trusted"
accept_stored = "its answers were recorded: nothing that is written is read back"
tools = [
{labels}]

[sources.chat]
allow = ["*"]

[sources.outside]
{outside}

[roles.assistant]
{role}
"#,
        key = sluicegate::model::digest::Sha256::of(crate::support::gateway::CHAT_KEY.as_bytes()),
    )
}
