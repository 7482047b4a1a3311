//! A real issuer: `oidc-provider` with its key set on loopback, its own access tokens, and a new key at each
//! start.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client as Http;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::endpoints::until;
use super::{URL, bearer, call, site};
use crate::support::audit::of_kind;
use crate::support::issuer::Signer;
use crate::support::served::Served;
use crate::support::{Client, check_audit};

/// Largest answer of the provider that a test reads.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A provider that runs.
struct Provider(Served);

impl Provider {
    /// Starts one; on `port` 0 the system chooses.
    async fn start(port: u16, algorithm: &str) -> Self {
        Self(Served::start(&["oidc", &port.to_string(), algorithm, URL]).await)
    }

    fn port(&self) -> u16 {
        self.0.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// An access token for `client`, bound to a key where a proof is sent along.
    async fn token(&self, client: &str, proof: Option<String>) -> String {
        let basic = data_encoding::BASE64.encode(format!("{client}:secret").as_bytes());
        let mut request = http::Request::post(format!("{}/token", self.0.url))
            .header("authorization", format!("Basic {basic}"))
            .header("content-type", "application/x-www-form-urlencoded");
        if let Some(proof) = proof {
            request = request.header("dpop", proof);
        }
        let body = Full::new(Bytes::from("grant_type=client_credentials&scope=mcp"));
        let http: Http<_, Full<Bytes>> = Http::builder(TokioExecutor::new()).build_http();
        let answer = http.request(request.body(body).unwrap()).await.unwrap().into_body();
        #[expect(clippy::disallowed_methods, reason = "limited by ANSWER_BYTES_MAX")]
        let answer = Limited::new(answer, ANSWER_BYTES_MAX).collect().await.unwrap().to_bytes();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }
}

/// Two entry points cannot be one issuer, so this one is for both of its clients.
fn config(provider: &Provider) -> String {
    format!(
        "[auth.issuers.login]\nissuer = \"{url}\"\njwks = {{ url = \"{url}/jwks\" }}\nsource = \"chat\"\n\
         may_assert = {{ sources = [\"email\"], subjects = [\"agent\", \"mailhook\"], \
         roles = [\"assistant\"], goals = [\"triage_mail\"] }}\nrun = \"subject\"\n",
        url = provider.0.url
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_a_real_issuer_are_accepted_through_a_rotation_of_its_keys() {
    for algorithm in ["ES256", "RS256", "PS256", "EdDSA"] {
        let provider = Provider::start(0, algorithm).await;
        let site = site(&config(&provider));
        let gateway = site.start();
        let person = bearer(&gateway.url, &provider.token("agent", None).await);
        assert_eq!(call(&person, "person").await.reason(), "ok", "{algorithm}");
        let mail = bearer(&gateway.url, &provider.token("mailhook", None).await);
        assert_eq!(call(&mail, "mail").await.reason(), "ok", "{algorithm}");
        let port = provider.port();
        drop(provider);
        assert_eq!(call(&person, "outage").await.reason(), "ok", "keys that are known count meanwhile");
        let provider = Provider::start(port, algorithm).await;
        let renewed = bearer(&gateway.url, &provider.token("agent", None).await);
        until("ok", async || call(&renewed, "rotated").await).await;
        assert_eq!(call(&person, "old").await.reason(), "token_key_unknown", "its key is gone: {algorithm}");
        assert!(gateway.stop().success());
        assert_eq!(site.executed(), ["person", "mail", "outage", "rotated"], "{algorithm}");
        let provenance: Vec<Value> =
            of_kind(&site, "intent").iter().map(|intent| intent["provenance"].clone()).collect();
        let expected = [json!(["chat"]), json!(["email"]), json!(["chat"]), json!(["chat"])];
        assert_eq!(provenance, expected, "{algorithm}");
        check_audit(&site);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_a_real_issuer_bound_to_a_key_needs_that_key() {
    let provider = Provider::start(0, "ES256").await;
    let site = site(&config(&provider));
    let gateway = site.start();
    let (holder, thief) = (Signer::new("ES256", ""), Signer::new("ES256", ""));
    let to_issuer = holder.proof(&format!("{}/token", provider.0.url), "", &json!({ "ath": null }));
    let token = provider.token("agent", Some(to_issuer)).await;
    let with_proof = |proof: String| {
        Client::anonymous(&gateway.url)
            .header("authorization", &format!("DPoP {token}"))
            .header("dpop", &proof)
    };
    let by_holder = with_proof(holder.proof(URL, &token, &json!({})));
    assert_eq!(call(&by_holder, "holder").await.reason(), "ok");
    assert_eq!(call(&by_holder, "replayed").await.reason(), "proof_invalid");
    assert_eq!(
        call(&with_proof(thief.proof(URL, &token, &json!({}))), "thief").await.reason(),
        "proof_invalid"
    );
    let stolen = call(&bearer(&gateway.url, &token), "stolen").await;
    assert_eq!(stolen.reason(), "proof_missing");
    assert_eq!(
        stolen.headers["www-authenticate"],
        r#"DPoP error="invalid_token", algs="ES256 EdDSA PS256 RS256""#
    );
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["holder"]);
    check_audit(&site);
}
