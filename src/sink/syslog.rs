//! A syslog receiver: a datagram socket, TCP, or TLS (RFC 5424, 5425 and 6587).
//!
//! Syslog acknowledges nothing. What was written to a connection is sure only once that has stood for a while, or has
//! been closed from the other side after we ended it; until then it may have to be sent again. Must never take "the
//! kernel has it" for "it has arrived".

mod frame;

use std::io;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixDatagram;

use super::failure::Failure;
use super::parcel::Parcel;
use super::settings::{SyslogAddress, SyslogSettings};
use super::stream::{self, Stream};
use super::target::Sure;
use frame::{Frame, Sender};

/// Longest wait for the receiver to end what we ended.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug)]
enum Open {
    Datagrams(UnixDatagram),
    Connection(Box<dyn Stream>),
}

#[derive(Debug)]
pub(super) struct SyslogTarget {
    settings: SyslogSettings,
    sender: Sender,
    open: Option<Open>,
}

impl SyslogTarget {
    pub(super) fn new(settings: SyslogSettings) -> Self {
        let sender = Sender::of_this_process(settings.facility, settings.message_max);
        Self { settings, sender, open: None }
    }

    pub(super) async fn deliver(&mut self, parcels: &[Parcel]) -> Result<Sure, Failure> {
        self.look().await?;
        let open = match self.open.take() {
            Some(open) => open,
            None => self.connect().await?,
        };
        // Whatever fails here leaves nothing open.
        let (open, sure) = self.send(open, parcels).await?;
        self.open = Some(open);
        Ok(sure)
    }

    async fn send(&self, mut open: Open, parcels: &[Parcel]) -> Result<(Open, Sure), Failure> {
        let failed = Failure::doing("sending");
        let sure = match &mut open {
            Open::Datagrams(socket) => {
                for parcel in parcels {
                    socket.send(&self.sender.message(parcel, Frame::Datagram)).await.map_err(&failed)?;
                }
                Sure::Arrived
            }
            Open::Connection(connection) => {
                let frames: Vec<u8> =
                    parcels.iter().flat_map(|parcel| self.sender.message(parcel, Frame::Counted)).collect();
                connection.write_all(&frames).await.map_err(&failed)?;
                connection.flush().await.map_err(&failed)?;
                Sure::Underway
            }
        };
        Ok((open, sure))
    }

    /// Whether the receiver has ended the connection. It has nothing to say otherwise.
    pub(super) async fn look(&mut self) -> Result<(), Failure> {
        let Some(Open::Connection(connection)) = &mut self.open else { return Ok(()) };
        let mut said = [0; 256];
        match connection.read(&mut said).now_or_never() {
            None | Some(Ok(1..)) => Ok(()),
            Some(Ok(0)) => Err(Failure::Closed),
            Some(Err(error)) => Err(Failure::doing("the connection")(error)),
        }
    }

    /// Waits until the receiver ends the connection.
    pub(super) async fn broken(&mut self) -> Failure {
        let Some(Open::Connection(connection)) = &mut self.open else { return std::future::pending().await };
        let mut said = [0; 256];
        loop {
            match connection.read(&mut said).await {
                Ok(1..) => {}
                Ok(0) => return Failure::Closed,
                Err(error) => return Failure::doing("the connection")(error),
            }
        }
    }

    /// Ends the connection; a receiver that ends it too has read all of it.
    pub(super) async fn close(&mut self) -> Sure {
        let Some(Open::Connection(mut connection)) = self.open.take() else { return Sure::Arrived };
        let ended = async {
            connection.shutdown().await?;
            let mut said = [0; 256];
            while connection.read(&mut said).await? > 0 {}
            io::Result::Ok(())
        };
        match tokio::time::timeout(CLOSE_TIMEOUT, ended).await {
            Ok(Ok(())) => Sure::Arrived,
            Ok(Err(_)) | Err(_) => Sure::Underway,
        }
    }

    pub(super) fn reset(&mut self) {
        self.open = None;
    }

    async fn connect(&self) -> Result<Open, Failure> {
        let failed = Failure::doing("connecting");
        Ok(match &self.settings.to {
            SyslogAddress::Unix(path) => {
                let socket = UnixDatagram::unbound().map_err(&failed)?;
                socket.connect(path).map_err(&failed)?;
                Open::Datagrams(socket)
            }
            SyslogAddress::Connection { host, encryption } => {
                Open::Connection(stream::open(host, encryption).await?)
            }
        })
    }
}
