//! Who calls, on the command line of what explains decisions without a gateway.
//!
//! Must never complete a label: what is not written is not there.

use anyhow::bail;
use jiff::Timestamp;

use super::label;
use crate::clock::Clock;
use crate::model::name::{AgentName, EntryPointName, RoleName, SourceName, Subject};
use crate::model::principal::{Label, Principal, RunRule};
use crate::model::provenance::Provenance;
use crate::model::trigger::{Declarations, Trigger, TriggerEntry};

/// Who calls.
#[derive(Debug, clap::Args)]
pub(super) struct Caller {
    /// A source of the credential; may be repeated
    #[arg(long = "source", value_name = "SOURCE", value_parser = SourceName::new)]
    sources: Vec<SourceName>,
    /// A source that the run has read since; may be repeated
    #[arg(long = "tainted", visible_alias = "after", value_name = "SOURCE", value_parser = SourceName::new)]
    tainted: Vec<SourceName>,
    /// A role of the subject; may be repeated
    #[arg(long = "role", value_name = "ROLE", value_parser = RoleName::new)]
    roles: Vec<RoleName>,
    /// The agent that acts; repeated, the one that calls first
    #[arg(long = "agent", value_name = "AGENT", value_parser = AgentName::new)]
    agents: Vec<AgentName>,
    /// On whose behalf
    #[arg(long, value_name = "SUBJECT", default_value = "user:test", value_parser = Subject::new)]
    subject: Subject,
    /// An attribute of the trigger: KEY=TEXT, KEY:=JSON, and with several sources SOURCE:KEY=TEXT
    #[arg(long = "trigger", value_name = "KEY=TEXT")]
    triggers: Vec<String>,
    /// When the call is made, as 2026-12-31T12:00:00Z; now where it is not said
    #[arg(long, value_name = "MOMENT")]
    at: Option<Timestamp>,
}

impl Caller {
    /// Who calls, with what its sources declare of the trigger.
    pub(super) fn principal(&self, declarations: &Declarations) -> anyhow::Result<Principal> {
        if self.sources.is_empty() {
            bail!("say whose call it is: `--source SOURCE`, and `--role ROLE`");
        }
        let asked = label::sources(&self.sources, &self.triggers, declarations)?;
        let entry = |asked: crate::model::mint::AskedSource| TriggerEntry {
            source: asked.kind.clone(),
            kind: asked.kind,
            attributes: asked.attributes,
            dropped: Vec::new(),
        };
        let trigger = Trigger { entries: asked.into_iter().map(entry).collect(), goal: None };
        let label = Label {
            entry_point: EntryPointName::new("command-line")?,
            subject: self.subject.clone(),
            roles: self.roles.iter().cloned().collect(),
            agents: self.agents.clone(),
            sources: Provenance::of(self.sources.iter().cloned()),
        };
        Ok(Principal { trigger, ..Principal::configured(label, RunRule::DEFAULT) })
    }

    /// What has influenced the run.
    pub(super) fn provenance(&self) -> Provenance {
        Provenance::of(self.sources.iter().chain(&self.tainted).cloned())
    }

    /// When it is.
    pub(super) fn at(&self) -> Timestamp {
        self.at.unwrap_or_else(|| Clock::system().wall())
    }
}
