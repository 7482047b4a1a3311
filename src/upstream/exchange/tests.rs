//! Answers, progress and everything else that an instance may send, by the bytes.

use bytes::Bytes;

use super::*;
use crate::model::text::Bounded;
use crate::spool::Rest;
use crate::upstream::aside::Aside;
use crate::upstream::failure::AnswerKind;
use crate::upstream::notice::{NOTICES_MAX, Notice};

struct Bench {
    exchange: Arc<Exchange>,
    notices: mpsc::Receiver<Notice>,
}

impl Bench {
    fn new() -> Self {
        let (sender, notices) = mpsc::channel(NOTICES_MAX);
        let upstream = UpstreamName::new("mail").unwrap();
        let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        let exchange = Exchange::new(upstream, Notices::new(sender), Arc::default(), clock, Share::Subject);
        Self { exchange, notices }
    }

    fn receive(&self, text: &str) -> Received {
        self.exchange.receive(Ok(Bytes::copy_from_slice(text.as_bytes()).into()), Scope::Whole)
    }
}

fn answered(raw: &str) -> Result<Answer, Failure> {
    Ok(Answer {
        kind: AnswerKind::Result,
        raw: Bytes::copy_from_slice(raw.as_bytes()),
        rest: Rest::default(),
    })
}

#[tokio::test]
async fn f30_f31_unknown_late_and_repeated_answers_reach_nobody() {
    let bench = Bench::new();
    let late = bench.exchange.expect(None).unwrap();
    let late_id = late.id();
    drop(late);
    let mut live = bench.exchange.expect(None).unwrap();
    assert_ne!(live.id(), late_id, "a number is never used twice");
    let unmatched = [late_id.to_string(), "99".into(), format!("\"{}\"", live.id()), "-1".into()];
    for id in unmatched {
        let text = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}");
        assert_eq!(bench.receive(&text), Received::Nothing, "{id}");
    }
    let good = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{\"n\":1.00}}}}", live.id());
    assert_eq!(bench.receive(&good), Received::Settled);
    assert_eq!(bench.receive(&good), Received::Nothing);
    assert_eq!(live.answer().await, answered("{\"n\":1.00}"));
    assert_eq!(bench.exchange.counters().read().unmatched_responses, 5);
}

#[tokio::test]
async fn f32_an_error_without_id_fails_the_only_request_and_is_counted_otherwise() {
    let bench = Bench::new();
    let error = "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"what?\"}}";
    assert_eq!(bench.receive(error), Received::Nothing);
    let (mut one, two) = (bench.exchange.expect(None).unwrap(), bench.exchange.expect(None).unwrap());
    assert_eq!(bench.receive(error), Received::Nothing, "either could be meant");
    drop(two);
    assert_eq!(bench.receive(error), Received::Settled);
    assert!(matches!(one.answer().await, Err(Failure::Invalid(_))));
    assert_eq!(bench.exchange.counters().read().unmatched_responses, 2);
}

#[tokio::test]
async fn f22_f23_garbage_is_counted_and_a_broken_answer_ends_its_call() {
    let bench = Bench::new();
    let mut one = bench.exchange.expect(None).unwrap();
    for garbage in ["INFO server started", "[]", "{}", "{\"jsonrpc\":\"2.0\"}"] {
        assert!(matches!(bench.receive(garbage), Received::Garbage(_)), "{garbage}");
    }
    let body = Bytes::from_static(b"{\"jsonrpc\":\"2.0\",\"\xff\":1}");
    assert!(matches!(bench.exchange.receive(Ok(body.into()), Scope::Whole), Received::Garbage(_)));
    let twice = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{\"a\":1,\"\\u0061\":2}}}}", one.id());
    assert_eq!(bench.receive(&twice), Received::Settled);
    assert!(matches!(one.answer().await, Err(Failure::Invalid(_))));
    assert_eq!(bench.exchange.counters().read().garbage, 6);
}

