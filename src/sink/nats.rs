//! A stream of NATS JetStream: a message a record, and the stream that takes its subject acknowledges each.
//!
//! Follows "JetStream wire API": what is published with a reply subject is answered with a `PubAck` once it is stored.
//! Several are underway at a time, on one connection and in order. Must never call stored what no stream acknowledged,
//! nor send what would make the server end the connection.

mod answer;

use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, HeaderMap, Request, RequestErrorKind, ServerAddr};
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::timeout;

use super::failure::Failure;
use super::parcel::Parcel;
use super::settings::{Encryption, Host, NatsLogin, NatsSettings};
use super::spans::some_taken;
use super::target::{Delivered, Refused, Sure};
use crate::model::text::with_causes;
use crate::outbound::Fault;
use crate::trust;
use answer::taken;

/// Most messages that are underway at a time.
const UNDERWAY_MAX: usize = 64;
/// Longest time to reach one server, and to be let in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time until a message is acknowledged.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);
/// About the most bytes that are told of why a connection broke.
const CAUSES_BYTES_MAX: usize = 1024;
/// By which a stream tells what comes twice.
const ID_HEADER: &str = "Nats-Msg-Id";

#[derive(Debug)]
pub(super) struct NatsTarget {
    /// The name of the sink.
    sink: String,
    settings: NatsSettings,
    open: Option<Open>,
}

/// What holds until something fails.
#[derive(Debug)]
struct Open {
    client: Client,
    /// Why the connection is of no use any more.
    end: watch::Receiver<Option<String>>,
}

impl NatsTarget {
    pub(super) fn new(sink: &str, settings: NatsSettings) -> Self {
        Self { sink: sink.to_owned(), settings, open: None }
    }

    pub(super) async fn deliver(&mut self, parcels: &[Parcel]) -> Result<Delivered, Failure> {
        let Self { sink, settings, open } = self;
        let Open { client, end } = match open {
            Some(open) => open,
            None => open.insert(connect(settings).await?),
        };
        let (mut at, mut refused) = (0, Vec::new());
        for underway in parcels.chunks(UNDERWAY_MAX) {
            let answers = join_all(underway.iter().map(|parcel| publish(client, sink, settings, parcel)));
            let answers = tokio::select! {
                answers = answers => answers,
                failure = ended(end) => return Err(failure),
            };
            for answer in answers {
                if let Some(why) = answer? {
                    refused.push(Refused { at, why });
                }
                at += 1;
            }
        }
        Ok(Delivered { sure: Sure::Arrived, refused: some_taken(parcels.len(), refused)? })
    }

    /// Waits until the connection ends.
    pub(super) async fn broken(&mut self) -> Failure {
        match &mut self.open {
            Some(open) => ended(&mut open.end).await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn reset(&mut self) {
        self.open = None;
    }
}

/// Gives `parcel` to the stream; why that does not take it, where it never will.
async fn publish(
    client: &Client,
    sink: &str,
    settings: &NatsSettings,
    parcel: &Parcel,
) -> Result<Option<String>, Failure> {
    let id = parcel.id(sink);
    // The header as it is sent counts too ("Client protocol", HPUB).
    let bytes = format!("NATS/1.0\r\n{ID_HEADER}: {id}\r\n\r\n").len() + parcel.text.len();
    let most = client.server_info().max_payload;
    if bytes > most {
        return Ok(Some(format!("it has {bytes} bytes, and the server takes {most} (`max_payload`)")));
    }
    let mut headers = HeaderMap::new();
    headers.insert(ID_HEADER, id);
    let request =
        Request::new().headers(headers).payload(parcel.text.clone().into()).timeout(Some(ACK_TIMEOUT));
    match client.send_request(settings.subject.clone(), request).await {
        Ok(message) => taken(&message.payload),
        Err(error) => Err(match error.kind() {
            RequestErrorKind::TimedOut => Failure::TooSlow(ACK_TIMEOUT.as_secs()),
            RequestErrorKind::NoResponders => {
                let subject = &settings.subject;
                let answer = format!("no responders; make a stream that takes the subject `{subject}`");
                Failure::Answer { answer, retry_after: None }
            }
            _ => broke(&error),
        }),
    }
}

async fn connect(settings: &NatsSettings) -> Result<Open, Failure> {
    let (told, end) = watch::channel(None);
    let mut options = ConnectOptions::new()
        .name("sluicegate")
        .connection_timeout(CONNECT_TIMEOUT)
        .retain_servers_order()
        // Each server once; then it is for the sink to try again, after a wait.
        .max_reconnects(settings.servers.hosts.len())
        .event_callback(move |event| {
            if let Some(why) = end_of(event) {
                told.send_if_modified(|told| told.is_none().then(|| *told = Some(why)).is_some());
            }
            std::future::ready(())
        });
    options = match &settings.login {
        None => options,
        Some(NatsLogin::Token(token)) => options.token(token.reveal().to_owned()),
        Some(NatsLogin::User(login)) => {
            options.user_and_password(login.user.clone(), login.password.reveal().to_owned())
        }
    };
    if let Encryption::Tls { ca } = &settings.servers.encryption {
        // The files are read each time, so that renewed certificates count without a restart.
        let trusted = trust::client(ca.as_deref()).map_err(Failure::Tls)?;
        options = options.require_tls(true).tls_client_config(trusted);
    }
    // Also where a name is not resolved.
    let most = CONNECT_TIMEOUT * u32::try_from(settings.servers.hosts.len()).unwrap_or(1);
    let too_slow = |_| Failure::TooSlow(most.as_secs());
    let connected = timeout(most, options.connect(addresses(settings)?)).await.map_err(too_slow)?;
    Ok(Open { client: connected.map_err(|error| broke(&error))?, end })
}

fn addresses(settings: &NatsSettings) -> Result<Vec<ServerAddr>, Failure> {
    let address = |host: &Host| {
        let name = if host.name.contains(':') { format!("[{}]", host.name) } else { host.name.clone() };
        format!("nats://{name}:{}", host.port)
            .parse()
            .map_err(|error: std::io::Error| Failure::Request(error.to_string()))
    };
    settings.servers.hosts.iter().map(address).collect()
}

/// Why `event` means that the connection is of no use any more.
fn end_of(event: Event) -> Option<String> {
    match event {
        Event::Disconnected | Event::Closed => Some("the server ended it".to_owned()),
        Event::LameDuckMode => Some("the server is about to stop".to_owned()),
        Event::ServerError(error) => Some(error.to_string()),
        _ => None,
    }
}

async fn ended(end: &mut watch::Receiver<Option<String>>) -> Failure {
    let why = match end.wait_for(Option::is_some).await {
        Ok(why) => why.clone().unwrap_or_default(),
        Err(_) => "it has ended".to_owned(),
    };
    Fault::Connection(why).into()
}

fn broke(error: &(dyn std::error::Error + 'static)) -> Failure {
    Fault::Connection(with_causes(error, CAUSES_BYTES_MAX)).into()
}
