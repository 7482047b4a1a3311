//! What people are told, and how seldom.

use super::message::Message;
use super::spike::Spikes;
use super::*;

fn source(name: &str) -> SourceName {
    SourceName::new(name).unwrap()
}

#[test]
fn a_spike_is_told_of_once_in_its_time_and_for_each_source_alone() {
    let spikes = Spikes::of(Spike { count: 3, within: Duration::from_secs(10) });
    let told = |source_name: &str, seconds: &[u64]| -> Vec<bool> {
        let at = |second: &u64| spikes.add(&source(source_name), Duration::from_secs(*second));
        seconds.iter().map(at).collect()
    };
    assert_eq!(told("email", &[0, 1, 2, 3, 4]), [false, false, true, false, false]);
    assert_eq!(told("web", &[4, 5]), [false, false], "another source");
    // The window has passed since people were told, and three came within it.
    assert_eq!(told("email", &[10, 11, 12, 13]), [false, false, true, false]);
    assert_eq!(told("web", &[20, 30, 40]), [false; 3], "too slow");
}

#[test]
fn what_an_upstream_chose_is_bounded_marked_and_steers_nothing() {
    let name = format!("evil\u{1b}[2J\u{202e}\nSubject: x\n{}", "a".repeat(1000));
    let news = News::Definition { upstream: "mail".to_owned(), change: "quarantined", name };
    let message = Message::of(&news, jiff::Timestamp::UNIX_EPOCH).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&message.json).unwrap();
    let shown = json["data"]["untrusted"]["name"].as_str().unwrap();
    assert!(
        shown.starts_with("evil\\u{1b}[2J\\u{202e}\\u{a}Subject") && shown.len() <= UNTRUSTED_BYTES_MAX,
        "{shown}"
    );
    assert_eq!(json["type"], "definition.changed");
    assert!(message.text.contains("untrusted name: evil"), "{}", message.text);
    assert!(!message.text.contains('\u{1b}') && !message.text.contains("\nSubject"), "{}", message.text);
    assert_eq!(message.subject, "A definition of mail is quarantined");
    assert!(message.text.lines().all(|line| line.len() < 998));
}
