//! Splunk's HTTP Event Collector, as Splunk documents it ("HTTP Event Collector REST API endpoints", "Format events for
//! HTTP Event Collector", "About HTTP Event Collector Indexer Acknowledgment", "Possible error codes"): it refuses what the
//! real one would, and keeps what it would keep, what comes before a wrong event included.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http::Response;
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::receiver::{Batch, Receiver, json as answer, of_kind};

pub const TOKEN: &str = "b5a79aad-d822-46cc-80d1-819f80d7bfb0";
pub const EVENT_PATH: &str = "/services/collector/event";
pub const ACK_PATH: &str = "/services/collector/ack";

/// How a collector is set up, and what is wrong with it.
#[derive(Clone)]
pub struct Rules {
    /// Whether indexer acknowledgement is enabled for the token (`useACK`).
    pub is_acknowledged: bool,
    /// The token that is enabled.
    pub token: &'static str,
    /// Whether what came on the channel of this number is indexed when it is asked for the `asked`th time.
    pub indexes: fn(channel: usize, asked: usize) -> bool,
    /// Whether an event is none.
    pub is_poison: fn(&str) -> bool,
    /// What of a wrong event's number is told.
    pub names: fn(usize) -> Option<usize>,
    /// What is answered to the request of this number, whatever it is.
    pub fails: fn(number: usize, path: &str) -> Option<Response<Full<Bytes>>>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            is_acknowledged: true,
            token: TOKEN,
            indexes: |_, _| true,
            is_poison: |_| false,
            names: Some,
            fails: |_, _| None,
        }
    }
}

/// One event as it came.
#[derive(Clone)]
pub struct Event {
    pub channel: String,
    /// The record in it, byte by byte.
    pub record: String,
    /// What stands around it.
    pub envelope: BTreeMap<String, Value>,
}

/// What a channel knows: how often each request that it has was asked for.
#[derive(Default)]
struct Channel {
    number: usize,
    next: u64,
    asked: BTreeMap<u64, usize>,
}

struct State {
    rules: Rules,
    channels: BTreeMap<String, Channel>,
    events: Vec<Event>,
    asked: usize,
}

/// The collector.
#[derive(Clone)]
pub struct Collector {
    pub receiver: Receiver,
    state: Arc<Mutex<State>>,
}

/// A refusal: its status and its code, in the words of the table, and which event is wrong.
fn refused(status: u16, code: u64, text: &str, event: Option<usize>) -> Response<Full<Bytes>> {
    let mut body = json!({ "text": text, "code": code });
    if let Some(event) = event {
        body["invalid-event-number"] = json!(event);
    }
    answer(status, &body)
}

impl Collector {
    pub async fn start(rules: Rules) -> Self {
        let (channels, events) = (BTreeMap::new(), Vec::new());
        let state = Arc::new(Mutex::new(State { rules, channels, events, asked: 0 }));
        let answering = Arc::clone(&state);
        let receiver =
            Receiver::start(move |number, batch| answering.lock().unwrap().answer(number, batch)).await;
        Self { receiver, state }
    }

    /// Sets it up anew; what it has it keeps.
    pub fn set(&self, rules: Rules) {
        self.state.lock().unwrap().rules = rules;
    }

    pub fn events(&self) -> Vec<Event> {
        self.state.lock().unwrap().events.clone()
    }

    /// The records of what it has.
    pub fn records(&self) -> Vec<String> {
        self.events().into_iter().map(|event| event.record).collect()
    }

    /// How often it was asked what has been indexed.
    pub fn asked(&self) -> usize {
        self.state.lock().unwrap().asked
    }

    pub async fn has(&self, kind: &str, times: usize) {
        self.receiver.until(|| of_kind(&self.records(), kind) >= times).await;
    }

    /// How many requests came with events, whatever was answered.
    pub fn posts(&self) -> usize {
        self.receiver.came().iter().filter(|(batch, _)| batch.uri.path() == EVENT_PATH).count()
    }
}

