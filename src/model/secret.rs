//! Values that are sent and never shown.
//!
//! Must never be printed, not even by a debugger's format (I10).

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes `value` in.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value, for the one place that has to send it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

/// Configured headers, ready to send, marked so that nothing prints them.
///
/// # Errors
/// The name of one whose value cannot stand in a header.
pub fn headers(configured: &[(HeaderName, Secret)]) -> Result<HeaderMap, HeaderName> {
    let mut map = HeaderMap::new();
    for (name, secret) in configured {
        let mut value = HeaderValue::from_str(secret.reveal()).map_err(|_| name.clone())?;
        value.set_sensitive(true);
        map.append(name.clone(), value);
    }
    Ok(map)
}
