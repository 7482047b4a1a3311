//! Tables that a run writes into a document, each between the marks of its name.
//!
//! Must never write unless `UPDATE_DOCS` is set: without it, what the run says has to stand there already.

use std::path::Path;

/// Asserts that each of `tables`, by its name, is what stands in `document`; writes them there with `UPDATE_DOCS=1`.
#[track_caller]
pub fn holds(document: &str, tables: &[(&str, String)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let stands = std::fs::read_to_string(&path).unwrap();
    let mut said = stands.clone();
    for (name, table) in tables {
        let (begin, end) = (format!("<!-- generated: {name} -->\n"), format!("<!-- end: {name} -->"));
        let start = said.find(&begin).unwrap_or_else(|| panic!("{document} has no {begin}")) + begin.len();
        let stop = said.find(&end).unwrap_or_else(|| panic!("{document} has no {end}"));
        said.replace_range(start..stop, table);
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return std::fs::write(path, said).unwrap();
    }
    let tables: Vec<_> = tables.iter().map(|(_, table)| table.as_str()).collect();
    assert!(
        stands == said,
        "{document} is not what the run says: run it with UPDATE_DOCS=1\n{}",
        tables.join("\n")
    );
}
