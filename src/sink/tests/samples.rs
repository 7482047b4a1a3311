//! Records for the tests of the forms: whatever the schema of the journal allows, odd text included, and anything at all.
//!
//! Must never make a record as the gateway's that the schema refuses, which a test checks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::audit::Kind;
use crate::sink::one_line::one_line;
use crate::sink::told::Told;

/// A record, and the intent that it ends where it is an outcome whose intent is known.
#[derive(Debug, Clone)]
pub(in crate::sink) struct Sample {
    pub(in crate::sink) kind: Kind,
    pub(in crate::sink) record: Value,
    pub(in crate::sink) intent: Option<Value>,
    line: String,
}

impl Sample {
    pub(in crate::sink) fn new(kind: Kind, record: Value, intent: Option<Value>) -> Self {
        let line = one_line(&record);
        Self { kind, record, intent, line }
    }

    pub(in crate::sink) fn told(&self) -> Told<'_> {
        Told { kind: self.kind, line: &self.line, record: &self.record, intent: self.intent.as_ref() }
    }

    /// `event` as it is sent: one line that is not too long and hides nothing, without a key that comes twice.
    pub(in crate::sink) fn sent(&self, event: &Value) -> Value {
        let line = one_line(event);
        assert!(!line.chars().any(crate::model::text::is_hidden), "{line}");
        let whole = self.line.len() + self.intent.as_ref().map_or(0, |intent| one_line(intent).len());
        assert!(line.len() <= 4 * whole + OWN_BYTES_MAX, "{} of {whole}: {line}", line.len());
        let Strict(read) = serde_json::from_str(&line).unwrap();
        read
    }
}

/// What a form adds to four times the record and its intent.
const OWN_BYTES_MAX: usize = 16 * 1024;

/// Any record that the gateway can write and a sink gets.
pub(in crate::sink) fn written() -> impl Strategy<Value = Sample> {
    any::<u64>().prop_map(|seed| {
        let mut maker = Maker::new(seed);
        let kinds: Vec<Kind> = sent_kinds();
        let kind = kinds[maker.below(kinds.len())];
        let record = maker.record(kind);
        let intent = (kind == Kind::Outcome && maker.below(2) == 0).then(|| maker.record(Kind::Intent));
        Sample::new(kind, record, intent)
    })
}

/// Anything at all, as a record of any kind.
pub(in crate::sink) fn anything() -> impl Strategy<Value = Sample> {
    (prop::sample::select(Kind::ALL), value(), prop::option::of(value()))
        .prop_map(|(kind, record, intent)| Sample::new(kind, record, intent))
}

/// The kinds that are written and sent (docs/AUDIT.md §9).
pub(in crate::sink) fn sent_kinds() -> Vec<Kind> {
    const NOT: [Kind; 3] = [Kind::Commit, Kind::State, Kind::Restated];
    Kind::ALL.iter().copied().filter(|kind| !NOT.contains(kind)).collect()
}

/// Makes values that a schema allows.
pub(in crate::sink) struct Maker {
    schema: &'static Value,
    state: u64,
}

impl Maker {
    pub(in crate::sink) fn new(seed: u64) -> Self {
        Self { schema: &SCHEMA, state: seed }
    }

