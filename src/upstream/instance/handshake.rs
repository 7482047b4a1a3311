//! How an instance starts: connect, `initialize`, `notifications/initialized`, the first list.
//!
//! Must never leave a half-started instance behind. Speaks the revisions with a handshake, 2024-11-05
//! to 2025-11-25 (basic/lifecycle, "Initialization"); a server of 2026-07-28 alone is told apart.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::timeout;

use super::{Attendance, Instance, Link, PING_TIMEOUT_MAX, Parts, Tools, deadline_in};
use crate::upstream::exchange::Exchange;
use crate::upstream::failure::{AnswerKind, Detail, Failure};
use crate::upstream::listing::Offered;
use crate::wire::{Method, Object, Revision};

/// What we are and speak. No capabilities: an upstream may ask for nothing.
const INTRODUCTION: &str = concat!(
    "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},",
    "\"clientInfo\":{\"name\":\"sluicegate\",\"version\":\"",
    env!("CARGO_PKG_VERSION"),
    "\"}}"
);

/// Why an instance did not start.
#[derive(Debug, thiserror::Error)]
pub(in crate::upstream) enum StartError {
    #[error("cannot start `{program}`; is it installed and on the PATH of the gateway?")]
    Spawn { program: String, source: std::io::Error },
    #[error("no HTTP client was made for this upstream")]
    NoClient,
    #[error("it did not finish its start within `start_timeout`")]
    Timeout,
    #[error("it ended during its start: {0}")]
    Ended(Detail),
    #[error("`initialize` failed: {0}")]
    Initialize(Failure),
    #[error("it answers `initialize` with an error: {0}")]
    Refused(Detail),
    #[error("it speaks none of the protocol revisions 2024-11-05 to 2025-11-25, but `{0}`")]
    Revision(Detail),
    #[error("its answer to `initialize` is not valid: {0}")]
    Malformed(&'static str),
    #[error("its tools cannot be listed: {0}")]
    List(Failure),
}

/// What `initialize` was answered with.
struct Introduced {
    revision: Revision,
    tools: Tools,
    announces: Announces,
}

/// Whether it says that it announces changes of its tools.
#[derive(PartialEq, Eq)]
enum Announces {
    Changes,
    Nothing,
}

impl Parts {
    /// Starts an instance and reads what it offers.
    pub(in crate::upstream) async fn start(&self) -> Result<(Instance, Attendance, Offered), StartError> {
        let (upstream, notices) = (self.settings.name.clone(), self.notices.clone());
        let exchange = Exchange::new(upstream, notices, Arc::clone(&self.counters), self.clock.clone());
        let (link, mut attendance) = self.connect(&exchange)?;
        let begun = tokio::select! {
            biased;
            begun = timeout(self.settings.start_timeout, self.begin(&exchange, link)) => match begun {
                Ok(begun) => begun,
                Err(_) => Err(StartError::Timeout),
            },
            why = attendance.ended() => Err(StartError::Ended(why)),
        };
        match begun {
            Ok((instance, offered, announces)) => {
                if announces == Announces::Changes {
                    attendance.listen();
                }
                Ok((instance, attendance, offered))
            }
            Err(error) => {
                exchange.close(&Detail::new("it did not start"));
                attendance.stop().await;
                Err(error)
            }
        }
    }

    async fn begin(
        &self,
        exchange: &Arc<Exchange>,
        link: Link,
    ) -> Result<(Instance, Offered, Announces), StartError> {
        let mut instance = Instance {
            exchange: Arc::clone(exchange),
            link,
            revision: Revision::V2025_11_25,
            tools: Tools::Some,
            offered: arc_swap::ArcSwap::default(),
            uses: watch::Sender::new(0),
            ping_timeout: self.settings.call_timeout.min(PING_TIMEOUT_MAX),
        };
        // The whole start has one deadline, which the caller holds; those of its parts never come first.
        let within = self.settings.start_timeout.saturating_mul(2);
        let deadline = deadline_in(within);
        let introduction = Some(INTRODUCTION.as_bytes());
        let answer = instance.request(&Method::Initialize, introduction, deadline).await;
        let answer = answer.map_err(StartError::Initialize)?;
        let text = || Detail::new(&String::from_utf8_lossy(&answer.raw));
        if answer.kind == AnswerKind::Error {
            return Err(StartError::Refused(text()));
        }
        let introduced = introduced(&answer.raw)?;
        (instance.revision, instance.tools) = (introduced.revision, introduced.tools);
        if let Link::Http(http) = &instance.link {
            http.note_revision(introduced.revision);
        }
        instance.notify(&Method::Initialized).await.map_err(StartError::Initialize)?;
        let offered = instance.list(within).await.map_err(StartError::List)?;
        Ok((instance, offered, introduced.announces))
    }
}

fn introduced(raw: &bytes::Bytes) -> Result<Introduced, StartError> {
    let result = Object::of(raw).map_err(|_| StartError::Malformed("it is no object"))?;
    let version = match result.text("protocolVersion") {
        Some(Ok(version)) => version,
        Some(Err(_)) | None => return Err(StartError::Malformed("`protocolVersion` is no text")),
    };
    let revision = Revision::parse(&version).filter(|revision| !revision.is_modern());
    let revision = revision.ok_or_else(|| StartError::Revision(Detail::new(&version)))?;
    let capabilities = result.get("capabilities").and_then(|raw| Object::of(&raw).ok());
    let capabilities = capabilities.ok_or(StartError::Malformed("`capabilities` is no object"))?;
    let tools = capabilities.get("tools").and_then(|raw| Object::of(&raw).ok());
    let announced = tools.as_ref().and_then(|tools| tools.get("listChanged"));
    Ok(Introduced {
        revision,
        tools: if tools.is_some() { Tools::Some } else { Tools::None },
        announces: if announced.as_deref() == Some(b"true") {
            Announces::Changes
        } else {
            Announces::Nothing
        },
    })
}
