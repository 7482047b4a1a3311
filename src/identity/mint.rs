//! Run tokens that the gateway makes itself: for the operator at its admin socket, and for dispatchers.
//!
//! Must never sign a label beyond what may be asserted, renew what it did not sign, or let a run outlive
//! `run_max` by renewals. Holds the private key; prints neither key nor token (I10). Whoever asks is known
//! already: the operator by the admin socket, a dispatcher by its key, here.

mod assertion;
mod claims;
mod dispatcher;
mod jws;
mod keys;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use jiff::Timestamp;

use super::assert::{Asserted, Forbidden};
use crate::chance::{self, NoEntropy};
use crate::clock::Clock;
use crate::model::change::Changes;
use crate::model::digest::Sha256;
use crate::model::mint::{Carrier, TokenRequest, TokenRequestError, TokenText};
use crate::model::name::{SourceName, Txn};
use crate::model::reason::Reason;
use crate::model::run::Actor;
use crate::model::trigger::{AttributeType, AttributeValue};

use claims::{Claims, SCOPE, Stamps};
use dispatcher::Dispatchers;
use jws::{Parts, TOKEN_BYTES_MAX};
use keys::KeyStore;

pub use assertion::{ASSERTION_AGE_MAX, ASSERTIONS_MAX, ASSERTIONS_PER_DISPATCHER_MAX};
pub use dispatcher::{ClientCredential, Dispatcher, MINTS_PER_MINUTE_MAX};
pub use jws::carrier_of;
pub use keys::{KeysError, NewKey, Opened, TOKEN_KEYS_MAX};
pub use settings::*;

/// Makes and renews run tokens.
#[derive(Debug)]
pub struct Minter {
    settings: MintSettings,
    keys: Arc<KeyStore>,
    dispatchers: Dispatchers,
    clock: Clock,
}

/// Who asks for a token.
#[derive(Debug, Clone)]
pub enum Requester {
    /// A person, or a program of theirs, at the admin socket.
    Operator(Actor),
    /// A dispatcher of the configuration.
    Dispatcher(Arc<Dispatcher>),
}

impl Requester {
    /// `req_wl`.
    fn name(&self) -> String {
        match self {
            Self::Operator(Actor { uid }) => format!("uid:{uid}"),
            Self::Dispatcher(dispatcher) => dispatcher.entry_point.to_string(),
        }
    }
}

/// A token that was just signed, and what it says.
#[derive(Debug)]
pub struct Minted {
    /// The token. It may leave once its record is durable.
    pub token: TokenText,
    /// What it says.
    pub request: TokenRequest,
    /// Its run.
    pub txn: Txn,
    /// Who asked for the first token of its run (`req_wl`).
    pub asked_by: String,
    /// When it was made.
    pub issued: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// SHA-256 of its `jti`, as records name it.
    pub jti_sha256: Sha256,
    /// The key that signed it.
    pub kid: String,
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum MintRefusal {
    /// The label may not be asserted.
    #[error("{0}")]
    Forbidden(#[from] Forbidden),
    /// The request is beyond a bound.
    #[error("{0}")]
    Request(#[from] TokenRequestError),
    /// An attribute is not of the type that its source declares.
    #[error("the attribute `{name}` of `{kind}` is declared as {declared}, and another type was given")]
    Attribute {
        /// The source.
        kind: SourceName,
        /// The attribute.
        name: String,
        /// The word of its type.
        declared: &'static str,
    },
    /// The lifetime is too long.
    #[error("a token lives for 1 to {} seconds here, and {asked} were asked for", max.as_secs())]
    Lifetime {
        /// In seconds.
        asked: u64,
        /// `token_ttl_max`.
        max: Duration,
    },
    /// The token does not fit into a header.
    #[error("the token would have {0} bytes, and a header takes at most {TOKEN_BYTES_MAX}")]
    TooLarge(usize),
    /// The token to be renewed is not one that can be.
    #[error("the token cannot be renewed: {}", .0.sentence())]
    NotRenewable(Reason),
    /// The run has ended: it opens no more, so that a token of it would open nothing.
    #[error("{}", .0.sentence())]
    Ended(Reason),
    /// The run has lasted as long as one may.
    #[error("the run has lasted `run_max`; its trigger has to start another")]
    RunOver,
    /// The token was made for another dispatcher.
    #[error("the token was made for another dispatcher")]
    NotYours,
    /// Too many requests.
    #[error("{}", .0.sentence())]
    Busy(Reason),
    /// The system gave no random bytes, or no signature.
    #[error("no token could be made: {0}")]
    Fault(String),
}

impl MintRefusal {
    /// Why, in one stable word.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Forbidden(_) | Self::NotYours => Reason::LabelForbidden,
            Self::Request(_) | Self::Attribute { .. } | Self::TooLarge(_) => Reason::TokenClaimsInvalid,
            Self::Lifetime { .. } => Reason::TokenLifetimeTooLong,
            Self::NotRenewable(reason) | Self::Ended(reason) | Self::Busy(reason) => *reason,
            Self::RunOver => Reason::RunEnded,
            Self::Fault(_) => Reason::Fault,
        }
    }
}

impl From<NoEntropy> for MintRefusal {
    fn from(error: NoEntropy) -> Self {
        Self::Fault(error.to_string())
    }
}

impl Minter {
    /// Opens the keys, and makes the first one where there is none.
    ///
    /// # Errors
    /// [`KeysError`] says what is wrong with which file, and what to do.
    pub fn open(settings: MintSettings, clock: Clock) -> Result<(Self, Opened), KeysError> {
        let (keys, opened) = KeyStore::open(settings.keys_dir.clone(), clock.wall().as_second())?;
        let dispatchers = Dispatchers::new(&settings.dispatchers, &settings.audience, &clock);
        Ok((Self { settings, keys: Arc::new(keys), dispatchers, clock }, opened))
    }

