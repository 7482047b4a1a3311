//! A broker of Kafka's protocol (kafka.apache.org/protocol) with one topic of one partition: what it refuses, Kafka
//! refuses, and with the same codes; the rest is for the test to say. Reads every field of what comes.

use std::sync::{Arc, Mutex};

use bytes::{Buf as _, BufMut as _, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

pub const TOPIC: &str = "audit";
/// Largest request (`socket.request.max.bytes`).
const REQUEST_BYTES_MAX: usize = 100 * 1024 * 1024;

/// What it does beside what Kafka does.
#[derive(Clone)]
pub struct Rules {
    /// Whom it serves; anybody where there is none.
    pub login: Option<(&'static str, &'static str)>,
    /// Largest batch (`message.max.bytes`).
    pub batch_max: usize,
    /// The newest version of `Produce` that it speaks.
    pub produce_max: i16,
    /// Which records it does not take (`INVALID_RECORD`).
    pub is_poison: fn(&str) -> bool,
    /// With which code it answers a batch, of which so many came before.
    pub fails: fn(usize) -> i16,
    /// Whether it answers at all.
    pub answers: bool,
}

impl Default for Rules {
    fn default() -> Self {
        let (is_poison, fails) = (|_: &str| false, |_| 0);
        Self { login: None, batch_max: 1_048_588, produce_max: 8, is_poison, fails, answers: true }
    }
}

/// A record that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub key: String,
    pub text: String,
    pub millis: i64,
}

#[derive(Clone)]
pub struct Broker {
    pub port: u16,
    rules: watch::Sender<Rules>,
    log: Arc<Mutex<Vec<Record>>>,
    /// How many batches came.
    batches: watch::Sender<usize>,
    /// How often everybody was hung up on.
    hung_up: watch::Sender<usize>,
}

/// What one connection has shown.
#[derive(Default)]
struct Session {
    is_known: bool,
    mechanism: Option<String>,
}

/// What came is not of the protocol, or not allowed: Kafka ends the connection.
struct Wrong;

impl Broker {
    pub async fn start(rules: Rules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self::new(port, rules).listen(listener, None)
    }

    pub fn new(port: u16, rules: Rules) -> Self {
        let (rules, batches, hung_up) =
            (watch::Sender::new(rules), watch::Sender::new(0), watch::Sender::new(0));
        Self { port, rules, log: Arc::default(), batches, hung_up }
    }

