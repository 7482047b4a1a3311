//! People who answer questions, by what vouches for each of them.
//!
//! Must never name a run, a key or an agent: what an agent may hold is no person. Trusts whoever makes one: the kernel's
//! word at the admin socket, or an entry point at which the person signed in.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::name::{EntryPointName, Subject};
use super::run::Actor;

/// A person, as configurations and records name them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Person {
    /// Whoever asks at the admin socket under this uid.
    Uid {
        /// The uid.
        uid: u32,
    },
    /// A subject, signed in by this entry point.
    Subject {
        /// The entry point.
        entry_point: EntryPointName,
        /// The subject.
        subject: Subject,
    },
}

impl Person {
    /// Who acted at the admin socket, if this is such a person.
    #[must_use]
    pub const fn actor(&self) -> Option<Actor> {
        match self {
            Self::Uid { uid } => Some(Actor { uid: *uid }),
            Self::Subject { .. } => None,
        }
    }
}

impl From<Actor> for Person {
    fn from(Actor { uid }: Actor) -> Self {
        Self::Uid { uid }
    }
}

impl fmt::Display for Person {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid { uid } => write!(out, "uid {uid}"),
            Self::Subject { entry_point, subject } => write!(out, "{subject} by {entry_point}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_read_back_as_the_one_that_was_written_and_nobody_is_two() {
        let subject = Subject::new("user:1").unwrap();
        let entry_point = EntryPointName::new("people.corp").unwrap();
        for (person, text) in [
            (Person::from(Actor { uid: 7 }), r#"{"uid":7}"#),
            (Person::Subject { entry_point, subject }, r#"{"entry_point":"people.corp","subject":"user:1"}"#),
        ] {
            assert_eq!(serde_json::to_string(&person).unwrap(), text);
            assert_eq!(serde_json::from_str::<Person>(text).unwrap(), person);
        }
        for nobody in [
            r#"{"uid":7,"entry_point":"a.b","subject":"user:1"}"#,
            r#"{"subject":"user:1"}"#,
            "{}",
            r#"{"uid":-1}"#,
        ] {
            assert!(serde_json::from_str::<Person>(nobody).is_err(), "{nobody}");
        }
    }
}
