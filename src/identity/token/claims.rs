//! The claims of a token whose signature is right: each is what it has to be, or the token is refused.
//!
//! Must never complete a claim, and never let one pass that is there and wrong: an issuer that writes a
//! claim means something by it. What a token may say at all is checked against its entry point's ceiling.

use std::collections::BTreeSet;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use serde_json::Value;

use super::context;
use super::{Carrier, IssuerSettings};
use crate::identity::assert::Asserted;
use crate::identity::json::{self, Members, WrongType};
use crate::identity::mint::{DISPATCHER_PREFIX, MINT_ENTRY_POINT};
use crate::model::digest::Sha256;
use crate::model::name::{AgentName, EntryPointName, RoleName, SourceName, Subject, Txn};
use crate::model::principal::RunScope;
use crate::model::reason::Reason;
use crate::model::trigger::{Declarations, Trigger};

/// Most audiences of one token.
const AUDIENCES_MAX: usize = 16;
/// Most roles of one token.
const ROLES_MAX: usize = 64;
/// Longest chain of actors (RFC 8693 §4.1).
const ACTORS_MAX: usize = 8;

/// What a token says, checked.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) subject: Subject,
    pub(super) roles: BTreeSet<RoleName>,
    pub(super) agents: Vec<AgentName>,
    pub(super) sources: Vec<SourceName>,
    pub(super) trigger: Trigger,
    pub(super) txn: Option<Txn>,
    pub(super) confirmation: Confirmation,
    pub(super) times: Times,
    /// The dispatcher that asked for it, where the gateway made it.
    pub(super) asked_by: Option<EntryPointName>,
}

/// When a token counts, with the issuer's clock skew on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::identity) struct Times {
    /// Not before.
    pub(in crate::identity) from: Timestamp,
    /// Not from then on.
    pub(in crate::identity) until: Timestamp,
}

/// Who may use a token (RFC 7800 `cnf`). Empty: whoever has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::identity) struct Confirmation {
    /// The thumbprint of the key that a proof has to be signed by (`jkt`, RFC 9449 §6.1).
    pub(in crate::identity) key: Option<Sha256>,
    /// The digest of the client's certificate (`x5t#S256`, RFC 8705 §3.1).
    pub(in crate::identity) certificate: Option<Sha256>,
}

impl Confirmation {
    /// Whether anything has to be proved.
    pub(in crate::identity) fn is_bound(self) -> bool {
        self != Self::default()
    }
}

impl From<WrongType> for Reason {
    fn from(_: WrongType) -> Self {
        Self::TokenClaimsInvalid
    }
}

/// The claims in `payload` of a token of `issuer` that came in as `carrier`.
pub(super) fn read(
    payload: &Members,
    carrier: Carrier,
    issuer: &IssuerSettings,
    attributes: &Declarations,
    now: Timestamp,
) -> Result<Claims, Reason> {
    audience(payload, &issuer.audience)?;
    let times = times(payload, issuer, now)?;
    if carrier == Carrier::TxnToken {
        // The draft's required claims that nothing else here asks for (§4.2).
        for claim in ["scope", "req_wl"] {
            required_text(payload, claim)?;
        }
    }
    let subject = Subject::new(required_text(payload, "sub")?).map_err(|_| Reason::TokenClaimsInvalid)?;
    let txn = txn(payload, carrier, issuer)?;
    let (roles, agents) = (roles(payload)?, agents(payload)?);
    let trigger = context::trigger(payload, &issuer.refine, attributes)?;
    let asserted: Vec<SourceName> = trigger.entries.iter().map(|entry| entry.kind.clone()).collect();
    issuer
        .may_assert
        .check(Asserted {
            sources: &asserted,
            subject: &subject,
            roles: &roles,
            agents: &agents,
            goal: trigger.goal.as_ref(),
        })
        .map_err(|_| Reason::LabelForbidden)?;
    let sources = if trigger.entries.is_empty() {
        // A token that says nothing of a trigger has the source that its entry point names, or none.
        vec![issuer.source.clone().ok_or(Reason::TokenClaimsInvalid)?]
    } else {
        trigger.entries.iter().map(|entry| entry.source.clone()).collect()
    };
    let (confirmation, asked_by) = (confirmation(payload)?, asked_by(payload, issuer)?);
    Ok(Claims { subject, roles, agents, sources, trigger, txn, confirmation, times, asked_by })
}

/// `req_wl` says who asked for a token only where the gateway itself wrote it.
fn asked_by(payload: &Members, issuer: &IssuerSettings) -> Result<Option<EntryPointName>, Reason> {
    if issuer.entry_point.as_str() != MINT_ENTRY_POINT {
        return Ok(None);
    }
    let asker = required_text(payload, "req_wl")?;
    if !asker.starts_with(DISPATCHER_PREFIX) {
        return Ok(None);
    }
    EntryPointName::new(asker).map(Some).map_err(|_| Reason::TokenClaimsInvalid)
}

