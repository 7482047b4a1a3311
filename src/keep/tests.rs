//! What is kept, against what was asked for; and that nothing opens what was erased.

use super::*;
use crate::model::keep::{DigestOf, KEPT_BYTES_MAX, Pointer};

fn keep(parts: &[&str], hashed: &[&str], form: KeptForm) -> Keep {
    let pointer = |text: &&str| Pointer::new(text).unwrap();
    let part = |text: &&str| KeptPart { pointer: pointer(text), bytes_max: KEPT_BYTES_MAX };
    Keep {
        digest: DigestOf::Recorded,
        parts: parts.iter().map(part).collect(),
        hashed: hashed.iter().map(pointer).collect(),
        form,
    }
}

fn subject(name: &str) -> Subject {
    Subject::new(name).unwrap()
}

const ARGUMENTS: &[u8] = br#"{"to":["ann@example.com","b\u006fb@example.com"],"n":1.50,"a/b":{"":null}}"#;

#[tokio::test]
async fn parts_are_kept_as_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(dir.path()).unwrap();
    let asked = keep(&["/to/1", "/n", "/a~1b/", "/none", "/to/-", "/to/01", "/n/x"], &[], KeptForm::Plain);
    let kept = keeper.keep(&asked, &subject("user:1"), &Bytes::from_static(ARGUMENTS)).await.unwrap();
    let all: Vec<_> = kept.values.iter().map(|part| (part.pointer.as_str(), part.value.clone())).collect();
    let json = |text: &str| KeptText::Json(text.to_owned());
    let whole =
        [("/to/1", json(r#""b\u006fb@example.com""#)), ("/n", json("1.50")), ("/a~1b/", json("null"))];
    assert_eq!(all, whole);
    assert!(kept.key.is_none() && kept.hash_key.is_none());
    assert!(std::fs::read_dir(dir.path().join("kept-keys")).unwrap().next().is_none());
}

#[tokio::test]
async fn what_is_long_is_cut_between_characters_and_says_how_long_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(dir.path()).unwrap();
    let long = format!(r#"{{"x":"{}"}}"#, "é".repeat(KEPT_BYTES_MAX));
    let asked = keep(&["/x"], &[], KeptForm::Plain);
    let kept = keeper.keep(&asked, &subject("user:1"), &long.into()).await.unwrap();
    let [part] = kept.values.as_slice() else { panic!("{kept:?}") };
    let KeptText::Json(text) = &part.value else { panic!("{kept:?}") };
    assert_eq!(text.len(), KEPT_BYTES_MAX - 1);
    assert_eq!(part.whole_bytes, Some(2 * KEPT_BYTES_MAX as u64 + 2));
}

#[tokio::test]
async fn a_hash_is_that_of_the_value_however_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(dir.path()).unwrap();
    let asked = keep(&[], &["/to/1", "/a~1b", "/none"], KeptForm::Sealed);
    let kept = keeper.keep(&asked, &subject("user:1"), &Bytes::from_static(ARGUMENTS)).await.unwrap();
    let key = HashKey::open(dir.path()).unwrap().unwrap();
    let hashes: Vec<_> = kept.hashes.iter().map(|(pointer, hash)| (pointer.as_str(), *hash)).collect();
    let bob = key.hash(&Bytes::from_static(b"\"bob@example.com\""));
    assert_eq!(
        hashes,
        [("/to/1", bob.hmac_sha256), ("/a~1b", key.of_json(&Bytes::from_static(b"{ \"\": null }")))]
    );
    assert_eq!(kept.hash_key.as_deref(), Some(bob.hash_key.as_str()));
    // Another gateway has another key.
    let other = tempfile::tempdir().unwrap();
    Keeper::open(other.path()).unwrap();
    let other =
        HashKey::open(other.path()).unwrap().unwrap().hash(&Bytes::from_static(b"\"bob@example.com\""));
    assert_ne!(other.hmac_sha256, bob.hmac_sha256);
    assert_ne!(other.hash_key, bob.hash_key);
}

#[tokio::test]
async fn what_is_sealed_opens_until_its_subject_is_erased_and_nobody_elses_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(dir.path()).unwrap();
    let asked = keep(&["/to/0"], &[], KeptForm::Sealed);
    let (ann, bob) = (subject("user:ann"), subject("user:../../bob"));
    let arguments = Bytes::from_static(ARGUMENTS);
    let open_it = |whose: &Subject, kept: &Kept| {
        let [part] = kept.values.as_slice() else { panic!("{kept:?}") };
        let KeptText::Sealed(sealed) = &part.value else { panic!("{kept:?}") };
        open(dir.path(), whose, kept.key.as_deref().unwrap(), &part.pointer, sealed).unwrap()
    };
    let anns = keeper.keep(&asked, &ann, &arguments).await.unwrap();
    let bobs = keeper.keep(&asked, &bob, &arguments).await.unwrap();
    assert_ne!(anns.values, keeper.keep(&asked, &ann, &arguments).await.unwrap().values);
    let value = Opened::Json("\"ann@example.com\"".to_owned());
    assert_eq!((open_it(&ann, &anns), open_it(&bob, &bobs)), (value.clone(), value.clone()));
    // Another's key, another part, another text: none of them opens.
    assert_eq!(open_it(&bob, &anns), Opened::Erased);
    let [part] = anns.values.as_slice() else { panic!() };
    let KeptText::Sealed(sealed) = &part.value else { panic!() };
    let (key, other) = (anns.key.as_deref().unwrap(), Pointer::new("/to/1").unwrap());
    for (pointer, sealed) in [(&other, sealed.as_str()), (&part.pointer, "AAAA"), (&part.pointer, "?")] {
        assert_eq!(open(dir.path(), &ann, key, pointer, sealed).unwrap(), Opened::Damaged);
    }
    assert_eq!(keeper.erase(&ann).await.unwrap(), ErasedKey::Destroyed);
    assert_eq!(keeper.erase(&ann).await.unwrap(), ErasedKey::None);
    assert_eq!((open_it(&ann, &anns), open_it(&bob, &bobs)), (Opened::Erased, value.clone()));
    // What comes later is kept under a new key, also after a restart.
    let later = keeper.keep(&asked, &ann, &arguments).await.unwrap();
    let restarted = Keeper::open(dir.path()).unwrap().keep(&asked, &ann, &arguments).await.unwrap();
    assert_eq!(later.key, restarted.key);
    assert_eq!((open_it(&ann, &anns), open_it(&ann, &later)), (Opened::Erased, value));
}

#[tokio::test]
async fn without_a_usable_key_nothing_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(dir.path()).unwrap();
    std::fs::remove_dir(dir.path().join("kept-keys")).unwrap();
    let asked = keep(&["/n"], &[], KeptForm::Sealed);
    let refused = keeper.keep(&asked, &subject("user:1"), &Bytes::from_static(ARGUMENTS)).await;
    assert!(matches!(refused, Err(KeepError::Key(_))), "{refused:?}");
    std::fs::write(dir.path().join("kept-hash-key"), "nonsense").unwrap();
    assert!(matches!(HashKey::open(dir.path()), Err(KeyFileError::Open(_) | KeyFileError::Malformed(_))));
}
