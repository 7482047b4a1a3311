//! Checkpoints as signed notes: what was in the journal, in a form that others check without us (C2SP signed-note and
//! tlog-checkpoint).
//!
//! Must never take a note for signed that no known key signed, nor read one in a second way.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use data_encoding::{BASE64, HEXLOWER};
use jiff::Timestamp;

use crate::model::digest::Sha256;

/// The algorithm byte of Ed25519 (C2SP signed-note, "Signature types").
const ED25519_TYPE: u8 = 1;
/// That of cosignatures with Ed25519 (C2SP tlog-cosignature, "Format").
const COSIGNATURE_TYPE: u8 = 4;
/// What begins the message that a witness signs (C2SP tlog-cosignature, "Ed25519 signed message").
const COSIGNED: &str = "cosignature/v1";
/// What begins a signature line: an em dash and a blank.
const SIGNATURE_MARK: &str = "\u{2014} ";
/// Largest note that is read, in bytes.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;
/// Most signatures of one note.
const SIGNATURES_MAX: usize = 64;

/// A tree at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which tree: no other has this name.
    pub origin: String,
    /// How many leaves it has.
    pub size: u64,
    /// Its root.
    pub root: Sha256,
}

/// A public key of the type `TYPE` under its name, as `name+hash+key` writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedKey<const TYPE: u8> {
    name: String,
    id: [u8; 4],
    public: [u8; 32],
}

/// The key of whoever keeps a journal.
pub type VerifyingKey = NamedKey<ED25519_TYPE>;
/// The key of a witness, who saw a checkpoint and knows of no fork (C2SP tlog-cosignature).
pub type WitnessKey = NamedKey<COSIGNATURE_TYPE>;

/// What makes notes.
pub(super) struct Signer {
    key: VerifyingKey,
    pair: Ed25519KeyPair,
}

/// Why a text is no checkpoint that can be relied on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is no signed note, or no checkpoint.
    #[error("it is no signed checkpoint: {0}")]
    Malformed(&'static str),
    /// It is no key.
    #[error("{0}")]
    NoKey(&'static str),
    /// It is not signed by a key that is known.
    #[error("no key that is known signed it")]
    Unsigned,
    /// A key that is known did not make the signature that names it.
    #[error("the signature of `{0}` is not over this text")]
    Forged(String),
}

/// The name of the tree of `journal` whose first line is `base`.
pub(super) fn origin(journal: &str, base: u64) -> String {
    match base {
        0 => format!("sluicegate.journal/{journal}"),
        _ => format!("sluicegate.journal/{journal}/{base}"),
    }
}

impl Checkpoint {
    /// The number of the line that is the first leaf, as the name of the tree says.
    pub(super) fn base(&self) -> u64 {
        self.origin.split('/').nth(2).and_then(|base| base.parse().ok()).unwrap_or_default()
    }

    /// The note text (C2SP tlog-checkpoint, "Note text").
    fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root.as_bytes()))
    }

    /// It as a note that each of `signers` signs.
    pub(super) fn signed_by<'s>(&self, signers: impl Iterator<Item = &'s Signer>) -> String {
        let text = self.body();
        let lines: String = signers.map(|signer| signer.line(&text)).collect();
        format!("{text}\n{lines}")
    }

    /// Reads a note; at least one of `keys` has to have signed it, and none may be named by a signature that it did not
    /// make. With no keys nothing is checked but the form.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn read(note: &str, keys: &[VerifyingKey]) -> Result<Self, NoteError> {
        let (text, signatures) = parts(note)?;
        let mut signed = 0_usize;
        for line in signatures.lines() {
            let (name, id, signature) = signature(line).ok_or(NoteError::Malformed("a signature line"))?;
            // What is signed by keys that are not known says nothing ("Verifiers MUST ignore").
            let Some(key) = keys.iter().find(|key| key.name == name && key.id == id) else { continue };
            let public = UnparsedPublicKey::new(&ED25519, key.public);
            public.verify(text.as_bytes(), &signature).map_err(|_| NoteError::Forged(name.to_owned()))?;
            signed += 1;
        }
        if signed == 0 && !keys.is_empty() {
            return Err(NoteError::Unsigned);
        }
        Self::of_body(text).ok_or(NoteError::Malformed("its text"))
    }

    fn of_body(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let is_number =
            size.bytes().all(|byte| byte.is_ascii_digit()) && (size == "0" || !size.starts_with('0'));
        let size = size.parse().ok().filter(|_| is_number)?;
        let root = Sha256::from_hex(&HEXLOWER.encode(&BASE64.decode(root.as_bytes()).ok()?))?;
        (!origin.is_empty()).then(|| Self { origin: origin.to_owned(), size, root })
    }
}

