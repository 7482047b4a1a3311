//! Asking somebody outside of the gateway about a plan: one signed request, one signed answer (DESIGN §9.5).
//!
//! Must never know what is asked or what an answer means, ask a second time, or hand on an answer that whoever holds the
//! key did not sign. Whoever asks has to bind the answer to the request: a signature alone does not. Must never make
//! anybody wait for longer than `timeout`. Trusts nothing that comes back.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderName, StatusCode, Uri};
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::model::secret::Secret;
use crate::outbound::{Client, Compression, Fault, Response, post};
use crate::webhook::{Doubt, SigningKey};

/// How long a reviewer may take (`timeout`) where the configuration is silent.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// Longest `timeout` of a reviewer: whoever submits a plan waits for it.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// Requests to the reviewer at once. Further ones wait, within their time.
pub const ASKED_AT_ONCE_MAX: usize = 16;

/// `[reviewer]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it is asked (`url`).
    pub url: Uri,
    /// How long it may take (`timeout`).
    pub timeout: Duration,
    /// What requests are signed with, and answers (`sign`).
    pub key: SigningKey,
    /// Headers that go along (`headers`).
    pub headers: Vec<(HeaderName, Secret)>,
    /// Certificates, in PEM, that are trusted there instead of the system's (`ca`).
    pub ca: Option<PathBuf>,
}

/// Somebody outside who is asked about plans.
#[derive(Debug)]
pub struct Reviewer {
    settings: Settings,
    clock: Clock,
    /// The connection, until something fails.
    client: Mutex<Option<Arc<Client>>>,
    places: Semaphore,
}

/// Why nothing was said that counts.
#[derive(Debug, thiserror::Error)]
pub enum Silence {
    /// Nothing came back in time.
    #[error("it did not answer within {0:?}")]
    TooSlow(Duration),
    /// It could not be asked.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// It refused.
    #[error("it answered with status {}", .0.as_u16())]
    Refused(StatusCode),
    /// Its answer broke off, or was too long.
    #[error("its answer broke off, or was too long")]
    Broken,
    /// Its answer is not signed by it.
    #[error("its answer: {0}")]
    Unsigned(#[from] Doubt),
}

impl Reviewer {
    /// The reviewer of these settings. Nothing is reached until it is asked.
    #[must_use]
    pub fn new(settings: Settings, clock: Clock) -> Self {
        let (client, places) = (Mutex::default(), Semaphore::new(ASKED_AT_ONCE_MAX));
        Self { settings, clock, client, places }
    }

    /// Asks `body` in a message of this `id`, and gives the bytes of the signed answer.
    ///
    /// # Errors
    /// [`Silence`] says why there is none.
    pub async fn ask(&self, id: &str, body: &[u8]) -> Result<Vec<u8>, Silence> {
        let within = self.settings.timeout;
        let answered = tokio::time::timeout(within, self.ask_in_time(id, body)).await;
        let answered = answered.unwrap_or(Err(Silence::TooSlow(within)));
        if answered.is_err() {
            // The files are read again, so that renewed certificates count without a restart.
            *self.lock() = None;
        }
        answered
    }

    async fn ask_in_time(&self, id: &str, body: &[u8]) -> Result<Vec<u8>, Silence> {
        let bad = |what: &str| Silence::Fault(Fault::Request(what.to_owned()));
        // It is never closed.
        let _place = self.places.acquire().await.map_err(|_| bad("nobody is asked any more"))?;
        let Settings { url, key, .. } = &self.settings;
        let mut request = post(url, "application/json", Compression::None, body.to_vec()).await?;
        let seal =
            key.seal(id, self.clock.wall(), body).ok_or_else(|| bad("its id cannot stand in a header"))?;
        request.headers_mut().extend(seal);
        let Response { status, headers, body, .. } = self.client()?.send(request).await?;
        if !status.is_success() {
            return Err(Silence::Refused(status));
        }
        let body = body.ok_or(Silence::Broken)?;
        key.open(&headers, &body, self.clock.wall())?;
        Ok(body)
    }

    fn client(&self) -> Result<Arc<Client>, Fault> {
        let Settings { url, headers, ca, .. } = &self.settings;
        let mut client = self.lock();
        if let Some(client) = &*client {
            return Ok(Arc::clone(client));
        }
        let new = Arc::new(Client::new(url, headers, ca.as_deref())?);
        *client = Some(Arc::clone(&new));
        Ok(new)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Client>>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
