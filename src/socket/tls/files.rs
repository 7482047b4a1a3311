//! Certificate, key and authorities, read from files.
//!
//! Must never take a key that others may read, nor half of what was asked for: whatever is wrong with one
//! of the files refuses all of them. Must never say anything of a key but its path (invariant I10).

use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::der::{self, Validity};
use crate::model::digest::Sha256;
use crate::model::file_stamp::FileStamp;

/// Largest of these files, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Most certificates in one of these files.
const CERTIFICATES_MAX: usize = 1024;
/// What group and others may do with a file.
const OTHERS_MODE: u32 = 0o077;
/// The mode of a credential of systemd.
const CREDENTIAL_MODE: u32 = 0o440;
const ROOT: u32 = 0;

/// The files of a TLS listener, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and the intermediate ones behind it.
    pub cert: PathBuf,
    /// Its private key. Nobody but its owner may use the file.
    pub key: PathBuf,
    /// The authorities of client certificates; without them none is asked for.
    pub client_ca: Option<PathBuf>,
}

/// Why a listener has no TLS. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read `{}`: {error}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// A file holds nothing of what it is for, or something that is not it.
    #[error("`{}` holds no {wanted} in PEM", .path.display())]
    Empty {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
    },
    /// Others may use the key.
    #[error("others than its owner may use the key file `{}`; run `chmod 600` on it", .0.display())]
    KeyOpen(PathBuf),
    /// Another user may change the key.
    #[error("the key file `{}` belongs to uid {owner}; it has to belong to the gateway's user or to root", .path.display())]
    KeyOwner {
        /// Which.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// The certificate cannot serve, or is not that of the key.
    #[error("`{}` and its key cannot serve: {error}", .path.display())]
    Unusable {
        /// The certificate.
        path: PathBuf,
        /// What rustls says of it.
        error: rustls::Error,
    },
    /// The authorities cannot be used.
    #[error("`{}` holds no usable authority: {error}", .path.display())]
    Authorities {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        error: String,
    },
    /// The certificate is over.
    #[error("the certificate `{}` ended at {until}; put a new one in its place", .path.display())]
    Expired {
        /// Which.
        path: PathBuf,
        /// When.
        until: Timestamp,
    },
    /// The certificate is not valid yet.
    #[error("the certificate `{}` is not valid before {from}; is the clock right?", .path.display())]
    NotYet {
        /// Which.
        path: PathBuf,
        /// From when on.
        from: Timestamp,
    },
}

impl TlsError {
    /// The file that it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::KeyOpen(path)
            | Self::Unreadable { path, .. }
            | Self::Empty { path, .. }
            | Self::KeyOwner { path, .. }
            | Self::Unusable { path, .. }
            | Self::Authorities { path, .. }
            | Self::Expired { path, .. }
            | Self::NotYet { path, .. } => path,
        }
    }
}

/// What the files hold.
pub(super) struct Material {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) authorities: Option<Authorities>,
    pub(super) until: Timestamp,
}

/// Who may sign client certificates.
pub(super) struct Authorities {
    pub(super) roots: Arc<RootCertStore>,
    /// Over the file, to see whether it changed.
    pub(super) digest: Sha256,
}

/// Reads the files, as the process with `uid` at the time `now`.
pub(super) fn read(files: &TlsFiles, uid: u32, now: Timestamp) -> Result<Material, TlsError> {
    let (text, _) = bytes(&files.cert)?;
    let chain = certificates(&text, &files.cert)?;
    let empty = || TlsError::Empty { path: files.cert.clone(), wanted: "certificate" };
    let Validity { from, until } =
        chain.first().and_then(|certificate| der::validity(certificate)).ok_or_else(empty)?;
    if now > until {
        return Err(TlsError::Expired { path: files.cert.clone(), until });
    }
    if now < from {
        return Err(TlsError::NotYet { path: files.cert.clone(), from });
    }
    let key = key(&files.key, uid)?;
    let authorities = files.client_ca.as_deref().map(authorities).transpose()?;
    Ok(Material { chain, key, authorities, until })
}

/// Whether a file with a secret can be used by others than its owner. systemd shows the access list of a
/// credential, which names the service's user alone, as a right of root's group to read what is root's
/// (systemd.exec(5), "Credentials"); and who is in that group is root anyway.
#[must_use]
pub fn is_open_to_others(facts: &Metadata) -> bool {
    let is_credential = facts.uid() == ROOT && facts.gid() == ROOT && facts.mode() & 0o777 == CREDENTIAL_MODE;
    !is_credential && facts.mode() & OTHERS_MODE != 0
}

fn key(path: &Path, uid: u32) -> Result<PrivateKeyDer<'static>, TlsError> {
    let (text, facts) = bytes(path)?;
    if is_open_to_others(&facts) {
        return Err(TlsError::KeyOpen(path.to_owned()));
    }
    if facts.uid() != uid && facts.uid() != ROOT {
        return Err(TlsError::KeyOwner { path: path.to_owned(), owner: facts.uid() });
    }
    let empty = |_| TlsError::Empty { path: path.to_owned(), wanted: "private key" };
    PrivateKeyDer::from_pem_slice(&text).map_err(empty)
}

fn authorities(path: &Path) -> Result<Authorities, TlsError> {
    let (text, _) = bytes(path)?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&text, path)? {
        let bad =
            |error: rustls::Error| TlsError::Authorities { path: path.to_owned(), error: error.to_string() };
        roots.add(certificate).map_err(bad)?;
    }
    Ok(Authorities { roots: Arc::new(roots), digest: Sha256::of(&text) })
}

fn certificates(text: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let empty = || TlsError::Empty { path: path.to_owned(), wanted: "certificate" };
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).take(CERTIFICATES_MAX).collect();
    read.ok().filter(|certificates| !certificates.is_empty()).ok_or_else(empty)
}

/// The bytes of a file and whose it is, as one: what is looked at is what is read.
fn bytes(path: &Path) -> Result<(Vec<u8>, Metadata), TlsError> {
    let unreadable = |error| TlsError::Unreadable { path: path.to_owned(), error };
    let found = std::fs::metadata(path).map_err(unreadable)?;
    // Before it is opened: opening a pipe would wait for whoever writes to it.
    if !found.is_file() {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")));
    }
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let facts = file.metadata().map_err(unreadable)?;
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let error =
            io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {FILE_BYTES_MAX} bytes"));
        return Err(unreadable(error));
    }
    Ok((text, facts))
}

/// By what it is seen that files have changed, without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<FileStamp>>);

impl Stamp {
    pub(super) fn of(files: &TlsFiles) -> Self {
        let paths = [Some(&files.cert), Some(&files.key), files.client_ca.as_ref()];
        let one = |path: &PathBuf| std::fs::metadata(path).ok().map(|facts| FileStamp::of(&facts));
        Self(paths.into_iter().flatten().map(one).collect())
    }
}

#[test]
fn a_credential_of_systemd_is_not_open() {
    use std::os::unix::fs::PermissionsExt;
    let file = tempfile::NamedTempFile::new().unwrap();
    let is_open = |mode| {
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        is_open_to_others(&file.path().metadata().unwrap())
    };
    let facts = file.path().metadata().unwrap();
    assert!(!is_open(0o400) && !is_open(0o600));
    assert!(is_open(0o444) && is_open(0o404) && is_open(0o420) && is_open(0o640));
    assert_eq!(is_open(0o440), facts.uid() != ROOT || facts.gid() != ROOT);
}