    /// The same keys under other settings.
    #[must_use]
    pub fn under(&self, settings: MintSettings) -> Self {
        let dispatchers = Dispatchers::new(&settings.dispatchers, &settings.audience, &self.clock);
        let dispatchers = dispatchers.following(&self.dispatchers);
        Self { settings, keys: Arc::clone(&self.keys), dispatchers, clock: self.clock.clone() }
    }

    /// What is different from `before`, and which of it lets somebody mint more. What the tokens themselves
    /// may say is compared where they are verified.
    #[must_use]
    pub fn changes(&self, before: &Self) -> Changes {
        let mut changes = Changes::default();
        let old_of = |id: &str| before.settings.dispatchers.iter().find(|old| *old.id == *id);
        for new in &self.settings.dispatchers {
            match old_of(&new.id) {
                None => changes.widen(format!("{} is new", new.entry_point)),
                Some(old) if old == new => {}
                Some(old) => {
                    changes.change(format!("{} changed", new.entry_point));
                    for how in new.may_assert.wider_than(&old.may_assert) {
                        changes.widen(format!("{}: {how}", new.entry_point));
                    }
                    if new.key != old.key {
                        changes.widen(format!("{}: another key", new.entry_point));
                    }
                }
            }
        }
        for old in &before.settings.dispatchers {
            if !self.settings.dispatchers.iter().any(|new| new.id == old.id) {
                changes.change(format!("{} is gone", old.entry_point));
            }
        }
        changes
    }

    /// Whether anybody may ask over HTTP.
    #[must_use]
    pub fn has_dispatchers(&self) -> bool {
        !self.dispatchers.is_empty()
    }

    /// The URL that its tokens are for.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.settings.audience
    }

    /// Which dispatcher presents `credential`.
    ///
    /// # Errors
    /// The reason why nobody can be told.
    pub async fn dispatcher(&self, credential: ClientCredential<'_>) -> Result<Arc<Dispatcher>, Reason> {
        self.dispatchers.authenticate(credential, self.clock.wall()).await
    }

    /// What `known` is now: it may have been authenticated under an earlier configuration.
    ///
    /// # Errors
    /// [`Reason::CredentialUnknown`] where it is gone, or is not what it was.
    pub fn still(&self, known: &Dispatcher) -> Result<Arc<Dispatcher>, Reason> {
        self.dispatchers.still(known).ok_or(Reason::CredentialUnknown)
    }

