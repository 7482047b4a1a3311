//! Questions to people: which there are, and the answers; for the admin socket and the page.
//!
//! Must never show less of a call than what a yes would let go on, or say that it was cut.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use http::HeaderMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::api::AdministrationError;
use crate::model::approval::{Standing, Word};
use crate::model::digest::Sha256;
use crate::model::facts::RunId;
use crate::model::name::{EntryPointName, Subject};
use crate::model::person::Person;
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::sign_in::{Brought, Returned, SignIn};
use crate::model::trigger::Trigger;

/// What people may ask and answer.
pub trait Approvals: Send + Sync {
    /// The questions that are not over, the oldest first.
    fn questions(&self) -> impl Future<Output = Vec<QuestionEntry>> + Send;

    /// Of these, the questions that `person` may answer, with their answers so far.
    fn questions_of(&self, person: &Person) -> impl Future<Output = Vec<QuestionEntry>> + Send;

    /// Takes the answer of a person, on the record.
    ///
    /// # Errors
    /// [`AdministrationError`] where it does not count.
    fn answer_question(
        &self,
        by: &Person,
        id: &str,
        word: Word,
    ) -> impl Future<Output = Result<(), AdministrationError>> + Send;

    /// Takes a yes to the call that waits and to calls like it, on the record.
    ///
    /// # Errors
    /// [`AdministrationError`] where it does not count.
    fn approve_like(
        &self,
        by: &Person,
        id: &str,
        like: Like,
    ) -> impl Future<Output = Result<LikeGranted, AdministrationError>> + Send;
}

/// For how many calls like the one that waits a yes counts, for how long, and with which arguments.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Like {
    /// How many calls, the one that waits among them.
    pub calls: u32,
    /// For how long, in seconds.
    pub for_s: u64,
    /// What may be another than in the call that waits: by the name of the argument, a constraint in the language of
    /// plans. Every other argument has to be exactly what it is there.
    #[serde(default)]
    pub limits: BTreeMap<String, Box<RawValue>>,
}

/// What came of a yes to several calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LikeGranted {
    /// How many calls, the one that waited among them.
    pub calls: u32,
    /// Until when.
    pub until: Timestamp,
    /// What is said of the arguments, in the language of plans: one JSON object.
    pub arguments: String,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionEntry {
    /// What it is called.
    pub id: String,
    /// What it is about.
    pub about: About,
    /// What it has in common with like ones: questions of one run about one tool, asked under the same definition,
    /// configuration and provenance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Sha256>,
    /// How it stands.
    pub standing: Standing,
    /// The run.
    pub run: RunId,
    /// On whose behalf the run acts.
    pub subject: Subject,
    /// What started the run, where tokens claim it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
    /// What has influenced the run.
    pub provenance: Provenance,
    /// The tool: `upstream.tool`, or of a plan as the plan names it.
    pub tool: String,
    /// The arguments of the call, or what the step says of them: one JSON value, exactly. Words of whoever made the call.
    /// Absent where the gateway started since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// How many people have to say yes, and who did.
    #[serde(default)]
    pub people: PeopleEntry,
    /// Why a person is asked.
    pub why: Vec<String>,
    /// When it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// From when on it does not count.
    pub until: Timestamp,
}

/// How many people have to say yes to a question, and who did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeopleEntry {
    /// How many, all different.
    pub needed: u32,
    /// Who said yes already, where several have to.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub agreed: BTreeSet<Person>,
    /// The subject of the run, where it does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excluded: Option<Subject>,
}

impl Default for PeopleEntry {
    fn default() -> Self {
        Self { needed: 1, agreed: BTreeSet::new(), excluded: None }
    }
}

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// One exact call.
    Call,
    /// A step of a plan, and so each call that it is for.
    Step,
}

/// What signs people in beside the admin socket: entry points of people, at providers that the configuration names.
pub trait SignIns: Send + Sync {
    /// The name of each.
    fn ways(&self) -> Vec<EntryPointName>;

    /// Where the browser of somebody goes who signs in by `by`.
    ///
    /// # Errors
    /// Why nobody can now.
    fn begin_sign_in(
        &self,
        by: &EntryPointName,
        sign_in: &SignIn,
    ) -> impl Future<Output = Result<String, Reason>> + Send;

    /// Who came back with `returned`.
    ///
    /// # Errors
    /// Why nobody did.
    fn finish_sign_in(
        &self,
        by: &EntryPointName,
        sign_in: &SignIn,
        returned: &Returned,
    ) -> impl Future<Output = Result<Person, Reason>> + Send;

    /// What a service says for somebody, by the entry point `by`, in a message that it signed.
    ///
    /// # Errors
    /// Why it is not taken.
    fn brought(&self, by: &str, headers: &HeaderMap, body: &[u8]) -> Result<Brought, Reason>;
}

/// A link that signs whoever asked for it in to the page, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageLink {
    /// The URL. Whoever has it is let in.
    pub url: String,
    /// How long it can be used, in seconds.
    pub lasts_s: u64,
}

/// The body of `POST /v1/approvals/ID`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answering {
    pub(super) word: Word,
}
