//! The outbox by itself: what is told where, what is told again, and what falls out.

use std::future::poll_fn;
use std::task::Poll;

use super::super::tap::{Next, Sent};
use super::*;

const WINDOW: Duration = Duration::from_secs(60);

fn replay() -> Arc<Replay> {
    Arc::new(Replay::new(WINDOW))
}

fn outbox(revision: Revision) -> Arc<Outbox> {
    Outbox::new(revision, replay()).unwrap()
}

fn call() -> Purpose {
    Purpose::Call(Vec::new())
}

fn message(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// What is there to read now; `Pending` where nothing is.
async fn now(tap: &mut Tap) -> Poll<Option<Next>> {
    poll_fn(|context| Poll::Ready(tap.poll_next(context))).await
}

async fn read(tap: &mut Tap) -> Sent {
    let Poll::Ready(Some(Next::Event(sent))) = now(tap).await else { panic!("there is nothing to read") };
    sent
}

async fn texts(tap: &mut Tap) -> Vec<String> {
    let mut texts = Vec::new();
    while let Poll::Ready(Some(Next::Event(sent))) = now(tap).await {
        texts.push(String::from_utf8(sent.message.as_text().unwrap().to_vec()).unwrap());
    }
    texts
}

fn refused(outbox: &Arc<Outbox>, id: &str) -> Reason {
    outbox.resume(id.as_bytes()).unwrap_err()
}

#[tokio::test]
async fn what_was_missed_is_told_again_on_its_own_stream_and_on_no_other() {
    let outbox = outbox(Revision::V2025_06_18);
    let (mut one, mut other) = (outbox.open(call()).unwrap(), outbox.open(call()).unwrap());
    for text in ["a", "b", "c"] {
        outbox.add(one.stream(), message(text).into(), Place::Between).unwrap();
    }
    outbox.add(other.stream(), message("x").into(), Place::Last).unwrap();
    let first = read(&mut one).await;
    assert_eq!(first.message.as_text().unwrap(), "a");
    drop(one);
    let (mut again, resumed) = outbox.resume(first.id.as_bytes()).unwrap();
    assert_eq!((texts(&mut again).await, resumed), (vec!["b".to_owned(), "c".to_owned()], Resumed::Call));
    // What is told later comes on the connection of now.
    outbox.add(again.stream(), message("d").into(), Place::Last).unwrap();
    assert_eq!(texts(&mut again).await, ["d"]);
    assert!(matches!(now(&mut again).await, Poll::Ready(None)));
    assert_eq!(texts(&mut other).await, ["x"]);
}

#[tokio::test]
async fn a30_only_ids_that_this_session_gave_are_known() {
    let (own, others) = (outbox(Revision::V2025_11_25), outbox(Revision::V2025_11_25));
    let (mut mine, mut theirs) = (own.open(call()).unwrap(), others.open(call()).unwrap());
    let (id, foreign) = (read(&mut mine).await.id, read(&mut theirs).await.id);
    let tag = id.split('-').next().unwrap();
    assert!(own.resume(id.as_bytes()).is_ok());
    let unknown = [
        foreign,
        format!("{tag}-0-1"),
        format!("{tag}-1-0"),
        format!("{tag}-00-0"),
        format!("{tag}-0-+0"),
        format!("{tag}-0"),
        format!("{tag}-0-0-0"),
        format!("{tag}-0-18446744073709551616"),
        tag.to_owned(),
        String::new(),
    ];
    for id in unknown {
        assert_eq!(refused(&own, &id), Reason::EventUnknown, "{id}");
    }
    assert_eq!(own.resume(b"\xff-0-0").unwrap_err(), Reason::EventUnknown);
}

#[tokio::test]
async fn only_from_2025_11_25_on_a_stream_begins_with_an_event_without_data() {
    let outbox = outbox(Revision::V2025_11_25);
    let mut tap = outbox.open(call()).unwrap();
    let primed = read(&mut tap).await;
    assert!(primed.message.is_empty() && tap.retry().is_some());
    outbox.add(tap.stream(), message("a").into(), Place::Last).unwrap();
    drop(tap);
    assert_eq!(texts(&mut outbox.resume(primed.id.as_bytes()).unwrap().0).await, ["a"]);
    for revision in [Revision::V2025_03_26, Revision::V2025_06_18] {
        let outbox = super::tests::outbox(revision);
        let mut tap = outbox.open(call()).unwrap();
        assert!(now(&mut tap).await.is_pending() && tap.retry().is_none());
    }
}

#[tokio::test]
async fn a_reader_is_sent_away_after_what_is_there_and_only_where_it_may_come_back() {
    for (revision, leaves) in [(Revision::V2025_11_25, true), (Revision::V2025_06_18, false)] {
        let outbox = outbox(revision);
        let mut tap = outbox.open(call()).unwrap();
        let stream = tap.stream();
        outbox.add(stream, message("first").into(), Place::Between).unwrap();
        outbox.pause(stream);
        assert_eq!(texts(&mut tap).await.last().unwrap(), "first");
        outbox.pause(stream);
        let is_sent_away = matches!(now(&mut tap).await, Poll::Ready(Some(Next::Pause)));
        assert_eq!(is_sent_away, leaves);
        assert!(now(&mut tap).await.is_pending(), "once");
    }
}

#[tokio::test]
async fn each_message_goes_on_one_get_stream_and_waits_for_a_client_that_was_cut_off() {
    let outbox = outbox(Revision::V2025_06_18);
    assert_eq!(outbox.tell(message("nobody")), Err(Unheard));
    let mut old = outbox.open(Purpose::Listening).unwrap();
    let mut new = outbox.open(Purpose::Listening).unwrap();
    outbox.tell(message("a")).unwrap();
    let told = read(&mut new).await;
    assert_eq!(told.message.as_text().unwrap(), "a");
    drop(new);
    outbox.tell(message("b")).unwrap();
    assert_eq!(texts(&mut old).await, ["b"], "of the streams, one that is read");
    drop(old);
    outbox.tell(message("c")).unwrap();
    let (mut again, resumed) = outbox.resume(told.id.as_bytes()).unwrap();
    assert_eq!((texts(&mut again).await, resumed), (vec!["c".to_owned()], Resumed::Listening));
}

#[tokio::test]
async fn i11_get_streams_are_bounded_and_those_that_are_read_stay() {
    let outbox = outbox(Revision::V2025_11_25);
    let mut open: Vec<_> =
        (0..SESSION_LISTENING_MAX).map(|_| outbox.open(Purpose::Listening).unwrap()).collect();
    assert_eq!(outbox.open(Purpose::Listening).unwrap_err(), Reason::StreamsFull);
    let id = read(&mut open[0]).await.id;
    drop(open.remove(0));
    let _new = outbox.open(Purpose::Listening).unwrap();
    assert_eq!(refused(&outbox, &id), Reason::EventsGone);
}

#[tokio::test]
async fn i11_a_client_that_does_not_read_loses_what_is_passing_and_no_answer() {
    let outbox = outbox(Revision::V2025_06_18);
    let mut tap = outbox.open(call()).unwrap();
    let added = (0..1000).filter(|_| outbox.add(tap.stream(), message("p").into(), Place::Passing).is_ok());
    assert_eq!(added.count(), CALL_EVENTS_MAX);
    outbox.add(tap.stream(), message("answer").into(), Place::Last).unwrap();
    assert_eq!(texts(&mut tap).await.last().unwrap(), "answer");
    // A GET stream that is not read ends, and what was missed is said to be gone.
    let mut listening = outbox.open(Purpose::Listening).unwrap();
    outbox.tell(message("0")).unwrap();
    let first = read(&mut listening).await.id;
    for _ in 0..=STREAM_EVENTS_MAX {
        outbox.tell(message("n")).unwrap();
    }
    assert!(matches!(now(&mut listening).await, Poll::Ready(None)));
    assert_eq!(refused(&outbox, &first), Reason::EventsGone);
}

#[tokio::test]
async fn i11_what_is_kept_is_bounded_in_bytes_the_oldest_goes_first_and_says_so() {
    let shared = replay();
    let outbox = Outbox::new(Revision::V2025_06_18, Arc::clone(&shared)).unwrap();
    let large = || Bytes::from(vec![b'x'; SESSION_REPLAY_BYTES_MAX / 2]);
    let mut ids = Vec::new();
    for _ in 0..4 {
        let mut tap = outbox.open(call()).unwrap();
        outbox.add(tap.stream(), message("s").into(), Place::Between).unwrap();
        ids.push(read(&mut tap).await.id);
        outbox.add(tap.stream(), large().into(), Place::Last).unwrap();
    }
    assert!(shared.bytes.load(Ordering::Relaxed) <= SESSION_REPLAY_BYTES_MAX);
    assert_eq!(refused(&outbox, &ids[0]), Reason::EventsGone);
    assert_eq!(texts(&mut outbox.resume(ids[3].as_bytes()).unwrap().0).await.len(), 1);
    // What a client is about to read is there, however large; nothing of it is kept once it was read.
    let mut tap = outbox.open(call()).unwrap();
    outbox
        .add(tap.stream(), Bytes::from(vec![b'x'; 2 * SESSION_REPLAY_BYTES_MAX]).into(), Place::Last)
        .unwrap();
    let whole = read(&mut tap).await;
    assert_eq!(whole.message.held_bytes(), 2 * SESSION_REPLAY_BYTES_MAX);
    drop(tap);
    assert!(shared.bytes.load(Ordering::Relaxed) <= SESSION_REPLAY_BYTES_MAX);
    drop(outbox);
    assert_eq!(shared.bytes.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn who_comes_back_takes_the_place_of_the_dead_half() {
    let outbox = outbox(Revision::V2025_11_25);
    let mut dead = outbox.open(call()).unwrap();
    let id = read(&mut dead).await.id;
    let (mut alive, _) = outbox.resume(id.as_bytes()).unwrap();
    outbox.add(alive.stream(), message("a").into(), Place::Between).unwrap();
    assert!(matches!(now(&mut dead).await, Poll::Ready(None)));
    drop(dead);
    assert_eq!(texts(&mut alive).await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_given_up_after_the_window_and_not_before() {
    let outbox = outbox(Revision::V2025_11_25);
    let mut tap = outbox.open(call()).unwrap();
    let id = read(&mut tap).await.id;
    let (watched, stream) = (Arc::clone(&outbox), tap.stream());
    let given_up = tokio::spawn(async move { watched.abandoned(stream).await });
    tokio::time::sleep(2 * WINDOW).await;
    assert!(!given_up.is_finished(), "it is read");
    drop(tap);
    tokio::time::sleep(WINDOW / 2).await;
    let (tap, _) = outbox.resume(id.as_bytes()).unwrap();
    tokio::time::sleep(2 * WINDOW).await;
    assert!(!given_up.is_finished(), "it is read again");
    let left = Instant::now();
    drop(tap);
    given_up.await.unwrap();
    assert_eq!(left.elapsed(), WINDOW);
}

#[tokio::test(start_paused = true)]
async fn a_get_stream_on_which_nothing_was_missed_can_be_resumed_long_after() {
    let outbox = outbox(Revision::V2025_11_25);
    let mut tap = outbox.open(Purpose::Listening).unwrap();
    outbox.tell(message("a")).unwrap();
    read(&mut tap).await;
    let last = read(&mut tap).await.id;
    drop(tap);
    tokio::time::sleep(2 * WINDOW).await;
    let (tap, _) = outbox.resume(last.as_bytes()).unwrap();
    drop(tap);
    tokio::time::sleep(2 * WINDOW).await;
    assert_eq!(outbox.tell(message("b")), Err(Unheard));
    assert_eq!(refused(&outbox, &last), Reason::EventsGone);
}

#[tokio::test]
async fn when_the_session_ends_what_nobody_reads_is_given_up_and_nothing_can_be_resumed() {
    let outbox = outbox(Revision::V2025_11_25);
    let (mut read_on, mut left) = (outbox.open(call()).unwrap(), outbox.open(call()).unwrap());
    let mut listening = outbox.open(Purpose::Listening).unwrap();
    read(&mut listening).await;
    let id = read(&mut left).await.id;
    let gone = left.stream();
    drop(left);
    outbox.end();
    outbox.abandoned(gone).await;
    assert!(matches!(now(&mut listening).await, Poll::Ready(None)));
    assert_eq!(refused(&outbox, &id), Reason::SessionUnknown);
    assert_eq!(outbox.open(Purpose::Listening).unwrap_err(), Reason::SessionUnknown);
    outbox.add(read_on.stream(), message("answer").into(), Place::Last).unwrap();
    assert_eq!(texts(&mut read_on).await, ["", "answer"]);
}
