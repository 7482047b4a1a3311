//! An HTTP server that sinks send to: what it answers is for the test to say, what came is there to look at.

use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sluicegate::clock::Clock;
use tokio::net::TcpListener;
use tokio::sync::watch;

const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One request as it came.
#[derive(Clone)]
pub struct Batch {
    pub uri: Uri,
    pub headers: HeaderMap,
    /// As it was sent, packed or not.
    pub body: Bytes,
    pub lines: Vec<String>,
    pub at: Duration,
}

impl Batch {
    /// The value of a header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

type Answers = dyn Fn(usize, &Batch) -> Response<Full<Bytes>> + Send + Sync;

/// What it answers is decided by `answers`, from how many requests came before and this one.
#[derive(Clone)]
pub struct Receiver {
    pub url: String,
    /// The path of requests that are not answered for as long as it stands here.
    pub silent_at: watch::Sender<&'static str>,
    answers: Arc<Answers>,
    clock: Clock,
    came: Arc<Mutex<Vec<(Batch, StatusCode)>>>,
    count: watch::Sender<usize>,
}

/// An answer without a body.
pub fn status(code: u16) -> Response<Full<Bytes>> {
    Response::builder().status(code).body(Full::default()).unwrap()
}

/// An answer of JSON.
pub fn json(code: u16, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let answer = Response::builder().status(code).header("content-type", "application/json");
    answer.body(Full::from(body.to_string())).unwrap()
}

impl Receiver {
    pub async fn start(
        answers: impl Fn(usize, &Batch) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self::new(format!("http://{}", listener.local_addr().unwrap()), answers);
        tokio::spawn(receiver.clone().listen(listener));
        receiver
    }

    pub fn new(
        url: String,
        answers: impl Fn(usize, &Batch) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            url,
            silent_at: watch::Sender::new(""),
            answers: Arc::new(answers),
            clock: Clock::system(),
            came: Arc::default(),
            count: watch::Sender::new(0),
        }
    }

    pub async fn listen(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(self.clone().serve(TokioIo::new(stream)));
        }
    }

    pub async fn serve(self, stream: impl hyper::rt::Read + hyper::rt::Write + Unpin) {
        let service = service_fn(|request| self.clone().answer(request));
        // Whoever breaks off has nothing more to say.
        _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let (head, body) = request.into_parts();
        #[expect(clippy::disallowed_methods, reason = "limited")]
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await.unwrap().to_bytes();
        let mut text = String::new();
        match head.headers.get("content-encoding") {
            Some(_) => flate2::read::GzDecoder::new(&*body).read_to_string(&mut text).unwrap(),
            None => (&*body).read_to_string(&mut text).unwrap(),
        };
        let lines = text.lines().map(str::to_owned).collect();
        let (uri, headers, at) = (head.uri, head.headers, self.clock.monotonic());
        let batch = Batch { uri, headers, body, lines, at };
        let path = batch.uri.path().to_owned();
        let answer = {
            let mut came = self.came.lock().unwrap();
            let answer = (self.answers)(came.len(), &batch);
            came.push((batch, answer.status()));
            answer
        };
        // Not under the lock: who waits looks at what came.
        self.count.send_modify(|count| *count += 1);
        self.silent_at.subscribe().wait_for(|silent| *silent != path).await.unwrap();
        Ok(answer)
    }

    pub fn came(&self) -> Vec<(Batch, StatusCode)> {
        self.came.lock().unwrap().clone()
    }

    /// The lines of what it took.
    pub fn taken(&self) -> Vec<String> {
        let came = self.came().into_iter().filter(|(_, status)| status.is_success());
        came.flat_map(|(batch, _)| batch.lines).collect()
    }

    /// Waits until `is_so`, which is looked at whenever something came.
    pub async fn until(&self, is_so: impl Fn() -> bool) {
        self.count.subscribe().wait_for(|_| is_so()).await.unwrap();
    }

    pub async fn has(&self, kind: &str, times: usize) {
        self.until(|| of_kind(&self.taken(), kind) >= times).await;
    }

    pub async fn asked(&self, times: usize) {
        self.count.subscribe().wait_for(|count| *count >= times).await.unwrap();
    }
}

/// Tells a batch that is begun anew from a part of one that is asked about, while nothing of it was ever taken.
#[derive(Default)]
pub struct Attempts(Mutex<Option<(String, usize)>>);

impl Attempts {
    /// Whether a request with these records is the first one of its batch: no part is as long.
    pub fn begins(&self, records: &[String]) -> bool {
        let mut begun = self.0.lock().unwrap();
        let is_first =
            begun.as_ref().is_none_or(|(first, len)| records[0] == *first && records.len() >= *len);
        if is_first {
            *begun = Some((records[0].clone(), records.len()));
        }
        is_first
    }
}

/// How many of `lines` are records of the kind `kind`.
pub fn of_kind(lines: &[String], kind: &str) -> usize {
    let kind = format!("\"kind\":\"{kind}\"");
    lines.iter().filter(|line| line.contains(&kind)).count()
}
