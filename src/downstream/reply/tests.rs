//! Replies as a client would see them.

use http_body_util::BodyExt;
use tokio::sync::mpsc;

use super::*;
use crate::gateway::port::Listening;

async fn next(response: &mut Response<ReplyBody>) -> Option<String> {
    let frame = response.body_mut().frame().await?.unwrap();
    Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
}

async fn shown(reply: Reply) -> Response<ReplyBody> {
    render(reply, Accepts::Both, Duration::from_secs(600)).await
}

fn single(events: mpsc::Receiver<CallEvent>) -> Ongoing {
    Ongoing { events, shape: Shape::Single, resumable: None }
}

fn notification(text: &'static str) -> CallEvent {
    CallEvent::Notification(Bytes::from_static(text.as_bytes()))
}

fn finally(text: &'static str) -> CallEvent {
    CallEvent::Final { status: StatusCode::BAD_REQUEST, body: Bytes::from_static(text.as_bytes()).into() }
}

fn header(response: &Response<ReplyBody>, name: &str) -> Option<String> {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_call_that_answers_at_once_is_one_json_body_with_its_status() {
    let (sender, receiver) = mpsc::channel(4);
    sender.send(finally("{}")).await.unwrap();
    let mut response = shown(Reply::Call(single(receiver))).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(header(&response, "content-type").unwrap(), "application/json");
    assert_eq!(next(&mut response).await.unwrap(), "{}");
}

#[tokio::test]
async fn f04_a_notification_leaves_before_the_call_ends() {
    let (sender, receiver) = mpsc::channel(4);
    sender.send(notification("{\"n\":1}")).await.unwrap();
    let mut response = shown(Reply::Call(single(receiver))).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "content-type").unwrap(), "text/event-stream");
    assert_eq!(header(&response, "cache-control").unwrap(), "no-store");
    assert_eq!(header(&response, "x-accel-buffering").unwrap(), "no");
    assert_eq!(next(&mut response).await.unwrap(), "data: {\"n\":1}\n\n");
    sender.send(notification("{\"n\":2}")).await.unwrap();
    assert_eq!(next(&mut response).await.unwrap(), "data: {\"n\":2}\n\n");
    sender.send(finally("{\"f\":1}")).await.unwrap();
    assert_eq!(next(&mut response).await.unwrap(), "data: {\"f\":1}\n\n");
    assert_eq!(next(&mut response).await, None);
    assert!(sender.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_becomes_a_stream_that_is_kept_alive() {
    let started = tokio::time::Instant::now();
    let (sender, receiver) = mpsc::channel(4);
    let mut response = shown(Reply::Call(single(receiver))).await;
    assert_eq!(started.elapsed(), FIRST_EVENT_WAIT);
    assert_eq!(next(&mut response).await.unwrap(), ":\r\n\r\n");
    assert_eq!(next(&mut response).await.unwrap(), ":\r\n\r\n");
    assert_eq!(started.elapsed(), FIRST_EVENT_WAIT + 2 * KEEP_ALIVE_INTERVAL);
    sender.send(finally("{}")).await.unwrap();
    assert_eq!(next(&mut response).await.unwrap(), "data: {}\n\n");
    assert_eq!(next(&mut response).await, None);
}

#[tokio::test]
async fn a_call_that_the_gateway_lost_is_a_fault() {
    let (sender, receiver) = mpsc::channel(4);
    drop(sender);
    let mut response = shown(Reply::Call(single(receiver))).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(next(&mut response).await.unwrap().contains("\"fault\""));
}

#[tokio::test(start_paused = true)]
async fn f03_a_stream_begins_at_once_and_lives_through_silence() {
    let (sender, receiver) = mpsc::channel(4);
    let mut response = shown(Reply::Stream(Listening::new(receiver, Vec::new()))).await;
    assert_eq!(header(&response, "content-type").unwrap(), "text/event-stream");
    assert_eq!(next(&mut response).await.unwrap(), ":\r\n\r\n");
    sender.send(Bytes::from_static(b"{\n}")).await.unwrap();
    assert_eq!(next(&mut response).await.unwrap(), "data: {\ndata: }\n\n");
    drop(sender);
    assert_eq!(next(&mut response).await, None);
}

#[tokio::test]
async fn dropping_a_response_tells_the_gateway() {
    let (sender, receiver) = mpsc::channel(4);
    sender.send(notification("{}")).await.unwrap();
    drop(shown(Reply::Call(single(receiver))).await);
    sender.closed().await;
}

#[tokio::test]
async fn sessions_and_refused_methods_are_said_in_headers() {
    let session = Some("a".repeat(32));
    let reply = Reply::Json { status: StatusCode::OK, body: Bytes::from_static(b"{}"), session };
    assert_eq!(header(&shown(reply).await, "mcp-session-id").unwrap(), "a".repeat(32));
    let response = shown(Reply::Empty(StatusCode::METHOD_NOT_ALLOWED)).await;
    assert_eq!(header(&response, "allow").unwrap(), "POST");
    let mut response = shown(Reply::Empty(StatusCode::ACCEPTED)).await;
    assert_eq!(header(&response, "allow"), None);
    assert_eq!(next(&mut response).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_no_stream_gets_json_however_long_it_takes() {
    let (sender, receiver) = mpsc::channel(4);
    sender.send(notification("{\"n\":1}")).await.unwrap();
    let reply = Reply::Call(single(receiver));
    let answer = tokio::spawn(render(reply, Accepts::Json, Duration::from_secs(600)));
    tokio::time::sleep(10 * FIRST_EVENT_WAIT).await;
    assert!(!answer.is_finished());
    sender.send(finally("{\"f\":1}")).await.unwrap();
    let mut response = answer.await.unwrap();
    assert_eq!(header(&response, "content-type").unwrap(), "application/json");
    assert_eq!(next(&mut response).await.unwrap(), "{\"f\":1}");
}

#[tokio::test]
async fn a_client_that_takes_streams_alone_gets_one_at_once() {
    let (sender, receiver) = mpsc::channel(4);
    let mut response = render(Reply::Call(single(receiver)), Accepts::Events, Duration::from_secs(600)).await;
    assert_eq!(header(&response, "content-type").unwrap(), "text/event-stream");
    sender.send(finally("{}")).await.unwrap();
    assert_eq!(next(&mut response).await.unwrap(), "data: {}\n\n");
    let body = Bytes::from_static(b"{\"r\":1}");
    let session = Some("s".to_owned());
    let ended = Reply::Json { status: StatusCode::OK, body: body.clone(), session };
    let mut response = render(ended, Accepts::Events, Duration::from_secs(600)).await;
    assert_eq!(header(&response, "mcp-session-id").unwrap(), "s");
    assert_eq!(next(&mut response).await.unwrap(), "data: {\"r\":1}\n\n");
    assert_eq!(next(&mut response).await, None);
    let refused = Reply::Json { status: StatusCode::BAD_REQUEST, body, session: None };
    let response = render(refused, Accepts::Events, Duration::from_secs(600)).await;
    assert_eq!(header(&response, "content-type").unwrap(), "application/json");
}

#[tokio::test]
async fn a_batch_that_answers_at_once_is_one_array_and_else_a_stream_of_what_it_told() {
    let answer = |text: &'static str| CallEvent::Answer(Bytes::from_static(text.as_bytes()).into());
    let batch = |events| Reply::Call(Ongoing { events, shape: Shape::Batch, resumable: None });
    let (sender, receiver) = mpsc::channel(4);
    for event in [answer("{\"a\":1}"), answer("{\"a\":2}"), finally("{\"a\":3}")] {
        sender.send(event).await.unwrap();
    }
    assert_eq!(next(&mut shown(batch(receiver)).await).await.unwrap(), "[{\"a\":1},{\"a\":2},{\"a\":3}]");
    let (sender, receiver) = mpsc::channel(4);
    for event in [answer("{\"a\":1}"), notification("{\"n\":1}"), finally("{\"a\":2}")] {
        sender.send(event).await.unwrap();
    }
    let mut response = shown(batch(receiver)).await;
    for expected in ["data: {\"a\":1}\n\n", "data: {\"n\":1}\n\n", "data: {\"a\":2}\n\n"] {
        assert_eq!(next(&mut response).await.unwrap(), expected);
    }
    assert_eq!(next(&mut response).await, None);
}
