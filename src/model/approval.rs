//! A question to a person: one exact call that waits for a yes, and everything that the yes is bound to (DESIGN §4.5).
//!
//! Must never be met by another call, nor hold its arguments: their digest binds as well.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::digest::Sha256;
use super::facts::RunId;
use super::name::{Subject, ToolId};
use super::person::Person;
use super::provenance::Provenance;

/// What a question is called: 128 random bits in lower-case hexadecimal, without any power.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QuestionId(Arc<str>);

impl QuestionId {
    /// The id made of 16 bytes.
    #[must_use]
    pub fn of(bytes: [u8; 16]) -> Self {
        Self(data_encoding::HEXLOWER.encode(&bytes).into())
    }

    /// The id that `text` is.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self::of)
    }

    /// The id as people and records name it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for QuestionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Everything that a yes is bound to. Where one of these is another, it is asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exact {
    /// The run.
    pub run: RunId,
    /// The tool.
    pub tool: ToolId,
    /// The digest of the arguments as they are sent.
    pub arguments: Sha256,
    /// The accepted definition of the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Sha256>,
    /// The digest of the configuration that is in force: the policy epoch, also across a restart.
    pub config: Sha256,
    /// What had influenced the run.
    pub provenance: Provenance,
}

/// A question that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// What it is called.
    pub id: QuestionId,
    /// What it is about.
    pub exact: Exact,
    /// On whose behalf the run acts.
    pub subject: Subject,
    /// When it was asked.
    pub at: Timestamp,
    /// From when on neither the question nor a yes to it counts.
    pub until: Timestamp,
}

/// A question, and how it stands: what a start needs of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stood {
    /// The question.
    pub asked: Asked,
    /// How it stands.
    pub standing: Standing,
    /// Who said yes already, where several have to.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub agreed: BTreeSet<Person>,
}

/// How a question stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nobody has answered.
    Waiting,
    /// A person said yes. The next such call takes it.
    Approved,
    /// A person said no.
    Denied,
}

/// What a person says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Yes.
    Approve,
    /// No.
    Deny,
}

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalChange {
    /// It was asked.
    Asked,
    /// A person said yes, and more have to.
    Agreed,
    /// A person said yes, the last who had to.
    Approved,
    /// A person said no.
    Denied,
    /// Nobody answered in time, or what it was bound to is no more.
    Lapsed,
}

impl ApprovalChange {
    /// Every change.
    pub const ALL: [Self; 5] = [Self::Asked, Self::Agreed, Self::Approved, Self::Denied, Self::Lapsed];

    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Agreed => "agreed",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Lapsed => "lapsed",
        }
    }

    /// The change that `word` names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }

    /// How the question stands then; `None` where it is one no more.
    #[must_use]
    pub const fn standing(self) -> Option<Standing> {
        match self {
            Self::Asked | Self::Agreed => Some(Standing::Waiting),
            Self::Approved => Some(Standing::Approved),
            Self::Denied => Some(Standing::Denied),
            Self::Lapsed => None,
        }
    }
}

impl Word {
    /// What becomes of a question by it.
    #[must_use]
    pub const fn change(self) -> ApprovalChange {
        match self {
            Self::Approve => ApprovalChange::Approved,
            Self::Deny => ApprovalChange::Denied,
        }
    }
}
