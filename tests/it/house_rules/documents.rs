//! Documents that may not drift from the code: every reason, every limit, every default.
//!
//! `docs/REASONS.md` and `docs/LIMITS.md` are generated from the code and compared. Where they differ,
//! `UPDATE_DOCS=1` in the environment of the test writes them anew, for the author to read in the diff.

use std::fmt::Write as _;

use sluicegate::model::reason::{Reason, Retry};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::{assert_none, tree, tree::File};

#[test]
fn docs_reasons_md_lists_every_reason() {
    let catalogue = std::fs::read_to_string(tree::root().join("src/model/reason.rs")).unwrap();
    assert_current("docs/REASONS.md", &reasons(&catalogue));
}

#[test]
fn docs_limits_md_lists_every_fixed_limit() {
    let mut limits: Vec<_> = constants().into_iter().filter(|constant| is_limit(&constant.name)).collect();
    limits.sort_by(|a, b| (&a.path, &a.name).cmp(&(&b.path, &b.name)));
    let mut text = String::from(
        "# Fixed limits\n\nEvery bound that is not a setting (invariant I11). Generated from the code: a test \
         compares it. Settings and their defaults stand in [CONFIGURATION.md](CONFIGURATION.md).\n\n\
         | limit | value | what it bounds | where |\n|---|---|---|---|\n",
    );
    for Constant { name, value, doc, path, .. } in limits {
        let _ = writeln!(text, "| `{name}` | `{value}` | {} | `{path}` |", cell(&doc));
    }
    assert_current("docs/LIMITS.md", &text);
}

#[test]
fn docs_configuration_md_names_every_default() {
    let text = std::fs::read_to_string(tree::root().join("docs/CONFIGURATION.md")).unwrap_or_default();
    assert_none(&constants().iter().filter_map(|constant| undocumented(constant, &text)).collect::<Vec<_>>());
}

#[test]
fn docs_architecture_md_names_a_test_that_exists_for_each_invariant() {
    let text = std::fs::read_to_string(tree::root().join("docs/ARCHITECTURE.md")).unwrap();
    let code: String = tree::files().into_iter().filter(File::is_rust).map(|file| file.text).collect();
    for number in 1..=INVARIANTS {
        let row = text.lines().find(|line| line.starts_with(&format!("| I{number} |")));
        let row = row.unwrap_or_else(|| panic!("docs/ARCHITECTURE.md has no row for I{number}"));
        let named: Vec<_> = row.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test holds I{number}");
        for test in named {
            assert!(code.contains(&format!("fn {test}(")), "docs/ARCHITECTURE.md: there is no test `{test}`");
        }
    }
}

/// The invariants of the design.
const INVARIANTS: u32 = 12;

/// Compares a generated document with what stands in the repository.
#[track_caller]
fn assert_current(path: &str, text: &str) {
    let place = tree::root().join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&place, text).unwrap();
    }
    let stands = std::fs::read_to_string(&place).unwrap_or_default();
    let differs = stands.lines().zip(text.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or(stands.lines().count().min(text.lines().count())) + 1;
    let help = "run the tests with UPDATE_DOCS=1 and read the diff";
    assert!(stands == text, "{path}:{line} is not what the code says; {help}");
}

/// The catalogue of reasons as a document: its headings, and a row for each reason.
fn reasons(catalogue: &str) -> String {
    let mut out = String::from(
        "# Reason codes\n\nOne stable word for why something was decided, or went as it did. The same word \
         stands in the answer to the caller, in the journal, in metrics and here. Generated from the code: a \
         test compares it.\n\n\"Later\" means that the same call can succeed without anyone changing anything.\n",
    );
    let mut waiting = String::new();
    let body = catalogue.split_once("\nreasons! {").map_or("", |(_, body)| body);
    let mut reasons = Reason::ALL.iter();
    for line in body.lines().take_while(|line| *line != "}").map(str::trim) {
        if let Some(doc) = line.strip_prefix("/// ") {
            let _ = write!(waiting, "{}{doc}", if waiting.is_empty() { "" } else { " " });
        } else if let Some(heading) = line.strip_prefix("// ") {
            let _ = write!(out, "\n## {}\n\n", heading.trim_end_matches('.'));
            out.push_str("| code | meaning | same call again | what the caller reads |\n|---|---|---|---|\n");
        } else if !line.is_empty() && !line.ends_with('{') && line != "}" {
            let reason = reasons.next().expect("a line of the catalogue for each reason");
            assert!(line.contains(&format!("\"{}\"", reason.code())), "`{line}` is not {reason}");
            let retry = match reason.retry() {
                Retry::Never => "never",
                Retry::Later => "later",
            };
            let (meaning, sentence) = (cell(&std::mem::take(&mut waiting)), cell(reason.sentence()));
            let _ = writeln!(out, "| `{reason}` | {meaning} | {retry} | {sentence} |");
        }
    }
    assert_eq!(reasons.next(), None, "a reason has no line in the catalogue");
    out
}

