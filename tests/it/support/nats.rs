//! A nats-server of the test's own, with JetStream: configuration, store and log in a folder of its own, on a port of
//! loopback.

use std::process::{Child, Command, Stdio};

use async_nats::{Client, ConnectOptions};
use data_encoding::BASE64;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::interop;

/// What the stream takes.
pub const SUBJECT: &str = "audit.gate";
const STREAM: &str = "AUDIT";

/// Killed when dropped.
pub struct Nats {
    dir: TempDir,
    port: u16,
    child: Child,
    /// How the test itself speaks with it.
    options: fn(&TempDir) -> ConnectOptions,
}

/// A message of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `Nats-Msg-Id`.
    pub id: String,
    pub text: String,
}

impl Nats {
    /// Starts one with these lines in its configuration, and files of these names and contents beside that.
    pub fn start(config: &str, files: &[(&str, &str)], options: fn(&TempDir) -> ConnectOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let own = format!("listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: store }}\n{config}\n");
        std::fs::write(dir.path().join("nats.conf"), own).unwrap();
        let child = serve(&dir, port);
        Self { dir, port, child, options }
    }

    /// One that anybody may use, with the stream.
    pub async fn with_stream() -> Self {
        let nats = Self::start("", &[], |_| ConnectOptions::new());
        nats.make_stream(&json!({})).await;
        nats
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, with what it has stored.
    pub fn restart(&mut self) {
        self.child = serve(&self.dir, self.port);
    }

    async fn client(&self) -> Client {
        (self.options)(&self.dir).connect(format!("127.0.0.1:{}", self.port)).await.unwrap()
    }

    /// Asks JetStream ("JetStream wire API").
    async fn ask(client: &Client, what: &str, question: &Value) -> Value {
        let subject = format!("$JS.API.STREAM.{what}.{STREAM}");
        let answer = client.request(subject, question.to_string().into()).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!(answer.get("error"), None, "{answer}");
        answer
    }

    /// Makes the stream, with these settings beside its own.
    pub async fn make_stream(&self, more: &Value) {
        Self::ask(&self.client().await, "CREATE", &stream(more)).await;
    }

    pub async fn change_stream(&self, more: &Value) {
        Self::ask(&self.client().await, "UPDATE", &stream(more)).await;
    }

    /// What the stream holds, in its order.
    pub async fn messages(&self) -> Vec<Message> {
        let client = self.client().await;
        let last = Self::ask(&client, "INFO", &json!({})).await["state"]["last_seq"].as_u64().unwrap();
        let mut messages = Vec::new();
        for seq in 1..=last {
            let message = Self::ask(&client, "MSG.GET", &json!({ "seq": seq })).await["message"].clone();
            assert_eq!(message["subject"], SUBJECT);
            let text = |key: &str| {
                let bytes = BASE64.decode(message[key].as_str().unwrap().as_bytes()).unwrap();
                String::from_utf8(bytes).unwrap()
            };
            let id = text("hdrs").strip_prefix("NATS/1.0\r\nNats-Msg-Id: ").unwrap().trim_end().to_owned();
            messages.push(Message { id, text: text("data") });
        }
        messages
    }

    /// What they hold.
    pub async fn lines(&self) -> Vec<String> {
        self.messages().await.into_iter().map(|message| message.text).collect()
    }

    /// Waits until the stream holds as many records of this kind.
    pub async fn has(&self, kind: &str, times: usize) {
        while super::receiver::of_kind(&self.lines().await, kind) < times {}
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn stream(more: &Value) -> Value {
    let mut stream =
        json!({ "name": STREAM, "subjects": ["audit.>"], "storage": "file", "retention": "limits" });
    stream.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    stream
}

/// Starts a server and waits until it listens.
fn serve(dir: &TempDir, port: u16) -> Child {
    let mut command = Command::new(interop("bin/nats-server"));
    command.args(["--config", "nats.conf", "--log", "log"]).current_dir(dir.path()).stdin(Stdio::null());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start nats-server: {error}; tests/run unpacks it on Debian"));
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        if let Some(status) = child.try_wait().unwrap() {
            let said = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
            panic!("nats-server ended: {status}: {said}");
        }
        std::thread::yield_now();
    }
    child
}
