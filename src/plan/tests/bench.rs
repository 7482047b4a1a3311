//! What the tests of plans have in common: a few labelled tools, lists of answers, a trigger, and circumstances.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::decision::{Answer, Dimension, Rule};
use crate::model::digest::Sha256;
use crate::model::facts::RunId;
use crate::model::glob::Glob;
use crate::model::label::Labels;
use crate::model::label::ToolClass::{self, Executes, Reads, Sends, Writes};
use crate::model::name::{AttributeName, Goal, RoleName, SourceName, ToolId};
use crate::model::place::Place;
use crate::model::provenance::Provenance;
use crate::model::trigger::{AttributeValue, Trigger, TriggerEntry};
use crate::plan::{
    Answers, Attempt, Circumstances, Fitted, Flow, Grant, Heard, History, People, Plan, Review, Said, Shape,
    StepId, Terms, Tool, Verdict, review,
};

pub(super) const SENDER: &str = "ann@a.example";

pub(super) fn source(name: &str) -> SourceName {
    SourceName::new(name).unwrap()
}

pub(super) fn sources(names: &[&str]) -> Provenance {
    Provenance::of(names.iter().map(|name| source(name)))
}

pub(super) fn place(line: u32) -> Place {
    Place { file: "gateway.toml".into(), line, column: 1 }
}

pub(super) fn id(text: &str) -> StepId {
    StepId::new(text).unwrap()
}

pub(super) fn glob(text: &str) -> Glob {
    Glob::new(text).unwrap()
}

pub(super) fn name(text: &str) -> Arc<str> {
    text.into()
}

/// Name, classes, destinations, content, properties, required arguments, what it returns.
type Row = (
    &'static str,
    &'static [ToolClass],
    &'static [&'static str],
    &'static [&'static str],
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const TEXTS: &str = r#"{"type":"array","items":{"type":"string"}}"#;

