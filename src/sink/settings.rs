//! The settings of sinks, checked.
//!
//! Must never be built from anything that came over a network.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::ocsf::OcsfVersion;
use crate::audit::WitnessKey;
use crate::model::place::Place;
use crate::model::secret::Secret;
pub use crate::outbound::Compression;
use crate::webhook::SigningKey;

/// One sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its name in metrics and logs, and of the file that keeps its place.
    pub name: String,
    /// Where `[[audit.sinks]]` stands.
    pub place: Place,
    /// Where the records go.
    pub destination: Destination,
    /// In which form.
    pub format: Format,
    /// What it means for the gateway that the sink falls behind.
    pub need: Need,
    /// Lines of the journal that it may be behind before that is said (`behind_max`).
    pub behind_max: u64,
    /// Where a sink begins that was never served.
    pub begin: Begin,
}

/// In which form records go out (`format`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// As the journal has them.
    #[default]
    Record,
    /// As events of OCSF.
    Ocsf(OcsfVersion),
    /// As events of the Elastic Common Schema.
    Ecs,
    /// As log records of OpenTelemetry.
    Otel,
}

/// What it means that a sink falls behind. It never stops a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Need {
    /// Readiness shows a finding.
    #[default]
    Optional,
    /// The gateway is not ready.
    Required,
}

/// Where a sink begins that was never served (`begin`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Begin {
    /// With the oldest record that the journal holds.
    #[default]
    Oldest,
    /// With what is recorded from now on.
    Now,
}

/// Where the records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// The gateway's own standard output.
    Stdout,
    /// A file, a record a line.
    File(FileSettings),
    /// A file that always holds the newest signed checkpoint.
    Checkpoint(PathBuf),
    /// A witness, who signs each checkpoint.
    Witness(Box<WitnessSettings>),
    /// A syslog receiver.
    Syslog(SyslogSettings),
    /// A server that takes batches over HTTP.
    Http(HttpSettings),
    /// A partition of a topic of Kafka.
    Kafka(KafkaSettings),
    /// A stream of NATS JetStream.
    Nats(NatsSettings),
}

/// Types of sinks that a program may have been built without: each is a cargo feature of its name.
pub const HEAVY_TYPES: [&str; 2] = ["kafka", "nats"];

/// Those of them that this program was built with.
#[must_use]
pub fn heavy_types_built() -> Vec<&'static str> {
    let is_built = |name: &&str| match *name {
        "kafka" => cfg!(feature = "kafka"),
        _ => cfg!(feature = "nats"),
    };
    HEAVY_TYPES.into_iter().filter(is_built).collect()
}

/// `type = "file"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSettings {
    /// Which.
    pub path: PathBuf,
    /// Size at which it is moved to `path.1`, in bytes; never where there is none (`rotate_bytes`).
    pub rotate_bytes: Option<u64>,
    /// How many moved files are kept (`rotate_keep`).
    pub rotate_keep: usize,
}

/// `type = "witness"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessSettings {
    /// Where checkpoints are submitted.
    pub url: http::Uri,
    /// Headers that go along (`headers`).
    pub headers: Vec<(http::HeaderName, Secret)>,
    /// Certificates, in PEM, that are trusted there instead of the system's.
    pub ca: Option<PathBuf>,
    /// The key of the witness (`key`).
    pub key: WitnessKey,
    /// The file that holds the newest checkpoint that it signed.
    pub path: PathBuf,
}

/// `type = "syslog"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogSettings {
    /// Where the receiver is.
    pub to: SyslogAddress,
    /// The facility (RFC 5424, 6.2.1), 0 to 23.
    pub facility: u8,
    /// Largest message, in bytes; what is larger is announced and left out (`message_max`).
    pub message_max: usize,
}

