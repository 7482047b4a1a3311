//! Key sets over TLS: only the certificates that are trusted there count.

use std::sync::Arc;

use http::StatusCode;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::endpoints::{good, issuer, token};
use super::{bearer, call, site};
use crate::support::certificate::Certificate;
use crate::support::check_audit;
use crate::support::issuer::{Signer, key_set};

/// The port of a server that shows `certificate` and answers each request with `said`.
async fn serve(certificate: &Certificate, said: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let chain = vec![CertificateDer::from(certificate.der.clone())];
    let key = PrivatePkcs8KeyDer::from(certificate.key.clone());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust the certificate hangs up here.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _request = stream.read(&mut [0; 4096]).await;
            let _sent = stream.write_all(said.as_bytes()).await;
            let _end = stream.shutdown().await;
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_set_counts_only_from_a_server_whose_certificate_is_trusted() {
    let signer = Signer::new("ES256", "k");
    let (own, strange) = (Certificate::new(), Certificate::new());
    let said = good("application/json", &key_set(&[&signer]));
    let port = serve(&own, said.clone()).await;
    let strange_port = serve(&strange, said).await;
    let with_ca = |name: &str, url: &str| format!("{}ca = \"ca.pem\"\n", issuer(name, url));
    let config = [
        with_ca("trusted", &format!("https://127.0.0.1:{port}/jwks")),
        with_ca("named", &format!("https://localhost:{port}/jwks")),
        with_ca("strange", &format!("https://127.0.0.1:{strange_port}/jwks")),
        issuer("system", &format!("https://127.0.0.1:{port}/jwks")),
    ];
    let site = site(&config.concat());
    std::fs::write(site.path("ca.pem"), own.pem()).unwrap();
    let gateway = site.start();
    for name in ["trusted", "named"] {
        assert_eq!(call(&bearer(&gateway.url, &token(&signer, name)), name).await.reason(), "ok", "{name}");
    }
    for name in ["strange", "system"] {
        let answer = call(&bearer(&gateway.url, &token(&signer, name)), name).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{name}: {answer:?}");
        assert_eq!(answer.reason(), "keys_unavailable", "{name}");
    }
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["trusted", "named"]);
    check_audit(&site);
}
