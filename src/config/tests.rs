//! Whole configurations: what each bad one is told, and what each good one means.
//!
//! The cases are files in `tests/cases/config`; what is expected stands beside each. With
//! `UPDATE_SNAPSHOTS=1` in the environment it is written anew, for the author to read in the diff.

mod schema;
mod tls;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A machine on which nothing is installed but a shell.
fn machine() -> Machine {
    let env = [
        ("PATH", "/usr/bin:/bin"),
        ("SLUICEGATE_TEST_EMPTY", ""),
        ("SLUICEGATE_TEST_TOKEN", "a-secret-of-the-test"),
        ("SLUICEGATE_TEST_HASH", "sha256:0000000000000000000000000000000000000000000000000000000000000002"),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Machine { env, program: None, uid: 1000, system: system(), sinks: sink::HEAVY_TYPES.to_vec() }
}

/// A system with two users, whose gateway may become neither.
fn system() -> System {
    let user = |name: &str, id| upstream::Account {
        name: name.to_owned(),
        uid: id,
        gid: id,
        home: PathBuf::from("/nonexistent"),
    };
    System {
        clock: crate::clock::Clock::manual("2026-06-01T00:00:00Z".parse().unwrap()),
        users: vec![user("gateway", 1000), user("mail-mcp", 1001)],
        switching: Switching::Forbidden("this is a test"),
    }
}

/// Compares what each case of a folder says with the file beside it.
fn check_cases(folder: &str, say: impl Fn(&Path) -> String) {
    let dir = root().join("tests/cases/config").join(folder);
    // Git keeps no modes but the executable one.
    let modes =
        [("open.secret", 0o644), ("group.secret", 0o640), ("empty.secret", 0o600), ("keys.jwks.json", 0o666)];
    for (name, mode) in modes {
        let path = dir.join("parts").join(name);
        if path.exists() {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    cases.sort();
    assert!(cases.len() > 1, "there are cases");
    let mut drifted = Vec::new();
    for case in cases {
        let said = say(&case)
            .replace(&format!("{}/", dir.display()), "")
            .replace(&format!("{}", dir.display()), ".");
        assert!(!said.contains("a-secret-of-the-test"), "I10: {said}");
        let expected = case.with_extension("txt");
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(&expected, &said).unwrap();
        }
        if std::fs::read_to_string(&expected).unwrap_or_default() != said {
            drifted.push(format!("{}:\n{said}", expected.display()));
        }
    }
    assert!(drifted.is_empty(), "run with UPDATE_SNAPSHOTS=1 and read the diff:\n{}", drifted.join("\n"));
}

#[test]
fn every_bad_configuration_is_told_all_that_is_wrong() {
    check_cases("bad", |case| match load_on(case, &machine()) {
        Ok(config) => panic!("{} was loaded: {config:?}", case.display()),
        Err(problems) => problems.to_string(),
    });
}

#[test]
fn every_good_configuration_means_what_it_says() {
    check_cases("good", |case| match load_on(case, &machine()) {
        Ok(mut config) => {
            // They stand before the rest, as a person reads them.
            let warnings = std::mem::take(&mut config.warnings);
            format!("{warnings}{config:#?}\n")
        }
        Err(problems) => panic!("{problems}"),
    });
}

#[test]
fn every_code_is_seen_in_a_case_and_documented() {
    let document = std::fs::read_to_string(root().join("docs/CONFIGURATION.md")).unwrap();
    let mut said = String::new();
    for folder in ["bad", "good"] {
        for entry in std::fs::read_dir(root().join("tests/cases/config").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "txt") {
                said.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    // These need a file or a folder that no repository can hold, or a gateway that runs; tests of their
    // own see them.
    let elsewhere = [
        Code::FileTooLarge,
        Code::BadStateDir,
        Code::KeyFileOpen,
        Code::CertificateExpires,
        Code::CwdShut,
        Code::RestartNeeded,
        Code::FeatureMissing,
        Code::CannotListen,
        Code::CannotLaunch,
    ];
    for code in Code::ALL {
        let word = code.word();
        assert!(document.contains(&format!("| `{word}` |")), "docs/CONFIGURATION.md has no row for `{word}`");
        assert!(elsewhere.contains(code) || said.contains(&format!("[{word}]")), "no case says `{word}`");
        assert_eq!(serde_json::to_value(code).unwrap(), word, "one word for one code");
    }
}

#[test]
fn the_example_of_the_repository_loads_without_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateway.toml");
    std::fs::copy(root().join("gateway.toml"), &path).unwrap();
    let program = PathBuf::from("/usr/bin/env");
    let machine = Machine { env: BTreeMap::new(), program: Some(program), ..machine() };
    let config = load_on(&path, &machine).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.warnings.count(Severity::Warning), 0, "{}", config.warnings);
    assert_eq!(config.state_dir, dir.path().join("state"));
    assert!(
        config
            .listeners
            .iter()
            .all(|listener| { !matches!(listener.vouches, identity::ListenerVouches::Everyone(_)) })
    );
}

fn load_text(text: &str) -> (tempfile::TempDir, Result<Config, Problems>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateway.toml");
    std::fs::write(&path, text).unwrap();
    let loaded = load_on(&path, &Machine { uid: Machine::this().uid, ..machine() });
    (dir, loaded)
}

fn codes(problems: &Problems) -> Vec<Code> {
    problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(|problem| problem.code)
        .collect()
}

const SMALL: &str = r#"
    [listen.main]
    address = "127.0.0.1:7400"
    insecure_local = true
    vouches = { source = "chat", subject = "user:1", roles = ["assistant"] }
    [upstreams.demo]
    command = ["sluicegate", "demo-upstream", "mail"]
    returns = "chat"
    [sources.chat]
    allow = ["*"]
    [roles.assistant]
    allow = ["*"]
"#;

#[test]
fn a_state_directory_that_others_may_enter_is_refused() {
    let (dir, loaded) = load_text(SMALL);
    let path = dir.path().join("gateway.toml");
    let state = loaded.unwrap().state_dir;
    std::fs::create_dir(&state).unwrap();
    let load = |mode, uid| {
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(mode)).unwrap();
        load_on(&path, &Machine { uid, ..machine() })
    };
    let own = Machine::this().uid;
    assert!(load(0o700, own).is_ok());
    assert_eq!(codes(&load(0o750, own).unwrap_err()), [Code::BadStateDir]);
    assert_eq!(codes(&load(0o700, own + 1).unwrap_err()), [Code::BadStateDir]);
    std::fs::remove_dir(&state).unwrap();
    std::fs::write(&state, "").unwrap();
    assert_eq!(codes(&load(0o600, own).unwrap_err()), [Code::BadStateDir]);
}

#[test]
fn a_file_beyond_the_limit_is_not_read() {
    let (_dir, loaded) = load_text(&format!("# {}", "x".repeat(1024 * 1024)));
    assert_eq!(codes(&loaded.unwrap_err()), [Code::FileTooLarge]);
}

#[test]
fn nothing_waits_for_a_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateway.toml");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
    assert_eq!(codes(&load_on(&path, &machine()).unwrap_err()), [Code::FileUnreadable]);
}

