//! A credential that a client presents: a key or a run token, from wherever it is kept.
//!
//! Must never come from the command line, nor be printed. A file that others can read is refused, because
//! whoever reads it is the client. What can be renewed is read anew each time.

use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;

use crate::identity::carrier_of;
use crate::model::mint::Carrier;

/// Longest credential, in bytes.
pub(super) const CREDENTIAL_BYTES_MAX: u64 = 16 * 1024;
/// Longest time that a socket may take to hand out a token.
const SOCKET_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a descriptor is read until two reads agree: it may be replaced meanwhile.
const READS_MAX: usize = 16;
/// The permissions of group and others.
const OTHERS: u32 = 0o077;
/// The first descriptor that is not a standard stream.
pub(super) const DESCRIPTOR_MIN: u16 = 3;
/// `Txn-Token` (draft-ietf-oauth-transaction-tokens).
const TXN_TOKEN: HeaderName = HeaderName::from_static("txn-token");

/// Where the credential is.
#[derive(Debug, Clone)]
pub(super) enum CredentialSource {
    /// Nowhere: the gateway knows the peer by its socket.
    None,
    /// In this file, read anew each time, so that it can be renewed.
    File(PathBuf),
    /// Behind this inherited descriptor, read anew each time from its beginning.
    Descriptor(u32),
    /// This unix socket hands it out, anew to each connection.
    Socket(PathBuf),
    /// Here, as the environment had it at the start.
    Known(Credential),
}

/// A credential as the header that carries it. Prints none of it.
#[derive(Debug, Clone)]
pub(super) struct Credential {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
}

impl CredentialSource {
    /// The credential that the environment variable `name` holds.
    pub(super) fn of_environment(name: &str) -> anyhow::Result<Self> {
        let Some(value) = std::env::var_os(name) else {
            bail!("the environment variable `{name}` is not set");
        };
        let value = value.into_string().ok().with_context(|| format!("`{name}` does not hold a key"))?;
        Ok(Self::Known(credential(&value).with_context(|| format!("`{name}` does not hold a key"))?))
    }

    /// What `sluicegate run` tells its child by environment variables; [`CredentialSource::None`] where it
    /// did not start this process.
    pub(super) fn of_run() -> anyhow::Result<Self> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(path) = set(TOKEN_FILE_VARIABLE) {
            return Ok(Self::File(path.into()));
        }
        if let Some(path) = set(TOKEN_SOCKET_VARIABLE) {
            return Ok(Self::Socket(path.into()));
        }
        if let Some(number) = set(TOKEN_FD_VARIABLE) {
            let number = number.to_str().and_then(|text| descriptor(text).ok());
            return number
                .map(Self::Descriptor)
                .with_context(|| format!("{TOKEN_FD_VARIABLE} is not a descriptor"));
        }
        match set(TOKEN_VARIABLE) {
            Some(_) => Self::of_environment(TOKEN_VARIABLE),
            None => Ok(Self::None),
        }
    }

    /// The credential, as it is now.
    pub(super) async fn read(&self) -> anyhow::Result<Option<Credential>> {
        let (text, place) = match self {
            Self::None => return Ok(None),
            Self::Known(credential) => return Ok(Some(credential.clone())),
            Self::File(path) => (read_file(path).await?, format!("the file `{}`", path.display())),
            Self::Descriptor(number) => (read_descriptor(*number)?, format!("the descriptor {number}")),
            Self::Socket(path) => (read_socket(path).await?, format!("the socket `{}`", path.display())),
        };
        credential(&text).map(Some).with_context(|| format!("{place} does not give a key or token"))
    }
}

/// The variable that names the gateway's endpoint.
pub(super) const URL_VARIABLE: &str = "SLUICEGATE_URL";
/// The variable that names the gateway's unix socket.
pub(super) const SOCKET_VARIABLE: &str = "SLUICEGATE_SOCKET";
/// The variable that names the file with the token.
pub(super) const TOKEN_FILE_VARIABLE: &str = "SLUICEGATE_TOKEN_FILE";
/// The variable that names the socket which hands out the token.
pub(super) const TOKEN_SOCKET_VARIABLE: &str = "SLUICEGATE_TOKEN_SOCKET";
/// The variable that names the descriptor with the token.
pub(super) const TOKEN_FD_VARIABLE: &str = "SLUICEGATE_TOKEN_FD";
/// The variable that holds the token itself.
pub(super) const TOKEN_VARIABLE: &str = "SLUICEGATE_TOKEN";

