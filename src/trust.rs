//! Whom we trust as a client of TLS: the system's authorities, or those of a file.
//!
//! Must never connect to anything, nor trust anybody whom neither names.

use std::path::Path;
use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// What a client of TLS is set up with: the certificates in the PEM file `ca`, or the system's.
///
/// # Errors
/// What is wrong with them, for an operator's log.
pub fn client(ca: Option<&Path>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let verified = match ca {
        None => builder.with_native_roots().map_err(|error| error.to_string())?,
        Some(path) => builder.with_root_certificates(roots(path)?),
    };
    Ok(verified.with_no_client_auth())
}

/// The certificates in the PEM file at `path`; at least one.
///
/// # Errors
/// What is wrong with them.
pub fn roots(path: &Path) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    for certificate in certificates {
        let added = store.add(certificate.map_err(|error| error.to_string())?);
        added.map_err(|error| error.to_string())?;
    }
    if store.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(store) }
}
