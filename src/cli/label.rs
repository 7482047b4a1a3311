//! A label on the command line: what `token mint` and `run` ask of the gateway.
//!
//! Must never complete a label: what is not written is not asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

use crate::config;
use crate::model::mint::{AskedSource, Carrier, TokenRequest};
use crate::model::name::{AgentName, AttributeName, Goal, RoleName, SourceName, Subject, Txn};
use crate::model::trigger::{AttributeType, AttributeValue, Declarations};

/// What a run token shall say.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Label {
    /// A source of the trigger: where its content came from; may be repeated
    #[arg(long = "source", required = true, value_name = "SOURCE", value_parser = SourceName::new)]
    sources: Vec<SourceName>,
    /// On whose behalf the run acts
    #[arg(long, value_name = "SUBJECT", value_parser = Subject::new)]
    subject: Subject,
    /// A role of the subject; may be repeated
    #[arg(long = "role", value_name = "ROLE", value_parser = RoleName::new)]
    roles: Vec<RoleName>,
    /// The agent that acts; repeated, the one that calls first
    #[arg(long = "agent", value_name = "AGENT", value_parser = AgentName::new)]
    agents: Vec<AgentName>,
    /// An attribute of the trigger: KEY=TEXT, or KEY:=JSON for numbers, booleans and lists. With several
    /// sources SOURCE:KEY=TEXT says whose it is
    #[arg(long = "trigger", value_name = "KEY=TEXT")]
    triggers: Vec<String>,
    /// The kind of request
    #[arg(long, value_name = "GOAL", value_parser = Goal::new)]
    goal: Option<Goal>,
    /// A fact about the trigger that nothing decides on, for the record: KEY=TEXT
    #[arg(long = "context", value_name = "KEY=TEXT")]
    contexts: Vec<String>,
    /// For how long the token is valid, for instance 15m; the default is the gateway's
    #[arg(long, value_name = "DURATION", value_parser = ttl)]
    ttl: Option<Duration>,
    /// Join this run instead of starting one
    #[arg(long, value_name = "TXN", value_parser = Txn::new)]
    txn: Option<Txn>,
    /// In which header the token travels
    #[arg(long, value_name = "CARRIER", default_value = "authorization", value_parser = carrier)]
    carrier: Carrier,
}

impl Label {
    /// What is asked of the gateway. A text is read as what its source declares.
    pub(super) fn request(&self, declarations: &Declarations) -> anyhow::Result<TokenRequest> {
        let sources = sources(&self.sources, &self.triggers, declarations)?;
        let mut context = Map::new();
        for fact in &self.contexts {
            let (key, value) =
                fact.split_once('=').with_context(|| format!("--context {fact}: write KEY=TEXT"))?;
            if context.insert(key.to_owned(), Value::from(value)).is_some() {
                bail!("--context {key} stands there twice");
            }
        }
        let request = TokenRequest {
            sources,
            subject: self.subject.clone(),
            roles: self.roles.iter().cloned().collect::<BTreeSet<_>>(),
            agents: self.agents.clone(),
            goal: self.goal.clone(),
            context,
            txn: self.txn.clone(),
            ttl_s: self.ttl.map(|ttl| ttl.as_secs()),
            carrier: self.carrier,
        };
        request.check()?;
        Ok(request)
    }
}

/// The sources `kinds` with the attributes that `--trigger` gives them, read as what each source declares.
pub(super) fn sources(
    kinds: &[SourceName],
    triggers: &[String],
    declarations: &Declarations,
) -> anyhow::Result<Vec<AskedSource>> {
    let asked = |kind: &SourceName| AskedSource { kind: kind.clone(), attributes: BTreeMap::new() };
    let mut sources: Vec<_> = kinds.iter().map(asked).collect();
    for trigger in triggers {
        add(trigger, &mut sources, declarations).with_context(|| format!("--trigger {trigger}"))?;
    }
    Ok(sources)
}

fn add(trigger: &str, sources: &mut [AskedSource], declarations: &Declarations) -> anyhow::Result<()> {
    let (left, right) = trigger.split_once('=').context("write KEY=TEXT, or KEY:=JSON")?;
    let (left, is_json) = match left.strip_suffix(':') {
        Some(left) => (left, true),
        None => (left, false),
    };
    let (source, key) = match left.split_once(':') {
        Some((source, key)) => (Some(source), key),
        None => (None, left),
    };
    let name = AttributeName::new(key)?;
    let found = match (source, &mut *sources) {
        (Some(source), sources) => sources.iter_mut().find(|asked| asked.kind.as_str() == source),
        (None, [only]) => Some(only),
        (None, _) => bail!("with several sources write SOURCE:KEY=TEXT"),
    };
    let source = found.context("no --source of this name")?;
    let declared = declarations.get(&source.kind).and_then(|declared| declared.get(&name)).copied();
    let value = if is_json {
        serde_json::from_str(right).context("not a boolean, an integer, a text or a list of texts in JSON")?
    } else {
        typed(right, declared)?
    };
    if source.attributes.insert(name, value).is_some() {
        bail!("it stands there twice");
    }
    Ok(())
}