/// A note that was kept in a file; one that is longer than any comes longer than it may be.
///
/// # Errors
/// What the system says; and where it is no text.
pub fn read_note(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(NOTE_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// The text of a note, and its signature lines.
fn parts(note: &str) -> Result<(&str, &str), NoteError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(NoteError::Malformed("it is too long"));
    }
    // The text ends before the last empty line (C2SP signed-note, "Format").
    let at = note.rfind("\n\n").ok_or(NoteError::Malformed("it has no signatures"))?;
    let (text, signatures) = note.split_at(at + 1);
    let signatures = signatures.strip_prefix('\n').unwrap_or_default();
    if !signatures.ends_with('\n') || signatures.lines().count() > SIGNATURES_MAX {
        return Err(NoteError::Malformed("its signatures are no lines"));
    }
    Ok((text, signatures))
}

/// Name, key id and signature of one signature line.
fn signature(line: &str) -> Option<(&str, [u8; 4], Vec<u8>)> {
    let (name, encoded) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
    let bytes = BASE64.decode(encoded.as_bytes()).ok()?;
    let (id, signature) = bytes.split_first_chunk::<4>()?;
    (is_name(name) && !signature.is_empty()).then(|| (name, *id, signature.to_vec()))
}

/// C2SP signed-note, "Format": no white space and no plus.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+')
}

impl<const TYPE: u8> NamedKey<TYPE> {
    fn new(name: &str, public: [u8; 32]) -> Self {
        let hash = Sha256::of_parts(&[name.as_bytes(), b"\n", &[TYPE], &public]);
        let id = hash.as_bytes().first_chunk::<4>().copied().unwrap_or_default();
        Self { name: name.to_owned(), id, public }
    }

    /// Its name, which is that of whoever signs with it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl WitnessKey {
    /// When this witness saw the checkpoint that `note` is, as the first of its cosignatures says.
    ///
    /// # Errors
    /// [`NoteError`]: it is no note, the witness did not sign it, or a signature that names the witness is not over it.
    pub fn seen(&self, note: &str) -> Result<Timestamp, NoteError> {
        let (text, signatures) = parts(note)?;
        let is_own = |(name, id, _): &(&str, [u8; 4], Vec<u8>)| *name == self.name && *id == self.id;
        let own = signatures.lines().filter_map(signature).find(is_own);
        let (_, _, bytes) = own.ok_or(NoteError::Unsigned)?;
        let forged = || NoteError::Forged(self.name.clone());
        let (seconds, signature) = bytes.split_first_chunk::<8>().ok_or_else(forged)?;
        let seconds = u64::from_be_bytes(*seconds);
        let message = format!("{COSIGNED}\ntime {seconds}\n{text}");
        let public = UnparsedPublicKey::new(&ED25519, self.public);
        public.verify(message.as_bytes(), signature).map_err(|_| forged())?;
        let seconds = i64::try_from(seconds).map_err(|_| forged())?;
        Timestamp::from_second(seconds).map_err(|_| forged())
    }
}

impl<const TYPE: u8> std::fmt::Display for NamedKey<TYPE> {
    /// C2SP signed-note, "Verifier keys".
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = BASE64.encode(&[[TYPE].as_slice(), &self.public].concat());
        write!(out, "{}+{}+{key}", self.name, HEXLOWER.encode(&self.id))
    }
}

impl<const TYPE: u8> std::str::FromStr for NamedKey<TYPE> {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::NoKey(match TYPE {
            COSIGNATURE_TYPE => {
                "this is no key of a witness, which is written `name+hash+key`, of `cosignature/v1`"
            }
            _ => "this is no key, which is written `name+hash+key`",
        });
        let read = || {
            let mut parts = text.splitn(3, '+');
            let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
            let bytes = BASE64.decode(key.as_bytes()).ok()?;
            let public: [u8; 32] = bytes.strip_prefix(&[TYPE])?.try_into().ok()?;
            let read = Self::new(name, public);
            (is_name(name) && HEXLOWER.encode(&read.id) == id).then_some(read)
        };
        read().ok_or(malformed)
    }
}

