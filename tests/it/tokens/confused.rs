//! Rows of the matrix: the form of a token, its type, its algorithm and its key.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::matrix::{Accepted, Refused, Row, access, run};
use super::{Issuers, claims_of_mail};
use crate::support::issuer::{unsigned, with};

/// `{…}` with `member` written in front of what it holds.
pub(super) fn doubled(object: &Value, member: &str) -> String {
    object.to_string().replacen('{', &format!("{{{member},"), 1)
}

pub(super) fn form(issuers: &Issuers) -> Vec<Row> {
    let good = issuers.access(&json!({}));
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    let es = &issuers.es;
    let (head, claims) = (es.header("at+jwt"), claims_of_mail());
    let signed = |payload: &str| es.sign(&head.to_string(), payload);
    let deep = format!("{}1{}", "[".repeat(20), "]".repeat(20));
    let malformed = Refused("token_malformed");
    let other = if signature.starts_with('A') { "B" } else { "A" };
    vec![
        access("a token of the mail hook", &good, Accepted),
        access("the same token again", &good, Accepted),
        access("no signature", message, malformed),
        access("an empty signature", &format!("{message}."), Refused("token_signature_invalid")),
        access(
            "another signature",
            &format!("{message}.{other}{}", signature.split_at(1).1),
            Refused("token_signature_invalid"),
        ),
        access(
            "a cut signature",
            &format!("{message}.{}", signature.split_at(80).0),
            Refused("token_signature_invalid"),
        ),
        access("padding", &format!("{good}="), malformed),
        access("five parts (JWE)", &format!("{header}.{payload}.a.b.c"), malformed),
        access("dots alone", "..", malformed),
        access("no token form at all", "abcdef", Refused("credential_unknown")),
        access("a payload that is no JSON", &signed("{"), malformed),
        access("a payload that is an array", &signed("[]"), malformed),
        access("two documents", &signed(&format!("{claims}{claims}")), malformed),
        access("a byte order mark", &signed(&format!("\u{feff}{claims}")), malformed),
        access("a lone surrogate", &signed(&doubled(&claims, r#""x":"\ud800""#)), malformed),
        access("a deep claim", &signed(&doubled(&claims, &format!("\"x\":{deep}"))), malformed),
        access("iss twice", &signed(&doubled(&claims, r#""iss":"mailbot""#)), malformed),
        access("aud twice", &signed(&doubled(&claims, r#""aud":"x""#)), malformed),
        access("exp twice", &signed(&doubled(&claims, r#""exp":9999999999"#)), malformed),
        access(
            "sub twice, once with an escape",
            &signed(&doubled(&claims, r#""s\u0075b":"user:1""#)),
            malformed,
        ),
        access("tctx twice", &signed(&doubled(&claims, r#""tctx":{}"#)), malformed),
        access(
            "kind twice",
            &signed(&claims.to_string().replace(r#""auth":"#, r#""kind":"web","auth":"#)),
            malformed,
        ),
        access("alg twice", &es.sign(&doubled(&head, r#""alg":"none""#), &claims.to_string()), malformed),
        access("kid twice", &es.sign(&doubled(&head, r#""kid":"x""#), &claims.to_string()), malformed),
    ]
}

pub(super) fn types(issuers: &Issuers) -> Vec<Row> {
    let es = &issuers.es;
    let typed = |typ: Value| {
        let header = with(es.header("at+jwt"), &json!({ "typ": typ }));
        es.sign(&header.to_string(), &claims_of_mail().to_string())
    };
    let headed = |more: Value| {
        let header = with(es.header("at+jwt"), &more);
        es.sign(&header.to_string(), &claims_of_mail().to_string())
    };
    let forbidden = Refused("token_type_forbidden");
    vec![
        access("typ with its prefix and in capitals", &typed(json!("application/AT+JWT")), Accepted),
        access("an ID token (typ JWT)", &typed(json!("JWT")), forbidden),
        access("no typ", &typed(Value::Null), forbidden),
        access("an empty typ", &typed(json!("")), forbidden),
        access("typ of a proof", &typed(json!("dpop+jwt")), forbidden),
        access("typ with more behind", &typed(json!("at+jwt2")), forbidden),
        access("typ as a number", &headed(json!({ "typ": 1 })), Refused("token_malformed")),
        access("a transaction token in Authorization", &issuers.run(&json!({})), forbidden),
        run("an access token in Txn-Token", &issuers.access(&json!({})), forbidden),
        access("crit", &headed(json!({ "crit": ["exp"] })), forbidden),
        access("crit of b64", &headed(json!({ "crit": ["b64"], "b64": false })), forbidden),
        access("an empty crit", &headed(json!({ "crit": [] })), forbidden),
        access("crit as a text", &headed(json!({ "crit": "exp" })), forbidden),
    ]
}

pub(super) fn algorithms(issuers: &Issuers) -> Vec<Row> {
    let claims = claims_of_mail().to_string();
    let header = |alg: &str, kid: &str| json!({ "typ": "at+jwt", "alg": alg, "kid": kid }).to_string();
    let forbidden = Refused("token_algorithm_forbidden");
    let mut rows = vec![
        access("RS256", &issuers.rs.token("at+jwt", &claims_of_mail()), Accepted),
        access("PS256", &issuers.ps.token("at+jwt", &claims_of_mail()), Accepted),
        access("EdDSA", &issuers.ed.token("at+jwt", &claims_of_mail()), Accepted),
        access(
            "RS256 by a key of PS256",
            &issuers.ps.sign_as("RS256", &header("RS256", "ps-1"), &claims),
            forbidden,
        ),
        access(
            "PS256 by a key of RS256",
            &issuers.rs.sign_as("PS256", &header("PS256", "rs-1"), &claims),
            forbidden,
        ),
        access(
            "PS256 signed, RS256 said",
            &issuers.rs.sign_as("PS256", &header("RS256", "rs-1"), &claims),
            Refused("token_signature_invalid"),
        ),
        access("ES256 signed, EdDSA said", &issuers.es.sign(&header("EdDSA", "es-1"), &claims), forbidden),
        access(
            "alg missing",
            &issuers.es.sign(r#"{"typ":"at+jwt","kid":"es-1"}"#, &claims),
            Refused("token_malformed"),
        ),
        access(
            "alg as a number",
            &issuers.es.sign(r#"{"typ":"at+jwt","kid":"es-1","alg":256}"#, &claims),
            Refused("token_malformed"),
        ),
    ];
    for (name, alg) in [
        ("alg none", "none"),
        ("alg nOnE", "nOnE"),
        ("alg NONE", "NONE"),
        ("alg empty", ""),
        ("alg es256", "es256"),
        ("alg HS512", "HS512"),
        ("alg RS512", "RS512"),
        ("alg ES384", "ES384"),
        ("alg ES256K", "ES256K"),
    ] {
        let token = issuers.es.sign(&header(alg, "es-1"), &claims);
        rows.push(access(name, &token, forbidden));
    }
    let unsigned = unsigned(&header("none", "es-1"), &claims);
    rows.push(access("alg none without a signature", &format!("{unsigned}."), forbidden));
    rows.push(access("a38 HS256 by the public key", &by_public_key(issuers, &claims), forbidden));
    let login = json!({ "iss": "other", "sub": "user:1", "roles": [] });
    let foreign = with(claims_of_mail(), &login);
    rows.push(access(
        "an algorithm that is not the issuer's",
        &issuers.ed.token("at+jwt", &foreign),
        forbidden,
    ));
    rows
}

/// HMAC by what everybody knows (CVE-2015-9235 and all its children).
fn by_public_key(issuers: &Issuers, claims: &str) -> String {
    let header = json!({ "typ": "at+jwt", "alg": "HS256", "kid": "rs-1" }).to_string();
    let message = unsigned(&header, claims);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &issuers.rs.public_der());
    let tag = aws_lc_rs::hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", BASE64URL_NOPAD.encode(tag.as_ref()))
}

pub(super) fn keys(issuers: &Issuers) -> Vec<Row> {
    let es = &issuers.es;
    let claims = claims_of_mail().to_string();
    let headed = |more: Value| es.sign(&with(es.header("at+jwt"), &more).to_string(), &claims);
    let by_other = |more: Value| {
        let header = with(es.header("at+jwt"), &more);
        issuers.other.sign(&header.to_string(), &claims)
    };
    let (unknown, invalid) = (Refused("token_key_unknown"), Refused("token_signature_invalid"));
    let evil = json!({ "jku": "http://127.0.0.1:1/jwks", "x5u": "http://127.0.0.1:1/x5u", "x5c": ["AAAA"] });
    let mut rows = vec![
        access("no kid where one key is for the algorithm", &headed(json!({ "kid": null })), Accepted),
        access(
            "a39 kid of another key",
            &headed(json!({ "kid": "ed-1" })),
            Refused("token_algorithm_forbidden"),
        ),
        access("a39 kid of another issuer's key", &by_other(json!({ "kid": "other-1" })), unknown),
        access("signed by another issuer's key", &by_other(json!({})), invalid),
        access("kid as a number", &headed(json!({ "kid": 1 })), Refused("token_malformed")),
        access("a40 jku, x5u and x5c of a good token", &headed(evil.clone()), Accepted),
        access("a40 jku of the thief's own set", &by_other(evil), invalid),
        access("a40 jwk of the thief's own key", &by_other(json!({ "jwk": issuers.other.jwk() })), invalid),
        access(
            "a40 jwk without a kid",
            &by_other(json!({ "jwk": issuers.other.jwk(), "kid": null })),
            invalid,
        ),
    ];
    for (name, kid) in [
        ("a39 kid of a path", "../../other.jwks.json"),
        ("a39 kid of a file", "/dev/null"),
        ("a39 kid of a query", "x' UNION SELECT 'key' --"),
        ("a39 kid of a url", "http://127.0.0.1:1/key"),
        ("a39 kid in other case", "ES-1"),
        ("a39 kid with an end", "es-1\u{0}"),
        ("a39 an empty kid", ""),
        ("a39 a long kid", &"k".repeat(4096)),
    ] {
        rows.push(access(name, &headed(json!({ "kid": kid })), unknown));
    }
    rows
}