#[tokio::test]
async fn progress_goes_to_its_call_and_is_dropped_where_the_client_does_not_read() {
    let bench = Bench::new();
    let (asides, mut progress) = mpsc::channel(1);
    let (posed, _questions) = mpsc::channel(1);
    let one = bench.exchange.expect(Some(Relay { asides, posed })).unwrap();
    let params = format!("{{\"progressToken\":{},\"progress\":0.50}}", one.id());
    let text = format!("{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{params}}}");
    for _ in 0..3 {
        assert_eq!(bench.receive(&text), Received::Nothing);
    }
    let Aside::Progress(told) = progress.try_recv().unwrap() else { panic!("no progress") };
    assert_eq!(told, params.as_bytes());
    assert!(progress.try_recv().is_err());
    assert_eq!(bench.exchange.counters().read().progress_dropped, 2);
    let stranger = text.replace(&format!(":{},", one.id()), ":77,");
    bench.receive(&stranger);
    assert_eq!(bench.exchange.counters().read().progress_dropped, 3);
}

#[tokio::test]
async fn an_upstream_may_ping_and_ask_nothing_else() {
    let mut bench = Bench::new();
    let reply = bench.receive("{\"jsonrpc\":\"2.0\",\"id\":\"p\",\"method\":\"ping\"}");
    assert_eq!(
        reply,
        Received::Reply(Bytes::from_static(b"{\"jsonrpc\":\"2.0\",\"id\":\"p\",\"result\":{}}"))
    );
    for method in ["sampling/createMessage", "elicitation/create", "roots/list", "x/y"] {
        let text = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{{}}}}");
        let Received::Reply(reply) = bench.receive(&text) else { panic!("{method} got no reply") };
        assert!(String::from_utf8_lossy(&reply).contains("\"error\""), "{method}");
        let told = bench.notices.try_recv().unwrap();
        let upstream = UpstreamName::new("mail").unwrap();
        assert_eq!(told, Notice::RequestRefused { upstream, method: Bounded::new(method) });
    }
}

#[tokio::test]
async fn answers_on_another_requests_stream_reach_nobody() {
    let bench = Bench::new();
    let (one, two) = (bench.exchange.expect(None).unwrap(), bench.exchange.expect(None).unwrap());
    let text = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{}}}}", one.id());
    for scope in [Scope::Of(two.id()), Scope::Unasked] {
        assert_eq!(bench.exchange.receive(Ok(Bytes::from(text.clone()).into()), scope), Received::Nothing);
    }
    assert!(!one.is_settled());
    assert_eq!(bench.exchange.receive(Ok(Bytes::from(text).into()), Scope::Of(one.id())), Received::Settled);
    assert!(one.is_settled());
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_call_whose_number_it_begins_with() {
    let bench = Bench::new();
    let (mut one, two) = (bench.exchange.expect(None).unwrap(), bench.exchange.expect(None).unwrap());
    bench.exchange.receive_oversize(b"xxxxxxxx");
    assert!(!one.is_settled() && !two.is_settled(), "either could be meant");
    let head = format!("{{ \"jsonrpc\": \"2.0\", \"id\": {}, \"result\":{{\"x", one.id());
    bench.exchange.receive_oversize(head.as_bytes());
    assert_eq!(one.answer().await, Err(Failure::TooLarge));
    assert!(!two.is_settled());
}

#[tokio::test]
async fn f24_closing_fails_what_waits_and_what_comes() {
    let bench = Bench::new();
    let mut one = bench.exchange.expect(None).unwrap();
    bench.exchange.close(&Detail::new("exit status: 1"));
    assert_eq!(one.answer().await, Err(Failure::Closed(Detail::new("exit status: 1"))));
    assert!(matches!(bench.exchange.expect(None), Err(Failure::Unavailable(_))));
    assert!(bench.exchange.is_retired());
}
