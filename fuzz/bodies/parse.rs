//! Any bytes as a message: what the strict parse accepts and refuses, against `serde_json`.
//!
//! Run by the fuzz target of the same name and, over the kept corpus, by the test suite.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use sluicegate::model::reason::Reason;
use sluicegate::wire::{self, Message, Outcome, Params, ScanLimits};

const LIMITS: ScanLimits = ScanLimits { depth_max: 16, members_max: 256 };

pub fn run(data: &[u8]) {
    let oracle = Oracle::of(data);
    match wire::parse(Bytes::copy_from_slice(data), &LIMITS) {
        Ok(message) => {
            let Some(verdict) = oracle else { return };
            let seen = verdict.expect("what we accept, serde_json accepts");
            assert!(seen.depth <= LIMITS.depth_max && seen.members <= LIMITS.members_max);
            let value: Value = serde_json::from_slice(data).expect("accepted");
            compare(&message, &value);
        }
        Err(malformed) => {
            assert!(malformed.at <= data.len());
            assert!(!malformed.to_string().is_empty());
            assert!(malformed.code() < 0);
            let refused = oracle.is_none_or(|verdict| verdict.is_err());
            match malformed.reason {
                Reason::JsonInvalid | Reason::JsonDuplicateKey => {
                    assert!(refused, "serde_json accepts what we call {malformed}");
                }
                _ => {}
            }
        }
    }
}

/// Every part that stays raw has the value that it has in the whole.
fn compare(message: &Message, whole: &Value) {
    let params = |params: &Option<Params>| match params {
        Some(params) => {
            assert_eq!(value(&params.raw()), whole["params"]);
            for key in params.members().keys() {
                assert_eq!(value(&params.get(key).expect("listed")), whole["params"][key]);
            }
            for key in params.meta().into_iter().flat_map(|meta| meta.keys()) {
                let raw = params.meta().and_then(|meta| meta.get(key)).expect("listed");
                assert_eq!(value(&raw), whole["params"]["_meta"][key]);
            }
        }
        None => assert!(whole.get("params").is_none()),
    };
    let method = |name: &str| {
        let sent = whole["method"].as_str().expect("a method is a string");
        assert!(name == sent || name.ends_with('…'), "{name} {sent}");
    };
    match message {
        Message::Request(request) => {
            assert_eq!(value(request.id.raw().as_bytes()), whole["id"]);
            method(request.method.name());
            params(&request.params);
        }
        Message::Notification(notification) => {
            assert!(whole.get("id").is_none());
            method(notification.method.name());
            params(&notification.params);
        }
        Message::Response(response) => {
            match &response.outcome {
                Outcome::Result(raw) => {
                    assert_eq!(value(raw), whole["result"]);
                    assert_eq!(response.facts().ok(), wire::result::inspect(raw).ok());
                }
                Outcome::Error(raw) => assert_eq!(value(raw), whole["error"]),
            }
            match &response.id {
                Some(id) => assert_eq!(value(id.raw().as_bytes()), whole["id"]),
                None => assert!(whole["id"].is_null()),
            }
        }
    }
}

fn value(raw: &[u8]) -> Value {
    serde_json::from_slice(raw).expect("a part of JSON is JSON")
}

/// A second, slow and obvious reading: `serde_json`, with the keys of each object in a set.
#[derive(Default)]
struct Oracle {
    depth: usize,
    deepest: usize,
    members: usize,
}

struct Seen {
    depth: usize,
    members: usize,
}

impl Oracle {
    /// What `serde_json` says; `None` where it only cannot hold a number that the grammar allows, or
    /// gives up on depth: of that it says nothing.
    fn of(data: &[u8]) -> Option<Result<Seen, serde_json::Error>> {
        let mut oracle = Self::default();
        let mut json = serde_json::Deserializer::from_slice(data);
        let verdict = oracle.deserialize(&mut json).and_then(|()| json.end());
        match verdict {
            Ok(()) => Some(Ok(Seen { depth: oracle.deepest, members: oracle.members })),
            Err(error) => {
                let text = error.to_string();
                let silent = text.contains("number out of range") || text.contains("recursion limit");
                (!silent).then_some(Err(error))
            }
        }
    }

    fn enter(&mut self) {
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
    }
}

impl<'de> DeserializeSeed<'de> for &mut Oracle {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Oracle {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        self.enter();
        while elements.next_element_seed(&mut *self)?.is_some() {
            self.members += 1;
        }
        self.depth -= 1;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.enter();
        let mut keys = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            self.members += 1;
            if !keys.insert(key) {
                return Err(A::Error::custom("duplicate key"));
            }
            map.next_value_seed(&mut *self)?;
        }
        self.depth -= 1;
        Ok(())
    }
}
