//! What one configuration changes in another, in sentences for people.
//!
//! Must never leave out that something is wider because too much is: what does not fit is counted.

use super::text::printable;

/// What is different, and which of it lets somebody do more than before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    changed: Vec<String>,
    widened: Vec<String>,
}

/// Most names that one sentence lists.
pub const NAMES_LISTED_MAX: usize = 8;

impl Changes {
    /// Something is different.
    pub fn change(&mut self, what: impl AsRef<str>) {
        self.changed.push(printable(what.as_ref()));
    }

    /// Somebody may do more than before.
    pub fn widen(&mut self, what: impl AsRef<str>) {
        self.widened.push(printable(what.as_ref()));
    }

    /// These and those.
    pub fn add(&mut self, other: Self) {
        self.changed.extend(other.changed);
        self.widened.extend(other.widened);
    }

    /// What is different, without what is wider.
    #[must_use]
    pub fn changed(&self) -> &[String] {
        &self.changed
    }

    /// What lets somebody do more than before.
    #[must_use]
    pub fn widened(&self) -> &[String] {
        &self.widened
    }
}

/// The first of `names`, and how many more there are.
#[must_use]
pub fn listed(names: &[impl AsRef<str>]) -> String {
    let first: Vec<_> = names.iter().take(NAMES_LISTED_MAX).map(AsRef::as_ref).collect();
    let first = first.join(", ");
    match names.len().saturating_sub(NAMES_LISTED_MAX) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let names: Vec<_> = (0..11).map(|number| format!("t{number}")).collect();
        assert_eq!(listed(&names), "t0, t1, t2, t3, t4, t5, t6, t7 and 3 more");
        assert_eq!(listed(&["a"]), "a");
    }
}
