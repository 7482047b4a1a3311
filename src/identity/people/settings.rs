//! The settings of an entry point of people, checked.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::identity::algorithm::Algorithm;
use crate::identity::json::{self, Members};
use crate::model::name::{EntryPointName, Subject};
use crate::model::reason::Reason;
use crate::model::secret::Secret;

/// `[auth.people.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeopleSettings {
    /// `people.NAME`.
    pub entry_point: EntryPointName,
    /// The provider's issuer identifier, byte for byte.
    pub issuer: String,
    /// What the provider knows the gateway by.
    pub client_id: String,
    /// The secret that it shares with the provider; none of a public client, which PKCE protects alone.
    pub client_secret: Option<Secret>,
    /// Which subject a person is.
    pub subject: SubjectForm,
    /// What is asked for; `openid` is among it.
    pub scopes: Vec<String>,
    /// The algorithms that its ID tokens may be signed by.
    pub algorithms: BTreeSet<Algorithm>,
    /// Certificates, in PEM, that are trusted at the provider instead of the system's.
    pub ca: Option<PathBuf>,
    /// How far its clock may be off.
    pub clock_skew: Duration,
}

impl PeopleSettings {
    /// Whether what is known of the provider of `self` is known of that of `other`.
    pub(super) fn is_of_same_provider(&self, other: &Self) -> bool {
        (&self.entry_point, &self.issuer, &self.algorithms, &self.ca)
            == (&other.entry_point, &other.issuer, &other.algorithms, &other.ca)
    }
}

/// Which subject somebody is, by a claim of their ID token: `user:{sub}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectForm {
    before: String,
    claim: String,
    after: String,
}

impl SubjectForm {
    /// The form that `text` writes: one claim in braces, with text around it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (before, rest) = text.split_once('{')?;
        let (claim, after) = rest.split_once('}')?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/');
        let is_whole = !claim.is_empty() && claim.chars().all(is_name) && !after.contains(['{', '}']);
        // What stands around the claim has to be able to stand in a subject.
        let sample = format!("{before}x{after}");
        (is_whole && Subject::new(&sample).is_ok()).then(|| Self {
            before: before.to_owned(),
            claim: claim.to_owned(),
            after: after.to_owned(),
        })
    }

    /// Whether somebody could be `subject` by this.
    #[must_use]
    pub fn may_be(&self, subject: &Subject) -> bool {
        let inner = subject.as_str().strip_prefix(self.before.as_str());
        let inner = inner.and_then(|rest| rest.strip_suffix(self.after.as_str()));
        inner.is_some_and(|inner| !inner.is_empty())
    }

    /// Who the ID token with these `claims` is about. An address counts where the provider says that it was verified
    /// (OpenID Connect Core 1.0, 5.1).
    pub(super) fn subject(&self, claims: &Members) -> Result<Subject, Reason> {
        let value = json::text(claims, &self.claim)?.filter(|value| !value.is_empty());
        let value = value.ok_or(Reason::TokenClaimsInvalid)?;
        let is_verified = claims.get("email_verified").and_then(serde_json::Value::as_bool) == Some(true);
        if self.claim == "email" && !is_verified {
            return Err(Reason::TokenClaimsInvalid);
        }
        Subject::new(&format!("{}{value}{}", self.before, self.after)).map_err(|_| Reason::TokenClaimsInvalid)
    }
}

impl fmt::Display for SubjectForm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{{{}}}{}", self.before, self.claim, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_one_claim_and_gives_the_subject_that_it_says() {
        let claims = br#"{"sub":"4711","email":"ann@acme.example","email_verified":true,"n":1,"e":""}"#;
        let claims = json::object(claims, 32).unwrap();
        let subject = |form: &str| SubjectForm::parse(form).unwrap().subject(&claims);
        assert_eq!(subject("user:{sub}").unwrap().as_str(), "user:4711");
        assert_eq!(subject("{email}").unwrap().as_str(), "ann@acme.example");
        for missing in ["{n}", "{e}", "{x}"] {
            assert_eq!(subject(missing), Err(Reason::TokenClaimsInvalid), "{missing}");
        }
        for verified in ["false", "\"true\"", "null", "1"] {
            let text = format!(r#"{{"email":"a@b","email_verified":{verified}}}"#);
            let claims = json::object(text.as_bytes(), 32).unwrap();
            assert!(SubjectForm::parse("{email}").unwrap().subject(&claims).is_err(), "{verified}");
        }
        for form in ["", "user:", "{}", "{a}{b}", "{a", "a}", "{a}}", "{{a}", "user: {sub}", "{a b}"] {
            assert_eq!(SubjectForm::parse(form), None, "{form}");
        }
    }

    #[test]
    fn whom_a_form_can_name_is_known() {
        let form = SubjectForm::parse("user:{sub}").unwrap();
        let may = |subject: &str| form.may_be(&Subject::new(subject).unwrap());
        assert!(may("user:1") && !may("service:1") && !may("user:"));
        assert_eq!(form.to_string(), "user:{sub}");
    }
}
