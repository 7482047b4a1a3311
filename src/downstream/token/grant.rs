//! What a form of token exchange asks for (RFC 8693; draft-ietf-oauth-transaction-tokens, "Requesting
//! Txn-Tokens"): a first token for a subject that the dispatcher states, or a renewal.
//!
//! Must never take a label from anywhere but the parameters that are meant for it. What it may be is
//! decided behind this: here is only the grammar.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::form::Form;
use crate::gateway::minting::TokenOrder;
use crate::model::mint::{AskedSource, Carrier, TokenRequest, TokenText};
use crate::model::name::{AgentName, Goal, RoleName, Subject};
use crate::model::reason::Reason;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const UNSIGNED_JSON: &str = "urn:ietf:params:oauth:token-type:unsigned_json";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const TXN_TOKEN: &str = "urn:ietf:params:oauth:token-type:txn_token";

/// An error of RFC 6749, 5.2 or RFC 8693, 2.2.2, with the reason that stands in the record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misasked {
    pub(super) error: &'static str,
    pub(super) reason: Reason,
    pub(super) message: String,
}

fn invalid(message: impl Into<String>) -> Misasked {
    Misasked { error: "invalid_request", reason: Reason::ParamsInvalid, message: message.into() }
}

/// What is asked for, and the type of the token that is to come back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) order: TokenOrder,
    pub(super) issued_type: &'static str,
}

/// The subject as the dispatcher states it (draft, "Unsigned JSON Object Subject Token Type").
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stated {
    sub: Subject,
    #[serde(default)]
    roles: std::collections::BTreeSet<RoleName>,
    act: Option<Act>,
    /// For how many seconds the token shall live.
    ttl: Option<u64>,
}

/// RFC 8693, 4.1.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Act {
    sub: AgentName,
    act: Option<Box<Self>>,
}

/// `request_details`: what becomes `tctx`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Details {
    src: Vec<AskedSource>,
    goal: Option<Goal>,
}

/// What `form` asks for of the gateway at `audience`.
pub(super) fn read(form: &Form, audience: &str) -> Result<Grant, Misasked> {
    match form.get("grant_type") {
        Some(GRANT_TYPE) => {}
        Some(_) => {
            let message = format!("`grant_type` has to be {GRANT_TYPE}");
            return Err(Misasked { error: "unsupported_grant_type", ..invalid(message) });
        }
        None => return Err(invalid("`grant_type` is missing")),
    }
    for name in ["audience", "resource"] {
        if form.get(name).is_some_and(|value| value != audience) {
            let message = format!("`{name}` has to be {audience}, or be left out");
            let reason = Reason::TokenAudienceWrong;
            return Err(Misasked { error: "invalid_target", reason, message });
        }
    }
    if form.get("scope").is_some_and(|scope| scope != "mcp") {
        return Err(Misasked { error: "invalid_scope", ..invalid("`scope` has to be mcp, or be left out") });
    }
    if form.get("actor_token").is_some() || form.get("actor_token_type").is_some() {
        return Err(invalid("actors stand in `act` of the subject token"));
    }
    let (carrier, issued_type) = match form.get("requested_token_type") {
        None => (None, ACCESS_TOKEN),
        Some(ACCESS_TOKEN | JWT) => (Some(Carrier::Authorization), ACCESS_TOKEN),
        Some(TXN_TOKEN) => (Some(Carrier::TxnToken), TXN_TOKEN),
        Some(_) => {
            return Err(invalid(format!("`requested_token_type` has to be {TXN_TOKEN} or {ACCESS_TOKEN}")));
        }
    };
    let subject = form.get("subject_token").ok_or_else(|| invalid("`subject_token` is missing"))?;
    let order = match form.get("subject_token_type") {
        Some(UNSIGNED_JSON) => TokenOrder::Mint(stated(form, subject, carrier.unwrap_or_default())?),
        Some(ACCESS_TOKEN | TXN_TOKEN | JWT) => {
            if form.get("request_details").is_some() || form.get("request_context").is_some() {
                return Err(invalid("a renewed token says what the older one says: leave out its details"));
            }
            // Without a wish it is of the type that is the default here, whatever the older one was.
            let carrier = Some(carrier.unwrap_or_default());
            TokenOrder::Renew { token: TokenText::new(subject.to_owned()), carrier }
        }
        Some(_) => {
            return Err(invalid(format!(
                "`subject_token_type` has to be {UNSIGNED_JSON}, or that of the token to be renewed"
            )));
        }
        None => return Err(invalid("`subject_token_type` is missing")),
    };
    Ok(Grant { order, issued_type })
}

