//! People whose word a service brings, in signed messages: a bridge to a chat tool that knows who pressed the button.
//!
//! Must never take a message twice, nor the word of somebody for whom the service does not speak, nor vouch for a run.
//! Trusts the service, within its subjects, on who said what.

use std::sync::Arc;

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::proof::replay::{Places, Replays, Shown, Untaken};
use crate::model::approval::Word;
use crate::model::change::Changes;
use crate::model::digest::Sha256;
use crate::model::glob::Glob;
use crate::model::name::{EntryPointName, Subject};
use crate::model::person::Person;
use crate::model::reason::Reason;
use crate::model::sign_in::Brought;
use crate::webhook::{AGE_MAX, Genuine, SigningKey};

/// Messages that are remembered at once, each for as long as it could come again.
pub const MESSAGES_MAX: usize = 4096;

/// `[auth.webhooks.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// The entry point: `webhooks.NAME`.
    pub entry_point: EntryPointName,
    /// What its messages are signed with.
    pub key: SigningKey,
    /// For whom it speaks: subjects that one of these matches.
    pub subjects: Vec<Glob>,
}

impl WebhookSettings {
    /// Whether it speaks for `subject`.
    #[must_use]
    pub fn speaks_for(&self, subject: &Subject) -> bool {
        self.subjects.iter().any(|glob| glob.matches(subject.as_str()))
    }

    /// `message` as one of this service: its id, until it is too old to come again.
    fn shown(&self, message: &Genuine) -> Shown {
        let name = self.entry_point.as_str().as_bytes();
        // It counts in the last moment of its age too.
        let until =
            message.at.saturating_add(AGE_MAX + SignedDuration::from_secs(1)).unwrap_or(Timestamp::MAX);
        Shown {
            proof: Sha256::of_parts(&[name, b"\n", message.id.as_bytes()]),
            holder: Sha256::of(name),
            until,
        }
    }
}

/// Every service that brings the word of people.
#[derive(Debug)]
pub struct Webhooks {
    services: Vec<WebhookSettings>,
    /// The messages that were taken, for as long as they could come again.
    taken: Arc<Replays>,
}

/// What a service says: closed, so that nothing in it is passed over.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    question: String,
    word: Word,
    subject: Subject,
}

impl Webhooks {
    /// Those of `services`.
    #[must_use]
    pub fn new(services: Vec<WebhookSettings>) -> Self {
        let places = Places { all: MESSAGES_MAX, per_holder: MESSAGES_MAX };
        Self { services, taken: Arc::new(Replays::new(places)) }
    }

    /// These as they follow `before`: what was taken stays taken.
    #[must_use]
    pub fn following(self, before: &Self) -> Self {
        Self { taken: Arc::clone(&before.taken), ..self }
    }

    /// What these change after `before`: who brings the word of people now, of others, or signed in another way.
    #[must_use]
    pub fn changes(&self, before: &Self) -> Changes {
        let mut changes = Changes::default();
        for service in &self.services {
            let name = &service.entry_point;
            match before.service(name.as_str()) {
                None => changes.widen(format!("entry point {name} brings the word of people now")),
                Some(old) if old != service => {
                    changes.widen(format!(
                        "entry point {name} brings the word of other people, or signs otherwise"
                    ));
                }
                Some(_) => {}
            }
        }
        for WebhookSettings { entry_point: name, .. } in &before.services {
            if self.service(name.as_str()).is_none() {
                changes.change(format!("entry point {name} brings nobody's word any more"));
            }
        }
        changes
    }

