//! One partition of a topic of Kafka: a batch is a request to its leader, and every replica that is in sync acknowledges
//! it (`acks = all`).
//!
//! Speaks five requests of the protocol (kafka.apache.org/protocol), in versions that every broker since 0.11 knows,
//! SASL since 1.0. Must never call stored what the leader did not acknowledge, nor make a topic. One request at a time,
//! so that nothing overtakes what failed.

mod answer;
mod batch;
mod connection;
mod message;
mod wire;

use super::failure::Failure;
use super::parcel::Parcel;
use super::settings::{Host, KafkaSettings};
use super::spans::{Objection, Spans};
use super::target::{Delivered, Sure};
use connection::Connection;

#[derive(Debug)]
pub(super) struct KafkaTarget {
    /// The name of the sink.
    sink: String,
    settings: KafkaSettings,
    /// To the leader, until something fails.
    leader: Option<Connection>,
}

impl KafkaTarget {
    pub(super) fn new(sink: &str, settings: KafkaSettings) -> Self {
        Self { sink: sink.to_owned(), settings, leader: None }
    }

    pub(super) async fn deliver(&mut self, parcels: &[Parcel]) -> Result<Delivered, Failure> {
        let mut spans = Spans::of(parcels);
        while let Some(span) = spans.next() {
            match self.produce(span).await? {
                None => spans.taken(span),
                Some(objection) => spans.objected(span, objection),
            }
        }
        Ok(Delivered { sure: Sure::Arrived, refused: spans.end()? })
    }

    /// Gives `span` to the leader; why that does not take it, where that is for what is in it.
    async fn produce(&mut self, span: &[Parcel]) -> Result<Option<Objection>, Failure> {
        let settings = &self.settings;
        // Brokers end what was idle for ten minutes, which is no failure.
        if self.leader.as_mut().is_some_and(Connection::has_ended) {
            self.leader = None;
        }
        let leader = match &mut self.leader {
            Some(leader) => leader,
            None => self.leader.insert(find_leader(settings).await?),
        };
        let records = batch::encode(&self.sink, span);
        let produced = leader.produce(&settings.topic, settings.partition, &records).await?;
        answer::taken(&produced)
    }

    pub(super) fn reset(&mut self) {
        self.leader = None;
    }
}

/// Asks one server after the other who leads, and goes there.
async fn find_leader(settings: &KafkaSettings) -> Result<Connection, Failure> {
    let mut failed = None;
    for host in &settings.servers.hosts {
        match by(host, settings).await {
            Ok(leader) => return Ok(leader),
            Err(failure) => failed = Some(failure),
        }
    }
    Err(failed.unwrap_or(Failure::Closed))
}

async fn by(host: &Host, settings: &KafkaSettings) -> Result<Connection, Failure> {
    let mut asked = Connection::open(host, settings).await?;
    let leader = asked.leader_of(&settings.topic, settings.partition).await?;
    if leader == *host { Ok(asked) } else { Connection::open(&leader, settings).await }
}
