//! TLS over real sockets: handshakes that succeed, each way in which one fails, and new certificates.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::clock::Clock;
use crate::socket::tls::{Refreshed, Tls, TlsError, TlsFiles};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, both in PEM.
type Pair = (String, String);

fn pair(issuer: &Authority, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    for name in names {
        params.subject_alt_names.push(match name.contains(':') {
            true => SanType::URI((*name).try_into().unwrap()),
            false => SanType::DnsName((*name).try_into().unwrap()),
        });
    }
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut params);
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

/// The files of a listener and who signed them.
struct Place {
    dir: TempDir,
    server: Authority,
    clients: Authority,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
            server: authority("server"),
            clients: authority("clients"),
        };
        place.write_pair(&pair(&place.server, &["localhost"], |_| {}));
        place.write("ca.pem", &place.clients.pem());
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn write_pair(&self, (cert, key): &Pair) {
        self.write("cert.pem", cert);
        self.write("key.pem", key);
    }

    fn files(&self) -> TlsFiles {
        let [cert, key, ca] = ["cert.pem", "key.pem", "ca.pem"].map(|name| self.path(name));
        TlsFiles { cert, key, client_ca: Some(ca) }
    }

    fn load(&self, clock: Clock) -> Result<Tls, TlsError> {
        Tls::load(self.files(), rustix::process::geteuid().as_raw(), clock)
    }

    async fn serve(&self, connections_max: usize) -> (Tls, Stage) {
        self.serve_at(connections_max, Clock::system()).await
    }

    async fn serve_at(&self, connections_max: usize, clock: Clock) -> (Tls, Stage) {
        let tls = self.load(clock).unwrap();
        let cover = Cover { tls: Some(tls.clone()), proxies: Vec::new() };
        let listener = bind_covered("127.0.0.1:0".parse().unwrap(), cover).await.unwrap();
        (tls, Stage::serve(listener, connections_max))
    }

    /// A client that trusts this server.
    fn client(&self) -> Client {
        Client { trusts: self.server.der().clone(), shows: None, version: &version::TLS13, alpn: Vec::new() }
    }

    /// A client that shows a certificate of these names.
    fn known(&self, names: &[&str]) -> Client {
        self.client().shows(pair(&self.clients, names, |_| {}))
    }
}

struct Client {
    trusts: CertificateDer<'static>,
    shows: Option<Pair>,
    version: &'static SupportedProtocolVersion,
    alpn: Vec<Vec<u8>>,
}

impl Client {
    fn shows(self, pair: Pair) -> Self {
        Self { shows: Some(pair), ..self }
    }

    fn connector(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.trusts.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[self.version])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.shows {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols.clone_from(&self.alpn);
        TlsConnector::from(Arc::new(config))
    }

    async fn connect(&self, stage: &Stage) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("localhost").unwrap();
        self.connector().connect(name, stage.connect().await).await
    }

    /// One request on a connection of its own; an error where the server refuses the handshake.
    async fn ask(&self, stage: &Stage) -> std::io::Result<String> {
        let mut stream = self.connect(stage).await?;
        // With TLS 1.3 a client is told only afterwards that its certificate was refused.
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(String::from_utf8(answer).unwrap())
    }
}

async fn get(stream: &mut TlsStream<TcpStream>, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    read_until(stream, &format!("GET {path} 0")).await
}

#[tokio::test]
async fn tls_1_3_and_1_2_are_served_and_speak_http_1_1_alone() {
    let place = Place::new();
    let (_tls, mut stage) = place.serve(8).await;
    for version in [&version::TLS13, &version::TLS12] {
        let client = Client { version, alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()], ..place.client() };
        let stream = client.connect(&stage).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert!(client.ask(&stage).await.unwrap().ends_with("GET / 0"));
    }
    let modern = Client { alpn: vec![b"h2".to_vec()], ..place.client() };
    assert!(modern.connect(&stage).await.is_err(), "HTTP/2 alone finds nothing here");
    assert_eq!(stage.refused.recv().await, Some(Reason::TlsHandshakeFailed));
}

