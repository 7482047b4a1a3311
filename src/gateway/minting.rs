//! Run tokens, made on the record: for people at the admin socket and for dispatchers over HTTP.
//!
//! Must never let a token leave before its record is durable, nor a key sign before its record is. What is
//! refused after its asker is known is recorded singly, like every refusal (I6).

use std::net::IpAddr;
use std::sync::Arc;

use super::Gateway;
use crate::audit::{Detail, Event, KeyChange, MintAct, MintFacts, MintResult, MintedBy};
use crate::console::{AdministrationError, MintedToken, Minting, RenewalRequest, RotatedKey, TokenVerdict};
use crate::identity::{
    ClientCredential, DISPATCHER_PREFIX, Dispatcher, KeysError, ListenerVouches, MINT_ENTRY_POINT,
    MintRefusal, Minted, Minter, Opened, Presented, Renewal, Requester, carrier_of,
};
use crate::model::mint::{Carrier, TokenRequest, TokenText};
use crate::model::name::EntryPointName;
use crate::model::reason::Reason;
use crate::model::run::Actor;

/// What is asked of the minter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenOrder {
    /// A token that says this.
    Mint(TokenRequest),
    /// A token that says what this one says, with a new end.
    Renew {
        /// The older token.
        token: TokenText,
        /// In which header it travels; as before where absent.
        carrier: Option<Carrier>,
    },
}

/// Why a dispatcher gets no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRefused {
    /// In one stable word.
    pub reason: Reason,
    /// In a sentence for the dispatcher.
    pub message: String,
}

impl Gateway {
    /// Whether dispatchers may ask for tokens over HTTP.
    #[must_use]
    pub fn takes_dispatchers(&self) -> bool {
        self.worlds
            .within(|world| world.in_force.minter.as_ref().is_some_and(|minter| minter.has_dispatchers()))
    }

    /// The URL that the gateway's own tokens are for.
    #[must_use]
    pub fn token_audience(&self) -> String {
        let minter = self.worlds.now().in_force.minter.clone();
        minter.map(|minter| minter.audience().to_owned()).unwrap_or_default()
    }

    /// Which dispatcher presents `credential`.
    ///
    /// # Errors
    /// The reason why nobody can be told; it is counted (I6).
    pub async fn dispatcher(
        &self,
        credential: ClientCredential<'_>,
        listener: &str,
        address: Option<IpAddr>,
    ) -> Result<Arc<Dispatcher>, Reason> {
        self.may_present(address).inspect_err(|reason| self.count_refusal(listener, *reason))?;
        let known = match self.worlds.now().in_force.minter.clone() {
            Some(minter) => minter.dispatcher(credential).await,
            None => Err(Reason::CredentialUnknown),
        };
        let known = known.and_then(|dispatcher| self.counts(&dispatcher).map(|()| dispatcher));
        known.inspect_err(|reason| {
            self.count_refusal(listener, *reason);
            self.count_failure(address, *reason);
        })
    }

    /// One token for a dispatcher, or the record of why there is none. `order` is what was understood of
    /// its request.
    ///
    /// # Errors
    /// [`TokenRefused`] says why not.
    pub async fn token_for(
        &self,
        dispatcher: Arc<Dispatcher>,
        order: Result<TokenOrder, TokenRefused>,
    ) -> Result<MintedToken, TokenRefused> {
        let minter = self.minter().map_err(|_| TokenRefused::of(Reason::CredentialUnknown))?;
        // Its keys may have been waited for meanwhile: a reload or a revocation counts from here on.
        let (dispatcher, order) = match minter.still(&dispatcher) {
            Ok(now) => match self.counts(&now).and_then(|()| minter.spend(&now)) {
                Ok(()) => (now, order),
                Err(reason) => (now, Err(TokenRefused::of(reason))),
            },
            Err(reason) => (dispatcher, Err(TokenRefused::of(reason))),
        };
        let by = Requester::Dispatcher(dispatcher);
        match order {
            Ok(order) => self.issue(&minter, &by, order, None).await,
            Err(refused) => {
                let TokenRefused { reason, message } = &refused;
                let result = MintResult::Refused { reason: *reason, detail: Detail::new(message) };
                let recorded = self.record_mint(&by, MintAct::Mint, None, result).await;
                Err(recorded.err().map_or(refused, TokenRefused::of))
            }
        }
    }

