//! What a record holds of the arguments of a call: what an operator asked for, and what came of it.
//!
//! Must never hold more of a value than the operator asked for (invariant I10).

use std::sync::Arc;

use super::digest::Sha256;

/// Most pointers of one tool, kept and hashed together.
pub const POINTERS_MAX: usize = 32;
/// Longest pointer, in bytes.
pub const POINTER_BYTES_MAX: usize = 256;
/// Most bytes of one value that is kept.
pub const KEPT_BYTES_MAX: usize = 1024;
/// Most bytes of the arguments that are kept whole, where nothing else is said (`upstreams.X.tools.audit`).
pub const WHOLE_BYTES_DEFAULT: usize = 16 * 1024;
/// Most bytes of the arguments that can be kept whole: a record with all of it still is one line of the journal.
pub const WHOLE_BYTES_MAX: usize = 64 * 1024;

/// A JSON Pointer (RFC 6901): which part of the arguments is meant; all of them where it is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer {
    text: Arc<str>,
    tokens: Vec<String>,
}

/// Why a text is no pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// It does not begin with a slash.
    #[error("it has to begin with `/`")]
    NoSlash,
    /// A tilde stands for nothing.
    #[error("`~` has to be written `~0`, and `/` within a name `~1`")]
    BadEscape,
    /// It is too long.
    #[error("it is longer than {POINTER_BYTES_MAX} bytes")]
    TooLong,
}

impl Pointer {
    /// The pointer that `text` is (RFC 6901, 3 and 4).
    ///
    /// # Errors
    /// [`PointerError`] where it is none.
    pub fn new(text: &str) -> Result<Self, PointerError> {
        if text.len() > POINTER_BYTES_MAX {
            return Err(PointerError::TooLong);
        }
        if text.is_empty() {
            return Ok(Self::whole());
        }
        let rest = text.strip_prefix('/').ok_or(PointerError::NoSlash)?;
        let tokens = rest.split('/').map(unescape).collect::<Option<Vec<_>>>();
        Ok(Self { text: text.into(), tokens: tokens.ok_or(PointerError::BadEscape)? })
    }

    /// All of the arguments.
    #[must_use]
    pub fn whole() -> Self {
        Self { text: "".into(), tokens: Vec::new() }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names and indices along it.
    #[must_use]
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }
}

/// RFC 6901, 4: `~1` is a slash and `~0` a tilde, in this order.
fn unescape(token: &str) -> Option<String> {
    let is_escape = |rest: &str| rest.starts_with('0') || rest.starts_with('1');
    let mut tildes = token.split('~').skip(1);
    tildes.all(is_escape).then(|| token.replace("~1", "/").replace("~0", "~"))
}

/// What is recorded of the arguments of a tool's calls (`audit` of an entry of `tools`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keep {
    /// Whether digest and size of the whole are.
    pub digest: DigestOf,
    /// The parts that are kept.
    pub parts: Vec<KeptPart>,
    /// The parts of which a keyed hash is recorded.
    pub hashed: Vec<Pointer>,
    /// In which form parts are kept.
    pub form: KeptForm,
}

impl Keep {
    /// Whether nothing but the digest is recorded.
    #[must_use]
    pub fn is_plain_digest(&self) -> bool {
        self.digest == DigestOf::Recorded && self.parts.is_empty() && self.hashed.is_empty()
    }
}

/// Whether the digest and the size of the arguments are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DigestOf {
    /// They are.
    #[default]
    Recorded,
    /// They are not: of what can be guessed, a digest tells the value.
    Omitted,
}

/// A part of the arguments that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPart {
    /// Which.
    pub pointer: Pointer,
    /// How much of it, in bytes.
    pub bytes_max: usize,
}

/// In which form values are kept (`audit.values`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeptForm {
    /// Encrypted under a key of the subject alone, which can be destroyed.
    #[default]
    Sealed,
    /// As they are.
    Plain,
}

/// What a record says of the arguments of one call beside digest and size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Whether digest and size are said.
    pub digest: DigestOf,
    /// The parts that were there.
    pub values: Vec<KeptValue>,
    /// Id of the key of the subject under which they are sealed.
    pub key: Option<Arc<str>>,
    /// The keyed hashes of parts that were there.
    pub hashes: Vec<(Pointer, Sha256)>,
    /// Id of the key of the hashes.
    pub hash_key: Option<Arc<str>>,
    /// Whether that is all that was asked for.
    pub whole: Whole,
}

/// Whether everything is kept that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Whole {
    /// It is.
    #[default]
    Yes,
    /// Nothing could be kept.
    Lacking,
    /// Nothing is, because whoever called may not know of the tool.
    Hidden,
}

impl Kept {
    /// Nothing of what `keep` asks for, which could not be had.
    #[must_use]
    pub fn lacking(keep: &Keep) -> Self {
        Self::nothing(keep, Whole::Lacking)
    }

    /// Nothing of what `keep` asks for, of a call of what its caller may not know of.
    #[must_use]
    pub fn hidden(keep: &Keep) -> Self {
        Self::nothing(keep, Whole::Hidden)
    }

    fn nothing(keep: &Keep, whole: Whole) -> Self {
        let (values, hashes) = (Vec::new(), Vec::new());
        Self { digest: keep.digest, values, key: None, hashes, hash_key: None, whole }
    }
}

/// One part that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptValue {
    /// Which.
    pub pointer: Pointer,
    /// What of it.
    pub value: KeptText,
    /// Number of its bytes, where it was cut.
    pub whole_bytes: Option<u64>,
}

/// A value that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptText {
    /// Its JSON text.
    Json(String),
    /// Its JSON text, sealed: base64 of nonce, ciphertext and tag.
    Sealed(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_that_of_the_rfc() {
        let tokens = |text: &str| Pointer::new(text).map(|pointer| pointer.tokens().to_vec());
        assert_eq!(tokens("").unwrap(), Vec::<String>::new());
        assert_eq!(tokens("/").unwrap(), [""]);
        assert_eq!(tokens("/foo/0").unwrap(), ["foo", "0"]);
        assert_eq!(tokens("/a~1b/m~0n/~01").unwrap(), ["a/b", "m~n", "~1"]);
        assert_eq!(tokens("foo"), Err(PointerError::NoSlash));
        for bad in ["/~", "/a~2", "/~0~"] {
            assert_eq!(tokens(bad), Err(PointerError::BadEscape), "{bad}");
        }
        assert_eq!(tokens(&format!("/{}", "x".repeat(POINTER_BYTES_MAX))), Err(PointerError::TooLong));
    }
}
