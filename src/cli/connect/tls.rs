//! Whom `connect` believes to be the gateway, and what it shows of itself: TLS toward an `https` URL.
//!
//! Must never go on without verifying the gateway's certificate and name: there is no switch for that.
//! Must never use a key file that others can read.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, version};
use tokio_rustls::TlsConnector;

/// Largest of the files, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// The permissions of group and others.
const OTHERS: u32 = 0o077;
/// The one protocol that is spoken (RFC 7301).
const ALPN: &[u8] = b"http/1.1";

/// The arguments about TLS.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Tls {
    /// The authorities that the gateway's certificate is verified against, in PEM, instead of the system's
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    ca_file: Option<PathBuf>,
    /// A client certificate to show to the gateway, in PEM, the chain behind it
    #[arg(long, value_name = "FILE", requires = "client_key", conflicts_with = "socket")]
    client_cert: Option<PathBuf>,
    /// Its private key, in PEM, in a file that nobody else can read
    #[arg(long, value_name = "FILE", requires = "client_cert", conflicts_with = "socket")]
    client_key: Option<PathBuf>,
}

impl Tls {
    /// Whether anything was asked for.
    pub(super) fn is_used(&self) -> bool {
        self.ca_file.is_some() || self.client_cert.is_some()
    }

    /// What makes connections.
    pub(super) fn connector(&self) -> anyhow::Result<TlsConnector> {
        let roots = match &self.ca_file {
            Some(path) => roots_of(certificates(path)?, path)?,
            None => roots_of_system()?,
        };
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
            .with_root_certificates(roots);
        let mut config = match (&self.client_cert, &self.client_key) {
            (Some(cert), Some(key)) => {
                let what = || format!("cannot show the client certificate `{}`", cert.display());
                config.with_client_auth_cert(certificates(cert)?, private_key(key)?).with_context(what)?
            }
            _ => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

fn roots_of(certificates: Vec<CertificateDer<'static>>, path: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).with_context(|| format!("`{}` holds no usable authority", path.display()))?;
    }
    Ok(roots)
}

fn roots_of_system() -> anyhow::Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Systems carry some that cannot be read; whoever needs one of those is told that it is not trusted.
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        bail!("this system has no certificate authorities; name the gateway's by --ca-file");
    }
    Ok(roots)
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let (text, _) = read(path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => bail!("`{}` holds no certificate in PEM", path.display()),
    }
}

fn private_key(path: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    let (text, mode) = read(path)?;
    if mode & OTHERS != 0 {
        let path = path.display();
        bail!("others can read the key file `{path}`; run `chmod 600 {path}`");
    }
    // The error does not repeat what was found.
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(_) => bail!("`{}` holds no private key in PEM", path.display()),
    }
}

fn read(path: &Path) -> anyhow::Result<(Vec<u8>, u32)> {
    let cannot = || format!("cannot read `{}`", path.display());
    let file = std::fs::File::open(path).with_context(cannot)?;
    let mode = file.metadata().with_context(cannot)?.mode();
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut text).with_context(cannot)?;
    Ok((text, mode))
}