    /// Records that opening the keys made the first one.
    ///
    /// # Errors
    /// Why it could not be recorded.
    pub(super) async fn record_first_key(&self, opened: &Opened) -> Result<(), Reason> {
        match opened {
            Opened::Found => Ok(()),
            Opened::Made(kid) => self.record_key(KeyChange::Made, kid, None).await,
        }
    }

    fn minter(&self) -> Result<Arc<Minter>, AdministrationError> {
        let missing =
            || AdministrationError::Missing("this gateway mints no tokens: add `[auth.mint]`".into());
        self.worlds.now().in_force.minter.clone().ok_or_else(missing)
    }

    /// Signs, records, and only then hands out.
    async fn issue(
        &self,
        minter: &Minter,
        by: &Requester,
        order: TokenOrder,
        ttl_s: Option<u64>,
    ) -> Result<MintedToken, TokenRefused> {
        // A key that is gone is gone from the file at the next minting; until then no token of its lives.
        minter.prune_keys().map_err(|error| TokenRefused::from(&error))?;
        if minter.key_is_due() {
            self.replace_key(minter, KeyChange::Aged, None).await?;
        }
        let (act, asked) = match &order {
            TokenOrder::Mint(request) => (MintAct::Mint, Some(request.clone())),
            TokenOrder::Renew { .. } => (MintAct::Renew, None),
        };
        let made = match order {
            TokenOrder::Mint(request) => minter.mint(by, request),
            TokenOrder::Renew { token, carrier } => {
                let ttl = ttl_s.map(std::time::Duration::from_secs);
                minter.renew(by, token.reveal(), Renewal { ttl, carrier })
            }
        };
        let made = made.and_then(|minted| self.opens(&minted).map(|()| minted));
        let (label, result) = match &made {
            Ok(minted) => (Some(minted.request.clone()), result(minted)),
            Err(refusal) => (asked, refused(refusal)),
        };
        self.record_mint(by, act, label, result).await.map_err(TokenRefused::of)?;
        let minted = made.map_err(|refusal| TokenRefused::from(&refusal))?;
        let (exp, iat) = (minted.expires.as_second(), minted.issued.as_second());
        let audience = minter.audience().to_owned();
        Ok(MintedToken {
            token: minted.token,
            txn: minted.txn,
            exp,
            expires_in: exp.saturating_sub(iat),
            audience,
        })
    }

    /// Whether a token would open anything: one of a run that has ended, or of whom a person revoked, would
    /// not.
    fn opens(&self, minted: &Minted) -> Result<(), MintRefusal> {
        let own = EntryPointName::new(MINT_ENTRY_POINT).map_err(|_| MintRefusal::Ended(Reason::Fault))?;
        self.runs.may_claim(&own, &minted.txn).map_err(MintRefusal::Ended)?;
        let asker = minted.asked_by.starts_with(DISPATCHER_PREFIX).then_some(&*minted.asked_by);
        let asker = asker.map(EntryPointName::new).transpose();
        let asker = asker.map_err(|_| MintRefusal::Ended(Reason::Fault))?;
        let answerable = std::iter::once(&own).chain(&asker);
        self.runs.may_vouch(Some(&minted.request.subject), answerable).map_err(MintRefusal::Ended)
    }

    /// Whether what a dispatcher asks for counts.
    fn counts(&self, dispatcher: &Dispatcher) -> Result<(), Reason> {
        self.runs.may_vouch(None, std::iter::once(&dispatcher.entry_point))
    }

    /// The record first: a key that signed without one would be nobody's. Where the key then cannot be
    /// stored, the record says more than happened, and the key before it goes on signing.
    async fn replace_key(
        &self,
        minter: &Minter,
        change: KeyChange,
        by: Option<Actor>,
    ) -> Result<String, TokenRefused> {
        let key = minter.prepare_key().map_err(|error| TokenRefused::from(&error))?;
        let kid = key.kid().to_owned();
        self.record_key(change, &kid, by).await.map_err(TokenRefused::of)?;
        minter.install_key(key).map_err(|error| TokenRefused::from(&error))?;
        Ok(kid)
    }

    async fn record_key(&self, change: KeyChange, kid: &str, by: Option<Actor>) -> Result<(), Reason> {
        let kid = kid.to_owned();
        self.journal.record(Event::TokenKey { change, kid, by }).await.map(drop)
    }