    /// Takes one request out of what a dispatcher may ask in a minute.
    ///
    /// # Errors
    /// [`Reason::MintRateExceeded`] where nothing is left.
    pub fn spend(&self, dispatcher: &Dispatcher) -> Result<(), Reason> {
        dispatcher.spend(&self.clock)
    }

    /// Makes a token.
    ///
    /// # Errors
    /// [`MintRefusal`] says why not.
    pub fn mint(&self, by: &Requester, request: TokenRequest) -> Result<Minted, MintRefusal> {
        let asked = request.ttl().unwrap_or(self.settings.token_ttl.min(self.settings.token_ttl_max));
        self.check(by, &request)?;
        let txn = match &request.txn {
            Some(txn) => txn.clone(),
            None => fresh_txn()?,
        };
        let begun = Begun { txn, at: self.clock.wall().as_second(), by: by.name() };
        self.sign(request, asked, begun)
    }

    /// Makes a token that says what `token` says, with a new end.
    ///
    /// # Errors
    /// [`MintRefusal`] says why not. A token that has expired is not renewed: it may have been anywhere.
    pub fn renew(&self, by: &Requester, token: &str, renewal: Renewal) -> Result<Minted, MintRefusal> {
        let (old, carrier) = self.verify(token).map_err(MintRefusal::NotRenewable)?;
        if matches!(by, Requester::Dispatcher(_)) && old.req_wl != by.name() {
            return Err(MintRefusal::NotYours);
        }
        let request = old.request(renewal.carrier.unwrap_or(carrier));
        // What may be asserted can have become less since.
        self.check(by, &request)?;
        let asked = renewal.ttl.unwrap_or(self.settings.token_ttl.min(self.settings.token_ttl_max));
        self.sign(request, asked, Begun { txn: old.txn, at: old.txn_iat, by: old.req_wl })
    }

    /// Whether the key that signs has reached `key_max_age`.
    #[must_use]
    pub fn key_is_due(&self) -> bool {
        self.keys.is_due(self.clock.wall().as_second(), self.settings.key_max_age)
    }

    /// Takes keys out of the JWKS that signed their last living token long ago.
    ///
    /// # Errors
    /// [`KeysError`] where the file cannot be replaced.
    pub fn prune_keys(&self) -> Result<(), KeysError> {
        self.keys.prune(self.clock.wall().as_second())
    }

    /// Makes a key to replace the one that signs, for [`Minter::install_key`] once it is on the record.
    ///
    /// # Errors
    /// [`KeysError`] where none can be made now.
    pub fn prepare_key(&self) -> Result<NewKey, KeysError> {
        self.keys.prepare(self.clock.wall().as_second())
    }

    /// Signs with `key` from now on. Tokens of the key before it are accepted until they expire.
    ///
    /// # Errors
    /// [`KeysError`] where it could not be stored; the key before it goes on signing then.
    pub fn install_key(&self, key: NewKey) -> Result<(), KeysError> {
        self.keys.install(key, self.clock.wall().as_second(), self.settings.token_ttl_max)
    }

    /// Whether the request is within its bounds, within what its sources declare, and within what may be
    /// asserted: by anyone, and by whoever asks.
    fn check(&self, by: &Requester, request: &TokenRequest) -> Result<(), MintRefusal> {
        request.check()?;
        let sources: Vec<SourceName> = request.sources.iter().map(|source| source.kind.clone()).collect();
        let asserted = Asserted {
            sources: &sources,
            subject: &request.subject,
            roles: &request.roles,
            agents: &request.agents,
            goal: request.goal.as_ref(),
        };
        if let Requester::Dispatcher(dispatcher) = by {
            dispatcher.may_assert.check(asserted)?;
        }
        self.settings.may_assert.check(asserted)?;
        for source in &request.sources {
            // What is not declared is dropped where the token is used, and named in that record.
            let Some(declared) = self.settings.declarations.get(&source.kind) else { continue };
            for (name, value) in &source.attributes {
                if let Some(of_type) = declared.get(name).filter(|of_type| !is_of_type(value, **of_type)) {
                    let (kind, name) = (source.kind.clone(), name.to_string());
                    return Err(MintRefusal::Attribute { kind, name, declared: of_type.as_str() });
                }
            }
        }
        Ok(())
    }

