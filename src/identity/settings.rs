//! The settings of entry points, checked.
//!
//! Must never hold a credential itself: keys stand here as digests.

use std::sync::Arc;

use crate::model::certificate::AltName;
use crate::model::digest::Sha256;
use crate::model::principal::Principal;
use crate::model::trigger::Declarations;

use super::resource::ResourceUrl;
use super::token::IssuerSettings;

/// Every entry point that is vouched for by configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// `[auth.keys.*]`.
    pub keys: Vec<KeySettings>,
    /// `[auth.clients.*]`.
    pub clients: Vec<ClientSettings>,
    /// `[auth.issuers.*]`.
    pub issuers: Vec<IssuerSettings>,
    /// The attributes that each source declares (`[sources.NAME] trigger`).
    pub attributes: Declarations,
    /// The URL under which agents know the gateway (`gateway.url`); without one no proof can be checked.
    pub url: Option<ResourceUrl>,
}

/// One client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSettings {
    /// By what it is known.
    pub shows: Shows,
    /// What a request over a connection with it is.
    pub principal: Arc<Principal>,
}

/// By what a client certificate is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shows {
    /// One of its subject alternative names, exactly.
    Name(AltName),
    /// SHA-256 over its DER form.
    Digest(Sha256),
}

/// One API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySettings {
    /// SHA-256 of the key. A key holds 256 random bits, so an unsalted fast hash is enough.
    pub hash: Sha256,
    /// What a request with this key is.
    pub principal: Arc<Principal>,
}

/// What a listener vouches for by itself, before any header is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenerVouches {
    /// Nothing: each request has to bring a credential.
    Nothing,
    /// Every connection is this principal (`insecure_local = true`).
    Everyone(Arc<Principal>),
    /// The uid of the peer says who it is; an unmapped uid is refused (unix sockets).
    Peers(Vec<(u32, Arc<Principal>)>),
}

impl ListenerVouches {
    /// This, as far as a configuration says the same: a name alone does not tell one socket from another
    /// that has it before or after a reload.
    #[must_use]
    pub fn confirmed_by(&self, in_force: Option<&Self>) -> &Self {
        if in_force == Some(self) { self } else { &Self::Nothing }
    }
}
