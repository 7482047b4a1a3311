//! Rows of the matrix: each claim missing, wrong, of the wrong type; labels beyond the ceiling; two carriers.

use serde_json::{Value, json};

use super::matrix::{Accepted, Refused, Row, access, run};
use super::{Issuers, URL};
use crate::support::issuer::{now, unique};

const INVALID: super::matrix::Comes = Refused("token_claims_invalid");
const FORBIDDEN: super::matrix::Comes = Refused("label_forbidden");

pub(super) fn required(issuers: &Issuers) -> Vec<Row> {
    let with = |more: Value| issuers.access(&more);
    vec![
        access("no iss", &with(json!({ "iss": null })), INVALID),
        access("iss as a number", &with(json!({ "iss": 1 })), INVALID),
        access("iss as an array", &with(json!({ "iss": ["mailbot"] })), INVALID),
        access("iss of nobody", &with(json!({ "iss": "nobody" })), Refused("token_issuer_unknown")),
        access("iss in other case", &with(json!({ "iss": "Mailbot" })), Refused("token_issuer_unknown")),
        access(
            "iss as the entry point",
            &with(json!({ "iss": "issuers.mailbot" })),
            Refused("token_issuer_unknown"),
        ),
        access("iss of another issuer", &with(json!({ "iss": "other" })), Refused("token_key_unknown")),
        access("no sub", &with(json!({ "sub": null })), INVALID),
        access("an empty sub", &with(json!({ "sub": "" })), INVALID),
        access("sub as a number", &with(json!({ "sub": 4711 })), INVALID),
        access("sub with a space", &with(json!({ "sub": "user:1 admin" })), INVALID),
        access("sub with a star", &with(json!({ "sub": "user:*" })), INVALID),
        access("sub beyond ASCII", &with(json!({ "sub": "user:\u{454}" })), INVALID),
        access("a long sub", &with(json!({ "sub": format!("user:{}", "x".repeat(256)) })), INVALID),
        access("no txn where runs are claimed", &with(json!({ "txn": null })), INVALID),
        access("an empty txn", &with(json!({ "txn": "" })), INVALID),
        access("txn as a number", &with(json!({ "txn": 7 })), INVALID),
        access(
            "claims that mean nothing here",
            &with(json!({ "jti": "1", "azp": "x", "email": "x@y" })),
            Accepted,
        ),
    ]
}

pub(super) fn times(issuers: &Issuers) -> Vec<Row> {
    let with = |more: Value| issuers.access(&more);
    let (expired, early) = (Refused("token_expired"), Refused("token_not_yet_valid"));
    let now = now();
    vec![
        access("no exp", &with(json!({ "exp": null })), INVALID),
        access("exp as a text", &with(json!({ "exp": "9999999999" })), INVALID),
        access("exp with a fraction", &with(json!({ "exp": 1.5 })), INVALID),
        access("exp below zero", &with(json!({ "exp": -1 })), INVALID),
        access(
            "exp beyond time",
            &with(json!({ "exp": 9_000_000_000_000_000_000_u64, "iat": 8_999_999_999_999_999_000_u64 })),
            INVALID,
        ),
        access("exp beyond integers", &with(json!({ "exp": u64::MAX })), INVALID),
        access("exp at iat", &with(json!({ "iat": now, "exp": now })), INVALID),
        access("exp before iat", &with(json!({ "iat": now + 20, "exp": now + 10 })), INVALID),
        access("expired", &with(json!({ "iat": now - 700, "exp": now - 100 })), expired),
        access("expired within the skew", &with(json!({ "iat": now - 600, "exp": now - 5 })), Accepted),
        access("no iat", &with(json!({ "iat": null })), INVALID),
        access("iat as a text", &with(json!({ "iat": "1" })), INVALID),
        access("iat ahead", &with(json!({ "iat": now + 100, "exp": now + 200 })), early),
        access("iat ahead within the skew", &with(json!({ "iat": now + 10, "exp": now + 100 })), Accepted),
        access("nbf ahead", &with(json!({ "nbf": now + 100 })), early),
        access("nbf as a text", &with(json!({ "nbf": "0" })), INVALID),
        access("nbf past", &with(json!({ "nbf": now - 100 })), Accepted),
        access("a long life", &with(json!({ "exp": now + 3700 })), Refused("token_lifetime_too_long")),
        access(
            "a life of the issuer's own length",
            &issuers.login(&json!({ "exp": now + 1000 })),
            Refused("token_lifetime_too_long"),
        ),
    ]
}

