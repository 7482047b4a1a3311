//! The signed trail as evidence: verified and proven elsewhere, with the public key alone, also by code that is not ours.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::audit::of_kind;
use crate::support::gateway::CHAT_KEY;
use crate::support::{Client, Site, check_audit};

/// What the second implementation (`tests/fixtures/check_proof.py`) says of `proof`.
fn checked(key: &str, proof: &str) -> Result<String, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/check_proof.py");
    let mut command = Command::new("python3");
    command.args([script, key]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(proof.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[tokio::test]
async fn a_record_is_proven_to_whoever_has_the_key_and_the_journal_to_whoever_kept_a_checkpoint() {
    let site = Site::with_oracle("");
    let mut kept = Vec::new();
    for round in 0..2 {
        let gateway = site.start();
        let chat = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
        for number in 0..5 {
            assert_eq!(chat.call("tools__read", &format!("{round}-{number}")).await.reason(), "ok");
        }
        assert!(gateway.stop().success());
        let (code, note, _) = site.run(&["audit", "checkpoint"]);
        assert_eq!(code, 0);
        let file = format!("kept-{round}.note");
        std::fs::write(site.path(&file), note).unwrap();
        kept.push(file);
    }
    let (code, key, _) = site.run(&["audit", "key"]);
    assert!(code == 0 && key.starts_with("sluicegate.journal/"), "{key}");
    let key = key.trim();

    // Each record, and the first checkpoint as the beginning of the second.
    for intent in of_kind(&site, "intent").iter().step_by(3) {
        let seq = intent["seq"].as_u64().unwrap().to_string();
        let (code, proof, said) = site.run(&["audit", "prove", &seq]);
        assert_eq!(code, 0, "{said}");
        assert_eq!(checked(key, &proof), Ok(format!("ok {seq}")));
        let mut forged: Value = serde_json::from_str(&proof).unwrap();
        forged["line"] = forged["line"].as_str().unwrap().replace("tools.read", "tools.send").into();
        assert!(checked(key, &forged.to_string()).unwrap_err().contains("not in the tree"));
        let mut forged: Value = serde_json::from_str(&proof).unwrap();
        forged["checkpoint"] = forged["checkpoint"].as_str().unwrap().replacen('\n', "\n1", 1).into();
        assert!(checked(key, &forged.to_string()).unwrap_err().contains("forged"));
    }
    let (code, proof, said) = site.run(&["audit", "prove", "--from", &kept[0], "--to", &kept[1]]);
    assert_eq!(code, 0, "{said}");
    assert!(checked(key, &proof).unwrap().starts_with("ok "), "{proof}");

    // Offline, in another place, with the public key alone.
    let elsewhere = tempfile::tempdir().unwrap();
    let journal = elsewhere.path().join("journal");
    std::fs::create_dir(&journal).unwrap();
    std::fs::set_permissions(&journal, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    for entry in std::fs::read_dir(site.path("state").join("journal")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, journal.join(path.file_name().unwrap())).unwrap();
    }
    let place = elsewhere.path().to_str().unwrap();
    let verify =
        |more: &[&str]| site.run(&[&["audit", "verify", "--state-dir", place, "--key", key], more].concat());
    let (code, said, _) = verify(&["--checkpoint", &kept[0], "--checkpoint", &kept[1]]);
    assert!(code == 0 && said.contains("2 checkpoints: what is signed reaches up to record "), "{said}");
    // Cut back to before the last start: whole by itself, and not to whoever kept a checkpoint.
    let mut segments: Vec<_> =
        std::fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    segments.sort();
    std::fs::remove_file(segments.last().unwrap()).unwrap();
    for path in &segments[..segments.len() - 1] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    let (code, said, _) = verify(&["--checkpoint", &kept[0]]);
    assert_eq!(code, 0, "{said}");
    let (code, said, _) = verify(&["--checkpoint", &kept[1]]);
    assert!(code == 1 && said.contains("does not go on from the checkpoint that was kept"), "{said}");
    check_audit(&site);
}
