//! Names of files and modules that say nothing.
//!
//! What two rooms share has a noun, and lives with it or in `model`.

use syn::visit::{self, Visit};

use super::assert_finds;
use super::tree::File;

const EMPTY: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "types"];

pub fn check(file: &File) -> Vec<String> {
    let mut search = Search { file, findings: Vec::new() };
    let stem = file.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
    if stem == "mod" {
        search.findings.push(file.at(1, "a module is `room.rs` with `room/part.rs`, never `mod.rs`"));
    }
    search.name(1, stem);
    search.visit_file(&file.syntax());
    search.findings
}

struct Search<'a> {
    file: &'a File,
    findings: Vec<String>,
}

impl Search<'_> {
    fn name(&mut self, line: usize, name: &str) {
        if EMPTY.contains(&name) {
            let what = format!("`{name}` says nothing; name the noun that it serves");
            self.findings.push(self.file.at(line, what));
        }
    }
}

impl<'ast> Visit<'ast> for Search<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.content.is_some() {
            self.name(module.ident.span().start().line, &module.ident.to_string());
        }
        visit::visit_item_mod(self, module);
    }
}

#[test]
fn an_empty_name_is_found() {
    assert_finds(check, "src/audit/mod.rs", "", "never `mod.rs`");
    assert_finds(check, "src/audit/util.rs", "", "`util` says nothing");
    assert_finds(check, "src/audit.rs", "mod inner { mod helpers {} }", "`helpers` says nothing");
    assert!(check(&File::new("src/audit/chain.rs", "mod tests {}")).is_empty());
}
