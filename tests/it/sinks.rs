//! Sinks before real files and receivers: everything, in order, at least once, and never in the way of a call.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, BufReader};
use tokio::net::{TcpListener, UnixDatagram};
use tokio::sync::watch;

use crate::support::gateway::{CHAT_KEY, Gateway};
use crate::support::sink::{assert_whole, owed, seqs};
use crate::support::tls::{Authority, acceptor};
use crate::support::{Client, Site, check_audit};

/// A syslog receiver (RFC 6587, octet counting) that keeps the records that it read.
#[derive(Clone)]
struct Receiver {
    lines: Arc<Mutex<Vec<String>>>,
    count: watch::Sender<usize>,
}

impl Receiver {
    fn new() -> Self {
        Self { lines: Arc::default(), count: watch::Sender::new(0) }
    }

    /// Reads one connection to its end, or until `most` messages came.
    async fn read(&self, stream: impl AsyncRead + AsyncWrite + Unpin, most: usize) {
        let mut stream = BufReader::new(stream);
        for _ in 0..most {
            let Some(message) = message(&mut stream).await else { return };
            self.take(&message);
        }
    }

    fn take(&self, message: &str) {
        let (head, record) = message.split_once(" - ").unwrap();
        let words: Vec<_> = head.split(' ').collect();
        assert_eq!((words.len(), words[3]), (6, "sluicegate"), "{head}");
        let json: Value = serde_json::from_str(record).unwrap();
        assert_eq!((words[1], words[5]), (json["t"].as_str().unwrap(), json["kind"].as_str().unwrap()));
        self.lines.lock().unwrap().push(record.to_owned());
        self.count.send_modify(|count| *count += 1);
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    async fn has(&self, kind: &str, times: usize) {
        let is_there = |_: &usize| of_kind(&self.lines(), kind).len() >= times;
        self.count.subscribe().wait_for(is_there).await.unwrap();
    }
}

/// One message, as long as it says that it is; none where the sender has ended.
async fn message(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut length = String::new();
    loop {
        match stream.read_u8().await {
            Ok(b' ') => break,
            Ok(digit) => length.push(char::from(digit)),
            Err(_) => return None,
        }
    }
    let mut text = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut text).await.ok()?;
    Some(String::from_utf8(text).unwrap())
}

fn of_kind(lines: &[String], kind: &str) -> Vec<Value> {
    let records = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["kind"] == kind).collect()
}

fn sink(more: &str) -> String {
    format!("[admin]\naddress = \"127.0.0.1:0\"\n[[audit.sinks]]\nname = \"siem\"\n{more}\n")
}

async fn call(gateway: &Gateway, times: usize) {
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    for number in 0..times {
        let id = format!("{}-{number}", gateway.pid());
        assert_eq!(client.call("tools__read", &id).await.reason(), "ok");
    }
}

