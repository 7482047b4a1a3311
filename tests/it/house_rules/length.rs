//! How long a file and a function may be.
//!
//! A file longer than a reader holds in mind is two; the same goes for a function.

use proc_macro2::Span;
use syn::visit::{self, Visit};

use super::assert_finds;
use super::tree::File;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

pub fn file(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    if lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    vec![file.at(1, format_args!("{lines} lines; at most {FILE_LINES_MAX} in a file: move a part out"))]
}

pub fn functions(file: &File) -> Vec<String> {
    let mut search = Search { file, findings: Vec::new() };
    search.visit_file(&file.syntax());
    search.findings
}

struct Search<'a> {
    file: &'a File,
    findings: Vec<String>,
}

impl Search<'_> {
    fn measure(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let line = |span: Span| span.start().line;
        let first = line(signature.fn_token.span);
        let lines = line(block.brace_token.span.close()) - first + 1;
        if lines > FUNCTION_LINES_MAX {
            let name = &signature.ident;
            let what = format!("`{name}` has {lines} lines; at most {FUNCTION_LINES_MAX} in a function");
            self.findings.push(self.file.at(first, what));
        }
    }
}

impl<'ast> Visit<'ast> for Search<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.measure(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[test]
fn a_long_file_is_found() {
    assert!(file(&File::new("src/a.rs", &"\n".repeat(FILE_LINES_MAX))).is_empty());
    assert_finds(file, "src/a.rs", &"\n".repeat(FILE_LINES_MAX + 1), "501 lines");
}

#[test]
fn a_long_function_is_found_wherever_it_stands() {
    let body = |lines: usize| format!("fn long() {{{}}}", "\n".repeat(lines - 1));
    assert!(functions(&File::new("src/a.rs", &body(FUNCTION_LINES_MAX))).is_empty());
    for (before, after) in
        [("", ""), ("impl A { ", "}"), ("trait A { ", "}"), ("mod a { ", "}"), ("fn f() { ", "}")]
    {
        let text = format!("{before}{}{after}", body(FUNCTION_LINES_MAX + 1));
        let found = functions(&File::new("src/a.rs", &text));
        assert!(found.iter().any(|finding| finding.contains("`long` has 71 lines")), "{before}");
    }
}