impl State {
    fn answer(&mut self, number: usize, batch: &Batch) -> Response<Full<Bytes>> {
        if let Some(answer) = (self.rules.fails)(number, batch.uri.path()) {
            return answer;
        }
        match batch.header("authorization").split_once(' ') {
            None => return refused(401, 2, "Token is required", None),
            Some(("Splunk", token)) if token == self.rules.token => {}
            Some(("Splunk", _)) => return refused(403, 4, "Invalid token", None),
            Some(_) => return refused(401, 3, "Invalid authorization", None),
        }
        let channel = batch.header("x-splunk-request-channel").to_owned();
        match batch.uri.path() {
            EVENT_PATH if self.rules.is_acknowledged && channel.is_empty() => {
                refused(400, 10, "Data channel is missing", None)
            }
            EVENT_PATH if !channel.is_empty() && !is_guid(&channel) => {
                refused(400, 11, "Invalid data channel", None)
            }
            EVENT_PATH => self.take(&channel, batch),
            ACK_PATH => self.acknowledge(batch),
            _ => answer(
                404,
                &json!({ "text": "The requested URL was not found on this server.", "code": 404 }),
            ),
        }
    }

    fn take(&mut self, channel: &str, batch: &Batch) -> Response<Full<Bytes>> {
        let text = batch.lines.join("\n");
        let objects =
            serde_json::Deserializer::from_str(&text).into_iter::<BTreeMap<String, Box<RawValue>>>();
        let before = self.events.len();
        for (at, object) in objects.enumerate() {
            let named = (self.rules.names)(at);
            let Ok(object) = object else { return refused(400, 6, "Invalid data format", named) };
            let Some(event) = object.get("event") else {
                return refused(400, 12, "Event field is required", named);
            };
            if event.get() == "\"\"" {
                return refused(400, 13, "Event field cannot be blank", named);
            }
            if (self.rules.is_poison)(event.get()) {
                return refused(400, 6, "Invalid data format", named);
            }
            let record = event.get().to_owned();
            let mut envelope = BTreeMap::new();
            for (key, value) in object.iter().filter(|(key, _)| *key != "event") {
                envelope.insert(key.clone(), serde_json::from_str(value.get()).unwrap());
            }
            if !is_envelope(&envelope) {
                return refused(400, 15, "Error in handling indexed fields", named);
            }
            self.events.push(Event { channel: channel.to_owned(), record, envelope });
        }
        if self.events.len() == before {
            return refused(400, 5, "No data", None);
        }
        if !self.rules.is_acknowledged {
            return answer(200, &json!({ "text": "Success", "code": 0 }));
        }
        let number = self.channels.len();
        let channel = self
            .channels
            .entry(channel.to_owned())
            .or_insert_with(|| Channel { number, ..Channel::default() });
        let ack = channel.next;
        channel.next += 1;
        channel.asked.insert(ack, 0);
        answer(200, &json!({ "text": "Success", "code": 0, "ackId": ack }))
    }

    fn acknowledge(&mut self, batch: &Batch) -> Response<Full<Bytes>> {
        self.asked += 1;
        let channel = batch.uri.query().and_then(|query| query.strip_prefix("channel=")).unwrap_or_default();
        if !self.rules.is_acknowledged {
            return refused(400, 14, "ACK is disabled", None);
        }
        if channel.is_empty() {
            return refused(400, 10, "Data channel is missing", None);
        }
        let Some(channel) = self.channels.get_mut(channel) else {
            return refused(400, 11, "Invalid data channel", None);
        };
        let Ok(question) = serde_json::from_slice::<BTreeMap<String, Vec<u64>>>(&batch.body) else {
            return refused(400, 6, "Invalid data format", None);
        };
        let mut acks = BTreeMap::new();
        for ack in &question["acks"] {
            // What was told once is forgotten, and nobody knows what was never taken.
            let is_indexed = channel.asked.get_mut(ack).is_some_and(|asked| {
                *asked += 1;
                (self.rules.indexes)(channel.number, *asked)
            });
            if is_indexed {
                channel.asked.remove(ack);
            }
            acks.insert(ack.to_string(), is_indexed);
        }
        answer(200, &json!({ "acks": acks }))
    }
}

fn is_guid(text: &str) -> bool {
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// Whether there is nothing that Splunk does not know, and each of it has the form that it has to have.
fn is_envelope(envelope: &BTreeMap<String, Value>) -> bool {
    envelope.iter().all(|(key, value)| match (key.as_str(), value) {
        ("time", Value::Number(_)) => true,
        ("host" | "source" | "sourcetype" | "index", Value::String(text)) => !text.is_empty(),
        ("fields", Value::Object(fields)) => fields.values().all(Value::is_string),
        _ => false,
    })
}