/// The number of a descriptor that is not a standard stream.
pub(super) fn descriptor(text: &str) -> Result<u32, String> {
    let number = text.parse::<u32>().ok().filter(|number| *number >= u32::from(DESCRIPTOR_MIN));
    number.ok_or_else(|| "write the number of an inherited descriptor, from 3".to_owned())
}

async fn read_file(path: &Path) -> anyhow::Result<String> {
    let cannot = || format!("cannot read the key file `{}`", path.display());
    let file = tokio::fs::File::open(path).await.with_context(cannot)?;
    let mode = file.metadata().await.with_context(cannot)?.mode();
    if mode & OTHERS != 0 {
        let path = path.display();
        bail!("others can read the key file `{path}`; run `chmod 600 {path}`");
    }
    let mut text = String::new();
    file.take(CREDENTIAL_BYTES_MAX).read_to_string(&mut text).await.with_context(cannot)?;
    Ok(text)
}

/// Opens what the descriptor stands for a second time, so that its position is nobody else's. A pipe or a
/// terminal would be empty the second time, so only what can be read from its beginning is taken.
fn read_descriptor(number: u32) -> anyhow::Result<String> {
    let path = format!("/proc/self/fd/{number}");
    let read = || -> anyhow::Result<String> {
        let cannot = || format!("cannot read the descriptor {number}");
        let facts = std::fs::metadata(&path).with_context(cannot)?;
        if facts.file_type().is_fifo() || !facts.is_file() {
            bail!("the descriptor {number} is not a file that can be read again");
        }
        let file = std::fs::File::open(&path).with_context(cannot)?;
        let mut text = String::new();
        file.take(CREDENTIAL_BYTES_MAX).read_to_string(&mut text).with_context(cannot)?;
        // What stands behind the first line is what is left of a longer one before it.
        Ok(text.lines().next().unwrap_or_default().to_owned())
    };
    let mut last = read()?;
    for _ in 0..READS_MAX {
        let again = read()?;
        if again == last {
            return Ok(again);
        }
        last = again;
    }
    bail!("the descriptor {number} is being replaced all the time")
}

async fn read_socket(path: &Path) -> anyhow::Result<String> {
    let cannot = || format!("cannot get a token from the socket `{}`", path.display());
    let ask = async {
        let stream = UnixStream::connect(path).await.with_context(cannot)?;
        let mut text = String::new();
        stream.take(CREDENTIAL_BYTES_MAX).read_to_string(&mut text).await.with_context(cannot)?;
        anyhow::Ok(text)
    };
    tokio::time::timeout(SOCKET_TIMEOUT, ask).await.with_context(cannot)?
}

/// A token that was just made, as a credential.
pub(super) fn of_text(text: &str) -> anyhow::Result<Credential> {
    credential(text)
}

/// `text` as a credential: a key in `Authorization` (RFC 6750, 2.1), a token in the header that its own
/// `typ` is for. The error does not repeat what was found.
fn credential(text: &str) -> anyhow::Result<Credential> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("a key or token is one word of visible ASCII characters");
    }
    let (name, value) = match carrier_of(text) {
        Carrier::TxnToken => (TXN_TOKEN, text.to_owned()),
        Carrier::Authorization => (AUTHORIZATION, format!("Bearer {text}")),
    };
    let mut value = HeaderValue::from_str(&value)?;
    value.set_sensitive(true);
    Ok(Credential { name, value })
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;

    use super::*;

    #[test]
    fn a_token_travels_in_the_header_that_its_type_is_for() {
        let token = |typ: &str| {
            let header = BASE64URL_NOPAD.encode(format!("{{\"typ\":\"{typ}\"}}").as_bytes());
            credential(&format!("{header}.e30.c2ln\n")).unwrap()
        };
        assert_eq!(token("at+jwt").name, AUTHORIZATION);
        let run = token("txntoken+jwt");
        assert_eq!((run.name.as_str(), run.value.to_str().unwrap().starts_with("eyJ")), ("txn-token", true));
        let key = credential(" sg_abc\n").unwrap();
        assert_eq!((key.name, key.value.to_str().unwrap()), (AUTHORIZATION, "Bearer sg_abc"));
        assert!(!format!("{:?}", credential("sg_abc").unwrap()).contains("sg_abc"), "I10");
        for text in ["", "two words", "a\u{e4}"] {
            assert!(credential(text).is_err());
        }
    }

    #[test]
    fn standard_streams_are_no_descriptors_of_tokens() {
        assert_eq!(descriptor("3"), Ok(3));
        for text in ["0", "2", "-1", "x", ""] {
            assert!(descriptor(text).is_err(), "{text}");
        }
    }
}
