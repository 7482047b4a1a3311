//! Tokens over a real socket: each is accepted, and its call executed, or refused with its reason, and
//! nothing is.

mod claims;
mod confused;
mod endpoints;
mod labels;
mod matrix;
mod provider;
mod tls;

use serde_json::{Value, json};

use crate::support::issuer::{Signer, key_set, now, unique, with};
use crate::support::{Client, Exchange, Site};

/// The audience of every token here, and the target of proofs.
const URL: &str = "https://mcp.acme.example/mcp";

/// A site that knows three issuers: a mail hook with a key of each kind, another mail hook, and a login
/// whose tokens describe no trigger.
struct Issuers {
    site: Site,
    es: Signer,
    ed: Signer,
    rs: Signer,
    ps: Signer,
    other: Signer,
    login: Signer,
}

impl Issuers {
    fn new() -> Self {
        let issuers = Self {
            site: site(ISSUERS),
            es: Signer::new("ES256", "es-1"),
            ed: Signer::new("EdDSA", "ed-1"),
            rs: Signer::new("RS256", "rs-1"),
            ps: Signer::new("PS256", "ps-1"),
            other: Signer::new("ES256", "other-1"),
            login: Signer::new("EdDSA", "login-1"),
        };
        issuers.publish("mailbot", &[&issuers.es, &issuers.ed, &issuers.rs, &issuers.ps]);
        issuers.publish("other", &[&issuers.other]);
        issuers.publish("login", &[&issuers.login]);
        issuers
    }

    /// Writes the key file of an issuer.
    fn publish(&self, name: &str, signers: &[&Signer]) {
        std::fs::write(self.site.path(&format!("{name}.jwks.json")), key_set(signers)).unwrap();
    }

    /// An access token of the mail hook, its claims changed by `more`.
    fn access(&self, more: &Value) -> String {
        self.es.token("at+jwt", &with(claims_of_mail(), more))
    }

    /// A transaction token of the mail hook, its claims changed by `more`.
    fn run(&self, more: &Value) -> String {
        let claims = with(claims_of_mail(), &json!({ "scope": "mcp", "req_wl": "mailbot" }));
        self.es.token("txntoken+jwt", &with(claims, more))
    }

    /// An access token of the login, its claims changed by `more`.
    fn login(&self, more: &Value) -> String {
        self.login.token("at+jwt", &with(claims_of_login(), more))
    }
}

/// The claims of the mail hook: a run of its own each time.
fn claims_of_mail() -> Value {
    json!({
        "iss": "mailbot", "aud": URL, "iat": now(), "exp": now() + 600, "sub": "user:4711",
        "txn": unique("run"), "roles": ["assistant"], "act": { "sub": "agent:inbox" },
        "tctx": { "src": [{ "kind": "email", "sender": "x@y.example", "auth": "none" }], "goal": "triage_mail" },
    })
}

fn claims_of_login() -> Value {
    json!({
        "iss": "https://login.acme.example", "aud": URL, "iat": now(), "exp": now() + 600,
        "sub": "user:4711", "roles": ["assistant"],
    })
}

/// A site with the oracle, the URL of the gateway, typed attributes of mail, and `issuers`.
fn site(issuers: &str) -> Site {
    let site = Site::with_oracle(issuers);
    let config = std::fs::read_to_string(site.path("gateway.toml")).unwrap();
    let attributes = r#"trigger = { sender = "string", auth = "string", list = "bool", score = "integer", to = "strings" }"#;
    let config = config
        .replace("state_dir = \"./state\"\n", &format!("state_dir = \"./state\"\nurl = \"{URL}\"\n"))
        .replace("[sources.email]\n", &format!("[sources.email]\n{attributes}\n"));
    site.configure(&config);
    site
}

const ISSUERS: &str = r#"
[sources."email.colleague"]
allow = ["tools.read", "tools.write"]

[roles.reader]
allow = ["tools.read"]

[roles.admin]
allow = ["*"]

[auth.issuers.mailbot]
jwks = { file = "mailbot.jwks.json" }
may_assert = { sources = ["email", "web"], subjects = ["user:*"], roles = ["assistant", "reader"], agents = ["agent:*"], goals = ["triage_*"] }

[auth.issuers.mailbot.refine.email]
rules = [{ when = { auth = "dkim-pass", sender = { domain = ["acme.example"] } }, source = "email.colleague" }]

[auth.issuers.other]
jwks = { file = "other.jwks.json" }
algorithms = ["ES256"]
may_assert = { sources = ["email"], subjects = ["user:*"], roles = ["assistant"] }

[auth.issuers.login]
issuer = "https://login.acme.example"
jwks = { file = "login.jwks.json" }
may_assert = { sources = ["web"], subjects = ["user:*"], roles = ["assistant"], agents = ["agent:*"], goals = ["*"] }
source = "chat"
token_ttl_max = "15m"
run = "subject"
"#;

/// One whole call of `tools__read` by whoever `client` is.
async fn call(client: &Client, id: &str) -> Exchange {
    client.modern(1, "tools/call", json!({ "name": "tools__read", "arguments": { "id": id } })).await
}

/// A caller that presents `token`.
fn bearer(url: &str, token: &str) -> Client {
    Client::anonymous(url).header("authorization", &format!("Bearer {token}"))
}