fn cell(text: &str) -> String {
    text.trim().replace('|', "\\|")
}

/// A constant of the product.
struct Constant {
    path: String,
    line: usize,
    name: String,
    value: String,
    doc: String,
    exported: bool,
}

fn constants() -> Vec<Constant> {
    tree::files().iter().filter(|file| file.is_rust() && file.is_product()).flat_map(constants_of).collect()
}

fn constants_of(file: &File) -> Vec<Constant> {
    struct Search<'a>(&'a File, Vec<Constant>);
    impl<'ast> Visit<'ast> for Search<'_> {
        fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
            let value = item.expr.span().source_text().unwrap_or_default();
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            let (line, name) = (item.ident.span().start().line, item.ident.to_string());
            let (path, doc) = (self.0.path.clone(), doc(&item.attrs));
            let exported = matches!(item.vis, syn::Visibility::Public(_));
            self.1.push(Constant { path, line, name, value, doc, exported });
        }

        fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
            if module.ident != "tests" {
                visit::visit_item_mod(self, module);
            }
        }
    }
    let mut search = Search(file, Vec::new());
    search.visit_file(&file.syntax());
    search.1
}

fn doc(attributes: &[syn::Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => {
                Some(text.value().trim().to_owned())
            }
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join(" ")
}

fn is_limit(name: &str) -> bool {
    ["_MAX", "_MIN", "_LIMIT"].iter().any(|end| name.ends_with(end))
}

/// Why a default is not documented: its own comment names its key, and the document names that key.
fn undocumented(constant: &Constant, document: &str) -> Option<String> {
    let Constant { path, line, name, doc, .. } = constant;
    if !name.ends_with("_DEFAULT") || !constant.exported {
        return None;
    }
    let Some(key) = doc.split('`').nth(1) else {
        return Some(format!(
            "{path}:{line}: the comment of `{name}` does not name its key, as in `limits.body_max`"
        ));
    };
    let last = key.rsplit('.').next().unwrap_or(key);
    let named = [format!("`{key}`"), format!("`{last}`"), format!("{last} =")];
    if named.iter().any(|text| document.contains(text)) {
        return None;
    }
    Some(format!("{path}:{line}: docs/CONFIGURATION.md does not name `{key}`, whose default is `{name}`"))
}

#[test]
fn an_undocumented_default_is_found() {
    let found = |text: &str, document: &str| -> Vec<String> {
        let constants = constants_of(&File::new("src/a/settings.rs", text));
        constants.iter().filter_map(|constant| undocumented(constant, document)).collect()
    };
    let text = "/// `limits.body_max` where\n/// the file is silent.\npub const BODY_MAX_DEFAULT: usize = 4;";
    assert_eq!(found(text, "`limits.body_max`: bytes"), Vec::<String>::new());
    assert_eq!(found(text, "[limits]\nbody_max = 4"), Vec::<String>::new());
    assert!(found(text, "body_timeout").concat().contains("does not name `limits.body_max`"));
    assert!(found("pub const BODY_DEFAULT: usize = 4;", "").concat().contains("does not name its key"));
}

#[test]
#[should_panic(expected = "docs/REASONS.md:1 is not what the code says")]
fn a_document_that_drifted_is_found() {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        panic!("docs/REASONS.md:1 is not what the code says, and this test must not write it");
    }
    assert_current("docs/REASONS.md", "something else");
}