#[tokio::test]
async fn tls_1_1_is_refused() {
    let place = Place::new();
    let (_tls, mut stage) = place.serve(8).await;
    // ClientHello of TLS 1.1 (RFC 4346, 7.4.1.2) with one cipher suite and no extensions.
    let mut hello = vec![0x03, 0x02];
    hello.extend_from_slice(&[7; 32]);
    hello.extend_from_slice(&[0, 0, 2, 0xc0, 0x13, 1, 0]);
    let mut record = vec![0x16, 0x03, 0x01, 0, 4 + u8::try_from(hello.len()).unwrap()];
    record.extend_from_slice(&[1, 0, 0, u8::try_from(hello.len()).unwrap()]);
    record.extend_from_slice(&hello);
    let mut stream = stage.connect().await;
    stream.write_all(&record).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let fatal = 2;
    assert_eq!((answer[0], answer[5]), (0x15, fatal), "an alert: {answer:?}");
    assert_eq!(stage.refused.recv().await, Some(Reason::TlsHandshakeFailed));
}

#[tokio::test]
async fn plain_http_to_a_tls_port_is_told_so_and_what_is_neither_is_cut() {
    let place = Place::new();
    let (_tls, mut stage) = place.serve(8).await;
    let answer = stage.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("tls_handshake_failed"), "{answer}");
    assert_eq!(stage.refused.recv().await, Some(Reason::TlsHandshakeFailed));
    let mut stream = stage.connect().await;
    stream.write_all(&[0x80, 0x2e, 0x01, 0x00, 0x02, 0x00]).await.unwrap();
    let mut answer = Vec::new();
    let _may_be_reset = stream.read_to_end(&mut answer).await;
    assert!(!answer.windows(4).any(|four| four == b"HTTP"), "{answer:?}");
    assert_eq!(stage.refused.recv().await, Some(Reason::TlsHandshakeFailed));
    assert!(stage.echo.served.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_slow_handshake_holds_nobody_up_is_cut_and_counted() {
    let place = Place::new();
    let (_tls, mut stage) = place.serve(8).await;
    let mut slow = stage.connect().await;
    slow.write_all(&[0x16, 0x03, 0x01, 0x02]).await.unwrap();
    let mut silent = stage.connect().await;
    assert!(place.client().ask(&stage).await.unwrap().ends_with("GET / 0"));
    assert!(stage.refused.try_recv().is_err(), "the slow one had its time still");
    tokio::time::pause();
    for stream in [&mut slow, &mut silent] {
        let _may_be_reset = stream.read_to_end(&mut Vec::new()).await;
        assert_eq!(stage.refused.recv().await, Some(Reason::TlsHandshakeFailed));
    }
}

#[tokio::test]
async fn a_handshake_is_a_connection_and_beyond_the_limit_there_is_none() {
    let place = Place::new();
    let (_tls, mut stage) = place.serve(1).await;
    let client = place.client();
    let mut first = client.connect(&stage).await.unwrap();
    get(&mut first, "/1").await;
    assert!(client.ask(&stage).await.is_err());
    assert_eq!(stage.refused.recv().await, Some(Reason::ConnectionsFull));
    get(&mut first, "/2").await;
}

#[tokio::test]
async fn a_client_certificate_that_verifies_is_known_by_its_names_and_none_is_needed() {
    let place = Place::new();
    let (_tls, stage) = place.serve(8).await;
    let names = ["spiffe://acme/buildbot", "Build.acme.example"];
    let answer = place.known(&names).ask(&stage).await.unwrap();
    assert!(answer.ends_with("GET / 0 by=spiffe://acme/buildbot by=build.acme.example"), "{answer}");
    assert!(place.client().ask(&stage).await.unwrap().ends_with("GET / 0"));
}

#[tokio::test]
async fn a_client_certificate_that_does_not_verify_refuses_the_connection() {
    let place = Place::new();
    let (_tls, mut stage) = place.serve(8).await;
    let ended = |params: &mut CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let later = |params: &mut CertificateParams| params.not_before = rcgen::date_time_ymd(4000, 1, 1);
    let serves = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]
    };
    let stranger = authority("clients");
    let names = ["spiffe://acme/buildbot"];
    let (own, own_key) = {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["self.example".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let cases = [
        ("expired", pair(&place.clients, &names, ended)),
        ("not valid yet", pair(&place.clients, &names, later)),
        ("for servers alone", pair(&place.clients, &names, serves)),
        ("of an authority with the same name", pair(&stranger, &names, |_| {})),
        ("of the server's authority", pair(&place.server, &names, |_| {})),
        ("self-signed", (own, own_key)),
    ];
    for (what, shown) in cases {
        for version in [&version::TLS13, &version::TLS12] {
            let client = Client { version, ..place.client() }.shows(shown.clone());
            assert!(client.ask(&stage).await.is_err(), "{what}");
            assert_eq!(stage.refused.recv().await, Some(Reason::TlsHandshakeFailed), "{what}");
        }
    }
    assert!(stage.echo.served.lock().unwrap().is_empty());
}

#[tokio::test]
async fn no_session_is_resumed_so_that_each_connection_is_verified_anew() {
    let place = Place::new();
    let (_tls, stage) = place.serve(8).await;
    for version in [&version::TLS13, &version::TLS12] {
        let client = Client { version, ..place.client() };
        let connector = client.connector();
        for _ in 0..3 {
            let name = ServerName::try_from("localhost").unwrap();
            let mut stream = connector.connect(name, stage.connect().await).await.unwrap();
            get(&mut stream, "/again").await;
            let kind = stream.get_ref().1.handshake_kind();
            assert_eq!(kind, Some(rustls::HandshakeKind::Full));
        }
    }
}

#[tokio::test]
async fn a_new_certificate_serves_from_the_next_connection_on_and_open_ones_go_on() {
    let place = Place::new();
    let (tls, stage) = place.serve(8).await;
    let mut open = place.client().connect(&stage).await.unwrap();
    get(&mut open, "/1").await;
    assert!(matches!(tls.refresh(), Refreshed::Unchanged));

    let other = authority("other");
    place.write_pair(&pair(&other, &["localhost"], |_| {}));
    assert!(matches!(tls.refresh(), Refreshed::Unchanged), "they may still be written");
    assert!(matches!(tls.refresh(), Refreshed::Taken));
    assert!(matches!(tls.refresh(), Refreshed::Unchanged));
    assert!(place.client().connect(&stage).await.is_err(), "the old one is gone");
    let client = Client { trusts: other.der().clone(), ..place.client() };
    assert!(client.ask(&stage).await.unwrap().ends_with("GET / 0"));
    get(&mut open, "/2").await;
}

#[tokio::test]
async fn a_pair_that_cannot_serve_leaves_the_one_before_and_says_why() {
    let place = Place::new();
    let (tls, stage) = place.serve(8).await;
    let good = std::fs::read_to_string(place.path("key.pem")).unwrap();
    let ended = |params: &mut CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let later = |params: &mut CertificateParams| params.not_before = rcgen::date_time_ymd(4000, 1, 1);
    type Spoil<'a> = Box<dyn Fn() + 'a>;
    let cases: [(&str, Spoil<'_>, &str); 8] = [
        (
            "key.pem",
            Box::new(|| place.write("key.pem", &KeyPair::generate().unwrap().serialize_pem())),
            "cannot serve",
        ),
        ("key.pem", Box::new(|| place.write("key.pem", "no key")), "no private key"),
        ("key.pem", Box::new(|| std::fs::remove_file(place.path("key.pem")).unwrap()), "cannot read"),
        ("cert.pem", Box::new(|| place.write("cert.pem", "")), "no certificate"),
        (
            "cert.pem",
            Box::new(|| place.write_pair(&pair(&place.server, &["localhost"], ended))),
            "ended at 2020",
        ),
        (
            "cert.pem",
            Box::new(|| place.write_pair(&pair(&place.server, &["localhost"], later))),
            "not valid before",
        ),
        ("ca.pem", Box::new(|| place.write("ca.pem", &good)), "no certificate"),
        (
            "key.pem",
            Box::new(|| {
                let open = std::fs::Permissions::from_mode(0o640);
                std::fs::set_permissions(place.path("key.pem"), open).unwrap();
            }),
            "others than its owner",
        ),
    ];
    for (file, spoil, said) in cases {
        spoil();
        let Refreshed::Kept(error) = tls.reload() else { panic!("{file}: {said}") };
        let text = error.to_string();
        assert!(text.contains(said) && !text.contains("BEGIN"), "{text}");
        assert!(matches!(tls.refresh(), Refreshed::Unchanged), "a bad pair is tried once");
        assert!(place.client().ask(&stage).await.unwrap().ends_with("GET / 0"), "{said}");
        place.write_pair(&pair(&place.server, &["localhost"], |_| {}));
        place.write("ca.pem", &place.clients.pem());
    }
    assert!(matches!(tls.reload(), Refreshed::Taken));
}

#[tokio::test]
async fn other_authorities_end_the_connections_that_the_old_ones_let_in() {
    let place = Place::new();
    let (tls, stage) = place.serve(8).await;
    let mut known = place.known(&["build.acme.example"]).connect(&stage).await.unwrap();
    known.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    stage.echo.entered.notified().await;
    let mut bearer = place.client().connect(&stage).await.unwrap();
    get(&mut bearer, "/1").await;

    let other = authority("other clients");
    place.write("ca.pem", &other.pem());
    assert!(matches!(tls.reload(), Refreshed::Taken));
    stage.echo.release.notify_one();
    let answer = read_to_end(&mut known).await;
    assert!(answer.ends_with("GET /slow 0 by=build.acme.example"), "{answer}");
    assert!(place.known(&["build.acme.example"]).ask(&stage).await.is_err());
    let of_other = place.client().shows(pair(&other, &["new.acme.example"], |_| {}));
    assert!(of_other.ask(&stage).await.unwrap().ends_with("by=new.acme.example"));
    get(&mut bearer, "/2").await;
}

#[tokio::test]
async fn a_connection_takes_no_request_after_its_certificate_has_ended() {
    let place = Place::new();
    let minute_before = "2035-05-04T23:59:00Z".parse().unwrap();
    let (_tls, stage) = place.serve_at(8, Clock::manual(minute_before)).await;
    let ends = |params: &mut CertificateParams| params.not_after = rcgen::date_time_ymd(2035, 5, 5);
    let client = place.client().shows(pair(&place.clients, &["build.acme.example"], ends));
    let mut stream = client.connect(&stage).await.unwrap();
    get(&mut stream, "/1").await;
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    read_to_end(&mut stream).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(59) && took < IDLE_TIMEOUT, "{took:?}");
}

#[tokio::test]
async fn a_peer_inside_tls_that_reads_nothing_loses_the_connection() {
    let place = Place::new();
    let (_tls, stage) = place.serve(8).await;
    let mut stream = place.client().connect(&stage).await.unwrap();
    tokio::time::pause();
    // Answers of which none is read, until no buffer takes more.
    let request = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(16_000));
    let mut sent = 0_u32;
    let flooding = async {
        loop {
            stream.write_all(request.as_bytes()).await?;
            stream.flush().await?;
            sent += 1;
        }
    };
    let begun = tokio::time::Instant::now();
    let ended: std::io::Result<()> = flooding.await;
    assert!(ended.is_err() && sent > 1, "{sent}");
    // By what it does not read, and not because it had nothing to ask.
    assert!(begun.elapsed() < IDLE_TIMEOUT);
}

