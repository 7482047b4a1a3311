//! How grave a record is, to those who sort records by that.
//!
//! Pure. Must never be what a record is kept or left out by.

use crate::audit::Kind;

/// Severities of syslog (RFC 5424, table 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Error = 3,
    Warning = 4,
    Notice = 5,
    Informational = 6,
}

impl Severity {
    /// That of a record of the kind `kind`.
    pub(super) const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Halted | Kind::Gap | Kind::Torn => Self::Error,
            Kind::Denial | Kind::AuthFailures | Kind::Unknown | Kind::Pin | Kind::Revocation => Self::Warning,
            Kind::Start | Kind::Stop | Kind::Reload | Kind::Source => Self::Notice,
            Kind::TokenKey | Kind::AuditKey | Kind::Erasure | Kind::Retired => Self::Notice,
            _ => Self::Informational,
        }
    }
}