    fn sign(&self, request: TokenRequest, ttl: Duration, begun: Begun) -> Result<Minted, MintRefusal> {
        let Begun { txn, at, by } = begun;
        let lifetime = i64::try_from(ttl.as_secs()).ok().filter(|lifetime| *lifetime > 0);
        let lifetime = lifetime.filter(|_| ttl <= self.settings.token_ttl_max);
        let (asked, max) = (ttl.as_secs(), self.settings.token_ttl_max);
        let lifetime = lifetime.ok_or(MintRefusal::Lifetime { asked, max })?;
        let now = self.clock.wall().as_second();
        let run_max = i64::try_from(self.settings.runs.max.as_secs()).unwrap_or(i64::MAX);
        let exp = now.saturating_add(lifetime).min(at.saturating_add(run_max));
        if exp <= now {
            return Err(MintRefusal::RunOver);
        }
        let jti = BASE64URL_NOPAD.encode(&chance::bytes::<16>()?);
        let jti_sha256 = Sha256::of(jti.as_bytes());
        let (issuer, audience) = (ISSUER, &*self.settings.audience);
        let stamps = Stamps {
            issuer,
            audience,
            iat: now,
            exp,
            jti,
            txn: txn.clone(),
            txn_iat: at,
            req_wl: by.clone(),
        };
        let claims = serde_json::to_vec(&Claims::new(&request, stamps));
        let claims = claims.map_err(|error| MintRefusal::Fault(error.to_string()))?;
        let carrier = request.carrier;
        let signed = self.keys.sign(|kid| jws::signing_input(kid, carrier, &claims));
        let (input, signature, kid) = signed.map_err(|reason| MintRefusal::Fault(reason.to_string()))?;
        let token = jws::seal(&input, &signature);
        if token.len() > TOKEN_BYTES_MAX {
            return Err(MintRefusal::TooLarge(token.len()));
        }
        let time = |seconds| Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
        let (issued, expires) = (time(now), time(exp));
        let (token, asked_by) = (TokenText::new(token), by);
        Ok(Minted { token, request, txn, asked_by, issued, expires, jti_sha256, kid })
    }

    /// The claims of a token that this gateway signed, that has not expired and that is for this gateway.
    fn verify(&self, token: &str) -> Result<(Claims, Carrier), Reason> {
        let parts = Parts::of(token)?;
        let now = self.clock.wall().as_second();
        let kid = parts.claimed_kid().ok_or(Reason::TokenMalformed)?;
        let keys = self.keys.accepted(now);
        let (kid, public) = keys.iter().find(|(known, _)| *known == kid).ok_or(Reason::TokenKeyUnknown)?;
        let (claims, carrier) = parts.verify(kid, public)?;
        let claims: Claims = serde_json::from_slice(claims).map_err(|_| Reason::TokenClaimsInvalid)?;
        if claims.iss != ISSUER || claims.scope != SCOPE {
            return Err(Reason::TokenClaimsInvalid);
        }
        if claims.aud != *self.settings.audience {
            return Err(Reason::TokenAudienceWrong);
        }
        if claims.exp <= now {
            return Err(Reason::TokenExpired);
        }
        Ok((claims, carrier))
    }
}

/// What a renewal changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Renewal {
    /// For how long; the default of the gateway where absent.
    pub ttl: Option<Duration>,
    /// In which header it travels; as before where absent.
    pub carrier: Option<Carrier>,
}

/// How the run of a token began.
struct Begun {
    txn: Txn,
    at: i64,
    by: String,
}

/// 128 random bits.
fn fresh_txn() -> Result<Txn, MintRefusal> {
    let text = HEXLOWER.encode(&chance::bytes::<16>()?);
    Txn::new(&text).map_err(|error| MintRefusal::Fault(error.to_string()))
}

fn is_of_type(value: &AttributeValue, of_type: AttributeType) -> bool {
    matches!(
        (value, of_type),
        (AttributeValue::Bool(_), AttributeType::Bool)
            | (AttributeValue::Integer(_), AttributeType::Integer)
            | (AttributeValue::Text(_), AttributeType::Text)
            | (AttributeValue::Texts(_), AttributeType::Texts)
    )
}