/// RFC 7519 §4.1.3: one text or an array of them. Ours has to be among them, byte for byte; the others
/// are other receivers, which its issuer trusts not to send it here (docs/decisions/0009).
fn audience(payload: &Members, ours: &str) -> Result<(), Reason> {
    let is_ours = match payload.get("aud").ok_or(Reason::TokenClaimsInvalid)? {
        Value::String(audience) => audience == ours,
        Value::Array(audiences) => {
            let are_texts = audiences.iter().all(Value::is_string);
            if !are_texts || audiences.len() > AUDIENCES_MAX {
                return Err(Reason::TokenClaimsInvalid);
            }
            audiences.iter().any(|audience| audience.as_str() == Some(ours))
        }
        _ => return Err(Reason::TokenClaimsInvalid),
    };
    if is_ours { Ok(()) } else { Err(Reason::TokenAudienceWrong) }
}

/// RFC 7519 §4.1.4 to §4.1.6. `exp` and `iat` are required, so that every token has a length.
fn times(payload: &Members, issuer: &IssuerSettings, now: Timestamp) -> Result<Times, Reason> {
    let required = |claim| json::seconds(payload, claim)?.ok_or(Reason::TokenClaimsInvalid);
    let (issued, expires) = (required("iat")?, required("exp")?);
    let not_before = json::seconds(payload, "nbf")?.unwrap_or(issued).max(issued);
    let length = expires.checked_sub(issued).and_then(|length| u64::try_from(length).ok());
    let length = length.filter(|length| *length > 0).ok_or(Reason::TokenClaimsInvalid)?;
    let moment = |seconds| Timestamp::from_second(seconds).map_err(|_| Reason::TokenClaimsInvalid);
    let skew = issuer.clock_skew;
    let until = moment(expires)?.checked_add(skew).map_err(|_| Reason::TokenClaimsInvalid)?;
    let from = moment(not_before)?.checked_sub(skew).map_err(|_| Reason::TokenClaimsInvalid)?;
    if now >= until {
        return Err(Reason::TokenExpired);
    }
    if now < from {
        return Err(Reason::TokenNotYetValid);
    }
    if Duration::from_secs(length) > issuer.token_ttl_max {
        return Err(Reason::TokenLifetimeTooLong);
    }
    Ok(Times { from, until })
}

/// The run that the token claims, where its entry point says that tokens do.
fn txn(payload: &Members, carrier: Carrier, issuer: &IssuerSettings) -> Result<Option<Txn>, Reason> {
    let is_claimed = issuer.runs.scope == RunScope::Claim;
    let Some(text) = json::text(payload, "txn")? else {
        let is_required = is_claimed || carrier == Carrier::TxnToken;
        return if is_required { Err(Reason::TokenClaimsInvalid) } else { Ok(None) };
    };
    let txn = Txn::new(text).map_err(|_| Reason::TokenClaimsInvalid)?;
    Ok(is_claimed.then_some(txn))
}

fn roles(payload: &Members) -> Result<BTreeSet<RoleName>, Reason> {
    let written = json::list(payload, "roles")?.unwrap_or_default();
    if written.len() > ROLES_MAX {
        return Err(Reason::TokenClaimsInvalid);
    }
    let role = |role: &Value| RoleName::new(role.as_str()?).ok();
    written.iter().map(role).collect::<Option<_>>().ok_or(Reason::TokenClaimsInvalid)
}

/// RFC 8693 §4.1: the outermost actor is the one that acts now, each inner one acted before it.
fn agents(payload: &Members) -> Result<Vec<AgentName>, Reason> {
    let mut agents = Vec::new();
    let mut level = json::child(payload, "act")?;
    while let Some(actor) = level {
        if agents.len() == ACTORS_MAX {
            return Err(Reason::TokenClaimsInvalid);
        }
        let name = AgentName::new(required_text(actor, "sub")?).map_err(|_| Reason::TokenClaimsInvalid)?;
        agents.push(name);
        level = json::child(actor, "act")?;
    }
    Ok(agents)
}

/// RFC 7800 §3. A way of proving that is not understood refuses the token: taken for a bearer's it would
/// be worth more to a thief than its issuer meant.
fn confirmation(payload: &Members) -> Result<Confirmation, Reason> {
    let Some(written) = json::child(payload, "cnf")? else { return Ok(Confirmation::default()) };
    let understood = ["jkt", "x5t#S256"];
    if written.is_empty() || written.keys().any(|member| !understood.contains(&member.as_str())) {
        return Err(Reason::TokenClaimsInvalid);
    }
    let digest = |member| -> Result<Option<Sha256>, Reason> {
        let Some(text) = json::text(written, member)? else { return Ok(None) };
        digest_of(text).map(Some).ok_or(Reason::TokenClaimsInvalid)
    };
    Ok(Confirmation { key: digest("jkt")?, certificate: digest("x5t#S256")? })
}

/// The digest that `text` writes in base64url.
pub(in crate::identity) fn digest_of(text: &str) -> Option<Sha256> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    Some(Sha256::from_bytes(bytes.try_into().ok()?))
}

fn required_text<'a>(members: &'a Members, claim: &str) -> Result<&'a str, Reason> {
    json::text(members, claim)?.filter(|text| !text.is_empty()).ok_or(Reason::TokenClaimsInvalid)
}
