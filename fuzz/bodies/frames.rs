//! Any bytes in any pieces as lines and as server-sent events.
//!
//! Run by the fuzz target of the same name and, over the kept corpus, by the test suite. The first byte
//! says how large the pieces are.

use bytes::Bytes;
use sluicegate::wire::{Fault, line, sse};

const BYTES_MAX: usize = 64;

pub fn run(data: &[u8]) {
    let Some((first, stream)) = data.split_first() else { return };
    let piece = usize::from(*first % 16) + 1;
    assert_eq!(lines(stream, stream.len().max(1)), lines(stream, piece), "pieces make no difference");
    assert_eq!(events(stream, stream.len().max(1)), events(stream, piece), "pieces make no difference");
    round_trip(stream);
}

fn lines(stream: &[u8], piece: usize) -> Vec<Result<Bytes, Fault>> {
    let mut decoder = line::Decoder::new(BYTES_MAX);
    let mut found = Vec::new();
    for chunk in stream.chunks(piece) {
        decoder.push(chunk, |line| found.push(line));
        assert!(decoder.pending_bytes() <= BYTES_MAX);
    }
    found
}

fn events(stream: &[u8], piece: usize) -> (Vec<sse::Event>, Option<Bytes>, bool) {
    let mut decoder = sse::Decoder::new(BYTES_MAX);
    let mut found = Vec::new();
    for chunk in stream.chunks(piece) {
        let pushed = decoder.push(chunk, |event| found.push(event));
        assert!(decoder.pending_bytes() <= BYTES_MAX);
        if pushed.is_err() {
            return (found, decoder.last_id().cloned(), true);
        }
    }
    (found, decoder.last_id().cloned(), false)
}

/// What is encoded is one event, whatever it holds, and comes out as it went in but for its line ends.
fn round_trip(data: &[u8]) {
    let mut decoder = sse::Decoder::new(usize::MAX);
    let mut found = Vec::new();
    decoder.push(&sse::encode(None, data), |event| found.push(event)).expect("no limit");
    let text = data.iter().map(|byte| char::from(*byte)).collect::<String>();
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let expected: Vec<u8> = text.chars().map(|c| u32::from(c) as u8).collect();
    match found.as_slice() {
        [] => assert!(expected.is_empty()),
        [event] => assert_eq!(event.data, expected),
        more => panic!("{} events out of one", more.len()),
    }
}
