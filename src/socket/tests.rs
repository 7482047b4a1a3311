//! Raw bytes in, raw bytes out, over real sockets.

mod tls;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Notify, mpsc};

use super::*;
use crate::model::reason::Reason;

const BODY_BYTES_MAX: usize = 1024;

/// Answers with the method, the path and the length of the body; holds `/slow` until it is let go.
struct Echo {
    refused: mpsc::Sender<Reason>,
    served: Mutex<Vec<String>>,
    entered: Notify,
    release: Notify,
}

impl Respond for Echo {
    type Body = Full<Bytes>;

    async fn respond(&self, request: Request<Incoming>, peer: Peer) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        self.served.lock().unwrap().push(format!("{} {}", head.method, head.uri));
        if head.uri.path() == "/slow" {
            self.entered.notify_one();
            self.release.notified().await;
        }
        #[expect(clippy::disallowed_methods, reason = "limited")]
        let read = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let Ok(body) = read else {
            return refusal(StatusCode::PAYLOAD_TOO_LARGE, Reason::BodyTooLarge);
        };
        let uid = peer.uid.map_or(String::new(), |uid| format!(" uid={uid}"));
        let names = peer.certificate.iter().flat_map(|certificate| &certificate.names);
        let certified: String = names.map(|name| format!(" by={name}")).collect();
        let text = format!("{} {} {}{uid}{certified}", head.method, head.uri, body.to_bytes().len());
        Response::new(Full::new(text.into()))
    }

    fn refused(&self, reason: Reason) {
        self.refused.try_send(reason).unwrap();
    }
}

struct Stage {
    server: Server,
    echo: Arc<Echo>,
    refused: mpsc::Receiver<Reason>,
}

use std::sync::Arc;

impl Stage {
    async fn start(connections_max: usize) -> Self {
        let listener = bind_tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
        Self::serve(listener, connections_max)
    }

    fn serve(listener: Listener, connections_max: usize) -> Self {
        let (sender, refused) = mpsc::channel(16);
        let echo = Arc::new(Echo {
            refused: sender,
            served: Mutex::default(),
            entered: Notify::new(),
            release: Notify::new(),
        });
        let limits = ConnectionLimits { connections_max, head_timeout: Duration::from_secs(10) };
        let server = Server::start(listener, limits, Arc::clone(&echo));
        Self { server, echo, refused }
    }

    async fn connect(&self) -> TcpStream {
        let Place::Tcp(address) = self.server.place() else { panic!("not TCP") };
        TcpStream::connect(address).await.unwrap()
    }

    /// What the server says to `bytes` until it closes.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        read_to_end(&mut stream).await
    }
}