pub(super) fn audiences(issuers: &Issuers) -> Vec<Row> {
    let with = |aud: Value| issuers.access(&json!({ "aud": aud }));
    let wrong = Refused("token_audience_wrong");
    let many: Vec<Value> = (0..17).map(|_| json!(URL)).collect();
    vec![
        access("a42 no aud", &with(Value::Null), INVALID),
        access("a42 aud as a number", &with(json!(1)), INVALID),
        access("a42 aud as an object", &with(json!({ "aud": URL })), INVALID),
        access("a42 aud of another", &with(json!("https://other.example/mcp")), wrong),
        access("a42 aud of the origin", &with(json!("https://mcp.acme.example")), wrong),
        access("a42 aud with a slash", &with(json!(format!("{URL}/"))), wrong),
        access("a42 aud in other case", &with(json!(URL.to_uppercase())), wrong),
        access("a42 an empty aud", &with(json!("")), wrong),
        access("a42 no aud in an array", &with(json!([])), wrong),
        access(
            "a42 several aud without ours",
            &with(json!(["https://a.example", "https://b.example"])),
            wrong,
        ),
        access("a42 several aud with ours", &with(json!(["https://a.example", URL])), Accepted),
        access("a42 aud of mixed types", &with(json!([URL, 1])), INVALID),
        access("a42 aud without end", &with(Value::Array(many)), INVALID),
    ]
}

pub(super) fn labels(issuers: &Issuers) -> Vec<Row> {
    let with = |more: Value| issuers.access(&more);
    let of = |kind: &str| json!({ "tctx": { "src": [{ "kind": kind }] } });
    let both = json!({ "tctx": { "src": [{ "kind": "email" }, { "kind": "chat" }] } });
    let goal = |goal: &str| json!({ "tctx": { "src": [{ "kind": "email" }], "goal": goal } });
    vec![
        access("a source beyond the ceiling", &with(of("chat")), FORBIDDEN),
        access("a finer source that was asserted", &with(of("email.colleague")), FORBIDDEN),
        access("a source that nobody declared", &with(of("sms")), FORBIDDEN),
        access("one source of two beyond the ceiling", &with(both), FORBIDDEN),
        access("a subject beyond the ceiling", &with(json!({ "sub": "svc:backup" })), FORBIDDEN),
        access("a role beyond the ceiling", &with(json!({ "roles": ["assistant", "admin"] })), FORBIDDEN),
        access("an agent beyond the ceiling", &with(json!({ "act": { "sub": "root" } })), FORBIDDEN),
        access("a goal beyond the ceiling", &with(goal("pay_invoice")), FORBIDDEN),
        access("a goal in other case", &with(goal("Triage_mail")), FORBIDDEN),
        access("another issuer's ceiling", &issuers.login(&of("email")), FORBIDDEN),
        access("roles as a text", &with(json!({ "roles": "assistant" })), INVALID),
        access("roles of numbers", &with(json!({ "roles": [1] })), INVALID),
        access("a role that is no name", &with(json!({ "roles": ["assistant admin"] })), INVALID),
        access("roles without end", &with(json!({ "roles": vec!["assistant"; 65] })), INVALID),
        access("two roles within the ceiling", &with(json!({ "roles": ["reader", "assistant"] })), Accepted),
    ]
}

pub(super) fn actors(issuers: &Issuers) -> Vec<Row> {
    let with = |act: Value| issuers.access(&json!({ "act": act }));
    let chain = |length: usize| {
        (1..length)
            .fold(json!({ "sub": "agent:0" }), |act, at| json!({ "sub": format!("agent:{at}"), "act": act }))
    };
    vec![
        access("no act", &with(Value::Null), Accepted),
        access("a chain of eight", &with(chain(8)), Accepted),
        access("a chain of nine", &with(chain(9)), INVALID),
        access("act as a text", &with(json!("agent:inbox")), INVALID),
        access("act without sub", &with(json!({})), INVALID),
        access("an inner act without sub", &with(json!({ "sub": "agent:a", "act": {} })), INVALID),
        access("an inner act as a text", &with(json!({ "sub": "agent:a", "act": "b" })), INVALID),
        access(
            "an inner act beyond the ceiling",
            &with(json!({ "sub": "agent:a", "act": { "sub": "b" } })),
            FORBIDDEN,
        ),
    ]
}

