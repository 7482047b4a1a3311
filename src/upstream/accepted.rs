//! The catalogue that the lock file alone gives: what a gateway of these settings lists before any tool server is up.
//!
//! Must never start or reach anything, nor write the lock file.

use std::collections::HashMap;
use std::path::Path;

use super::catalogue::Catalogue;
use super::keeper;
use super::lock::{self, LockError};
use super::settings::Settings;

/// The accepted tools of the upstreams `settings`, from the lock file at `path`.
///
/// # Errors
/// Why the lock file cannot be used.
pub fn accepted(settings: &[Settings], path: &Path) -> Result<Catalogue, LockError> {
    Ok(keeper::catalogue(0, settings, &lock::read(path)?, &HashMap::new()))
}