/// `text` as its source declares it.
fn typed(text: &str, declared: Option<AttributeType>) -> anyhow::Result<AttributeValue> {
    Ok(match declared {
        None | Some(AttributeType::Text) => AttributeValue::Text(text.into()),
        Some(AttributeType::Texts) => AttributeValue::Texts(vec![text.into()]),
        Some(AttributeType::Bool) => {
            AttributeValue::Bool(text.parse().context("its source declares it as a boolean: true or false")?)
        }
        Some(AttributeType::Integer) => {
            AttributeValue::Integer(text.parse().context("its source declares it as an integer")?)
        }
    })
}

/// A duration of whole seconds.
pub(super) fn ttl(text: &str) -> Result<Duration, String> {
    let read = config::duration(text).filter(|ttl| ttl.as_secs() > 0 && ttl.subsec_nanos() == 0);
    read.ok_or_else(|| "write a number and `s`, `m` or `h`: 15m".to_owned())
}

fn carrier(text: &str) -> Result<Carrier, String> {
    match text {
        "authorization" => Ok(Carrier::Authorization),
        "txn-token" => Ok(Carrier::TxnToken),
        _ => Err("write authorization or txn-token".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        label: Label,
    }

    fn request(arguments: &[&str], declarations: &Declarations) -> Result<Value, String> {
        let line = [&["mint", "--subject", "user:1"], arguments].concat();
        let line = Line::try_parse_from(line).map_err(|error| error.to_string())?;
        let request = line.label.request(declarations).map_err(|error| format!("{error:#}"))?;
        Ok(serde_json::to_value(request).unwrap())
    }

    fn declared() -> Declarations {
        let name = |text| AttributeName::new(text).unwrap();
        let types = [
            (name("sender"), AttributeType::Text),
            (name("size"), AttributeType::Integer),
            (name("vip"), AttributeType::Bool),
            (name("to"), AttributeType::Texts),
        ];
        Declarations::from([(SourceName::new("email").unwrap(), BTreeMap::from(types))])
    }

    #[test]
    fn texts_are_read_as_their_source_declares_them() {
        let arguments = [
            "--source",
            "email",
            "--trigger",
            "sender=a=b",
            "--trigger",
            "size=7",
            "--trigger",
            "vip=true",
            "--trigger",
            "to=x@y",
            "--trigger",
            "other=8",
            "--trigger",
            "n:=9",
            "--trigger",
            "list:=[\"a\"]",
        ];
        let asked = request(&arguments, &declared()).unwrap();
        let expected = serde_json::json!([{
            "kind": "email", "sender": "a=b", "size": 7, "vip": true, "to": ["x@y"], "other": "8", "n": 9, "list": ["a"]
        }]);
        assert_eq!(asked["sources"], expected);
    }

    #[test]
    fn several_sources_say_whose_an_attribute_is() {
        let two = ["--source", "email", "--source", "web.page", "--trigger"];
        let asked = |trigger| request(&[&two[..], &[trigger]].concat(), &declared());
        assert_eq!(asked("web.page:url=u").unwrap()["sources"][1]["url"], "u");
        assert_eq!(asked("web.page:n:=1").unwrap()["sources"][1]["n"], 1);
        assert!(asked("url=u").unwrap_err().contains("SOURCE:KEY"));
        assert!(asked("chat:url=u").unwrap_err().contains("no --source"));
    }

    #[test]
    fn what_is_no_label_is_refused() {
        let one = |arguments: &[&str]| {
            request(&[&["--source", "email"], arguments].concat(), &declared()).unwrap_err()
        };
        assert!(one(&["--trigger", "sender"]).contains("KEY=TEXT"));
        assert!(one(&["--trigger", "size=big"]).contains("integer"));
        assert!(one(&["--trigger", "vip=1"]).contains("boolean"));
        assert!(one(&["--trigger", "n:={}"]).contains("JSON"));
        assert!(one(&["--trigger", "a=1", "--trigger", "a=2"]).contains("twice"));
        assert!(one(&["--trigger", "a b=1"]).contains("cannot stand"));
        assert!(one(&["--context", "x"]).contains("KEY=TEXT"));
        assert!(one(&["--ttl", "1500ms"]).contains("15m"));
        assert!(one(&["--carrier", "cookie"]).contains("txn-token"));
        assert!(request(&[], &declared()).unwrap_err().contains("--source"));
    }
}
