//! Certificates made for a test, and clients that speak TLS byte by byte.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::Site;

/// Where a site keeps what the server's certificate is verified against.
pub const SERVER_CA: &str = "server-ca.pem";

/// Who signs.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, both in PEM.
#[derive(Clone)]
pub struct Pair {
    pub cert: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate of these names: addresses, URIs and DNS names.
    pub fn signs(&self, names: &[&str]) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names.iter().map(|name| alt_name(name)).collect();
        Pair { cert: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }
}

fn alt_name(name: &str) -> SanType {
    match name.parse::<IpAddr>() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) if name.contains(':') => SanType::URI(name.try_into().unwrap()),
        Err(_) => SanType::DnsName(name.try_into().unwrap()),
    }
}

/// What a site's listener needs for [`TLS`]: writes its files, and gives who signs client certificates.
pub fn set_up(site: &Site) -> Authority {
    let (server, clients) = (Authority::new("server"), Authority::new("clients"));
    serve_with(site, &server);
    write(site, "clients-ca.pem", &clients.pem());
    clients
}

/// The lines of a listener with TLS.
pub const TLS: &str = r#"tls = { cert = "cert.pem", key = "key.pem", client_ca = "clients-ca.pem" }"#;

/// Puts a new pair of `server` in place.
pub fn serve_with(site: &Site, server: &Authority) {
    let Pair { cert, key } = server.signs(&["127.0.0.1", "localhost", "mcp.acme.example"]);
    write(site, SERVER_CA, &server.pem());
    write(site, "cert.pem", &cert);
    write(site, "key.pem", &key);
}

/// Writes a file that nobody else can read, as one: a reader sees the old one or the new one.
pub fn write(site: &Site, name: &str, text: &str) {
    let fresh = site.path(&format!("{name}.new"));
    std::fs::write(&fresh, text).unwrap();
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(fresh, site.path(name)).unwrap();
}

/// A connection, with or without TLS.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// `HOST:PORT` of a URL.
pub fn authority(url: &str) -> &str {
    url.split_once("://").and_then(|(_, rest)| rest.strip_suffix("/mcp")).unwrap()
}

/// Where a URL of this machine leads.
pub fn address(url: &str) -> SocketAddr {
    authority(url).replace("0.0.0.0", "127.0.0.1").parse().unwrap()
}

/// Connects to `url`, verifying it by the site's [`SERVER_CA`] and showing `shown`.
pub async fn connect(site: &Site, url: &str, shown: Option<&Pair>) -> std::io::Result<Box<dyn Wire>> {
    let stream = TcpStream::connect(address(url)).await?;
    if url.starts_with("http://") {
        return Ok(Box::new(stream));
    }
    let mut roots = RootCertStore::empty();
    let trusted = std::fs::read(site.path(SERVER_CA)).unwrap();
    roots.add(CertificateDer::from_pem_slice(&trusted).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some(Pair { cert, key }) => {
            let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let name = ServerName::try_from("localhost").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    Ok(Box::new(connector.connect(name, stream).await?))
}

/// A plain connection to `url` that comes from `source`.
pub async fn connect_from(source: &str, url: &str) -> Box<dyn Wire> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    Box::new(socket.connect(address(url)).await.unwrap())
}

/// What comes back for these bytes, until the other side closes; an error where it was no clean end.
pub async fn exchange(stream: &mut dyn Wire, bytes: &[u8]) -> std::io::Result<String> {
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8(answer).unwrap())
}

/// What serves TLS with the certificate `pair` and asks for none.
pub fn acceptor(pair: &Pair) -> tokio_rustls::TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(pair.cert.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Arc::new(config).into()
}
