//! The kept corpus of the fuzzers, run through the very functions that the fuzz targets call.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/bodies/forward.rs"]
mod forward;
#[path = "../../fuzz/bodies/frames.rs"]
mod frames;
#[path = "../../fuzz/bodies/parse.rs"]
mod parse;
#[path = "../../fuzz/bodies/result.rs"]
mod result;

type Body = fn(&[u8]);

/// Every target: one without a corpus, or a corpus without a target, is a mistake.
const TARGETS: &[(&str, Body)] =
    &[("forward", forward::run), ("frames", frames::run), ("parse", parse::run), ("result", result::run)];

#[test]
fn every_target_stands_what_its_corpus_holds() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    assert_eq!(names(&fuzz.join("corpus")), TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let targets: Vec<String> = TARGETS.iter().map(|(name, _)| format!("{name}.rs")).collect();
    assert_eq!(names(&fuzz.join("fuzz_targets")), targets);
    for (name, run) in TARGETS {
        let corpus = fuzz.join("corpus").join(name);
        let files = names(&corpus);
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in files {
            let data = fs::read(corpus.join(&file)).expect("a readable file");
            let outcome = std::panic::catch_unwind(|| run(&data));
            assert!(outcome.is_ok(), "{name}/{file}");
        }
    }
}

/// The corpus says something: of each kind of answer that the parse gives, one file at least.
#[test]
fn the_corpus_of_the_parse_meets_every_kind_of_answer() {
    use sluicegate::model::reason::Reason;
    use sluicegate::wire::{ScanLimits, parse};

    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/parse");
    let limits = ScanLimits { depth_max: 16, members_max: 256 };
    let answers: Vec<Option<Reason>> = names(&corpus)
        .iter()
        .map(|file| fs::read(corpus.join(file)).expect("a readable file"))
        .map(|body| parse(body.into(), &limits).err().map(|malformed| malformed.reason))
        .collect();
    for answer in [
        None,
        Some(Reason::JsonInvalid),
        Some(Reason::JsonDuplicateKey),
        Some(Reason::JsonTooDeep),
        Some(Reason::KeyConfusable),
        Some(Reason::BatchForbidden),
        Some(Reason::EnvelopeInvalid),
        Some(Reason::IdInvalid),
        Some(Reason::ParamsInvalid),
    ] {
        assert!(answers.contains(&answer), "no file of the corpus is answered with {answer:?}");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name in UTF-8"))
        .collect();
    names.sort();
    names
}