pub(super) fn contexts(issuers: &Issuers) -> Vec<Row> {
    let with = |tctx: Value| issuers.access(&json!({ "tctx": tctx }));
    let entries = |count: usize| json!({ "src": vec![json!({ "kind": "email" }); count] });
    vec![
        access("no tctx and no source", &with(Value::Null), INVALID),
        access("no tctx and a source of the entry point", &issuers.login(&json!({})), Accepted),
        access(
            "a tctx without src, whatever the entry point says",
            &issuers.login(&json!({ "tctx": {} })),
            INVALID,
        ),
        access("tctx as an array", &with(json!([])), INVALID),
        access("an empty src", &with(json!({ "src": [] })), INVALID),
        access("src as an object", &with(json!({ "src": { "kind": "email" } })), INVALID),
        access("src of texts", &with(json!({ "src": ["email"] })), INVALID),
        access("an entry without kind", &with(json!({ "src": [{ "sender": "x@y" }] })), INVALID),
        access("kind as a number", &with(json!({ "src": [{ "kind": 1 }] })), INVALID),
        access("kind that is no name", &with(json!({ "src": [{ "kind": "e mail" }] })), INVALID),
        access("sixteen entries", &with(entries(16)), Accepted),
        access("seventeen entries", &with(entries(17)), INVALID),
        access("goal as a number", &with(json!({ "src": [{ "kind": "email" }], "goal": 1 })), INVALID),
        access(
            "goal that is no name",
            &with(json!({ "src": [{ "kind": "email" }], "goal": "a b" })),
            INVALID,
        ),
    ]
}