    /// A number below `end`, which is not 0 (SplitMix64).
    fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from(mixed ^ (mixed >> 31)).unwrap() % end
    }

    pub(in crate::sink) fn record(&mut self, kind: Kind) -> Value {
        let defs = self.schema["$defs"].as_object().unwrap();
        let own =
            defs.values().find(|def| def["properties"]["kind"]["const"] == kind.as_str()).unwrap().clone();
        let mut shape = Shape::default();
        let root = json!({ "properties": self.schema["properties"], "required": self.schema["required"] });
        shape.take(self.schema, &root);
        shape.take(self.schema, &own);
        self.object(shape)
    }

    fn object(&mut self, mut shape: Shape) -> Value {
        for alternatives in std::mem::take(&mut shape.alternatives) {
            let chosen = self.below(alternatives.len());
            for (index, keys) in alternatives.into_iter().enumerate() {
                for key in keys {
                    if index == chosen {
                        shape.required.insert(key);
                    } else {
                        shape.members.remove(&key);
                    }
                }
            }
        }
        let mut chosen: BTreeSet<String> = shape.required;
        for key in shape.members.keys() {
            if self.below(3) > 0 {
                chosen.insert(key.clone());
            }
        }
        if chosen.is_empty() && shape.is_never_empty {
            chosen.extend(shape.members.keys().next().cloned());
        }
        // What is needed may need more.
        for _ in 0..shape.dependent.len() {
            for (key, needed) in &shape.dependent {
                if chosen.contains(key) {
                    chosen.extend(needed.iter().cloned());
                }
            }
        }
        let mut object = Map::new();
        for key in chosen {
            let node = shape.members[&key].clone();
            let value = if key == "traceparent" && self.below(2) == 0 {
                json!(format!("00-{}-{}-01", self.text_of(HEX, 32), self.text_of(HEX, 16)))
            } else {
                self.value(&node)
            };
            object.insert(key, value);
        }
        Value::Object(object)
    }

    fn value(&mut self, node: &Value) -> Value {
        if let Some(value) = node.get("const") {
            return value.clone();
        }
        if let Some(words) = node.get("enum").and_then(Value::as_array) {
            return words[self.below(words.len())].clone();
        }
        if let Some(all) = node.get("anyOf").and_then(Value::as_array) {
            let chosen = all[self.below(all.len())].clone();
            return self.value(&chosen);
        }
        let mut shape = Shape::default();
        shape.take(self.schema, node);
        if !shape.members.is_empty() || !shape.required.is_empty() {
            return self.object(shape);
        }
        if let Some(target) = node.get("$ref") {
            let node = resolved(self.schema, target);
            return self.value(&node);
        }
        let kind = match &node["type"] {
            Value::Array(all) => all[self.below(all.len())].clone(),
            one => one.clone(),
        };
        match kind.as_str().unwrap() {
            "string" => Value::String(self.string(node)),
            "integer" => self.integer(node),
            "boolean" => Value::Bool(self.below(2) == 0),
            "array" => self.array(node),
            "object" => self.table(node),
            other => panic!("{other}"),
        }
    }

    fn integer(&mut self, node: &Value) -> Value {
        let least = node.get("minimum").and_then(Value::as_i64);
        let some = i64::try_from(self.below(100_000)).unwrap();
        match (self.below(8), least) {
            (0, Some(least)) => least.into(),
            (0, None) => i64::MIN.into(),
            (1, None) => (-32_603).into(),
            (1, Some(_)) => u64::MAX.into(),
            (2, _) => i64::MAX.into(),
            _ => (some + least.unwrap_or_default()).into(),
        }
    }

    fn count(&mut self, node: &Value, least: &str, most: &str) -> usize {
        let read = |key: &str| node.get(key).and_then(Value::as_u64).map(|n| usize::try_from(n).unwrap());
        let (least, most) = (read(least).unwrap_or_default(), read(most).unwrap_or(8));
        let end = if self.below(16) == 0 { most } else { most.min(least + 4) };
        least + self.below(end - least + 1)
    }

    fn array(&mut self, node: &Value) -> Value {
        let count = self.count(node, "minItems", "maxItems");
        let mut all: Vec<Value> = (0..count).map(|_| self.value(&node["items"])).collect();
        if node.get("uniqueItems").is_some() {
            let mut seen = BTreeSet::new();
            all.retain(|value| seen.insert(value.to_string()));
        }
        Value::Array(all)
    }

    fn table(&mut self, node: &Value) -> Value {
        let count = 1 + self.below(3);
        let entries = (0..count).map(|_| {
            let key = self.value(&node["propertyNames"]);
            (key.as_str().unwrap().to_owned(), self.value(&node["additionalProperties"]))
        });
        Value::Object(entries.collect())
    }

    fn string(&mut self, node: &Value) -> String {
        let Some(pattern) = node.get("pattern").and_then(Value::as_str) else {
            let count = self.count(node, "minLength", "maxLength");
            return self.text_of(ODD, count);
        };
        match pattern {
            "^[0-9a-f]{64}$" => self.text_of(HEX, 64),
            "^[0-9a-f]{32}$" => self.text_of(HEX, 32),
            "^[0-9a-f]{16}$" => self.text_of(HEX, 16),
            "^[0-9a-f]{8}$" => self.text_of(HEX, 8),
            "^[A-Za-z0-9+/]+={0,2}$" => self.text_of(HEX, 40),
            _ if pattern.ends_with("{44}$") => {
                format!("{}+{}+{}", self.text_of(WORD, 9), self.text_of(HEX, 8), self.text_of(HEX, 44))
            }
            "^[a-z0-9_]+$" => self.text_of(WORD, 9),
            "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?Z$" => {
                "2026-11-21T00:00:00Z".to_owned()
            }
            "^[A-Za-z0-9_-]{1,32}$" => self.text_of(WORD, 4),
            "^[A-Za-z0-9_-]{1,64}$" => self.text_of(WORD, 5),
            "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" => "2025-11-25".to_owned(),
            _ if pattern.contains("jsonl") => format!("{}.jsonl", self.text_of(&['0', '1', '9'], 20)),
            _ if pattern.contains("T[0-9]") => {
                let micros = i64::try_from(self.below(253_402_000_000_000_000)).unwrap();
                format!("{:.6}", Timestamp::from_microsecond(micros).unwrap())
            }
            _ if pattern.ends_with("{1,128}$") => {
                format!("{}.{}", self.text_of(WORD, 5), self.text_of(WORD, 64))
            }
            _ if pattern.ends_with("\\..") => format!("{}.{}", self.text_of(WORD, 5), self.text_of(ODD, 9)),
            _ if pattern.ends_with(":[a-z]") => {
                format!("{}:x{}", self.text_of(WORD, 5), self.text_of(ODD, 9))
            }
            other => panic!("no text is known for {other}"),
        }
    }

    fn text_of(&mut self, all: &[char], count: usize) -> String {
        (0..count).map(|_| all[self.below(all.len())]).collect()
    }
}