impl Signer {
    /// Signs under `name` with the key that `seed` is (RFC 8032, 5.1.5).
    pub(super) fn new(name: &str, seed: &[u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let public: [u8; 32] = pair.public_key().as_ref().try_into().ok()?;
        Some(Self { key: VerifyingKey::new(name, public), pair })
    }

    pub(super) fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// The signature line over `text`.
    fn line(&self, text: &str) -> String {
        let signature = self.pair.sign(text.as_bytes());
        let signature = BASE64.encode(&[self.key.id.as_slice(), signature.as_ref()].concat());
        format!("{SIGNATURE_MARK}{} {signature}\n", self.key.name)
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("Signer").field(&self.key.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            origin: "example.com/behind-the-sofa".to_owned(),
            size: 20_852_163,
            root: Sha256::of(b"x"),
        }
    }

    fn signer(seed: u8) -> Signer {
        Signer::new("example.com/behind-the-sofa", &[seed; 32]).unwrap()
    }

    #[test]
    fn a_note_is_read_as_it_was_signed_and_by_its_key_alone() {
        let (signer, other) = (signer(1), signer(2));
        let note = checkpoint().signed_by([&signer].into_iter());
        let keys = [other.key().clone(), signer.key().clone()];
        assert_eq!(Checkpoint::read(&note, &keys), Ok(checkpoint()));
        assert_eq!(Checkpoint::read(&note, &[]), Ok(checkpoint()));
        assert_eq!(Checkpoint::read(&note, &keys[..1]), Err(NoteError::Unsigned));
        let forged = note.replace("20852163", "20852164");
        assert!(matches!(Checkpoint::read(&forged, &keys), Err(NoteError::Forged(_))));
        // Of several, those that are not known are ignored, and one that is known has to be right.
        let both = checkpoint().signed_by([&signer, &other].into_iter());
        assert_eq!(Checkpoint::read(&both, &keys), Ok(checkpoint()));
        assert_eq!(Checkpoint::read(&both, &keys[..1]), Ok(checkpoint()));
    }

    #[test]
    fn a_key_is_written_and_read_and_its_hash_checked() {
        let text = signer(1).key().to_string();
        assert_eq!(text.parse::<VerifyingKey>().unwrap(), *signer(1).key());
        for wrong in ["", "a+b+c", &text.replace("+", "-"), &text.replacen('s', "t", 1)] {
            assert!(wrong.parse::<VerifyingKey>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_witness_says_when_it_saw_exactly_this_checkpoint() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
        let key = WitnessKey::new("witness.example/w1", pair.public_key().as_ref().try_into().unwrap());
        let cosigned = |text: &str, seconds: u64| {
            let message = format!("cosignature/v1\ntime {seconds}\n{text}");
            let signature = pair.sign(message.as_bytes());
            let bytes = [key.id.as_slice(), &seconds.to_be_bytes(), signature.as_ref()].concat();
            format!("{SIGNATURE_MARK}{} {}\n", key.name, BASE64.encode(&bytes))
        };
        let (signer, text) = (signer(1), checkpoint().body());
        let note = checkpoint().signed_by([&signer].into_iter());
        let both = format!("{note}{}", cosigned(&text, 1_679_315_147));
        assert_eq!(key.seen(&both), Ok(Timestamp::from_second(1_679_315_147).unwrap()));
        assert_eq!(
            Checkpoint::read(&both, &[signer.key().clone()]),
            Ok(checkpoint()),
            "the log's own counts"
        );
        assert_eq!(key.seen(&note), Err(NoteError::Unsigned));
        let forged = Err(NoteError::Forged("witness.example/w1".to_owned()));
        assert_eq!(key.seen(&both.replace("20852163", "20852164")), forged);
        assert_eq!(key.seen(&format!("{note}{}", cosigned(&text, u64::MAX))), forged, "no moment");
        // Its key is none of a log, and that of a log none of a witness.
        assert_eq!(key.to_string().parse::<WitnessKey>().as_ref(), Ok(&key));
        assert!(key.to_string().parse::<VerifyingKey>().is_err());
        assert!(signer.key().to_string().parse::<WitnessKey>().is_err());
    }

    /// The key of the tests of Go's golang.org/x/mod/sumdb/note.
    #[test]
    fn a_key_of_another_implementation_is_read() {
        let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        assert_eq!(text.parse::<VerifyingKey>().unwrap().to_string(), text);
        let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        let line = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
        let (name, id, signature) = signature(line).unwrap();
        assert_eq!((name, HEXLOWER.encode(&id).as_str()), ("PeterNeumann", "c74f20a3"));
        let key: VerifyingKey =
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
        assert!(UnparsedPublicKey::new(&ED25519, key.public).verify(text.as_bytes(), &signature).is_ok());
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        let note = checkpoint().signed_by([&signer(1)].into_iter());
        for wrong in [
            String::new(),
            "\n\n".to_owned(),
            note.trim_end().to_owned(),
            note.replace("\u{2014}", "-"),
            note.replace("20852163", "020852163"),
            note.replacen("example", "", 1).replacen(".com/behind-the-sofa\n", "\n", 1),
            "x".repeat(NOTE_BYTES_MAX + 1),
        ] {
            assert!(Checkpoint::read(&wrong, &[]).is_err(), "{wrong}");
        }
    }
}