    /// Serves whoever comes, by TLS where there is a certificate.
    pub fn listen(self, listener: TcpListener, tls: Option<TlsAcceptor>) -> Self {
        let broker = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (broker, tls) = (broker.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => broker.serve(stream).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => broker.serve(stream).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        self
    }

    pub fn set(&self, rules: Rules) {
        self.rules.send_replace(rules);
    }

    /// Ends every connection that waits for a request, as Kafka does with idle ones.
    pub fn hang_up(&self) {
        self.hung_up.send_modify(|times| *times += 1);
    }

    pub fn log(&self) -> Vec<Record> {
        self.log.lock().unwrap().clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.log().into_iter().map(|record| record.text).collect()
    }

    pub fn batches(&self) -> usize {
        *self.batches.borrow()
    }

    /// Waits until `is_so`, which is looked at whenever a batch was answered.
    pub async fn until(&self, is_so: impl Fn() -> bool) {
        self.batches.subscribe().wait_for(|_| is_so()).await.unwrap();
    }

    pub async fn has(&self, kind: &str, times: usize) {
        self.until(|| super::receiver::of_kind(&self.lines(), kind) >= times).await;
    }

    /// One request after the other, until the client or something that is wrong ends it.
    async fn serve(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<()> {
        let (mut session, mut hung_up) = (Session::default(), self.hung_up.subscribe());
        loop {
            let size = tokio::select! {
                size = stream.read_i32() => usize::try_from(size.ok()?).ok()?,
                _ = hung_up.changed() => return None,
            };
            if size > REQUEST_BYTES_MAX {
                return None;
            }
            let mut frame = vec![0; size];
            stream.read_exact(&mut frame).await.ok()?;
            let answer = self.answer(Bytes::from(frame), &mut session).ok()?;
            self.rules.subscribe().wait_for(|rules| rules.answers).await.ok()?;
            stream.write_i32(i32::try_from(answer.len()).unwrap()).await.ok()?;
            stream.write_all(&answer).await.ok()?;
            stream.flush().await.ok()?;
            self.batches.send_modify(|_| {});
        }
    }

    fn answer(&self, mut request: Bytes, session: &mut Session) -> Result<Vec<u8>, Wrong> {
        let rules = self.rules.borrow().clone();
        let (key, version) = (int16(&mut request)?, int16(&mut request)?);
        let mut answer = Vec::new();
        answer.put_i32(int32(&mut request)?);
        if string(&mut request)?.as_deref() != Some("sluicegate") {
            return Err(Wrong);
        }
        let is_known = rules.login.is_none() || session.is_known;
        match (key, version) {
            (18, 0) => api_versions(&mut answer, &rules),
            (17, 1) => {
                session.mechanism = string(&mut request)?;
                let code = if session.mechanism.as_deref() == Some("PLAIN") { 0 } else { 33 };
                answer.put_i16(code);
                answer.put_i32(1);
                put_string(&mut answer, Some("PLAIN"));
            }
            (36, 0) if session.mechanism.take().is_some() => {
                let shown = bytes(&mut request)?.ok_or(Wrong)?;
                let (user, password) = rules.login.unwrap_or_default();
                session.is_known = shown == format!("\0{user}\0{password}").as_bytes();
                let (code, said) =
                    if session.is_known { (0, None) } else { (58, Some("Authentication failed")) };
                answer.put_i16(code);
                put_string(&mut answer, said);
                answer.put_i32(0);
            }
            (3, 4) if is_known => self.metadata(&mut request, &mut answer)?,
            (0, 3..=8) if is_known && version <= rules.produce_max => {
                self.produce(&mut request, version, &rules, &mut answer)?;
            }
            _ => return Err(Wrong),
        }
        if request.has_remaining() { Err(Wrong) } else { Ok(answer) }
    }

    fn metadata(&self, request: &mut Bytes, answer: &mut Vec<u8>) -> Result<(), Wrong> {
        let asked = (int32(request)?, string(request)?, int8(request)?);
        // Throttled for 0 ms; one broker, of no rack; of no cluster that has a name, controlled by itself.
        answer.put_i32(0);
        answer.put_i32(1);
        answer.put_i32(1);
        put_string(answer, Some("127.0.0.1"));
        answer.put_i32(self.port.into());
        put_string(answer, None);
        put_string(answer, None);
        answer.put_i32(1);
        // One topic, of one partition that is led and replicated here.
        let name = match asked {
            (1, Some(name), 0) => name,
            _ => return Err(Wrong),
        };
        answer.put_i32(1);
        answer.put_i16(if name == TOPIC { 0 } else { 3 });
        put_string(answer, Some(&name));
        answer.put_i8(0);
        answer.put_i32(i32::from(name == TOPIC));
        if name == TOPIC {
            answer.put_i16(0);
            for value in [0, 1, 1, 1, 1, 1] {
                answer.put_i32(value);
            }
        }
        Ok(())
    }

    fn produce(
        &self,
        request: &mut Bytes,
        version: i16,
        rules: &Rules,
        answer: &mut Vec<u8>,
    ) -> Result<(), Wrong> {
        let (transaction, acks, _timeout) = (string(request)?, int16(request)?, int32(request)?);
        let topic = (int32(request)?, string(request)?, int32(request)?, int32(request)?);
        let batch = bytes(request)?.ok_or(Wrong)?;
        if (transaction, acks) != (None, -1) || (topic.0, topic.2) != (1, 1) {
            return Err(Wrong);
        }
        let name = topic.1.ok_or(Wrong)?;
        let before = self.batches();
        let (mut code, mut wrong, mut offset) = ((rules.fails)(before), Vec::new(), -1);
        if code == 0 {
            (code, wrong) = match (name.as_str(), topic.3) {
                (TOPIC, 0) if batch.len() > rules.batch_max => (10, Vec::new()),
                (TOPIC, 0) => match records(batch) {
                    Err(Wrong) => (2, Vec::new()),
                    Ok(records) => self.append(records, rules, &mut offset),
                },
                _ => (3, Vec::new()),
            };
        }
        answer.put_i32(1);
        put_string(answer, Some(&name));
        answer.put_i32(1);
        answer.put_i32(topic.3);
        answer.put_i16(code);
        answer.put_i64(offset);
        answer.put_i64(-1);
        if version >= 5 {
            answer.put_i64(0);
        }
        if version >= 8 {
            answer.put_i32(i32::try_from(wrong.len()).unwrap());
            for at in wrong {
                answer.put_i32(at);
                put_string(answer, Some("not taken here"));
            }
            put_string(answer, (code != 0).then_some("said of the batch"));
        }
        answer.put_i32(0);
        self.batches.send_modify(|batches| *batches += 1);
        Ok(())
    }

    /// All of them, or none where one is poison.
    fn append(&self, records: Vec<Record>, rules: &Rules, offset: &mut i64) -> (i16, Vec<i32>) {
        let is_poison = |(at, record): (i32, &Record)| (rules.is_poison)(&record.text).then_some(at);
        let wrong: Vec<i32> = (0..).zip(&records).filter_map(is_poison).collect();
        if wrong.is_empty() {
            let mut log = self.log.lock().unwrap();
            *offset = i64::try_from(log.len()).unwrap();
            log.extend(records);
        }
        (if wrong.is_empty() { 0 } else { 87 }, wrong)
    }
}

fn api_versions(answer: &mut Vec<u8>, rules: &Rules) {
    let spoken = [(0, 3, rules.produce_max), (3, 0, 12), (17, 0, 1), (18, 0, 4), (36, 0, 2)];
    answer.put_i16(0);
    answer.put_i32(i32::try_from(spoken.len()).unwrap());
    for (key, oldest, newest) in spoken {
        answer.put_i16(key);
        answer.put_i16(oldest);
        answer.put_i16(newest);
    }
}

/// The records of a batch of format 2, each field of which is what a broker checks (`DefaultRecordBatch.ensureValid`).
fn records(mut batch: Bytes) -> Result<Vec<Record>, Wrong> {
    let (base, length) = (int64(&mut batch)?, int32(&mut batch)?);
    if base != 0 || usize::try_from(length).map_err(|_| Wrong)? != batch.remaining() {
        return Err(Wrong);
    }
    let (_epoch, magic, sum) = (int32(&mut batch)?, int8(&mut batch)?, int32(&mut batch)?);
    if magic != 2 || sum.cast_unsigned() != crc32c(&batch) {
        return Err(Wrong);
    }
    let (attributes, last) = (int16(&mut batch)?, int32(&mut batch)?);
    let (first_millis, last_millis) = (int64(&mut batch)?, int64(&mut batch)?);
    let producer = (int64(&mut batch)?, int16(&mut batch)?, int32(&mut batch)?);
    let count = int32(&mut batch)?;
    if attributes != 0 || producer != (-1, -1, -1) || count < 1 || last != count - 1 {
        return Err(Wrong);
    }
    let mut records = Vec::new();
    for at in 0..count {
        let length = usize::try_from(varint(&mut batch)?).map_err(|_| Wrong)?;
        let mut record = take(&mut batch, length)?;
        let _attributes = int8(&mut record)?;
        let millis = first_millis + varint(&mut record)?;
        if varint(&mut record)? != i64::from(at) || millis > last_millis {
            return Err(Wrong);
        }
        let mut text = || {
            let length = usize::try_from(varint(&mut record)?).map_err(|_| Wrong)?;
            String::from_utf8(take(&mut record, length)?.to_vec()).map_err(|_| Wrong)
        };
        let (key, text) = (text()?, text()?);
        if varint(&mut record)? != 0 || record.has_remaining() {
            return Err(Wrong);
        }
        records.push(Record { key, text, millis });
    }
    if batch.has_remaining() { Err(Wrong) } else { Ok(records) }
}

/// Bit by bit (RFC 3720, 12.1).
fn crc32c(bytes: &[u8]) -> u32 {
    let bit = |sum: u32, _| if sum & 1 == 1 { 0x82f6_3b78 ^ (sum >> 1) } else { sum >> 1 };
    !bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), bit))
}