pub(super) fn attributes(issuers: &Issuers) -> Vec<Row> {
    let with = |entry: &str| {
        let entry: Value = serde_json::from_str(&format!(r#"{{"kind":"email",{entry}}}"#)).unwrap();
        issuers.access(&json!({ "tctx": { "src": [entry] } }))
    };
    let many: Vec<String> = (0..33).map(|at| format!("\"a{at}\":1")).collect();
    let texts = vec!["\"x\""; 65].join(",");
    vec![
        access("every type", &with(r#""sender":"x@y","list":true,"score":-7,"to":["a","b"]"#), Accepted),
        access("what nobody declared", &with(r#""subject":"Hi","headers":{"x":[1]}"#), Accepted),
        access("a string that is a number", &with(r#""sender":1"#), INVALID),
        access("a string that is null", &with(r#""sender":null"#), INVALID),
        access("a bool that is a text", &with(r#""list":"true""#), INVALID),
        access("an integer that is a fraction", &with(r#""score":1.5"#), INVALID),
        access("an integer beyond 64 bits", &with(r#""score":9223372036854775808"#), INVALID),
        access("strings that are one", &with(r#""to":"a""#), INVALID),
        access("strings of numbers", &with(r#""to":["a",1]"#), INVALID),
        access("strings without end", &with(&format!(r#""to":[{texts}]"#)), INVALID),
        access("a string without end", &with(&format!(r#""sender":"{}""#, "x".repeat(1025))), INVALID),
        access("attributes without end", &with(&many.join(",")), INVALID),
    ]
}

pub(super) fn transactions(issuers: &Issuers) -> Vec<Row> {
    let with = |more: Value| issuers.run(&more);
    let row = |name, authorization: Option<String>, txn: Vec<String>, comes| {
        let authorization = authorization.map(|token| ("authorization", format!("Bearer {token}")));
        let txn = txn.into_iter().map(|token| ("txn-token", token));
        Row { name, sent: authorization.into_iter().chain(txn).collect(), comes }
    };
    let good = with(json!({}));
    let ambiguous = Refused("credential_ambiguous");
    vec![
        run("a transaction token alone", &good, Accepted),
        run("a transaction token without txn", &with(json!({ "txn": null })), INVALID),
        run("a transaction token without scope", &with(json!({ "scope": null })), INVALID),
        run("a transaction token without req_wl", &with(json!({ "req_wl": null })), INVALID),
        run("a transaction token with scope as an array", &with(json!({ "scope": ["mcp"] })), INVALID),
        run("a transaction token without iss", &with(json!({ "iss": null })), INVALID),
        run("a transaction token under Bearer", &format!("Bearer {good}"), Refused("token_malformed")),
        run("an empty Txn-Token", "", Refused("token_malformed")),
        row("two Txn-Tokens", None, vec![good.clone(), good.clone()], ambiguous),
        row(
            "a Txn-Token beside a key",
            Some(crate::support::gateway::CHAT_KEY.to_owned()),
            vec![good],
            ambiguous,
        ),
    ]
}

pub(super) fn carriers(issuers: &Issuers) -> Vec<Row> {
    let row = |name, access: String, run: String, comes| Row {
        name,
        sent: vec![("authorization", format!("Bearer {access}")), ("txn-token", run)],
        comes,
    };
    let act = |name: &str| json!({ "act": { "sub": name } });
    let (login, run) = (|more: Value| issuers.login(&more), |more: Value| issuers.run(&more));
    let disagree = Refused("tokens_disagree");
    let pay = json!({ "tctx": { "src": [{ "kind": "web" }], "goal": "pay" } });
    let past = json!({ "iat": now() - 700, "exp": now() - 100 });
    vec![
        row("both tokens of one subject", login(json!({})), run(json!({})), Accepted),
        row("both tokens of one agent", login(act("agent:inbox")), run(json!({})), Accepted),
        row("two subjects", login(json!({ "sub": "user:1" })), run(json!({})), disagree),
        row("two agents", login(act("agent:b")), run(json!({})), disagree),
        row("two goals", login(pay), run(json!({})), disagree),
        row(
            "an expired access token beside a good run",
            login(past.clone()),
            run(json!({})),
            Refused("token_expired"),
        ),
        row(
            "a good access token beside an expired run",
            login(json!({})),
            run(past),
            Refused("token_expired"),
        ),
        row(
            "a label that the run may not have",
            login(json!({})),
            run(json!({ "roles": ["admin"] })),
            FORBIDDEN,
        ),
    ]
}

pub(super) fn confirmations(issuers: &Issuers) -> Vec<Row> {
    let jkt = issuers.ed.thumbprint();
    let token = issuers.access(&json!({ "cnf": { "jkt": jkt } }));
    let certificate = issuers.access(&json!({ "cnf": { "x5t#S256": jkt } }));
    let plain = issuers.access(&json!({}));
    let row = |name, token: &str, proofs: Vec<String>, comes| {
        let authorization = ("authorization", format!("DPoP {token}"));
        let proofs = proofs.into_iter().map(|proof| ("dpop", proof));
        Row { name, sent: std::iter::once(authorization).chain(proofs).collect(), comes }
    };
    let proof = |more: Value| issuers.ed.proof(URL, &token, &more);
    let (missing, invalid) = (Refused("proof_missing"), Refused("proof_invalid"));
    let once = proof(json!({ "jti": unique("once") }));
    vec![
        access("cnf without a proof", &token, missing),
        row("cnf under DPoP without a proof", &token, vec![], missing),
        row("cnf with a proof", &token, vec![once.clone()], Accepted),
        row("a proof a second time", &token, vec![once], invalid),
        row("two proofs", &token, vec![proof(json!({})), proof(json!({}))], invalid),
        row("a proof by another key", &token, vec![issuers.es.proof(URL, &token, &json!({}))], invalid),
        row("a proof for another token", &token, vec![issuers.ed.proof(URL, &plain, &json!({}))], invalid),
        row("a proof for another method", &token, vec![proof(json!({ "htm": "DELETE" }))], invalid),
        row(
            "a28 a proof for another gateway",
            &token,
            vec![issuers.ed.proof("https://x.example/mcp", &token, &json!({}))],
            invalid,
        ),
        row("a proof of last hour", &token, vec![proof(json!({ "iat": now() - 3600 }))], invalid),
        row(
            "a proof for what is not bound",
            &plain,
            vec![issuers.ed.proof(URL, &plain, &json!({}))],
            invalid,
        ),
        access("cnf of a certificate on a plain connection", &certificate, missing),
        access(
            "a confirmation that nobody understands",
            &issuers.access(&json!({ "cnf": { "kid": "1" } })),
            INVALID,
        ),
        access("an empty confirmation", &issuers.access(&json!({ "cnf": {} })), INVALID),
    ]
}
