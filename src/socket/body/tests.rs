//! Bodies that are too long, too slow, or end too early.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::Frame;
use http_body_util::Full;
use tokio::sync::mpsc;

use super::*;

/// A body that comes in the parts that the test sends.
struct Parts(mpsc::Receiver<io::Result<Frame<Bytes>>>);

impl Body for Parts {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context)
    }
}

fn parts() -> (mpsc::Sender<io::Result<Frame<Bytes>>>, Parts) {
    let (sender, receiver) = mpsc::channel(4);
    (sender, Parts(receiver))
}

fn data(text: &'static str) -> io::Result<Frame<Bytes>> {
    Ok(Frame::data(Bytes::from(text)))
}

fn limits() -> BodyLimits {
    BodyLimits { bytes_max: 8, timeout: Duration::from_secs(30) }
}

#[tokio::test]
async fn a_body_within_the_limit_is_read_whole() {
    let (sender, body) = parts();
    for part in ["ab", "cd", "efgh"] {
        sender.send(data(part)).await.unwrap();
    }
    drop(sender);
    assert_eq!(read_body(body, limits()).await, Ok(Bytes::from("abcdefgh")));
}

#[tokio::test]
async fn f49_a_declared_length_beyond_the_limit_is_not_waited_for() {
    let refused = read_body(Full::new(Bytes::from("123456789")), limits()).await;
    assert_eq!(refused, Err(Unread { reason: Reason::BodyTooLarge, bytes_read: 0 }));
}

#[tokio::test]
async fn f49_an_endless_body_is_refused_at_the_limit() {
    let (sender, body) = parts();
    for _ in 0..3 {
        sender.send(data("abc")).await.unwrap();
    }
    let refused = read_body(body, limits()).await;
    assert_eq!(refused, Err(Unread { reason: Reason::BodyTooLarge, bytes_read: 9 }));
}

#[tokio::test(start_paused = true)]
async fn f02_a_body_that_drips_in_is_cut_off_by_the_deadline() {
    let (sender, body) = parts();
    let dripping = tokio::spawn(async move {
        while sender.send(data("a")).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(7)).await;
        }
    });
    let refused = read_body(body, limits()).await;
    assert_eq!(refused, Err(Unread { reason: Reason::BodyTimeout, bytes_read: 5 }));
    dripping.await.unwrap();
}

#[tokio::test]
async fn a_body_that_breaks_off_is_incomplete() {
    let (sender, body) = parts();
    sender.send(data("abc")).await.unwrap();
    sender.send(Err(io::Error::other("reset"))).await.unwrap();
    let refused = read_body(body, limits()).await;
    assert_eq!(refused, Err(Unread { reason: Reason::BodyIncomplete, bytes_read: 3 }));
}