#[tokio::test]
async fn draining_does_not_wait_for_handshakes() {
    let place = Place::new();
    let (_tls, stage) = place.serve(8).await;
    let mut slow = stage.connect().await;
    slow.write_all(&[0x16, 0x03]).await.unwrap();
    assert!(place.client().ask(&stage).await.is_ok(), "the slow one was accepted before");
    assert_eq!(stage.server.drain(Duration::from_secs(30)).await, Drained::Whole);
}

#[tokio::test]
async fn beyond_loopback_there_has_to_be_tls_or_a_declared_proxy() {
    let place = Place::new();
    let anywhere = || "0.0.0.0:0".parse().unwrap();
    assert!(matches!(bind_covered(anywhere(), Cover::default()).await, Err(BindError::NotLoopback(_))));
    let tls = Cover { tls: Some(place.load(Clock::system()).unwrap()), proxies: Vec::new() };
    assert!(bind_covered(anywhere(), tls).await.is_ok());
    let proxies = Cover { tls: None, proxies: vec!["10.0.0.0/8".parse().unwrap()] };
    assert!(bind_covered(anywhere(), proxies).await.is_ok());
}

#[tokio::test]
async fn behind_a_proxy_every_other_peer_is_closed_and_counted() {
    let proxies = vec!["127.0.0.2".parse().unwrap(), "127.1.0.0/16".parse().unwrap()];
    let cover = Cover { tls: None, proxies };
    let listener = bind_covered("127.0.0.1:0".parse().unwrap(), cover).await.unwrap();
    let mut stage = Stage::serve(listener, 8);
    let super::Place::Tcp(address) = stage.server.place().clone() else { panic!("not TCP") };
    let ask = async |from: &str| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 127.0.0.2\r\nConnection: close\r\n\r\n";
        let _may_be_closed = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _may_be_reset = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    };
    for declared in ["127.0.0.2", "127.1.2.3"] {
        assert!(ask(declared).await.ends_with("GET / 0"), "{declared}");
    }
    for other in ["127.0.0.1", "127.0.0.3", "127.2.0.1"] {
        assert_eq!(ask(other).await, "", "{other}");
        assert_eq!(stage.refused.recv().await, Some(Reason::ProxyUndeclared), "{other}");
    }
}
