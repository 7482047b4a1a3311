//! The rules of the house as tests: who may import whom, how long things may be, what stands nowhere.
//!
//! A rule is a function from a file to findings, each of which says where, what and what to do instead.
//! Beside the test that the repository has none stands one that the rule finds a planted breach: a rule
//! that cannot fail is no rule.

mod attributes;
mod documents;
mod imports;
mod length;
mod names;
mod tree;
mod words;

use tree::File;

/// Applies `rule` to every Rust file of the repository.
fn rust(rule: impl Fn(&File) -> Vec<String>) -> Vec<String> {
    tree::files().iter().filter(|file| file.is_rust()).flat_map(rule).collect()
}

#[track_caller]
fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "{} findings:\n{}\n", findings.len(), findings.join("\n"));
}

/// Asserts that `rule` has exactly one finding in `text` as the file `path`, and that it holds `part`.
#[track_caller]
fn assert_finds(rule: impl Fn(&File) -> Vec<String>, path: &str, text: &str, part: &str) {
    let findings = rule(&File::new(path, text));
    assert_eq!(findings.len(), 1, "{text}\n{findings:#?}");
    assert!(findings[0].contains(part), "`{part}` is not in: {}", findings[0]);
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    assert_none(&rust(imports::rooms));
}

#[test]
fn crates_stay_in_their_rooms() {
    assert_none(&rust(imports::crates));
}

#[test]
fn every_room_stands_in_the_import_table() {
    assert_none(&rust(imports::table));
}

#[test]
fn every_file_is_part_of_the_build() {
    assert_none(&tree::dead(&tree::files()));
}

#[test]
fn files_and_functions_are_short() {
    assert_none(&rust(length::file));
    assert_none(&rust(length::functions));
}

#[test]
fn every_module_says_what_it_is_for() {
    assert_none(&rust(words::module_doc));
}

#[test]
fn names_say_what_is_in_them() {
    assert_none(&rust(names::check));
}

#[test]
fn banned_words_stand_nowhere() {
    assert_none(&tree::files().iter().flat_map(words::anywhere).collect::<Vec<_>>());
    assert_none(&rust(words::in_rust));
}

#[test]
fn exceptions_to_lints_have_reasons() {
    assert_none(&rust(attributes::exceptions));
}

#[test]
fn no_function_takes_a_bare_boolean() {
    assert_none(&rust(attributes::booleans));
}