    async fn record_mint(
        &self,
        by: &Requester,
        act: MintAct,
        request: Option<TokenRequest>,
        result: MintResult,
    ) -> Result<(), Reason> {
        let by = match by {
            Requester::Operator(actor) => MintedBy::Operator(*actor),
            Requester::Dispatcher(dispatcher) => MintedBy::Dispatcher(dispatcher.entry_point.clone()),
        };
        self.journal.record(Event::Mint(Box::new(MintFacts { by, act, request, result }))).await.map(drop)
    }
}

impl Minting for Gateway {
    async fn mint(&self, by: Actor, request: TokenRequest) -> Result<MintedToken, AdministrationError> {
        let minter = self.minter()?;
        Ok(self.issue(&minter, &Requester::Operator(by), TokenOrder::Mint(request), None).await?)
    }

    async fn renew(&self, by: Actor, renewal: RenewalRequest) -> Result<MintedToken, AdministrationError> {
        let minter = self.minter()?;
        let RenewalRequest { token, ttl_s } = renewal;
        let order = TokenOrder::Renew { token, carrier: None };
        Ok(self.issue(&minter, &Requester::Operator(by), order, ttl_s).await?)
    }

    async fn rotate_token_key(&self, by: Actor) -> Result<RotatedKey, AdministrationError> {
        let minter = self.minter()?;
        let kid = self.replace_key(&minter, KeyChange::Rotated, Some(by)).await?;
        Ok(RotatedKey { kid })
    }

    /// As if the token came in a request: the same path, without a request.
    async fn judge_token(&self, token: &TokenText) -> TokenVerdict {
        let bearer = format!("Bearer {}", token.reveal());
        let (authorization, txn_token) = match carrier_of(token.reveal()) {
            Carrier::Authorization => (vec![bearer.as_bytes()], Vec::new()),
            Carrier::TxnToken => (Vec::new(), vec![token.reveal().as_bytes()]),
        };
        let presented = Presented {
            listener: &ListenerVouches::Nothing,
            authorization: &authorization,
            txn_token: &txn_token,
            dpop: &[],
            method: "POST",
            peer_uid: None,
            certificate: None,
        };
        let in_force = Arc::clone(&self.worlds.now().in_force);
        let known = in_force.authenticator.authenticate(&presented).await;
        match known.and_then(|principal| self.runs.admits(&principal).map(|()| principal)) {
            Ok(principal) => TokenVerdict::Accepted {
                entry_point: principal.entry_point.clone(),
                sources: principal.sources.clone(),
            },
            Err(reason) => TokenVerdict::Refused { reason },
        }
    }
}

fn result(minted: &Minted) -> MintResult {
    MintResult::Made {
        txn: minted.txn.clone(),
        expires: minted.expires,
        jti_sha256: minted.jti_sha256,
        kid: minted.kid.clone(),
    }
}

fn refused(refusal: &MintRefusal) -> MintResult {
    MintResult::Refused { reason: refusal.reason(), detail: Detail::new(&refusal.to_string()) }
}

impl TokenRefused {
    /// Refused for a reason that says everything.
    #[must_use]
    pub fn of(reason: Reason) -> Self {
        Self { reason, message: reason.sentence().to_owned() }
    }
}

impl From<&MintRefusal> for TokenRefused {
    fn from(refusal: &MintRefusal) -> Self {
        Self { reason: refusal.reason(), message: refusal.to_string() }
    }
}

impl From<&KeysError> for TokenRefused {
    fn from(error: &KeysError) -> Self {
        // The cause names files of the gateway: it is for its log, not for who asks.
        tracing::error!(%error, "no key for run tokens");
        match error {
            KeysError::Full => Self { reason: Reason::KeysUnavailable, message: error.to_string() },
            _ => Self::of(Reason::KeysUnavailable),
        }
    }
}

impl From<TokenRefused> for AdministrationError {
    fn from(refused: TokenRefused) -> Self {
        let TokenRefused { reason, message } = refused;
        match reason {
            Reason::JournalHalted | Reason::JournalOverloaded | Reason::KeysUnavailable | Reason::Fault => {
                Self::Unavailable { reason, message }
            }
            _ => Self::Refused { reason, message },
        }
    }
}