async fn read_to_end(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn read_until(stream: &mut (impl tokio::io::AsyncRead + Unpin), end: &str) -> String {
    let mut answer = String::new();
    while !answer.ends_with(end) {
        let byte = stream.read_u8().await.unwrap();
        answer.push(char::from(byte));
    }
    answer
}

#[tokio::test]
async fn a15_a_request_with_two_framings_is_refused_and_the_connection_closed() {
    let cases: [&[u8]; 8] = [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGET /smuggled HTTP/1.1\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\ncOnTeNt-LeNgTh: 4\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST /behind HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ];
    for case in cases {
        let mut stage = Stage::start(8).await;
        let answer = stage.exchange(case).await;
        let text = String::from_utf8_lossy(case);
        assert_eq!(answer.matches("HTTP/1.1 400 Bad Request").count(), 1, "{text}\n{answer}");
        assert!(!answer.contains("smuggled") && !answer.contains("behind"), "{text}\n{answer}");
        assert_eq!(stage.refused.recv().await, Some(Reason::HttpInvalid), "{text}");
        let served = stage.echo.served.lock().unwrap().clone();
        assert!(
            !served.iter().any(|line| line.starts_with("POST") || line.contains("smuggled")),
            "{served:?}"
        );
    }
}

#[tokio::test]
async fn a15_what_is_not_http_is_refused_by_the_parser_and_counted() {
    let cases: [&[u8]; 12] = [
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nX: a\r\n folded\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\na",
        b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
        b"POST  / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ];
    for case in cases {
        let mut stage = Stage::start(8).await;
        let answer = stage.exchange(case).await;
        let text = String::from_utf8_lossy(case);
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request"), "{text}\n{answer}");
        assert_eq!(stage.refused.recv().await, Some(Reason::HttpInvalid), "{text}");
        assert!(stage.echo.served.lock().unwrap().is_empty(), "{text}");
    }
}

#[tokio::test]
async fn http2_without_tls_is_refused() {
    let mut stage = Stage::start(8).await;
    let answer = stage.exchange(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    assert!(!answer.contains("200"), "{answer}");
    assert_eq!(stage.refused.recv().await, Some(Reason::HttpInvalid));
}

#[tokio::test]
async fn a_chunked_body_alone_is_fine_also_on_a_connection_that_is_kept() {
    let stage = Stage::start(8).await;
    let mut stream = stage.connect().await;
    for _ in 0..3 {
        let request =
            b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let answer = read_until(&mut stream, "POST /a 3").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let stage = Stage::start(8).await;
    let mut stream = stage.connect().await;
    let two = b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";
    stream.write_all(two).await.unwrap();
    let answer = read_until(&mut stream, "POST /2 2").await;
    assert!(answer.find("GET /1 0").unwrap() < answer.find("POST /2 2").unwrap(), "{answer}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_while_it_is_read() {
    let mut stage = Stage::start(8).await;
    let mut head = b"GET / HTTP/1.1\r\nHost: x\r\nX: ".to_vec();
    head.resize(HEAD_BYTES_MAX * 4, b'a');
    let answer = stage.exchange(&head).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert_eq!(stage.refused.recv().await, Some(Reason::HeadTooLarge));
}

#[tokio::test]
async fn an_answer_given_before_the_body_was_read_reaches_a_peer_that_is_still_sending() {
    let stage = Stage::start(8).await;
    let stream = stage.connect().await;
    let (mut reader, mut writer) = stream.into_split();
    let sending = tokio::spawn(async move {
        let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n";
        writer.write_all(head.as_bytes()).await?;
        writer.write_all(&[b'a'; 4_000_000]).await
    });
    let answer = read_to_end(&mut reader).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    sending.await.unwrap().unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_so_and_the_others_go_on() {
    let mut stage = Stage::start(1).await;
    let mut first = stage.connect().await;
    first.write_all(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_until(&mut first, "GET /1 0").await;

    let refused = stage.exchange(b"GET /2 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("connections_full"), "{refused}");
    assert_eq!(stage.refused.recv().await, Some(Reason::ConnectionsFull));

    first.write_all(b"GET /3 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_until(&mut first, "GET /3 0").await;
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_in_is_cut_off_and_a_silent_connection_too() {
    let mut stage = Stage::start(8).await;
    let mut dripping = stage.connect().await;
    dripping.write_all(b"GET / HTT").await.unwrap();
    assert_eq!(read_to_end(&mut dripping).await, "");
    assert_eq!(stage.refused.recv().await, Some(Reason::HeadTimeout));
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_may_idle_longer_than_a_head_may_take_and_not_for_ever() {
    let mut stage = Stage::start(8).await;
    let mut stream = stage.connect().await;
    stream.write_all(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_until(&mut stream, "GET /1 0").await;
    tokio::time::advance(Duration::from_secs(30)).await;
    stream.write_all(b"GET /2 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_until(&mut stream, "GET /2 0").await;
    assert_eq!(read_to_end(&mut stream).await, "");
    assert!(stage.refused.try_recv().is_err());
}

#[test]
fn a_peer_that_reads_slowly_is_not_one_that_reads_nothing() {
    use super::watched::{Phase, Watch};
    use std::task::Poll;
    let watch = Watch::new();
    watch.begin();
    let stalled = |watch: &Watch| {
        watch.wrote(&Poll::Pending);
        watch.phase()
    };
    let (first, second) = (stalled(&watch), stalled(&watch));
    assert_eq!((first.0, first), (Phase::Stalled, second), "it took nothing: its time goes on");
    watch.wrote(&Poll::Ready(Ok(1)));
    assert_ne!(stalled(&watch), second, "it took a byte: its time begins anew");
    watch.wrote(&Poll::Ready(Ok(1)));
    watch.flushed(&Poll::Pending);
    assert_eq!(watch.phase().0, Phase::Stalled, "what TLS has taken the peer has not");
    watch.flushed(&Poll::Ready(Ok(())));
    assert_eq!(watch.phase().0, Phase::Busy);
}

#[tokio::test]
async fn draining_lets_answers_end_and_closes_what_idles() {
    let stage = Stage::start(8).await;
    let mut idle = stage.connect().await;
    idle.write_all(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_until(&mut idle, "GET /1 0").await;
    let mut busy = stage.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    stage.echo.entered.notified().await;

    let place = stage.server.place().clone();
    stage.server.stop_accepting();
    assert_eq!(read_to_end(&mut idle).await, "");
    stage.echo.release.notify_one();
    let answer = read_to_end(&mut busy).await;
    assert!(answer.ends_with("GET /slow 0") && answer.contains("connection: close"), "{answer}");
    assert_eq!(stage.server.drain(Duration::from_secs(30)).await, Drained::Whole);
    let Place::Tcp(address) = place else { panic!("not TCP") };
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn draining_cuts_what_does_not_end_in_time() {
    let stage = Stage::start(8).await;
    let mut busy = stage.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    stage.echo.entered.notified().await;
    assert_eq!(stage.server.drain(Duration::from_secs(30)).await, Drained::Cut(1));
    assert_eq!(read_to_end(&mut busy).await, "");
}

#[tokio::test]
async fn tcp_beyond_loopback_is_refused_and_a_port_in_use_is_named() {
    let beyond = bind_tcp("0.0.0.0:0".parse().unwrap()).await;
    assert!(matches!(beyond, Err(BindError::NotLoopback(_))));
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = bind_tcp(other.local_addr().unwrap()).await;
    assert!(matches!(taken, Err(BindError::AddressInUse(_))));
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_unix_socket_has_its_mode_tells_the_peers_uid_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agents.sock");
    let stage = Stage::serve(bind_unix(&path, 0o660).unwrap(), 8);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    assert_eq!(names_in(directory.path()), ["agents.sock"]);

    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let answer = read_to_end(&mut stream).await;
    let uid = rustix::process::getuid().as_raw();
    assert!(answer.ends_with(&format!("GET / 0 uid={uid}")), "{answer}");

    stage.server.drain(Duration::from_secs(30)).await;
    assert!(names_in(directory.path()).is_empty());
}

#[tokio::test]
async fn a_live_socket_is_refused_a_stale_one_replaced_and_a_file_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agents.sock");
    let first = bind_unix(&path, 0o600).unwrap();
    assert!(matches!(bind_unix(&path, 0o600), Err(BindError::Live(_))));
    drop(first);

    // tokio's listener does not unlink, so it leaves what a killed process leaves.
    drop(UnixListener::bind(&path).unwrap());
    let second = bind_unix(&path, 0o600).unwrap();
    UnixStream::connect(&path).await.unwrap();
    drop(second);

    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(bind_unix(&path, 0o600), Err(BindError::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");

    let link = directory.path().join("link.sock");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    assert!(matches!(bind_unix(&link, 0o600), Err(BindError::NotASocket(_))));

    let long = directory.path().join("x".repeat(120));
    assert!(matches!(bind_unix(&long, 0o600), Err(BindError::PathTooLong(_))));
    assert!(matches!(bind_unix(&directory.path().join("no/s"), 0o600), Err(BindError::Unix { .. })));
}
