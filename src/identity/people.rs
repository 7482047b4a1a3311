//! People who sign in at an OpenID provider: the authorization code flow (OpenID Connect Core 1.0, 3.1) with PKCE.
//!
//! Must never vouch for a run, nor take a token that a browser or an agent brings: an ID token comes from the provider's
//! own token endpoint, for a code that this gateway asked for, or not at all.

mod provider;
mod settings;
mod token;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use form_urlencoded::{Serializer, byte_serialize};
use tokio::time::timeout;

use super::fetch::{self, Outgoing};
use super::json;
use crate::clock::Clock;
use crate::model::change::Changes;
use crate::model::digest::Sha256;
use crate::model::name::EntryPointName;
use crate::model::person::Person;
use crate::model::reason::Reason;
use crate::model::secret::Secret;
use crate::model::sign_in::{Returned, SignIn};

use provider::{ClientAuthentication, Provider, Providers};

pub use provider::{METADATA_BYTES_MAX, PROVIDER_FRESH};
pub use settings::{PeopleSettings, SubjectForm};
pub use token::ID_TOKEN_AGE_MAX;

/// Largest answer of a token endpoint, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Keys and elements in an answer of a token endpoint.
const ANSWER_MEMBERS_MAX: usize = 64;
/// Longest code that a browser may bring back, in bytes.
pub(super) const CODE_BYTES_MAX: usize = 4096;
/// Longest time for one request to a provider.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Everybody who may sign people in.
#[derive(Debug, Default)]
pub struct People {
    ways: Vec<Way>,
}

/// One entry point of people.
#[derive(Debug)]
struct Way {
    settings: PeopleSettings,
    providers: Arc<Providers>,
    clock: Clock,
}

impl People {
    /// The entry points of `settings`.
    #[must_use]
    pub fn new(settings: Vec<PeopleSettings>, clock: &Clock) -> Self {
        let way = |settings: PeopleSettings| Way {
            providers: Arc::new(Providers::new(&settings, clock.clone())),
            clock: clock.clone(),
            settings,
        };
        Self { ways: settings.into_iter().map(way).collect() }
    }

    /// These as they follow `before`: what is known of a provider that has not moved stays known.
    #[must_use]
    pub fn following(mut self, before: &Self) -> Self {
        for way in &mut self.ways {
            let same = before.ways.iter().find(|old| old.settings.is_of_same_provider(&way.settings));
            if let Some(same) = same {
                way.providers = Arc::clone(&same.providers);
            }
        }
        self
    }

    /// What these change after `before`: who signs people in now, or in another way.
    #[must_use]
    pub fn changes(&self, before: &Self) -> Changes {
        let mut changes = Changes::default();
        for Way { settings, .. } in &self.ways {
            let name = &settings.entry_point;
            match before.way(name).map(|old| &old.settings) {
                None => changes.widen(format!("entry point {name} signs people in now")),
                Some(old) if old != settings => {
                    changes.widen(format!("entry point {name} signs other people in"))
                }
                Some(_) => {}
            }
        }
        for Way { settings: PeopleSettings { entry_point: name, .. }, .. } in &before.ways {
            if self.way(name).is_none() {
                changes.change(format!("entry point {name} signs nobody in any more"));
            }
        }
        changes
    }

    /// The name of each.
    #[must_use]
    pub fn names(&self) -> Vec<EntryPointName> {
        self.ways.iter().map(|way| way.settings.entry_point.clone()).collect()
    }