const TOOLS: &[Row] = &[
    (
        "mail.search",
        &[Reads],
        &[],
        &[],
        r#""sender":{"type":"string"},"limit":{"type":"integer"}"#,
        &[],
        &["email"],
    ),
    (
        "mail.send",
        &[Sends],
        &["to", "cc"],
        &["subject", "body"],
        r#""to":{"type":"string"},"cc":TEXTS,"subject":{"type":"string"},"body":{"type":"string"}"#,
        &["to"],
        &[],
    ),
    (
        "calendar.create",
        &[Writes, Sends],
        &["attendees"],
        &["title"],
        r#""attendees":TEXTS,"start":{"type":"string"},"title":{"type":"string"}"#,
        &[],
        &[],
    ),
    ("web.fetch", &[Reads, Sends], &["url"], &[], r#""url":{"type":"string"}"#, &["url"], &["web"]),
    ("people.find", &[Reads], &["name"], &[], r#""name":{"type":"string"}"#, &["name"], &[]),
    (
        "bank.pay",
        &[Sends],
        &["iban", "amount"],
        &["memo"],
        r#""iban":{"type":"string"},"amount":{"type":"number","minimum":0},"memo":{"type":"string"}"#,
        &["iban", "amount"],
        &[],
    ),
    (
        "files.write",
        &[Writes],
        &["path"],
        &["text"],
        r#""path":{"type":"string"},"text":{"type":"string"}"#,
        &[],
        &[],
    ),
    ("shell.run", &[Executes], &["command"], &[], r#""command":{"type":"string"}"#, &["command"], &[]),
];

/// The tool whose name on the wire is `name`; `mystery__do` has no labels.
pub(super) fn tool(name: &str) -> Option<Tool> {
    if name == "mystery__do" {
        let id = "mystery.do".parse().unwrap();
        let schema = r#"{"type":"object","properties":{"x":{"type":"string"}}}"#.into();
        return Some(Tool { id, labels: Labels::default(), schema, returns: sources(&["web"]) });
    }
    let written = name.replacen("__", ".", 1);
    let row = TOOLS.iter().find(|row| row.0 == written)?;
    let (_, classes, destinations, content, properties, required, returns) = row;
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<String>>();
    let required = serde_json::to_string(required).unwrap();
    let properties = properties.replace("TEXTS", TEXTS);
    let schema = format!("{{\"type\":\"object\",\"properties\":{{{properties}}},\"required\":{required}}}");
    let labels = Labels {
        classes: Some(classes.iter().copied().collect()),
        destinations: Some(texts(destinations)),
        content: texts(content),
        review_line: None,
    };
    Some(Tool { id: written.parse().unwrap(), labels, schema: schema.into(), returns: sources(returns) })
}

/// A trigger of one email.
pub(super) fn trigger() -> Trigger {
    let attribute = |name: &str, value| (AttributeName::new(name).unwrap(), value);
    let attributes = BTreeMap::from([
        attribute("sender", AttributeValue::Text(SENDER.into())),
        attribute("size", AttributeValue::Integer(12)),
        attribute("cc", AttributeValue::Texts(vec!["b@b.example".into(), "c@c.example".into()])),
    ]);
    let entry =
        TriggerEntry { kind: source("email"), source: source("email"), attributes, dropped: Vec::new() };
    Trigger { entries: vec![entry], goal: None }
}

/// Globs with the loosest and the strictest answer to what they match.
type List = Vec<(&'static str, Answer, Answer)>;

/// Lists by source. What nothing names is denied.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    pub(super) sources: BTreeMap<&'static str, List>,
    pub(super) role: List,
}

fn said(list: &[(&'static str, Answer, Answer)], dimension: Dimension, tool: &ToolId) -> Said {
    let name = tool.to_string();
    let found = list.iter().zip(1..).find(|((pattern, ..), _)| glob(pattern).matches(&name));
    let (line, pattern, loosest, strictest) = match found {
        Some(((pattern, loosest, strictest), line)) => (Some(line), Some(*pattern), *loosest, *strictest),
        None => (None, None, Answer::Deny, Answer::Deny),
    };
    let permission = pattern.map(str::to_owned);
    Said {
        rule: Rule { dimension, answer: loosest, permission, when: None, place: line.map(place) },
        strictest,
    }
}

impl Answers for Lists {
    fn source(&self, source: &SourceName, tool: &ToolId) -> Said {
        let list = self.sources.get(source.as_str()).map(Vec::as_slice).unwrap_or_default();
        said(list, Dimension::Source(source.clone()), tool)
    }

    fn caller(&self, tool: &ToolId) -> Vec<Said> {
        vec![said(&self.role, Dimension::Role(RoleName::new("assistant").unwrap()), tool)]
    }
}

/// `chat` allows everything, `email` wants plans for what is not reading, `web` allows reading and denies the rest.
pub(super) fn lists() -> Lists {
    use Answer::{Allow, Ask, Deny, Plan};
    let email = vec![
        ("mail.search", Allow, Allow),
        ("people.*", Allow, Allow),
        ("calendar.*", Plan, Plan),
        ("bank.*", Plan, Plan),
        ("mail.send", Ask, Ask),
        ("files.write", Allow, Plan),
    ];
    let web = vec![("web.*", Allow, Allow), ("mail.search", Allow, Allow)];
    Lists {
        sources: BTreeMap::from([("chat", vec![("*", Allow, Allow)]), ("email", email), ("web", web)]),
        role: vec![("nothing.*", Deny, Deny), ("*", Allow, Allow)],
    }
}

/// What a plan is reviewed under, owned.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) provenance: Provenance,
    pub(super) trigger: Trigger,
    pub(super) goal: Option<Goal>,
    pub(super) subject: [String; 2],
    pub(super) flows: Vec<Flow>,
    pub(super) history: History,
    pub(super) shapes: Vec<Shape>,
    pub(super) people: People,
    pub(super) lists: Lists,
}

impl World {
    /// A run that was started by `names`.
    pub(super) fn of(names: &[&str]) -> Self {
        Self {
            provenance: sources(names),
            trigger: trigger(),
            goal: None,
            subject: ["user:1".to_owned(), "me@a.example".to_owned()],
            flows: Vec::new(),
            history: History::default(),
            shapes: Vec::new(),
            people: People::Reachable,
            lists: lists(),
        }
    }

    pub(super) fn fit(&self, steps: &str) -> Fitted {
        plan(steps).fit(tool, &self.trigger).unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    pub(super) fn review(&self, steps: &str) -> Review {
        self.judge(self.fit(steps), &[])
    }

    pub(super) fn judge(&self, fitted: Fitted, grants: &[Grant]) -> Review {
        review(fitted, self.under(grants, None), &self.lists)
    }

    /// The review of a plan of which a reviewer outside says this.
    pub(super) fn hear(&self, fitted: Fitted, outside: Option<Heard<'_>>) -> Review {
        review(fitted, self.under(&[], outside), &self.lists)
    }

    fn under<'a>(&'a self, grants: &'a [Grant], outside: Option<Heard<'a>>) -> Circumstances<'a> {
        Circumstances {
            provenance: &self.provenance,
            trigger: &self.trigger,
            goal: self.goal.as_ref(),
            subject: &self.subject,
            flows: &self.flows,
            history: &self.history,
            shapes: &self.shapes,
            grants,
            outside,
            people: self.people,
            now: now(),
        }
    }

    pub(super) fn grant(&self, steps: &str) -> Grant {
        self.review(steps).grant(terms()).unwrap()
    }
}

/// The plan with these steps, written as the elements of an array.
pub(super) fn plan(steps: &str) -> Plan {
    let raw = format!("{{\"v\":1,\"steps\":[{steps}]}}");
    Plan::read(raw.as_bytes()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// The verdict of each step, with the words of its findings.
pub(super) fn verdicts(review: &Review) -> Vec<String> {
    let each = review.steps().iter().map(|step| {
        let (word, findings) = match &step.verdict {
            Verdict::Granted(findings) => ("granted", findings),
            Verdict::Person(findings) => ("person", findings),
            Verdict::Refused(findings) => ("refused", findings),
        };
        // Every verdict names its rule.
        assert!(!findings.is_empty(), "{step:?}");
        let grounds: BTreeSet<&str> = findings.iter().map(|finding| finding.ground.code()).collect();
        format!("{word}: {}", grounds.into_iter().collect::<Vec<_>>().join(" "))
    });
    each.collect()
}

pub(super) fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).unwrap()
}

pub(super) fn run() -> RunId {
    RunId::of([7; 16])
}

pub(super) fn terms() -> Terms {
    let until = Timestamp::from_second(2_000_000).unwrap();
    Terms { run: run(), number: 1, until, basis: Sha256::of(b""), like: None }
}

/// A call that is held against grants.
pub(super) struct Call {
    tool: ToolId,
    arguments: String,
    pub(super) trigger: Trigger,
    pub(super) run: RunId,
    pub(super) now: Timestamp,
}

pub(super) fn call(tool: &str, arguments: &str) -> Call {
    let tool = tool.parse().unwrap();
    Call { tool, arguments: arguments.to_owned(), trigger: trigger(), run: run(), now: now() }
}

impl Call {
    pub(super) fn attempt(&self) -> Option<Attempt<'_>> {
        Attempt::read(&self.run, &self.tool, self.arguments.as_bytes(), &self.trigger, self.now)
    }

    /// The step of `grant` that it belongs to.
    pub(super) fn step(&self, grant: &Grant) -> Option<String> {
        let attempt = self.attempt()?;
        grant.find(&attempt).map(|found| found.step().to_string())
    }
}

/// A result whose structured content is `document`.
pub(super) fn result(document: &str) -> Vec<u8> {
    format!("{{\"content\":[],\"structuredContent\":{document}}}").into_bytes()
}
