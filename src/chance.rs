//! The only place that draws random bytes: ids and secrets that nobody can guess.
//!
//! Must never fall back to a weaker source: where the system gives none, the caller fails.

use aws_lc_rs::rand;

/// The system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no random bytes")]
pub struct NoEntropy;

/// `N` random bytes from the system's generator.
///
/// # Errors
/// [`NoEntropy`] where the system gives none.
pub fn bytes<const N: usize>() -> Result<[u8; N], NoEntropy> {
    let mut out = [0; N];
    rand::fill(&mut out).map_err(|_| NoEntropy)?;
    Ok(out)
}

/// The system's generator itself, for keys and signatures that draw their own bytes.
#[must_use]
pub fn generator() -> rand::SystemRandom {
    rand::SystemRandom::new()
}