const HEX: &[char] = &['0', '1', '9', 'a', 'f'];
const WORD: &[char] = &['a', 'z', '0', '_'];
/// No line break: the patterns of the schema are for one line.
const ODD: &[char] = &[
    'a',
    'Z',
    ' ',
    '"',
    '\\',
    '/',
    '{',
    '<',
    '%',
    '.',
    ':',
    '\u{0}',
    '\u{1b}',
    '\u{7f}',
    '\u{85}',
    '\u{ad}',
    'é',
    '\u{202e}',
    '\u{feff}',
    '\u{e0041}',
    '😀',
];

/// What the members of an object may be.
#[derive(Default)]
struct Shape {
    members: BTreeMap<String, Value>,
    required: BTreeSet<String>,
    dependent: Vec<(String, Vec<String>)>,
    is_never_empty: bool,
    /// Of each the members of one are there, and those of the others are not.
    alternatives: Vec<Vec<Vec<String>>>,
}

impl Shape {
    fn take(&mut self, schema: &Value, node: &Value) {
        if let Some(target) = node.get("$ref") {
            self.take(schema, &resolved(schema, target));
        }
        if let Some(members) = node.get("properties").and_then(Value::as_object) {
            self.members.extend(members.clone());
        }
        self.required.extend(texts(node.get("required")));
        self.is_never_empty |= node.get("minProperties").is_some();
        for (key, needed) in node.get("dependentRequired").and_then(Value::as_object).into_iter().flatten() {
            self.dependent.push((key.clone(), texts(Some(needed))));
        }
        if let Some(all) = node.get("oneOf").and_then(Value::as_array) {
            self.alternatives.push(all.iter().map(|one| texts(one.get("required"))).collect());
        }
    }
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let all = list.and_then(Value::as_array).into_iter().flatten();
    all.map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn resolved(schema: &Value, target: &Value) -> Value {
    schema.pointer(target.as_str().unwrap().trim_start_matches('#')).unwrap().clone()
}

static SCHEMA: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(SCHEMA_TEXT).unwrap());

const SCHEMA_TEXT: &str = include_str!("../../../docs/audit.schema.json");

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    const KNOWN: [&str; 32] = [
        "seq",
        "t",
        "kind",
        "run",
        "method",
        "principal",
        "subject",
        "roles",
        "agents",
        "entry_point",
        "tool",
        "prompt",
        "resource",
        "claimed",
        "request_id",
        "reason",
        "intent",
        "is_error",
        "count",
        "digest",
        "change",
        "state",
        "by",
        "uid",
        "decision",
        "rules",
        "place",
        "jsonrpc",
        "latency_us",
        "total",
        "traceparent",
        "findings",
    ];
    prop_oneof![prop::sample::select(&KNOWN[..]).prop_map(str::to_owned), "[a-z]{1,4}"]
}

/// A JSON value in which no key comes twice.
struct Strict(Value);

impl<'de> serde::Deserialize<'de> for Strict {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Visitor).map(Self)
    }
}

struct Visitor;

impl<'de> serde::de::Visitor<'de> for Visitor {
    type Value = Value;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut all: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(value)) = all.next_element()? {
            list.push(value);
        }
        Ok(list.into())
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut all: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, Strict(value))) = all.next_entry::<String, Strict>()? {
            assert!(object.insert(key.clone(), value).is_none(), "`{key}` comes twice");
        }
        Ok(object.into())
    }
}

#[test]
fn the_schema_of_the_journal_defines_nothing_twice() {
    let Strict(_) = serde_json::from_str(SCHEMA_TEXT).unwrap();
}

proptest! {
    #[test]
    fn what_is_said_to_be_written_is_as_the_schema_says(sample in written()) {
        thread_local!(static CHECK: jsonschema::Validator = jsonschema::validator_for(&SCHEMA).unwrap());
        CHECK.with(|schema| {
            let wrong: Vec<String> = schema.iter_errors(&sample.record).map(|error| error.to_string()).collect();
            assert!(wrong.is_empty(), "{:#}\n{wrong:#?}", sample.record);
        });
    }
}
