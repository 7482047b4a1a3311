//! TLS 1.3 and 1.2 on a TCP listener: `rustls` over aws-lc-rs, HTTP/1.1 alone.
//!
//! Must never resume a session: what resumption carries over (a client certificate above all) was
//! verified against authorities and a clock of long ago. Must never fall back to plain HTTP, to another
//! version or to no authority: a pair that cannot be used leaves the one that served before. Trusts the
//! files that the configuration names.

mod der;
mod files;
mod handshake;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::UnixTime;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{ServerConfig, version};
use tokio::sync::watch;

pub use files::{TlsError, TlsFiles, is_open_to_others};
pub(super) use handshake::serve;

use crate::clock::Clock;
use crate::model::certificate::ClientCertificate;
use crate::model::digest::Sha256;
use files::{Material, Stamp};

/// The one protocol that is offered (RFC 7301).
const ALPN: &[u8] = b"http/1.1";

/// TLS of one listener. Clones are the same one.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    files: TlsFiles,
    uid: u32,
    clock: Clock,
    current: ArcSwap<Serving>,
    watched: Mutex<Watched>,
    /// Raised when other authorities count: connections that older ones let in come to their end.
    trust: watch::Sender<u64>,
}

/// What serves.
struct Serving {
    config: Arc<ServerConfig>,
    authorities: Option<Sha256>,
    until: Timestamp,
}

/// The files as they were seen.
struct Watched {
    /// When they were last read.
    read: Stamp,
    /// At the last look.
    seen: Stamp,
}

/// What a look at the files came to.
#[derive(Debug)]
pub enum Refreshed {
    /// They are as they were, or still change.
    Unchanged,
    /// What they hold serves from now on.
    Taken,
    /// What they hold cannot serve; what served before goes on.
    Kept(TlsError),
}

impl Tls {
    /// Takes up what `files` hold, read as the process with `uid`.
    ///
    /// # Errors
    /// [`TlsError`] says what is wrong with them.
    pub fn load(files: TlsFiles, uid: u32, clock: Clock) -> Result<Self, TlsError> {
        // Before the files are read: a change while they are read is seen at the next look.
        let stamp = Stamp::of(&files);
        let serving = Serving::load(&files, uid, &clock)?;
        Ok(Self(Arc::new(Shared {
            files,
            uid,
            clock,
            current: ArcSwap::from_pointee(serving),
            watched: Mutex::new(Watched { read: stamp.clone(), seen: stamp }),
            trust: watch::Sender::new(0),
        })))
    }

    /// When the certificate that serves ends.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.0.current.load().until
    }

    /// Takes up the files where they have changed and stood still since the last look, so that a pair is
    /// not read while its second half is still being written. Reads files: not for an async task.
    #[must_use]
    pub fn refresh(&self) -> Refreshed {
        let stamp = Stamp::of(&self.0.files);
        {
            let mut watched = self.0.watched.lock().unwrap_or_else(PoisonError::into_inner);
            let is_still = std::mem::replace(&mut watched.seen, stamp.clone()) == stamp;
            if watched.read == stamp || !is_still {
                return Refreshed::Unchanged;
            }
        }
        self.reload()
    }

    /// Takes up the files, changed or not. Reads files: not for an async task.
    #[must_use]
    pub fn reload(&self) -> Refreshed {
        let Shared { files, uid, clock, current, watched, trust } = &*self.0;
        let stamp = Stamp::of(files);
        let serving = Serving::load(files, *uid, clock);
        watched.lock().unwrap_or_else(PoisonError::into_inner).read = stamp;
        let serving = match serving {
            Ok(serving) => serving,
            Err(error) => return Refreshed::Kept(error),
        };
        let authorities = serving.authorities;
        let before = current.swap(Arc::new(serving));
        if before.authorities != authorities {
            trust.send_modify(|epoch| *epoch = epoch.wrapping_add(1));
        }
        Refreshed::Taken
    }

    /// What serves now.
    fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.current.load().config)
    }

    /// To be told when other authorities count.
    fn trust(&self) -> watch::Receiver<u64> {
        self.0.trust.subscribe()
    }

    /// Waits until a connection that `certificate` opened may take no further request: because the
    /// certificate ends, or because other authorities count. Never for one without a certificate.
    async fn ends(
        clock: Clock,
        certificate: Option<Arc<ClientCertificate>>,
        mut trust: watch::Receiver<u64>,
    ) {
        let Some(certificate) = certificate else { return std::future::pending().await };
        let left = Duration::try_from(certificate.until.duration_since(clock.wall())).unwrap_or_default();
        tokio::select! {
            () = tokio::time::sleep(left) => {}
            // An error says that the listener is gone; it ends its connections itself.
            _ = trust.changed() => {}
        }
    }
}

impl Serving {
    fn load(files: &TlsFiles, uid: u32, clock: &Clock) -> Result<Self, TlsError> {
        let Material { chain, key, authorities, until } = files::read(files, uid, clock.wall())?;
        let unusable = |error| TlsError::Unusable { path: files.cert.clone(), error };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let time = Arc::new(Time(clock.clone()));
        let versions = ServerConfig::builder_with_details(Arc::clone(&provider), time)
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .map_err(unusable)?;
        let digest = authorities.as_ref().map(|authorities| authorities.digest);
        let clients = match authorities {
            Some(authorities) => versions.with_client_cert_verifier(verifier(authorities, provider, files)?),
            None => versions.with_no_client_auth(),
        };
        let mut config = clients.with_single_cert(chain, key).map_err(unusable)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), authorities: digest, until })
    }
}

/// Verifies the certificate of a client that shows one. One that shows none may bring another credential.
fn verifier(
    authorities: files::Authorities,
    provider: Arc<CryptoProvider>,
    files: &TlsFiles,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let built = WebPkiClientVerifier::builder_with_provider(authorities.roots, provider)
        .allow_unauthenticated()
        .build();
    built.map_err(|error| TlsError::Authorities {
        path: files.client_ca.clone().unwrap_or_default(),
        error: error.to_string(),
    })
}

/// Our clock, as rustls asks it.
#[derive(Debug)]
struct Time(Clock);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let since_epoch = self.0.wall().duration_since(Timestamp::UNIX_EPOCH);
        Duration::try_from(since_epoch).ok().map(UnixTime::since_unix_epoch)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tls").field("files", &self.0.files).finish_non_exhaustive()
    }
}
