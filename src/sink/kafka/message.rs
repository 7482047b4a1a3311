//! The five requests of Kafka's protocol that are spoken, and what is answered to them.
//!
//! Each in versions without tagged fields. Must never take what is malformed for an answer.

use std::ops::RangeInclusive;

use super::wire::{In, Malformed, Out};

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    Produce,
    Metadata,
    SaslHandshake,
    Versions,
    SaslAuthenticate,
}

impl Api {
    /// The number that it has.
    pub(super) const fn key(self) -> i16 {
        match self {
            Self::Produce => 0,
            Self::Metadata => 3,
            Self::SaslHandshake => 17,
            Self::Versions => 18,
            Self::SaslAuthenticate => 36,
        }
    }

    /// The versions of it that are spoken here.
    pub(super) const fn versions(self) -> RangeInclusive<i16> {
        match self {
            // 3 is the first with batches of format 2; 8 says which records are wrong.
            Self::Produce => 3..=8,
            // The first that makes no topic.
            Self::Metadata => 4..=4,
            // The first after which `SaslAuthenticate` is spoken.
            Self::SaslHandshake => 1..=1,
            Self::Versions | Self::SaslAuthenticate => 0..=0,
        }
    }
}

/// Which versions a broker speaks.
#[derive(Debug, Default)]
pub(super) struct Spoken(Vec<(i16, RangeInclusive<i16>)>);

impl Spoken {
    /// The answer to `ApiVersions`, with its error.
    pub(super) fn read(input: &mut In<'_>) -> Result<(i16, Self), Malformed> {
        let error = input.int16()?;
        let all = input.array(|one| Ok((one.int16()?, one.int16()?..=one.int16()?)))?;
        Ok((error, Self(all)))
    }

    /// The newest version of `api` that both speak.
    pub(super) fn newest(&self, api: Api) -> Option<i16> {
        let theirs = self.0.iter().find(|(key, _)| *key == api.key()).map(|(_, versions)| versions)?;
        let version = *api.versions().end().min(theirs.end());
        (api.versions().contains(&version) && theirs.contains(&version)).then_some(version)
    }
}

/// Who leads which partition.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) brokers: Vec<Broker>,
    pub(super) topics: Vec<Topic>,
}

#[derive(Debug)]
pub(super) struct Broker {
    pub(super) id: i32,
    pub(super) host: String,
    pub(super) port: i32,
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) error: i16,
    pub(super) name: String,
    pub(super) partitions: Vec<Partition>,
}

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) error: i16,
    pub(super) index: i32,
    pub(super) leader: i32,
}

impl Metadata {
    /// Asks about `topic`, which is not made where there is none.
    pub(super) fn ask(topic: &str) -> Out {
        let mut out = Out::default();
        out.int32(1).string(Some(topic)).int8(0);
        out
    }

    pub(super) fn read(input: &mut In<'_>) -> Result<Self, Malformed> {
        let _throttled = input.int32()?;
        let brokers = input.array(|one| {
            let (id, host, port) = (one.int32()?, one.string()?, one.int32()?);
            let _rack = one.string()?;
            Ok(Broker { id, host: host.ok_or(Malformed)?.to_owned(), port })
        })?;
        let (_cluster, _controller) = (input.string()?, input.int32()?);
        let topics = input.array(|one| {
            let (error, name, _internal) = (one.int16()?, one.string()?, one.int8()?);
            let partitions = one.array(Partition::read)?;
            Ok(Topic { error, name: name.unwrap_or_default().to_owned(), partitions })
        })?;
        Ok(Self { brokers, topics })
    }
}

impl Partition {
    fn read(input: &mut In<'_>) -> Result<Self, Malformed> {
        let (error, index, leader) = (input.int16()?, input.int32()?, input.int32()?);
        let (_replicas, _in_sync) = (input.array(In::int32)?, input.array(In::int32)?);
        Ok(Self { error, index, leader })
    }
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Produced {
    pub(super) error: i16,
    /// Which records are wrong, counted from 0, and why.
    pub(super) wrong: Vec<(i32, String)>,
    pub(super) message: String,
}

impl Produced {
    /// Gives `records` to a partition; answered is what every replica in sync has, or what takes too long.
    pub(super) fn ask(topic: &str, partition: i32, timeout_ms: i32, records: &[u8]) -> Out {
        let mut out = Out::default();
        // Of no transaction, `acks = all`.
        out.string(None).int16(-1).int32(timeout_ms);
        out.int32(1).string(Some(topic)).int32(1).int32(partition).bytes(records);
        out
    }

    /// What is said of the one partition that was asked.
    pub(super) fn read(input: &mut In<'_>, version: i16) -> Result<Self, Malformed> {
        let topics = input.array(|topic| {
            let _name = topic.string()?;
            topic.array(|partition| Self::read_one(partition, version))
        })?;
        let mut all = topics.into_iter().flatten();
        match (all.next(), all.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(Malformed),
        }
    }

    fn read_one(input: &mut In<'_>, version: i16) -> Result<Self, Malformed> {
        let (_index, error) = (input.int32()?, input.int16()?);
        let (_offset, _appended) = (input.int64()?, input.int64()?);
        let mut produced = Self { error, ..Self::default() };
        if version >= 5 {
            let _first = input.int64()?;
        }
        if version >= 8 {
            produced.wrong =
                input.array(|one| Ok((one.int32()?, one.string()?.unwrap_or_default().to_owned())))?;
            produced.message = input.string()?.unwrap_or_default().to_owned();
        }
        Ok(produced)
    }
}

/// `SaslHandshake`: by which mechanism.
pub(super) fn mechanism(name: &str) -> Out {
    let mut out = Out::default();
    out.string(Some(name));
    out
}

/// `SaslAuthenticate`: what proves who it is (RFC 4616, 2).
pub(super) fn plain(user: &str, password: &str) -> Out {
    let mut out = Out::default();
    out.bytes(format!("\0{user}\0{password}").as_bytes());
    out
}

/// What is answered to `SaslAuthenticate`: an error, and what is said of it.
pub(super) fn authenticated(input: &mut In<'_>) -> Result<(i16, String), Malformed> {
    Ok((input.int16()?, input.string()?.unwrap_or_default().to_owned()))
}
