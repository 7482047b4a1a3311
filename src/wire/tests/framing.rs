//! Lines and server-sent events, whole and in pieces.

use bytes::Bytes;

use crate::wire::{Fault, line, sse};

/// What a decoder of lines hands out of `stream` in pieces of `piece` bytes.
fn lines(stream: &[u8], piece: usize, max: usize) -> Vec<Result<Bytes, Fault>> {
    let mut decoder = line::Decoder::new(max);
    let mut found = Vec::new();
    for chunk in stream.chunks(piece) {
        decoder.push(chunk, |line| found.push(line));
    }
    found
}

/// The data of the events in `stream` in pieces of `piece` bytes.
fn events(stream: &[u8], piece: usize) -> Vec<String> {
    let mut decoder = sse::Decoder::new(1 << 20);
    let mut found = Vec::new();
    for chunk in stream.chunks(piece) {
        let text = |event: sse::Event| found.push(String::from_utf8(event.data.to_vec()).unwrap());
        decoder.push(chunk, text).unwrap();
    }
    found
}

#[test]
fn f08_a_character_split_between_pieces_stays_whole() {
    let stream = "data: {\"t\":\"世界 😀\"}\n\n".as_bytes();
    let line = "{\"t\":\"世界 😀\"}\n".as_bytes();
    for piece in 1..stream.len() {
        assert_eq!(events(stream, piece), ["{\"t\":\"世界 😀\"}"]);
        assert_eq!(lines(line, piece, 100), [Ok(Bytes::from("{\"t\":\"世界 😀\"}"))]);
    }
}

#[test]
fn f09_every_line_end_ends_one_line_also_between_pieces() {
    for end in ["\r", "\n", "\r\n"] {
        let stream = format!("event: message{end}data: a{end}data: b{end}{end}data: c{end}{end}");
        for piece in 1..=stream.len() {
            assert_eq!(events(stream.as_bytes(), piece), ["a\nb", "c"], "{end:?} in {piece}");
        }
    }
    // A carriage return, an empty piece, a line feed: still one line end.
    let mut decoder = sse::Decoder::new(100);
    let mut found = Vec::new();
    for chunk in ["data: a\r", "", "\n", "data: b\r", "", "\r", "\n"] {
        decoder.push(chunk.as_bytes(), |event| found.push(event.data)).unwrap();
    }
    assert_eq!(found, ["a\nb"]);
}

#[test]
fn f10_fields_as_the_standard_reads_them() {
    for piece in [1, 3, 1000] {
        assert_eq!(events(b"data:{\ndata: \"a\":\ndata:  1}\n\n", piece), ["{\n\"a\":\n 1}"], "joined");
        assert_eq!(events(b": hello\n:\ndata:x\n: more\n\n", piece), ["x"], "comments");
        assert_eq!(
            events("\u{feff}data: x\n\ndata: \u{feff}y\n\n".as_bytes(), piece),
            ["x", "\u{feff}y"],
            "mark"
        );
        assert_eq!(
            events(b"data\n\ndata:\n\ndata: \n\nevent: x\n\n\n\n", piece),
            [""; 0],
            "no data, no message"
        );
        assert_eq!(events(b"Data: x\ndatax: y\n data: z\n\n", piece), [""; 0], "other fields");
        assert_eq!(events(b"data: a: b\n\n", piece), ["a: b"], "colons");
    }
}

#[test]
fn events_carry_kind_and_id_and_the_stream_its_retry() {
    let mut decoder = sse::Decoder::new(1000);
    let mut found = Vec::new();
    // The priming event of 2025-11-25: an id and no data.
    let stream = b"data: \nid: 0\nretry: 3000\n\nevent: endpoint\ndata: x\n\nid: 1\ndata: y\n\nid: a\0b\ndata: z\n\nretry: 1x\nretry: 9999999999\n\n";
    decoder.push(stream, |event| found.push(event)).unwrap();
    let kinds: Vec<&[u8]> = found.iter().map(|event| event.kind.as_ref()).collect();
    assert_eq!(kinds, [&b"endpoint"[..], b"", b""]);
    let ids: Vec<&[u8]> = found.iter().map(|event| event.id.as_deref().unwrap()).collect();
    assert_eq!(ids, [&b"0"[..], b"1", b"1"], "an id lasts; one with NUL is none");
    assert_eq!(decoder.last_id().unwrap(), &"1");
    assert_eq!(decoder.retry_ms(), Some(sse::RETRY_MS_MAX));
    let long = format!("id: {}\ndata: x\n\n", "9".repeat(sse::EVENT_ID_BYTES_MAX + 1));
    let mut decoder = sse::Decoder::new(1 << 20);
    decoder.push(long.as_bytes(), |event| assert_eq!(event.id, None)).unwrap();
    assert_eq!(decoder.last_id(), None);
}

