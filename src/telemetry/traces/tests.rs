//! Sampling, the form of spans, and a receiver that never was there.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::sample::{FOLLOWED_PER_SECOND_MAX, Sampler};
use super::*;
use crate::model::trace::Sampling::{Dropped, Recorded};
use crate::telemetry::{Figures, Readiness};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const NOW: Duration = Duration::from_secs(7);

fn claim(flags: &str) -> Claim {
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-{flags}");
    Claim { parent, state: Some("vendor=1".to_owned()) }
}

fn settings() -> TraceSettings {
    // Nobody answers there: the port is reserved.
    let url = "http://127.0.0.1:1/v1/traces".parse().unwrap();
    TraceSettings { url, headers: Vec::new(), ca: None, sample: 0.0 }
}

fn tracer() -> (Tracer, Exporter, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new());
    let clock = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
    let (tracer, exporter) = Tracer::start(&settings(), Arc::clone(&metrics), clock).unwrap();
    (tracer, exporter, metrics)
}

fn shown(metrics: &Metrics, name: &str) -> u64 {
    let text = metrics.text(&Figures::default(), &Readiness::default());
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("sluicegate_traces_{name}_total ")));
    line.unwrap().parse().unwrap()
}

#[test]
fn what_begins_here_is_recorded_by_the_ratio() {
    let decides = |ratio: f64, draw: u64| Sampler::new(ratio).decide(None, draw, NOW);
    assert_eq!((decides(0.0, 0), decides(1.0, u64::MAX)), (Dropped, Recorded));
    assert_eq!((decides(0.5, u64::MAX / 4), decides(0.5, u64::MAX / 4 * 3)), (Recorded, Dropped));
}

#[test]
fn a_caller_has_only_so_many_recorded_in_a_second_and_what_it_does_not_record_is_not() {
    let sampler = Sampler::new(0.0);
    for _ in 0..FOLLOWED_PER_SECOND_MAX {
        assert_eq!(sampler.decide(Some(Recorded), u64::MAX, NOW), Recorded);
    }
    assert_eq!(sampler.decide(Some(Recorded), 0, NOW), Dropped, "beyond that the ratio decides");
    assert_eq!(sampler.decide(Some(Recorded), 0, NOW + Duration::from_secs(1)), Recorded);
    assert_eq!(Sampler::new(1.0).decide(Some(Dropped), 0, NOW), Dropped);
}

#[tokio::test]
async fn a82_a_caller_names_a_trace_and_a_parent_and_the_span_is_ours() {
    let (tracer, _exporter, _) = tracer();
    let malformed = Claim { parent: "00-zz".to_owned(), state: Some("vendor=1".to_owned()) };
    let trace = tracer.begin([malformed.clone(), claim("01")]).unwrap();
    assert_eq!((trace.id.to_string().as_str(), trace.sampling), (TRACE, Recorded));
    assert_eq!(trace.parent.unwrap().to_string(), "00f067aa0ba902b7");
    assert_eq!(trace.state.unwrap().as_str(), "vendor=1");
    assert!(trace.span != trace.exchange && trace.span.to_string() != "00f067aa0ba902b7");
    let again = tracer.begin([claim("01")]).unwrap();
    assert_ne!(again.span, trace.span);
    let own = tracer.begin([malformed]).unwrap();
    assert_eq!((own.parent, own.state, own.sampling), (None, None, Dropped));
    assert_ne!(own.id.to_string(), TRACE);
}

/// In the form of the examples of opentelemetry-proto (examples/trace.json).
#[tokio::test]
async fn a_span_is_a_span_of_otlp() {
    let (tracer, _exporter, _) = tracer();
    let trace = tracer.begin([claim("01")]).unwrap();
    let (start, end) = (Timestamp::from_second(2).unwrap(), Timestamp::from_second(1).unwrap());
    let mut call = Span::new(&trace, Sides::Caller, "tools/call mail.send".to_owned(), (start, end));
    call.attributes = vec![
        ("a", "b".into()),
        ("n", 7.into()),
        ("s", Attribute::Texts(vec!["chat".to_owned(), "web".to_owned()])),
    ];
    call.status = Status::Error;
    let upstream = Span::new(&trace, Sides::Upstream, "x".to_owned(), (end, start));
    let sent: Value = serde_json::from_slice(&form::request(&[call, upstream]).unwrap()).unwrap();
    let spans = &sent["resourceSpans"][0]["scopeSpans"][0]["spans"];
    assert_eq!(
        spans[0],
        json!({
            "traceId": TRACE, "spanId": trace.span.to_string(), "parentSpanId": "00f067aa0ba902b7",
            "traceState": "vendor=1", "flags": 0x301, "name": "tools/call mail.send", "kind": 2,
            // Never before it began.
            "startTimeUnixNano": "2000000000", "endTimeUnixNano": "2000000000",
            "attributes": [
                { "key": "a", "value": { "stringValue": "b" } },
                { "key": "n", "value": { "intValue": "7" } },
                { "key": "s", "value": { "arrayValue": { "values": [
                    { "stringValue": "chat" }, { "stringValue": "web" },
                ] } } },
            ],
            "status": { "code": 2 },
        })
    );
    assert_eq!((&spans[1]["parentSpanId"], &spans[1]["kind"]), (&json!(trace.span.to_string()), &json!(3)));
    assert_eq!((&spans[1]["flags"], spans[1].get("status")), (&json!(0x101), None));
    assert_eq!(sent["resourceSpans"][0]["resource"]["attributes"][0]["value"]["stringValue"], "sluicegate");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_takes_is_dropped_and_counted_and_nobody_waits() {
    let (tracer, exporter, metrics) = tracer();
    let trace = tracer.begin([claim("01")]).unwrap();
    let span = || vec![Span::new(&trace, Sides::Caller, "x".to_owned(), (trace.began.0, trace.began.0))];
    // Nothing runs meanwhile: the queue takes so many and no more.
    for _ in 0..CALLS_QUEUED_MAX + 3 {
        tracer.ended(&trace, span);
    }
    assert_eq!((shown(&metrics, "dropped"), shown(&metrics, "sent")), (3, 0));
    exporter.finish(Duration::from_secs(60)).await;
    let all = u64::try_from(CALLS_QUEUED_MAX).unwrap() + 3;
    assert_eq!((shown(&metrics, "dropped"), shown(&metrics, "sent")), (all, 0));
    assert!(shown(&metrics, "failures") >= 2);
    let unsampled = tracer.begin([]).unwrap();
    tracer.ended(&unsampled, || panic!("what is not recorded is not made"));
}
