//! What a provider says of itself (OpenID Connect Discovery 1.0, 4): where people sign in, where codes are redeemed, by
//! which keys it signs.
//!
//! Must never take metadata of another issuer, nor an endpoint on a way on which somebody else could answer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{PeopleSettings, REQUEST_TIMEOUT};
use crate::clock::Clock;
use crate::identity::algorithm::Algorithm;
use crate::identity::fetch::{self, Outgoing};
use crate::identity::json::{self, Members};
use crate::identity::jwks::{Keeper, KeysFrom, LOAD_INTERVAL};
use crate::identity::resource::ResourceUrl;
use crate::model::name::EntryPointName;
use crate::model::reason::Reason;

/// Largest metadata of a provider, in bytes.
pub const METADATA_BYTES_MAX: usize = 256 * 1024;
/// How long a provider's metadata is used before it is fetched again.
pub const PROVIDER_FRESH: Duration = Duration::from_secs(10 * 60);
/// Keys and elements in the metadata.
const METADATA_MEMBERS_MAX: usize = 4096;
/// Where the metadata is, below the issuer (OpenID Connect Discovery 1.0, 4.1).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// A provider as it describes itself.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: Uri,
    pub(super) authentication: ClientAuthentication,
    /// Whether its answers name it (RFC 9207).
    pub(super) names_itself: bool,
    pub(super) keeper: Arc<Keeper>,
}

/// How a client with a secret shows it (OpenID Connect Core 1.0, 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientAuthentication {
    /// `client_secret_basic`, the default.
    Basic,
    /// `client_secret_post`.
    Post,
}

/// The provider of one entry point, as far as it is known.
#[derive(Debug)]
pub(super) struct Providers {
    entry_point: EntryPointName,
    issuer: String,
    algorithms: std::collections::BTreeSet<Algorithm>,
    ca: Option<PathBuf>,
    clock: Clock,
    /// Held while it is asked: several people who sign in ask once.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    provider: Option<Arc<Provider>>,
    keys: Option<(Uri, Arc<Keeper>)>,
    confirmed: Duration,
    attempted: Option<Duration>,
}

impl Providers {
    pub(super) fn new(settings: &PeopleSettings, clock: Clock) -> Self {
        let PeopleSettings { entry_point, issuer, algorithms, ca, .. } = settings.clone();
        Self { entry_point, issuer, algorithms, ca, clock, known: Mutex::default() }
    }

    /// The provider, asked anew where it is time. One that cannot be asked is tried again after [`LOAD_INTERVAL`].
    pub(super) async fn get(&self) -> Result<Arc<Provider>, Reason> {
        let mut known = self.known.lock().await;
        let now = self.clock.monotonic();
        let is_fresh = now.saturating_sub(known.confirmed) < PROVIDER_FRESH;
        if let Some(provider) = known.provider.as_ref().filter(|_| is_fresh) {
            return Ok(Arc::clone(provider));
        }
        if known.attempted.is_some_and(|then| now.saturating_sub(then) < LOAD_INTERVAL) {
            return Err(Reason::ProviderUnavailable);
        }
        known.attempted = Some(now);
        let said = self.metadata().await.and_then(|metadata| self.read(&metadata, &mut known));
        match said {
            Ok(provider) => {
                let provider = Arc::new(provider);
                (known.provider, known.confirmed, known.attempted) = (Some(Arc::clone(&provider)), now, None);
                Ok(provider)
            }
            Err(why) => {
                let entry_point = &self.entry_point;
                tracing::warn!(%entry_point, why, "a provider cannot be asked who signs in");
                known.provider = None;
                Err(Reason::ProviderUnavailable)
            }
        }
    }

    async fn metadata(&self) -> Result<Members, String> {
        let url = format!("{}{WELL_KNOWN}", self.issuer.strip_suffix('/').unwrap_or(&self.issuer));
        let url = confidential(&url).ok_or("its issuer is no `https` URL")?;
        let asked = fetch::fetch(&url, self.ca.as_deref(), Outgoing::Get, METADATA_BYTES_MAX);
        let body =
            timeout(REQUEST_TIMEOUT, asked).await.map_err(|_| "it did not answer in time".to_owned())?;
        let body = body.map_err(|error| error.to_string())?;
        json::object(&body, METADATA_MEMBERS_MAX)
            .ok_or_else(|| "its metadata is not one JSON object".to_owned())
    }

    fn read(&self, metadata: &Members, known: &mut Known) -> Result<Provider, String> {
        let text = |member: &str| json::text(metadata, member).ok().flatten();
        // OpenID Connect Discovery 1.0, 4.3: exactly the issuer that was asked.
        if text("issuer") != Some(self.issuer.as_str()) {
            return Err("its metadata is that of another issuer".to_owned());
        }
        let endpoint = |member: &str| {
            let url = text(member).and_then(confidential);
            url.ok_or_else(|| format!("its `{member}` is missing or no `https` URL"))
        };
        let keys_at = endpoint("jwks_uri")?;
        let keeper = match known.keys.take() {
            Some((url, keeper)) if url == keys_at => keeper,
            _ => {
                let from = KeysFrom::Url { url: keys_at.clone(), ca: self.ca.clone() };
                Keeper::new(self.entry_point.clone(), from, self.algorithms.clone(), self.clock.clone())
            }
        };
        known.keys = Some((keys_at, Arc::clone(&keeper)));
        let methods = json::list(metadata, "token_endpoint_auth_methods_supported").ok().flatten();
        let takes =
            |method: &str| methods.is_some_and(|all| all.iter().any(|one| one.as_str() == Some(method)));
        let only_post = !takes("client_secret_basic") && takes("client_secret_post");
        let names_itself =
            metadata.get("authorization_response_iss_parameter_supported").and_then(Value::as_bool);
        Ok(Provider {
            authorization_endpoint: endpoint("authorization_endpoint")?.to_string(),
            token_endpoint: endpoint("token_endpoint")?,
            authentication: if only_post { ClientAuthentication::Post } else { ClientAuthentication::Basic },
            names_itself: names_itself == Some(true),
            keeper,
        })
    }
}

/// The URL that `text` is, if nobody on the way can read or answer: `https`, or this machine.
fn confidential(text: &str) -> Option<Uri> {
    let url: Uri = text.parse().ok()?;
    let bare = text.split(['?', '#']).next().unwrap_or_default();
    let is_confidential = ResourceUrl::new(bare).is_some_and(|url| url.is_confidential());
    (is_confidential && !text.contains('#')).then_some(url)
}