#[test]
fn f05_an_event_that_is_cut_off_is_none() {
    for stream in ["data: {\"a\":1}", "data: {\"a\":1}\n", "data: {\"a\":1}\r"] {
        assert_eq!(events(stream.as_bytes(), 4), [""; 0], "{stream:?}");
    }
}

#[test]
fn f11_sixty_four_megabytes_without_an_end_are_refused_in_bounded_memory() {
    const MAX: usize = 1 << 20;
    let piece = vec![b'x'; 64 << 10];
    let mut lines = line::Decoder::new(MAX);
    let mut refused = Vec::new();
    let mut events = sse::Decoder::new(MAX);
    let mut faults = 0;
    for _ in 0..1024 {
        lines.push(&piece, |line| refused.push(line));
        assert!(lines.pending_bytes() <= MAX && lines.capacity() <= 2 * MAX);
        faults += usize::from(events.push(&piece, |_| panic!("no event")).is_err());
        assert!(events.pending_bytes() <= MAX && events.capacity() <= 2 * MAX);
    }
    assert_eq!(refused, [Err(Fault::LineTooLong)], "said once, and as soon as it is known");
    assert_eq!(faults, 1024 - 16, "said with the first byte too many, and from then on");
    // The next line works; the next event of this stream does not.
    lines.push(b"\nok\n", |line| refused.push(line));
    assert_eq!(refused.last(), Some(&Ok(Bytes::from_static(b"ok"))));
    assert_eq!(events.push(b"\n\ndata: x\n\n", |_| panic!("no event")), Err(Fault::EventTooLarge));
}

#[test]
fn f11_many_lines_of_one_event_are_bounded_together() {
    let mut decoder = sse::Decoder::new(1000);
    let mut refused = false;
    for _ in 0..1000 {
        refused |= decoder.push(b"data: 0123456789\n", |_| panic!("no event")).is_err();
        assert!(decoder.pending_bytes() <= 1000);
    }
    assert!(refused);
}

#[test]
fn f11_the_limit_is_of_one_line_and_exact() {
    for piece in 1..12 {
        let found = lines(b"12345678\n123456789\n1\n\n \r\n12345678\r\n1234567\r\nhalf", piece, 8);
        let ok = |text: &'static str| Ok(Bytes::from_static(text.as_bytes()));
        // The return before the line feed counts as part of the line.
        let expected =
            [ok("12345678"), Err(Fault::LineTooLong), ok("1"), Err(Fault::LineTooLong), ok("1234567")];
        assert_eq!(found, expected, "{piece}");
    }
    let mut decoder = line::Decoder::new(8);
    decoder.push(b"half", |_| panic!("no line"));
    assert_eq!(decoder.finish(), 4);
}

#[test]
fn f23_bytes_that_are_no_text_are_the_parsers_to_refuse() {
    assert_eq!(
        lines(b"\xff\xfe\n{}\n", 1, 8),
        [Ok(Bytes::from_static(b"\xff\xfe")), Ok(Bytes::from_static(b"{}"))]
    );
}

#[test]
fn a07_a_document_of_two_lines_is_two_lines() {
    assert_eq!(lines(b"{\"a\":\n1}\n", 100, 100).len(), 2);
}

#[test]
fn a18_text_cannot_end_an_event_and_begin_another() {
    for data in
        ["x\n\ndata: evil\n\n", "x\r\rdata: evil\r\r", "x\r\n\r\nid: 9\r\nevent: y", "\n\n", "a\rb", ":\n"]
    {
        let encoded = sse::encode(None, data.as_bytes());
        let expected = data.replace("\r\n", "\n").replace('\r', "\n");
        for piece in 1..=encoded.len() {
            assert_eq!(events(&encoded, piece), [expected.as_str()], "{data:?}");
        }
    }
    assert_eq!(sse::encode(None, b"{}"), "data: {}\n\n");
    assert_eq!(events(sse::KEEP_ALIVE, 1), [""; 0]);
}
