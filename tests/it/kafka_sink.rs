//! Sinks to Kafka before a broker that refuses what Kafka refuses, hangs, hangs up, and is particular about whom it
//! serves; and before the cluster that the reference client brings for tests, read with that client.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::broker::{Broker, Rules, TOPIC};
use crate::support::gateway::Gateway;
use crate::support::sink::{
    assert_denial_set_aside, assert_whole, call, call_around_a_denial, letters, owed, seqs, sink_site,
    until_ready_shows,
};
use crate::support::tls::{Authority, acceptor, write};
use crate::support::{Site, check_audit, interop};

fn site(broker: &Broker, more: &str) -> Site {
    sink_site("kafka", &format!("kafka://127.0.0.1:{}", broker.port), &format!("topic = {TOPIC:?}\n{more}"))
}

/// The cluster of the reference client (tests/fixtures/kafka_cluster.py). Killed when dropped.
struct Cluster {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    servers: String,
}

impl Cluster {
    fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/kafka_cluster.py");
        let mut command = Command::new(interop("servers/bin/python"));
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("tests/run installs librdkafka");
        let (commands, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut cluster = Self { child, commands, answers, servers: String::new() };
        cluster.servers = cluster.answer().as_str().unwrap().to_owned();
        cluster
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn ask(&mut self, command: &str) -> Value {
        writeln!(self.commands, "{command}").unwrap();
        self.answer()
    }

    /// The keys and the records of the topic.
    fn read(&mut self) -> (Vec<String>, Vec<String>) {
        let records = self.ask("read");
        let text = |record: &Value, at: usize| record[at].as_str().unwrap().to_owned();
        records.as_array().unwrap().iter().map(|record| (text(record, 0), text(record, 1))).unzip()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn is_denial(record: &str) -> bool {
    record.contains("\"kind\":\"denial\"")
}

/// How often giving something to the sink failed.
async fn failures(gateway: &Gateway) -> String {
    let metrics = gateway.shows("/metrics").await;
    let line = metrics.lines().find(|line| line.starts_with("sluicegate_sink_failures_total{sink=\"siem\"}"));
    line.unwrap().rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_has_every_record_in_order_by_a_key_that_tells_what_comes_again() {
    for produce_max in [3, 7, 8] {
        let broker = Broker::start(Rules { produce_max, ..Rules::default() }).await;
        let site = site(&broker, "required = true");
        for _ in 0..2 {
            let gateway = site.start();
            call(&gateway, &["one", "two", "three"]).await;
            assert!(gateway.stop().success());
            assert_eq!(seqs(&broker.lines()), owed(&site));
        }
        // All of it again.
        std::fs::remove_file(site.path("state/sinks/siem.json")).unwrap();
        assert!(site.start().stop().success());
        assert!(broker.lines().len() > owed(&site).len());
        assert_whole(&site, &broker.lines(), &[]);
        for record in broker.log() {
            let json: Value = serde_json::from_str(&record.text).unwrap();
            assert_eq!(record.key, format!("siem-{}-{}", json["seq"], json["digest"].as_str().unwrap()));
            let time: jiff::Timestamp = json["t"].as_str().unwrap().parse().unwrap();
            assert_eq!(record.millis, time.as_millisecond());
        }
        check_audit(&site);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_kafka_does_not_take_is_set_aside_alone_whether_it_is_named_or_not() {
    for produce_max in [7, 8] {
        let rules = Rules { is_poison: is_denial, produce_max, ..Rules::default() };
        let broker = Broker::start(rules).await;
        let site = site(&broker, "");
        let gateway = site.start();
        call_around_a_denial(&gateway).await;
        broker.has("outcome", 2).await;
        until_ready_shows(&gateway, "sink_dead_letters").await;
        assert!(gateway.stop().success());
        let denial = assert_denial_set_aside(&site);
        let why = if produce_max < 8 { "INVALID_RECORD (87)" } else { "INVALID_RECORD (87): not taken here" };
        assert_eq!(letters(&site)[0]["why"], why);
        assert_whole(&site, &broker.lines(), &[denial]);
        check_audit(&site);
    }
}

/// How large a batch of `line` alone is: 61 bytes of its own, 10 of the record, the key and the line.
fn alone(line: &str) -> usize {
    let record: Value = serde_json::from_str(line).unwrap();
    let key = format!("siem-{}-{}", record["seq"], record["digest"].as_str().unwrap());
    71 + key.len() + line.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_for_kafka_comes_in_parts_and_what_is_too_large_alone_is_set_aside() {
    let broker = Broker::start(Rules { answers: false, ..Rules::default() }).await;
    let copy = "[[audit.sinks]]\nname = \"copy\"\ntype = \"file\"\npath = \"copy.jsonl\"";
    let site = site(&broker, copy);
    let lines = || std::fs::read_to_string(site.path("copy.jsonl")).unwrap();
    let gateway = site.start();
    call(&gateway, &["one", "two", "three"]).await;
    assert!(gateway.stop().success());
    // What is as large as the largest is too large.
    let batch_max = lines().lines().map(alone).max().unwrap() - 1;
    broker.set(Rules { batch_max, ..Rules::default() });
    let gateway = site.start();
    broker.has("stop", 1).await;
    assert!(gateway.stop().success());
    let too_large: Vec<u64> = lines()
        .lines()
        .filter(|line| alone(line) > batch_max)
        .map(|line| seqs(&[line.to_owned()])[0])
        .collect();
    let letters = letters(&site);
    let set_aside: Vec<u64> = letters.iter().map(|letter| letter["seq"].as_u64().unwrap()).collect();
    assert!(!too_large.is_empty());
    assert_eq!(set_aside, too_large);
    assert_eq!(letters[0]["why"], "MESSAGE_TOO_LARGE (10): said of the batch");
    assert_whole(&site, &broker.lines(), &too_large);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_of_kafka_that_refuses_is_told_of_and_gets_it_all_later() {
    for (fails, told) in [
        (
            (|_| 29) as fn(usize) -> i16,
            "TOPIC_AUTHORIZATION_FAILED (29): said of the batch; let the user write",
        ),
        (|_| 6, "NOT_LEADER_OR_FOLLOWER (6)"),
        (|_| 19, "NOT_ENOUGH_REPLICAS (19)"),
        (|_| 2, "CORRUPT_MESSAGE (2)"),
    ] {
        let broker = Broker::start(Rules { fails, ..Rules::default() }).await;
        let site = site(&broker, "");
        let gateway = site.start();
        call(&gateway, &["one"]).await;
        until_ready_shows(&gateway, told).await;
        broker.set(Rules::default());
        call(&gateway, &["two"]).await;
        broker.has("outcome", 2).await;
        assert!(gateway.stop().success());
        assert_eq!(letters(&site).len(), 0);
        assert_whole(&site, &broker.lines(), &[]);
        check_audit(&site);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_or_partition_that_kafka_does_not_have_is_told_of() {
    let broker = Broker::start(Rules::default()).await;
    let site = site(&broker, "partition = 1");
    let gateway = site.start();
    until_ready_shows(&gateway, "`audit` has no partition 1; write one that it has").await;
    assert!(gateway.stop().success());
    site.edit(|config| config.replace("topic = \"audit\"", "topic = \"other\""));
    let gateway = site.start();
    until_ready_shows(&gateway, "UNKNOWN_TOPIC_OR_PARTITION (3); make the topic").await;
    assert!(gateway.stop().success());
    assert_eq!(broker.batches(), 0);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_that_hangs_or_does_not_listen_holds_no_call_up_and_gets_it_all_after_a_kill() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broker =
        Broker::new(listener.local_addr().unwrap().port(), Rules { answers: false, ..Rules::default() });
    drop(listener);
    let site = site(&broker, "required = true\nbehind_max = 1");
    let gateway = site.start();
    call(&gateway, &["one"]).await;
    until_ready_shows(&gateway, "sink_failing").await;
    let broker = broker.clone().listen(TcpListener::bind(("127.0.0.1", broker.port)).await.unwrap(), None);
    call(&gateway, &["two"]).await;
    until_ready_shows(&gateway, "sink_behind").await;
    gateway.kill();
    broker.set(Rules::default());
    let gateway = site.start();
    broker.has("outcome", 2).await;
    assert!(gateway.stop().success());
    assert_whole(&site, &broker.lines(), &[]);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_may_hang_up_on_who_is_silent() {
    let broker = Broker::start(Rules::default()).await;
    let site = site(&broker, "");
    let gateway = site.start();
    for (round, id) in ["one", "two", "three"].into_iter().enumerate() {
        call(&gateway, &[id]).await;
        broker.has("outcome", round + 1).await;
        broker.hang_up();
    }
    assert_eq!(failures(&gateway).await, "0");
    assert!(gateway.stop().success());
    assert_eq!(seqs(&broker.lines()), owed(&site));
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_has_to_be_who_it_says_it_is_and_so_has_the_sink() {
    let (authority, other) = (Authority::new("kafka"), Authority::new("other"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rules = Rules { login: Some(("gate", "s3cr3t-passw0rd")), ..Rules::default() };
    let tls = Some(acceptor(&authority.signs(&["127.0.0.1"])));
    let broker = Broker::new(listener.local_addr().unwrap().port(), rules).listen(listener, tls);
    let more = "ca = \"kafka.pem\"\nuser = \"nobody\"\npassword = { file = \"password\" }";
    let site = site(&broker, more);
    site.edit(|config| config.replace("kafka://", "tls://"));
    write(&site, "kafka.pem", &other.pem());
    write(&site, "password", "s3cr3t-passw0rd");
    let gateway = site.start();
    call(&gateway, &["one"]).await;
    until_ready_shows(&gateway, "UnknownIssuer").await;
    // Certificates are read with each connection.
    write(&site, "kafka.pem", &authority.pem());
    until_ready_shows(&gateway, "SASL_AUTHENTICATION_FAILED (58): Authentication failed; write a `user`")
        .await;
    assert!(!gateway.shows("/readyz").await.contains("s3cr3t"));
    assert!(gateway.stop().success());
    site.edit(|config| config.replace("nobody", "gate"));
    let gateway = site.start();
    broker.has("outcome", 1).await;
    assert!(gateway.stop().success());
    assert!(!std::fs::read_to_string(site.path("log")).unwrap().contains("s3cr3t"));
    assert_eq!((letters(&site).len(), seqs(&broker.lines())), (0, owed(&site)));
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_as_its_reference_client_speaks_it_loses_nothing_while_leaders_move_and_brokers_end() {
    let mut cluster = Cluster::start();
    assert_eq!(cluster.ask("leader 1"), Value::Null);
    let site = sink_site("kafka", &format!("kafka://{}", cluster.servers), &format!("topic = {TOPIC:?}"));
    let gateway = site.start();
    call(&gateway, &["one", "two"]).await;
    // Another leads; the one that is asked first is gone; a batch is too large, or nobody can say who leads.
    for (number, commands) in [
        &["leader 2"][..],
        &["leader 3", "down 1"],
        &["refuse 0 10", "refuse 0 19"],
        &["up 1", "down 3", "leader 2"],
    ]
    .into_iter()
    .enumerate()
    {
        for command in commands {
            assert_eq!(cluster.ask(command), Value::Null);
        }
        call(&gateway, &[&number.to_string(), &format!("{number} again")]).await;
        while !gateway.shows("/metrics").await.contains("sluicegate_sink_behind_lines{sink=\"siem\"} 0\n") {}
    }
    assert_ne!(failures(&gateway).await, "0");
    assert!(gateway.stop().success());
    assert_eq!(letters(&site).len(), 0);
    let (keys, lines) = cluster.read();
    assert_whole(&site, &lines, &[]);
    for (key, line) in keys.iter().zip(&lines) {
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!(*key, format!("siem-{}-{}", record["seq"], record["digest"].as_str().unwrap()));
    }
    check_audit(&site);
}
