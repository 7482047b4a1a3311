//! Words that may stand nowhere, and the words that every module begins with.
//!
//! The banned words are written in two halves here, so that this file may be searched too.

use super::assert_finds;
use super::tree::File;

/// A text, and what to do instead.
type Ban = (&'static str, &'static str);

const ANYWHERE: &[Ban] = &[
    (concat!("TO", "DO"), "finish it, or open an issue"),
    (concat!("FIX", "ME"), "fix it, or open an issue"),
    (concat!("XX", "X"), "say what is wrong in a sentence, or fix it"),
    (concat!("/wo", "rk/"), "a path of one machine; say it relative to the repository"),
    (concat!("/ro", "ot/"), "a path of one machine; say it relative to the repository"),
    (concat!("/ho", "me/"), "a path of one machine; say it relative to the repository"),
];

const RUST: &[Ban] = &[
    (
        concat!("#[ig", "nore"),
        "a test that does not run proves nothing; make it fast or a named long command",
    ),
    (concat!("unbounded", "_channel"), "every queue has a named limit (I11): use `channel(LIMIT)`"),
    (concat!("unbounded", "::<"), "every queue has a named limit (I11)"),
    (concat!("Unbounded", "Sender"), "every queue has a named limit (I11)"),
    (concat!("Unbounded", "Receiver"), "every queue has a named limit (I11)"),
    (concat!("std::sync::mpsc::", "channel"), "every queue has a named limit (I11): use `sync_channel`"),
    (concat!("thread::", "sleep"), "wait on the event, not on time"),
];

/// Files that others wrote or that a program wrote.
const FOREIGN: &[&str] = &["Cargo.lock", "LICENSE", "package-lock.json"];

pub fn anywhere(file: &File) -> Vec<String> {
    let foreign = file.path.rsplit('/').next().is_some_and(|name| FOREIGN.contains(&name));
    let data = file.path.starts_with("tests/cases/") || file.path.starts_with("fuzz/corpus/");
    if foreign || data { Vec::new() } else { search(file, ANYWHERE) }
}

pub fn in_rust(file: &File) -> Vec<String> {
    let mut findings = search(file, RUST);
    let sleeps = concat!("time::", "sleep(");
    let in_tests = file.path.starts_with("tests/") || (file.path.starts_with("src/") && !file.is_product());
    let paused = ["start_paused", "time::pause("].iter().any(|pause| file.text.contains(pause));
    if in_tests && !paused {
        findings.extend(search(file, &[(sleeps, "a test waits on an event, or pauses tokio's time")]));
    }
    findings
}

fn search(file: &File, bans: &[Ban]) -> Vec<String> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for (word, instead) in bans {
            let around =
                |at| (line.get(..at).unwrap_or_default(), line.get(at + word.len()..).unwrap_or_default());
            let alone = |at| matches!(around(at), (before, after) if stands_alone(before, word, after));
            if line.match_indices(word).any(|(at, _)| alone(at)) {
                findings.push(file.at(index + 1, format_args!("`{word}` is banned: {instead}")));
            }
        }
    }
    findings
}

/// Whether `word` stands between `before` and `after` by itself and is not the middle of a longer one, as in
/// a template of `mktemp` or the path of a URL.
fn stands_alone(before: &str, word: &str, after: &str) -> bool {
    let path = word.starts_with('/');
    let joins = |c: char| c.is_alphanumeric() || c == '_' || (path && matches!(c, '.' | '-' | '}'));
    let joined_before = before.chars().next_back().is_some_and(joins);
    let joined_after = word.ends_with(char::is_alphabetic) && after.starts_with(char::is_alphanumeric);
    !joined_before && !joined_after
}

pub fn module_doc(file: &File) -> Vec<String> {
    let first = file.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if first.starts_with("//! ") {
        return Vec::new();
    }
    vec![file.at(1, "a module begins with `//!`: what it is for, what it must never do, what it trusts")]
}

#[test]
fn a_banned_word_is_found() {
    for (word, _) in ANYWHERE {
        assert_finds(anywhere, "docs/a.md", &format!("fine\nsee {word}abc?").replace("abc", ""), word);
    }
    for (word, _) in RUST.iter().filter(|(word, _)| !word.ends_with("channel")) {
        assert_finds(in_rust, "src/a.rs", &format!("fn f() {{ {word}"), word);
    }
    assert_finds(in_rust, "tests/it/a.rs", concat!("tokio::time::", "sleep(second)"), "pauses");
}

#[test]
fn a_longer_word_is_not_the_banned_one() {
    for text in
        [concat!("mktemp -t XX", "XXXX"), concat!("https://a.example/ho", "me/x"), concat!("TO", "DOS")]
    {
        assert!(anywhere(&File::new("docs/a.md", text)).is_empty(), "{text}");
    }
    let paused = concat!("#[tokio::test(start_paused = true)] tokio::time::", "sleep(second)");
    assert!(in_rust(&File::new("tests/it/a.rs", paused)).is_empty());
}

#[test]
fn a_module_without_its_purpose_is_found() {
    assert_finds(module_doc, "src/a.rs", "use std::fs;\n//! Late.", "begins with");
    assert_finds(module_doc, "src/a.rs", "//!\n", "begins with");
    assert!(module_doc(&File::new("src/a.rs", "\n//! What it is for.")).is_empty());
}