    /// What the message of these `headers` and this `body` says, which came for the entry point `name` at `now`.
    ///
    /// # Errors
    /// [`Reason::WebhookInvalid`] where it is not a message of that service, from now; [`Reason::WebhookRepeated`] where
    /// it was taken before; [`Reason::WebhooksFull`] where no further one can be remembered; [`Reason::WebhookMalformed`]
    /// where it says no answer; [`Reason::NotAnApprover`] where the service does not speak for that subject.
    pub fn open(
        &self,
        name: &str,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Brought, Reason> {
        let service = self.service(name).ok_or(Reason::WebhookInvalid)?;
        let genuine = service.key.open(headers, body, now).map_err(|_| Reason::WebhookInvalid)?;
        self.taken.take(service.shown(&genuine), now).map_err(|untaken| match untaken {
            Untaken::Used => Reason::WebhookRepeated,
            Untaken::Full => Reason::WebhooksFull,
        })?;
        let said: Message = serde_json::from_slice(body).map_err(|_| Reason::WebhookMalformed)?;
        let Message { question, word, subject } = said;
        if !service.speaks_for(&subject) {
            return Err(Reason::NotAnApprover);
        }
        let entry_point = service.entry_point.clone();
        Ok(Brought { person: Person::Subject { entry_point, subject }, question, word })
    }

    fn service(&self, name: &str) -> Option<&WebhookSettings> {
        self.services.iter().find(|service| service.entry_point.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = br#"{"question":"0f","word":"approve","subject":"user:1"}"#;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn key(byte: u8) -> SigningKey {
        SigningKey::of(&format!("whsec_{}", data_encoding::BASE64.encode(&[byte; 32]))).unwrap()
    }

    fn service(name: &str, byte: u8) -> WebhookSettings {
        let entry_point = EntryPointName::new(name).unwrap();
        WebhookSettings { entry_point, key: key(byte), subjects: vec![Glob::new("user:*").unwrap()] }
    }

    fn webhooks() -> Webhooks {
        Webhooks::new(vec![service("webhooks.chat", 1), service("webhooks.other", 2)])
    }

    fn signed(byte: u8, id: &str, second: i64, body: &[u8]) -> HeaderMap {
        key(byte).seal(id, at(second), body).unwrap().into_iter().collect()
    }

    #[test]
    fn a_message_of_the_service_is_the_word_of_its_subject_once() {
        let webhooks = webhooks();
        let open = |headers: &HeaderMap, name: &str| webhooks.open(name, headers, ANSWER, at(100));
        let headers = signed(1, "m1", 100, ANSWER);
        assert_eq!(open(&headers, "webhooks.other"), Err(Reason::WebhookInvalid), "the key of another");
        assert_eq!(open(&headers, "webhooks.none"), Err(Reason::WebhookInvalid));
        let said = open(&headers, "webhooks.chat").unwrap();
        let by = Person::Subject {
            entry_point: EntryPointName::new("webhooks.chat").unwrap(),
            subject: Subject::new("user:1").unwrap(),
        };
        assert_eq!(said, Brought { person: by, question: "0f".to_owned(), word: Word::Approve });
        assert_eq!(open(&headers, "webhooks.chat"), Err(Reason::WebhookRepeated));
        assert_eq!(open(&signed(1, "m1", 99, ANSWER), "webhooks.chat"), Err(Reason::WebhookRepeated));
        // The ids of two services are two.
        assert!(open(&signed(2, "m1", 100, ANSWER), "webhooks.other").is_ok());
        // A reload forgets nothing.
        let next = super::Webhooks::new(vec![service("webhooks.chat", 1)]).following(&webhooks);
        assert_eq!(next.open("webhooks.chat", &headers, ANSWER, at(100)), Err(Reason::WebhookRepeated));
    }

    #[test]
    fn what_is_no_answer_or_of_nobody_it_speaks_for_is_refused() {
        let webhooks = webhooks();
        let open = |body: &str| {
            let headers = signed(1, body, 100, body.as_bytes());
            webhooks.open("webhooks.chat", &headers, body.as_bytes(), at(100))
        };
        assert_eq!(
            open(r#"{"question":"0f","word":"approve","subject":"root"}"#),
            Err(Reason::NotAnApprover)
        );
        for body in [
            "{}",
            "[]",
            r#"{"question":"0f","word":"yes","subject":"user:1"}"#,
            r#"{"question":"0f","word":"approve","word":"deny","subject":"user:1"}"#,
            r#"{"question":"0f","word":"approve","subject":"user:1","x":1}"#,
        ] {
            assert_eq!(open(body), Err(Reason::WebhookMalformed), "{body}");
        }
    }

    #[test]
    fn i11_a_full_memory_takes_no_further_message_until_the_old_are_too_old() {
        let webhooks = webhooks();
        let open = |id: usize, now: i64| {
            let headers = signed(1, &id.to_string(), now, ANSWER);
            webhooks.open("webhooks.chat", &headers, ANSWER, at(now))
        };
        for id in 0..MESSAGES_MAX {
            open(id, 100).unwrap();
        }
        assert_eq!(open(MESSAGES_MAX, 100), Err(Reason::WebhooksFull));
        let later = at(100).saturating_add(AGE_MAX + SignedDuration::from_secs(1)).unwrap();
        assert!(open(MESSAGES_MAX, later.as_second()).is_ok());
    }

    #[test]
    fn another_key_or_more_subjects_are_wider() {
        let said = |before: &[WebhookSettings], after: &[WebhookSettings]| {
            let changes = Webhooks::new(after.to_vec()).changes(&Webhooks::new(before.to_vec()));
            (changes.changed().len(), changes.widened().len())
        };
        let (one, other) = (service("webhooks.chat", 1), service("webhooks.chat", 2));
        let one = std::slice::from_ref(&one);
        assert_eq!([said(one, one), said(&[], one), said(one, &[])], [(0, 0), (0, 1), (1, 0)]);
        assert_eq!(said(one, &[other]), (0, 1));
    }
}