/// `type = "http"`, `"otlp"` or `"splunk_hec"`: a server that takes batches over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// Where batches are sent.
    pub url: http::Uri,
    /// Headers that go along (`headers`, `token`).
    pub headers: Vec<(http::HeaderName, Secret)>,
    /// Certificates, in PEM, that are trusted there instead of the system's.
    pub ca: Option<PathBuf>,
    /// How bodies are written.
    pub compression: Compression,
    /// What is spoken.
    pub protocol: HttpProtocol,
}

/// What is spoken with a server that takes batches over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpProtocol {
    /// A record a line (`type = "http"`).
    Lines {
        /// What each request is signed with (`sign`).
        sign: Option<SigningKey>,
    },
    /// Logs of OpenTelemetry (`type = "otlp"`).
    Otlp,
    /// The HTTP Event Collector of Splunk (`type = "splunk_hec"`).
    SplunkHec(Box<HecSettings>),
}

/// What `type = "splunk_hec"` has of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HecSettings {
    /// Where it is asked what has been indexed.
    pub acks: http::Uri,
    /// What counts as delivered.
    pub ack: Ack,
    /// What each event says of itself.
    pub labels: HecLabels,
}

/// What each event for Splunk says of itself; what is silent is for the receiver to say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct HecLabels {
    /// The machine it comes from (`host`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Where on the machine it comes from (`source`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What it is (`sourcetype`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sourcetype: Option<String>,
    /// Where it is kept (`index`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
}

/// What counts as delivered to Splunk (`ack`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// What is acknowledged as indexed; what is not within this time is sent again (`ack_timeout`).
    Wait(Duration),
    /// What is answered with success.
    Off,
}

/// Where a syslog receiver is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyslogAddress {
    /// A datagram socket, as `/dev/log` is.
    Unix(PathBuf),
    /// TCP with octet counting (RFC 6587, 3.4.1), or TLS (RFC 5425).
    Connection {
        /// Where.
        host: Host,
        /// Which of them.
        encryption: Encryption,
    },
}

/// `type = "kafka"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// Where the cluster is.
    pub servers: Servers,
    /// The topic.
    pub topic: String,
    /// Which partition of it: all records go to one, because Kafka keeps no order among several.
    pub partition: i32,
    /// As whom; by SASL/PLAIN.
    pub login: Option<Login>,
}

/// `type = "nats"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsSettings {
    /// Where the cluster is.
    pub servers: Servers,
    /// The subject, which a stream has to take.
    pub subject: String,
    /// As whom.
    pub login: Option<NatsLogin>,
}

/// As whom a sink speaks with NATS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NatsLogin {
    /// As whoever has this (`token`).
    Token(Secret),
    /// As a user (`user`, `password`).
    User(Login),
}

/// A user and what proves it (`user`, `password`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: String,
    /// What proves it.
    pub password: Secret,
}

/// Servers of one cluster, each of which knows the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servers {
    /// Whom to ask first, in this order; at least one.
    pub hosts: Vec<Host>,
    /// Whether what is said is encrypted.
    pub encryption: Encryption,
}

/// Where one of them is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Name or address.
    pub name: String,
    /// Port.
    pub port: u16,
}

/// Whether a connection is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// It is not.
    None,
    /// By TLS.
    Tls {
        /// Certificates, in PEM, that are trusted there instead of the system's.
        ca: Option<PathBuf>,
    },
}

/// `behind_max` where the configuration is silent.
pub const BEHIND_MAX_DEFAULT: u64 = 100_000;
/// `rotate_keep` where the configuration is silent.
pub const ROTATE_KEEP_DEFAULT: usize = 8;
/// `message_max` where the configuration is silent: what receivers take as they are shipped (rsyslog's
/// `$MaxMessageSize`).
pub const MESSAGE_BYTES_MAX_DEFAULT: usize = 8 * 1024;
/// `facility` where the configuration is silent: log audit (RFC 5424, table 1).
pub const FACILITY_DEFAULT: u8 = 13;
/// `ack_timeout` where the configuration is silent: after as long, Splunk advises, what was sent counts as lost ("About
/// HTTP Event Collector Indexer Acknowledgment").
pub const ACK_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5 * 60);