fn int8(from: &mut Bytes) -> Result<i8, Wrong> {
    from.try_get_i8().map_err(|_| Wrong)
}

fn int16(from: &mut Bytes) -> Result<i16, Wrong> {
    from.try_get_i16().map_err(|_| Wrong)
}

fn int32(from: &mut Bytes) -> Result<i32, Wrong> {
    from.try_get_i32().map_err(|_| Wrong)
}

fn int64(from: &mut Bytes) -> Result<i64, Wrong> {
    from.try_get_i64().map_err(|_| Wrong)
}

fn varint(from: &mut Bytes) -> Result<i64, Wrong> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = from.try_get_u8().map_err(|_| Wrong)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    Err(Wrong)
}

fn take(from: &mut Bytes, length: usize) -> Result<Bytes, Wrong> {
    if length > from.remaining() { Err(Wrong) } else { Ok(from.split_to(length)) }
}

fn string(from: &mut Bytes) -> Result<Option<String>, Wrong> {
    match int16(from)? {
        -1 => Ok(None),
        length => {
            let text = take(from, usize::try_from(length).map_err(|_| Wrong)?)?;
            String::from_utf8(text.to_vec()).map(Some).map_err(|_| Wrong)
        }
    }
}

fn bytes(from: &mut Bytes) -> Result<Option<Bytes>, Wrong> {
    match int32(from)? {
        -1 => Ok(None),
        length => take(from, usize::try_from(length).map_err(|_| Wrong)?).map(Some),
    }
}

fn put_string(to: &mut Vec<u8>, text: Option<&str>) {
    to.put_i16(text.map_or(-1, |text| i16::try_from(text.len()).unwrap()));
    to.extend_from_slice(text.unwrap_or_default().as_bytes());
}