fn file_lines(site: &Site, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(site.path(name)).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_holds_every_record_once_over_restarts_and_half_lines() {
    let site = Site::with_oracle(&sink("type = \"file\"\npath = \"out.jsonl\""));
    for _ in 0..3 {
        let gateway = site.start();
        call(&gateway, 3).await;
        assert!(gateway.stop().success());
        let lines = file_lines(&site, "out.jsonl");
        assert_eq!(seqs(&lines), owed(&site));
        assert_eq!(of_kind(&lines, "stop").len(), of_kind(&lines, "start").len());
        // What a crash may leave.
        let mut text = std::fs::read(site.path("out.jsonl")).unwrap();
        text.extend_from_slice(b"{\"v\":1,\"seq\":99");
        std::fs::write(site.path("out.jsonl"), text).unwrap();
    }
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_moved_aside_when_it_is_large_and_made_anew_when_somebody_else_moved_it() {
    let site = Site::with_oracle(&sink(
        "type = \"file\"\npath = \"out.jsonl\"\nrotate_bytes = \"64KiB\"\nrotate_keep = 9",
    ));
    let gateway = site.start();
    call(&gateway, 60).await;
    std::fs::rename(site.path("out.jsonl"), site.path("moved.jsonl")).unwrap();
    call(&gateway, 10).await;
    assert!(gateway.stop().success());
    let mut lines = Vec::new();
    for number in (1..9).rev() {
        if site.path(&format!("out.jsonl.{number}")).exists() {
            lines.extend(file_lines(&site, &format!("out.jsonl.{number}")));
        }
    }
    assert!(!lines.is_empty(), "none was moved aside");
    lines.extend(file_lines(&site, "moved.jsonl"));
    lines.extend(file_lines(&site, "out.jsonl"));
    lines.sort_by_key(|line| seqs(std::slice::from_ref(line)));
    assert_eq!(seqs(&lines), owed(&site));
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_gets_everything_in_order_and_nothing_twice_where_it_ends_in_order() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let site = Site::with_oracle(&sink(&format!("type = \"syslog\"\nurl = {url:?}")));
    let receiver = Receiver::new();
    for _ in 0..2 {
        let gateway = site.start();
        let reading = receiver.clone();
        let accepted = listener.accept().await.unwrap().0;
        let read = tokio::spawn(async move { reading.read(accepted, usize::MAX).await });
        call(&gateway, 3).await;
        assert!(gateway.stop().success());
        read.await.unwrap();
        assert_eq!(seqs(&receiver.lines()), owed(&site));
    }
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f62_who_does_not_listen_holds_no_call_up_and_gets_it_all_later() {
    // A port that nobody listens on, and then a receiver that breaks off.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let required = format!("type = \"syslog\"\nurl = \"tcp://{address}\"\nrequired = true\nbehind_max = 5");
    let site = Site::with_oracle(&sink(&required));
    let gateway = site.start();
    call(&gateway, 5).await;
    let ready = || Client::anonymous(&format!("{}/readyz", gateway.admin));
    let mut answer = ready().send(http::Method::GET, "").await;
    while answer.status != http::StatusCode::SERVICE_UNAVAILABLE {
        answer = ready().send(http::Method::GET, "").await;
    }
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(text.contains("sink_behind") && text.contains("sink_failing"), "{text}");
    call(&gateway, 5).await;

    let listener = TcpListener::bind(address).await.unwrap();
    let receiver = Receiver::new();
    for most in [3, 7] {
        // It reads a few and breaks off: what it did not read comes again.
        let broken = listener.accept().await.unwrap().0;
        receiver.read(&mut { broken }, most).await;
    }
    let reading = receiver.clone();
    let read = tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            reading.read(stream, usize::MAX).await;
        }
    });
    receiver.has("outcome", 10).await;
    assert!(gateway.stop().success());
    receiver.has("stop", 1).await;
    read.abort();
    assert_whole(&site, &receiver.lines(), &[]);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f66_a_gateway_that_is_killed_sends_again_what_nobody_acknowledged() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let site = Site::with_oracle(&sink(&format!("type = \"syslog\"\nurl = {url:?}")));
    let receiver = Receiver::new();
    let reading = receiver.clone();
    let read = tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            reading.read(stream, usize::MAX).await;
        }
    });
    let gateway = site.start();
    call(&gateway, 4).await;
    receiver.has("outcome", 4).await;
    gateway.kill();
    let gateway = site.start();
    call(&gateway, 2).await;
    assert!(gateway.stop().success());
    receiver.has("stop", 1).await;
    read.abort();
    let lines = receiver.lines();
    assert!(lines.len() > owed(&site).len(), "syslog acknowledges nothing");
    assert_whole(&site, &lines, &[]);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_behind_tls_has_to_be_who_it_says_it_is() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let more = format!("type = \"syslog\"\nurl = \"tls://127.0.0.1:{port}\"\nca = \"siem.pem\"");
    let site = Site::with_oracle(&sink(&more));
    let (authority, other) = (Authority::new("siem"), Authority::new("other"));
    std::fs::write(site.path("siem.pem"), authority.pem()).unwrap();
    let gateway = site.start();
    call(&gateway, 2).await;
    let refused = listener.accept().await.unwrap().0;
    assert!(acceptor(&other.signs(&["127.0.0.1"])).accept(refused).await.is_err(), "nobody's certificate");
    let receiver = Receiver::new();
    let stream = listener.accept().await.unwrap().0;
    let stream = acceptor(&authority.signs(&["127.0.0.1"])).accept(stream).await.unwrap();
    let reading = receiver.clone();
    let read = tokio::spawn(async move { reading.read(stream, usize::MAX).await });
    receiver.has("outcome", 2).await;
    assert!(gateway.stop().success());
    read.await.unwrap();
    assert_whole(&site, &receiver.lines(), &[]);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_datagram_socket_gets_one_record_a_datagram_from_now_on() {
    let site = Site::with_oracle(&sink("type = \"syslog\"\nurl = \"unix:log.sock\"\nbegin = \"now\""));
    let socket = UnixDatagram::bind(site.path("log.sock")).unwrap();
    let receiver = Receiver::new();
    let reading = receiver.clone();
    let read = tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = socket.recv(&mut buffer).await.unwrap();
            reading.take(std::str::from_utf8(&buffer[..length]).unwrap());
        }
    });
    let gateway = site.start();
    call(&gateway, 3).await;
    assert!(gateway.stop().success());
    receiver.has("stop", 1).await;
    read.abort();
    let lines = receiver.lines();
    assert_eq!(of_kind(&lines, "start").len(), 0, "it was recorded before");
    assert_eq!(of_kind(&lines, "outcome").len(), 3);
    let all = owed(&site);
    assert_eq!(seqs(&lines), all[all.len() - lines.len()..]);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standard_output_holds_whole_lines() {
    let site = Site::with_oracle("[[audit.sinks]]\nname = \"out\"\ntype = \"stdout\"\n");
    let mut command = site.command(&["serve", "--config", "gateway.toml"]);
    let out = std::fs::File::create(site.path("printed")).unwrap();
    let mut child = command
        .stdin(std::process::Stdio::null())
        .stdout(out)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let printed = || std::fs::read_to_string(site.path("printed")).unwrap();
    while !printed().contains("\"kind\":\"start\"") || !printed().contains("\nready\n") {
        tokio::task::yield_now().await;
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    let text = printed();
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with('{')).map(str::to_owned).collect();
    assert_eq!(seqs(&lines), owed(&site));
    let others: Vec<_> = text.lines().filter(|line| !line.starts_with('{')).collect();
    assert_eq!(others.len(), 2, "{others:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_whose_place_cannot_be_read_is_not_served_from_anywhere_else() {
    let site = Site::with_oracle(&sink("type = \"file\"\npath = \"out.jsonl\""));
    let gateway = site.start();
    assert!(gateway.stop().success());
    let place = site.path("state").join("sinks").join("siem.json");
    let kept: Value = serde_json::from_slice(&std::fs::read(&place).unwrap()).unwrap();
    assert_eq!(kept["v"], json!(1));
    std::fs::write(&place, "{").unwrap();
    let said = site.try_start().map(|_| ()).unwrap_err();
    assert!(said.contains("siem.json") && said.contains("begins anew"), "{said}");
}