#[test]
fn the_program_sluicegate_is_the_running_binary() {
    let (dir, loaded) = load_text(SMALL);
    let command = |config: &Config| match &config.upstreams.first().unwrap().launch {
        upstream::Launch::Process { command, .. } => command.first().unwrap().clone(),
        upstream::Launch::Http { .. } => panic!("a process"),
    };
    assert_eq!(command(&loaded.unwrap()), "sluicegate", "looked up on PATH where this is another program");
    let program = Some(PathBuf::from("/opt/sluicegate"));
    let machine = Machine { program, uid: Machine::this().uid, ..machine() };
    let config = load_on(&dir.path().join("gateway.toml"), &machine).unwrap();
    assert_eq!(command(&config), "/opt/sluicegate");
}

/// Whatever this program was built with.
#[test]
fn sinks_of_kafka_and_nats_are_refused_where_the_program_was_built_without_them() {
    let sink = |kind: &str, more: &str| {
        format!(
            "{SMALL}\n[[audit.sinks]]\nname = \"a\"\ntype = {kind:?}\nurl = \"{kind}://127.0.0.1\"\n{more}\n"
        )
    };
    for (kind, more) in [("kafka", "topic = \"audit\""), ("nats", "subject = \"audit\"")] {
        let (dir, _) = load_text(&sink(kind, more));
        let load = |sinks| {
            let machine = Machine { uid: Machine::this().uid, sinks, ..machine() };
            load_on(&dir.path().join("gateway.toml"), &machine)
        };
        assert!(load(vec![kind]).is_ok());
        let problems = load(Vec::new()).unwrap_err();
        assert_eq!(codes(&problems), [Code::FeatureMissing]);
        assert!(problems.to_string().contains(&format!("--features {kind}`")), "{problems}");
    }
    assert_eq!(Machine::this().sinks.contains(&"kafka"), cfg!(feature = "kafka"));
    assert_eq!(Machine::this().sinks.contains(&"nats"), cfg!(feature = "nats"));
}

#[test]
fn the_digest_is_over_what_is_written_and_not_over_where() {
    let digest = |text: &str| load_text(text).1.unwrap().digest;
    assert_eq!(digest(SMALL), digest(SMALL));
    assert_ne!(digest(SMALL), digest(&format!("{SMALL}\n")));
}

#[test]
fn deep_or_wide_texts_are_refused_and_do_no_harm() {
    let nested = format!("a = {}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(load_text(&nested).1.is_err());
    let dotted = format!("{} = 1", vec!["a"; 10_000].join("."));
    assert!(load_text(&dotted).1.is_err());
    let wide: String = (0..2_000).map(|key| format!("k{key} = 1\n")).collect();
    assert_eq!(codes(&load_text(&wide).1.unwrap_err()).len(), 2_001);
}

#[test]
fn a_control_character_never_reaches_a_terminal() {
    let (_dir, loaded) = load_text("\"\\u001b[2J\" = 1\n");
    let said = loaded.unwrap_err().to_string();
    assert!(!said.contains('\u{1b}') && said.contains("\\u{1b}[2J"), "{said}");
}