    /// Where the browser of a person goes who signs in by `name` (OpenID Connect Core 1.0, 3.1.2.1).
    ///
    /// # Errors
    /// [`Reason::SignInInvalid`] where there is no such entry point, [`Reason::ProviderUnavailable`].
    pub async fn begin(&self, name: &EntryPointName, sign_in: &SignIn) -> Result<String, Reason> {
        let way = self.way(name).ok_or(Reason::SignInInvalid)?;
        let provider = way.provider().await?;
        let challenge = Sha256::of(sign_in.verifier.as_bytes());
        let query = Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &way.settings.client_id)
            .append_pair("redirect_uri", &sign_in.redirect)
            .append_pair("scope", &way.settings.scopes.join(" "))
            .append_pair("state", &sign_in.state)
            .append_pair("nonce", &sign_in.nonce)
            .append_pair("code_challenge", &BASE64URL_NOPAD.encode(challenge.as_bytes()))
            .append_pair("code_challenge_method", "S256")
            .finish();
        let endpoint = &provider.authorization_endpoint;
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        Ok(format!("{endpoint}{joint}{query}"))
    }

    /// Who comes back from the provider with this.
    ///
    /// # Errors
    /// Why nobody does.
    pub async fn finish(
        &self,
        name: &EntryPointName,
        sign_in: &SignIn,
        returned: &Returned,
    ) -> Result<Person, Reason> {
        let way = self.way(name).ok_or(Reason::SignInInvalid)?;
        let provider = way.provider().await?;
        let is_own = returned.issuer.as_ref().is_some_and(|issuer| *issuer == way.settings.issuer);
        // RFC 9207, 2.4: an answer of another provider is not redeemed at this one.
        let is_missing = returned.issuer.is_none() && !provider.names_itself;
        if returned.code.len() > CODE_BYTES_MAX || !(is_own || is_missing) {
            return Err(Reason::SignInInvalid);
        }
        let token = way.redeem(&provider, sign_in, &returned.code).await?;
        let keeper = &provider.keeper;
        let subject = token::verify(&token, &way.settings, &sign_in.nonce, keeper, way.clock.wall()).await?;
        Ok(Person::Subject { entry_point: name.clone(), subject })
    }

    fn way(&self, name: &EntryPointName) -> Option<&Way> {
        self.ways.iter().find(|way| way.settings.entry_point == *name)
    }
}

impl Way {
    async fn provider(&self) -> Result<Arc<Provider>, Reason> {
        self.providers.get().await
    }

    /// The ID token for `code` (OpenID Connect Core 1.0, 3.1.3).
    async fn redeem(&self, provider: &Provider, sign_in: &SignIn, code: &str) -> Result<String, Reason> {
        let PeopleSettings { ca, entry_point, .. } = &self.settings;
        let (body, authorization) = self.form(provider, sign_in, code);
        let outgoing = Outgoing::Form { body: &body, authorization: authorization.as_ref() };
        let asked = fetch::fetch(&provider.token_endpoint, ca.as_deref(), outgoing, ANSWER_BYTES_MAX);
        let answer = match timeout(REQUEST_TIMEOUT, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if error.is_refusal() => {
                tracing::warn!(%entry_point, %error, "a provider did not take the code of a sign-in");
                return Err(Reason::SignInRefused);
            }
            Ok(Err(error)) => {
                tracing::warn!(%entry_point, %error, "a provider cannot be asked for a token");
                return Err(Reason::ProviderUnavailable);
            }
            Err(_) => return Err(Reason::ProviderUnavailable),
        };
        let answer = json::object(&answer, ANSWER_MEMBERS_MAX).ok_or(Reason::TokenMalformed)?;
        let token = json::text(&answer, "id_token").ok().flatten();
        token.map(str::to_owned).ok_or(Reason::TokenMalformed)
    }
}

impl Way {
    /// What redeems `code`, and the credential that goes with it in a header.
    fn form(&self, provider: &Provider, sign_in: &SignIn, code: &str) -> (Secret, Option<Secret>) {
        let PeopleSettings { client_id, client_secret, .. } = &self.settings;
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &sign_in.redirect)
            .append_pair("code_verifier", &sign_in.verifier);
        let authorization = match (client_secret, provider.authentication) {
            (Some(secret), ClientAuthentication::Basic) => Some(basic(client_id, secret)),
            (Some(secret), ClientAuthentication::Post) => {
                form.append_pair("client_id", client_id).append_pair("client_secret", secret.reveal());
                None
            }
            (None, _) => {
                form.append_pair("client_id", client_id);
                None
            }
        };
        (Secret::new(form.finish()), authorization)
    }
}

/// RFC 6749, 2.3.1: both are encoded as in a form before they are joined.
fn basic(client_id: &str, secret: &Secret) -> Secret {
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let joined = format!("{}:{}", encode(client_id), encode(secret.reveal()));
    Secret::new(format!("Basic {}", BASE64.encode(joined.as_bytes())))
}