fn stated(form: &Form, subject: &str, carrier: Carrier) -> Result<TokenRequest, Misasked> {
    let Stated { sub, roles, act, ttl } = json("subject_token", subject)?;
    let details = form.get("request_details").ok_or_else(|| {
        invalid("`request_details` is missing: it says the sources, as {\"src\":[{\"kind\":\"email\"}]}")
    })?;
    let Details { src, goal } = json("request_details", details)?;
    let context = match form.get("request_context") {
        Some(text) => json::<Map<String, Value>>("request_context", text)?,
        None => Map::new(),
    };
    let mut agents = Vec::new();
    let mut next = act;
    while let Some(Act { sub, act }) = next {
        agents.push(sub);
        next = act.map(|act| *act);
    }
    Ok(TokenRequest {
        sources: src,
        subject: sub,
        roles,
        agents,
        goal,
        context,
        txn: None,
        ttl_s: ttl,
        carrier,
    })
}

fn json<'t, T: Deserialize<'t>>(name: &str, text: &'t str) -> Result<T, Misasked> {
    serde_json::from_str(text).map_err(|error| invalid(format!("`{name}` is not what it has to be: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AUDIENCE: &str = "http://127.0.0.1:7400/mcp";

    fn good() -> Vec<(&'static str, String)> {
        vec![
            ("grant_type", GRANT_TYPE.to_owned()),
            ("subject_token_type", UNSIGNED_JSON.to_owned()),
            ("subject_token", json!({ "sub": "user:1", "roles": ["a"], "act": { "sub": "x", "act": { "sub": "y" } }, "ttl": 60 }).to_string()),
            ("request_details", json!({ "src": [{ "kind": "email", "sender": "x@y" }], "goal": "g" }).to_string()),
            ("request_context", json!({ "event": "imap:1" }).to_string()),
            ("audience", AUDIENCE.to_owned()),
            ("scope", "mcp".to_owned()),
        ]
    }

    fn escaped(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02X}")).collect()
    }

    fn asked(parameters: &[(&str, String)]) -> Result<Grant, Misasked> {
        let parts: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        read(&Form::of(parts.join("&").as_bytes()).unwrap(), AUDIENCE)
    }

    fn with(name: &'static str, value: Option<&str>) -> Result<Grant, Misasked> {
        let mut parameters = good();
        parameters.retain(|(known, _)| *known != name);
        parameters.extend(value.map(|value| (name, value.to_owned())));
        asked(&parameters)
    }

    #[test]
    fn a_form_asks_for_what_it_says() {
        let Grant { order, issued_type } = asked(&good()).unwrap();
        let expected = json!({
            "sources": [{ "kind": "email", "sender": "x@y" }], "subject": "user:1", "roles": ["a"],
            "agents": ["x", "y"], "goal": "g", "context": { "event": "imap:1" }, "ttl_s": 60,
        });
        assert_eq!(order, TokenOrder::Mint(serde_json::from_value(expected).unwrap()));
        assert_eq!(issued_type, ACCESS_TOKEN);
        let Grant { order, issued_type } = with("requested_token_type", Some(TXN_TOKEN)).unwrap();
        assert!(matches!(order, TokenOrder::Mint(request) if request.carrier == Carrier::TxnToken));
        assert_eq!(issued_type, TXN_TOKEN);
        let renewal = [
            ("grant_type", GRANT_TYPE.to_owned()),
            ("subject_token_type", TXN_TOKEN.to_owned()),
            ("subject_token", "eyJ".to_owned()),
        ];
        let token = TokenText::new("eyJ".into());
        let carrier = Some(Carrier::Authorization);
        assert_eq!(asked(&renewal).unwrap().order, TokenOrder::Renew { token, carrier });
    }

    #[test]
    fn each_thing_that_is_wrong_has_its_error() {
        let cases = [
            ("grant_type", None, "invalid_request"),
            ("grant_type", Some("client_credentials"), "unsupported_grant_type"),
            ("audience", Some("http://other/mcp"), "invalid_target"),
            ("resource", Some("http://other/mcp"), "invalid_target"),
            ("scope", Some("mcp admin"), "invalid_scope"),
            ("actor_token", Some("x"), "invalid_request"),
            ("requested_token_type", Some("urn:ietf:params:oauth:token-type:saml2"), "invalid_request"),
            ("subject_token", None, "invalid_request"),
            ("subject_token", Some("{}"), "invalid_request"),
            ("subject_token", Some("{\"sub\":\"user:1\",\"admin\":true}"), "invalid_request"),
            ("subject_token", Some("{\"sub\":\"user:1\",\"sub\":\"user:2\"}"), "invalid_request"),
            ("subject_token", Some("{\"sub\":\"user 1\"}"), "invalid_request"),
            ("subject_token_type", None, "invalid_request"),
            ("subject_token_type", Some("urn:ietf:params:oauth:token-type:refresh_token"), "invalid_request"),
            ("subject_token_type", Some(ACCESS_TOKEN), "invalid_request"),
            ("request_details", None, "invalid_request"),
            ("request_details", Some("[]"), "invalid_request"),
            ("request_details", Some("{\"src\":[{\"kind\":\"email\"}],\"txn\":\"x\"}"), "invalid_request"),
            ("request_context", Some("3"), "invalid_request"),
        ];
        for (name, value, error) in cases {
            assert_eq!(with(name, value).unwrap_err().error, error, "{name}={value:?}");
        }
    }
}
