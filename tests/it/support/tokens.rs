//! Run tokens in tests: a site that mints, and what its tokens say by its JWKS alone.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

use super::Site;

/// The audience of [`minting`].
pub const AUDIENCE: &str = "http://127.0.0.1:7400/mcp";
/// The key of `dispatchers.mailhook`.
pub const MAILHOOK_KEY: &str = "sg_bWFpbGhvb2stbWFpbGhvb2stbWFpbGhvb2stbWFpbGg";

/// What is added to a site so that it mints: `email` and `web` for the operator, `email` for `mailhook`.
pub fn minting() -> String {
    let hash = sluicegate::model::digest::Sha256::of(MAILHOOK_KEY.as_bytes());
    format!(
        r#"
[auth.mint]
audience = "{AUDIENCE}"
may_assert = {{ sources = ["email", "web"], subjects = ["user:*"], roles = ["assistant"], agents = ["*"], goals = ["triage_*"] }}

[auth.dispatchers.mailhook]
hash = "sha256:{hash}"
may_assert = {{ sources = ["email"], subjects = ["user:*"], roles = ["assistant"], goals = ["triage_*"] }}
"#
    )
}

/// A token of the gateway's own with this label, minted by the operator.
#[track_caller]
pub fn minted(site: &Site, label: &[&str]) -> String {
    let (code, out, err) = site.run(&[&["token", "mint"], label].concat());
    assert_eq!(code, 0, "{label:?}: {err}");
    out.trim().to_owned()
}

/// Header and claims of a token, verified with the JWKS in the state directory.
pub fn verified(site: &Site, token: &str) -> (Value, Value) {
    let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap_or_else(|| panic!("no token: {token}"));
    let (header, claims) = signed.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    let text = std::fs::read(site.path("state/keys/token.jwks.json")).unwrap();
    let jwks: Value = serde_json::from_slice(&text).unwrap();
    let keys = jwks["keys"].as_array().unwrap();
    let jwk = keys.iter().find(|key| key["kid"] == header["kid"]).expect("its key is in the JWKS");
    let part = |name: &str| decode(jwk[name].as_str().unwrap());
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [vec![4], part("x"), part("y")].concat());
    key.verify(signed.as_bytes(), &decode(signature)).expect("the signature is that of the key");
    (header, serde_json::from_slice(&decode(claims)).unwrap())
}

/// Whether any part of a token stands in `text`: its claims or its signature.
pub fn leaks(text: &str, token: &str) -> bool {
    token.split('.').skip(1).any(|part| text.contains(part))
}
