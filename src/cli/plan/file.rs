//! A plan out of a file, or from standard input.
//!
//! Must never read more of it than says that it is too long.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;

use crate::plan::PLAN_BYTES_MAX;

/// The bytes of the plan at `path`, `-` for standard input; of one that is too long as many as say so.
pub(in crate::cli) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let most = u64::try_from(PLAN_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut raw = Vec::new();
    let read = match path.to_str() {
        Some("-") => std::io::stdin().lock().take(most).read_to_end(&mut raw),
        _ => std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut raw)),
    };
    read.with_context(|| format!("the plan `{}` cannot be read", path.display()))?;
    Ok(raw)
}
