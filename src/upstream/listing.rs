//! The tools that one upstream offers: the pages of a `tools/list`, gathered and sifted.
//!
//! Must never accept anything: it only sorts out what cannot be listed at all. It trusts nothing of a
//! page: not names, not sizes, not cursors, not that the list ends.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::lock::Definition;
use super::notice::{Quarantine, claimed};
use crate::model::name::ToolName;
use crate::wire::list::Listed;

/// Most tools of one upstream.
pub const TOOLS_MAX: usize = 1024;
/// Most pages of one list.
pub const PAGES_MAX: usize = 128;
/// Longest tool definition, in bytes.
pub const DEFINITION_BYTES_MAX: usize = 64 * 1024;
/// Longest cursor, in bytes.
const CURSOR_BYTES_MAX: usize = 4096;
/// Tools of one upstream whose quarantine is told singly.
const QUARANTINED_MAX: usize = 64;

/// What an upstream offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Offered {
    /// What may be listed once it is accepted.
    pub(super) tools: BTreeMap<ToolName, Definition>,
    /// What may not, and why: by name, bounded and printable.
    pub(super) quarantined: BTreeMap<String, Quarantine>,
    /// What its server says of itself.
    pub(super) instructions: Option<Definition>,
}

/// Whether to ask for another page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// With this cursor; the first has none.
    Page(Option<String>),
    /// The list has ended.
    End,
}

/// The pages of one list, of whatever kind.
#[derive(Debug, Default)]
pub(super) struct Pages {
    cursors: BTreeSet<String>,
}

impl Pages {
    /// Where to go on after a page that named `cursor`.
    pub(super) fn after(&mut self, cursor: Option<String>) -> Next {
        // An empty cursor is the end (CASES F38). One that was given before leads nowhere new (F37):
        // what was gathered so far counts.
        match cursor {
            None => Next::End,
            Some(cursor) if cursor.is_empty() || cursor.len() > CURSOR_BYTES_MAX => Next::End,
            Some(_) if self.cursors.len() + 1 >= PAGES_MAX => Next::End,
            Some(cursor) if self.cursors.insert(cursor.clone()) => Next::Page(Some(cursor)),
            Some(_) => Next::End,
        }
    }
}

/// A list of tools that is being gathered.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    offered: Offered,
    seen: BTreeSet<String>,
}

impl Gathering {
    /// Takes in what one page holds.
    pub(super) fn page(&mut self, tools: Vec<Listed>) {
        for tool in &tools {
            self.tool(&tool.name, &tool.raw);
        }
    }

    /// What was gathered.
    pub(super) fn finish(self) -> Offered {
        self.offered
    }

    fn tool(&mut self, name: &str, raw: &Bytes) {
        if self.seen.len() >= TOOLS_MAX {
            return self.quarantine(name, Quarantine::TooMany);
        }
        let Ok(tool) = ToolName::new(name) else { return self.quarantine(name, Quarantine::IllegalName) };
        if !self.seen.insert(name.to_owned()) {
            // Which of the two would be called is the upstream's secret: neither is listed.
            self.offered.tools.remove(&tool);
            return self.quarantine(name, Quarantine::Duplicate);
        }
        if raw.len() > DEFINITION_BYTES_MAX {
            return self.quarantine(name, Quarantine::DefinitionTooLong);
        }
        match Definition::of(raw) {
            Ok(definition) => drop(self.offered.tools.insert(tool, definition)),
            Err(_) => self.quarantine(name, Quarantine::Malformed),
        }
    }

    fn quarantine(&mut self, name: &str, why: Quarantine) {
        if self.offered.quarantined.len() < QUARANTINED_MAX {
            self.offered.quarantined.insert(claimed(name).as_str().to_owned(), why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str) -> Listed {
        Listed { name: name.to_owned(), raw: Bytes::from(format!("{{\"name\":\"{name}\"}}")) }
    }

    #[test]
    fn f37_f38_a_cursor_that_does_not_advance_ends_the_list() {
        let mut pages = Pages::default();
        assert_eq!(pages.after(Some("1".into())), Next::Page(Some("1".into())));
        assert_eq!(pages.after(Some("1".into())), Next::End);
        assert_eq!(pages.after(Some(String::new())), Next::End);
        assert_eq!(pages.after(None), Next::End);
        let mut pages = Pages::default();
        let followed = (0..).take_while(|n: &u32| pages.after(Some(n.to_string())) != Next::End);
        assert_eq!(followed.count() + 1, PAGES_MAX);
    }

    #[test]
    fn a59_what_cannot_be_listed_is_quarantined_with_its_reason() {
        let mut gathering = Gathering::default();
        let long = Listed { raw: Bytes::from(vec![b' '; DEFINITION_BYTES_MAX + 1]), ..tool("long") };
        let schema = br#"{"name":"header","inputSchema":{"properties":{"a":{"x-mcp-header":7}}}}"#;
        let header = Listed { raw: Bytes::from_static(schema), ..tool("header") };
        let page = vec![tool("ok"), tool("verify_\u{441}ser"), tool("twice"), tool("twice"), long, header];
        gathering.page(page);
        let offered = gathering.finish();
        assert_eq!(offered.tools.keys().map(ToolName::as_str).collect::<Vec<_>>(), ["ok"]);
        let why = |name| offered.quarantined.get(name).copied();
        assert_eq!(why("verify_\u{441}ser"), Some(Quarantine::IllegalName));
        assert_eq!(why("twice"), Some(Quarantine::Duplicate));
        assert_eq!(why("long"), Some(Quarantine::DefinitionTooLong));
        assert_eq!(why("header"), Some(Quarantine::Malformed));
    }

    #[test]
    fn a_list_without_end_is_cut() {
        let mut gathering = Gathering::default();
        gathering.page((0..TOOLS_MAX * 3).map(|n| tool(&format!("t{n}"))).collect());
        let offered = gathering.finish();
        assert_eq!(offered.tools.len(), TOOLS_MAX);
        assert_eq!(offered.quarantined.len(), QUARANTINED_MAX);
    }
}
