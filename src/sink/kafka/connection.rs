//! A connection to one broker: what it speaks, as whom, and one request after the other.
//!
//! Must never show a password. Must never keep more of an answer than its bound, nor wait for one for ever.

use std::io;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::answer::{failure, malformed};
use super::message::{Api, Metadata, Produced, Spoken, authenticated, mechanism, plain};
use super::wire::{In, Malformed, Out, length};
use crate::sink::failure::Failure;
use crate::sink::settings::{Host, KafkaSettings, Login};
use crate::sink::stream::{self, Stream};

/// Longest time for one request and its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a leader waits for its replicas, in milliseconds: less than we wait for it.
const REPLICAS_TIMEOUT_MS: i32 = 20_000;
/// Most bytes of an answer: the brokers of a large cluster, and the partitions of a topic.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What we call ourselves (`client.id`), by which quotas and logs know us.
const CLIENT_ID: &str = "sluicegate";
/// The leader of a partition is not known (`LEADER_NOT_AVAILABLE`).
const NO_LEADER: i16 = 5;

#[derive(Debug)]
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    spoken: Spoken,
    /// The number of the last request.
    asked: i32,
}

impl Connection {
    /// To `host`, as whoever `settings` say.
    pub(super) async fn open(host: &Host, settings: &KafkaSettings) -> Result<Self, Failure> {
        let stream = stream::open(host, &settings.servers.encryption).await?;
        let mut connection = Self { stream, spoken: Spoken::default(), asked: 0 };
        let answer = connection.ask(Api::Versions, 0, Out::default()).await?;
        let (error, spoken) = read(&answer, Spoken::read)?;
        succeeded(error, "")?;
        connection.spoken = spoken;
        if let Some(login) = &settings.login {
            connection.log_in(login).await?;
        }
        Ok(connection)
    }

    /// By SASL/PLAIN.
    async fn log_in(&mut self, login: &Login) -> Result<(), Failure> {
        let version = self.version(Api::SaslHandshake)?;
        let answer = self.ask(Api::SaslHandshake, version, mechanism("PLAIN")).await?;
        succeeded(read(&answer, |input| input.int16())?, "")?;
        let version = self.version(Api::SaslAuthenticate)?;
        let proof = plain(&login.user, login.password.reveal());
        let answer = self.ask(Api::SaslAuthenticate, version, proof).await?;
        let (error, message) = read(&answer, authenticated)?;
        succeeded(error, &message)
    }

    /// Who leads the partition.
    pub(super) async fn leader_of(&mut self, topic: &str, partition: i32) -> Result<Host, Failure> {
        let version = self.version(Api::Metadata)?;
        let answer = self.ask(Api::Metadata, version, Metadata::ask(topic)).await?;
        let Metadata { brokers, topics } = read(&answer, Metadata::read)?;
        let topic = topics.into_iter().find(|one| one.name == topic).ok_or_else(malformed)?;
        succeeded(topic.error, "")?;
        let Some(partition) = topic.partitions.iter().find(|one| one.index == partition) else {
            let answer = format!("that `{}` has no partition {partition}; write one that it has", topic.name);
            return Err(Failure::Answer { answer, retry_after: None });
        };
        match brokers.into_iter().find(|broker| broker.id == partition.leader) {
            Some(leader) => {
                let port = u16::try_from(leader.port).map_err(|_| malformed())?;
                Ok(Host { name: leader.host, port })
            }
            None if partition.error == 0 => Err(failure(NO_LEADER, "")),
            None => Err(failure(partition.error, "")),
        }
    }

    /// Gives a batch to a partition that the broker leads.
    pub(super) async fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        records: &[u8],
    ) -> Result<Produced, Failure> {
        let version = self.version(Api::Produce)?;
        let request = Produced::ask(topic, partition, REPLICAS_TIMEOUT_MS, records);
        let answer = self.ask(Api::Produce, version, request).await?;
        read(&answer, |input| Produced::read(input, version))
    }

    /// Whether the broker has ended it. It has nothing to say otherwise.
    pub(super) fn has_ended(&mut self) -> bool {
        self.stream.read(&mut [0]).now_or_never().is_some()
    }

    fn version(&self, api: Api) -> Result<i16, Failure> {
        self.spoken.newest(api).ok_or_else(|| {
            let answer = format!("no version of {api:?} that is spoken here; it takes a broker from 0.11 on");
            Failure::Answer { answer, retry_after: None }
        })
    }

    async fn ask(&mut self, api: Api, version: i16, request: Out) -> Result<Vec<u8>, Failure> {
        let too_slow = |_| Failure::TooSlow(REQUEST_TIMEOUT.as_secs());
        timeout(REQUEST_TIMEOUT, self.ask_unlimited(api, version, &request)).await.map_err(too_slow)?
    }

    /// One request, and what is answered to it behind its header ("Request Header v1", "Response Header v0").
    async fn ask_unlimited(&mut self, api: Api, version: i16, request: &Out) -> Result<Vec<u8>, Failure> {
        self.asked = self.asked.wrapping_add(1);
        let mut head = Out::default();
        head.int16(api.key()).int16(version).int32(self.asked).string(Some(CLIENT_ID));
        let mut frame = Out::default();
        frame.int32(length(head.as_bytes()).saturating_add(length(request.as_bytes())));
        frame.raw(head.as_bytes()).raw(request.as_bytes());
        self.stream.write_all(frame.as_bytes()).await.map_err(Failure::doing("sending"))?;
        self.stream.flush().await.map_err(Failure::doing("sending"))?;
        let size = self.stream.read_i32().await.map_err(received)?;
        let size = usize::try_from(size).unwrap_or_default();
        let asked = self.stream.read_i32().await.map_err(received)?;
        if !(4..=ANSWER_BYTES_MAX).contains(&size) || asked != self.asked {
            return Err(malformed());
        }
        let mut answer = vec![0; size - 4];
        self.stream.read_exact(&mut answer).await.map_err(received)?;
        Ok(answer)
    }
}

fn read<T>(answer: &[u8], one: impl FnOnce(&mut In<'_>) -> Result<T, Malformed>) -> Result<T, Failure> {
    one(&mut In::new(answer)).map_err(|_| malformed())
}

fn succeeded(error: i16, message: &str) -> Result<(), Failure> {
    if error == 0 { Ok(()) } else { Err(failure(error, message)) }
}

fn received(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Failure::Closed,
        _ => Failure::doing("receiving")(error),
    }
}
