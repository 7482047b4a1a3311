//! What is gathered is given back byte for byte, from memory or from disk.

use std::future::poll_fn;

use super::*;
use crate::model::digest::Sha256;

async fn drained(body: Body) -> Vec<u8> {
    let (mut body, mut whole) = (body.drain(), Vec::new());
    while let Some(piece) = poll_fn(|context| body.poll_next(context)).await {
        whole.extend_from_slice(&piece);
    }
    whole
}

fn gathered(folder: &Path, message: &[u8]) -> Result<Message, Flawed> {
    let mut gatherer = Gatherer::new(folder.into());
    for chunk in message.chunks(50_000) {
        gatherer.put(chunk);
    }
    assert_eq!(gatherer.bytes(), message.len());
    gatherer.take()
}

#[tokio::test]
async fn what_is_large_lies_in_a_file_without_a_name_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let small = br#"{"a":"b"}"#;
    let whole = gathered(folder.path(), small).unwrap();
    assert!(whole.rest.is_nothing() && whole.text == small[..]);
    let large = format!("{{\"a\":[\"{}\",1e400,\"{}\"]}}", "x\\n".repeat(500_000), "é".repeat(400_000));
    let whole = gathered(folder.path(), large.as_bytes()).unwrap();
    assert!(!whole.rest.is_nothing() && whole.text.len() < 200, "{}", whole.text.len());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing to find");
    let body = Body::whole(whole.text.clone(), &whole.rest);
    assert_eq!(body.bytes(), large.len() as u64);
    assert!(body.held_bytes() < 200);
    let (digest, bytes) = body.clone().digest().await.unwrap();
    assert_eq!((digest, bytes), (Sha256::of(large.as_bytes()), large.len() as u64));
    assert_eq!(drained(body).await, large.as_bytes());
}

#[test]
fn a_large_message_that_cannot_be_used_says_so_at_its_end_and_the_next_one_works() {
    let folder = tempfile::tempdir().unwrap();
    let mut gatherer = Gatherer::new(folder.path().into());
    gatherer.put(b"{\"jsonrpc\":\"2.0\",\"id\":7,\"x\":\"");
    gatherer.put("x".repeat(2 * RESULT_BUFFER_BYTES).as_bytes());
    gatherer.put(b"\n\"}");
    let flawed = gatherer.take().unwrap_err();
    assert!(matches!(flawed.flaw, Flaw::Fault(Fault::Control)));
    assert!(flawed.head.starts_with(b"{\"jsonrpc\""));
    gatherer.put(b"{}");
    assert_eq!(gatherer.take().unwrap().text, "{}");
    let mut nowhere = Gatherer::new(folder.path().join("gone").into());
    nowhere.put("x".repeat(RESULT_BUFFER_BYTES + 1).as_bytes());
    assert!(matches!(nowhere.take().unwrap_err().flaw, Flaw::Disk(_)));
}
