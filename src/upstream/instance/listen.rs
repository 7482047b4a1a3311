//! Hearing of changes where there is no session: the subscription that stays open (2026-07-28,
//! basic/patterns/subscriptions).
//!
//! Must never end or delay a call: a server without it works as well. It trusts nothing that comes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Link;
use crate::upstream::era::Era;
use crate::upstream::exchange::Exchange;
use crate::upstream::failure::{AnswerKind, Failure};
use crate::upstream::handover::Handover;
use crate::wire::Method;

/// What is listened for: changes of the tools.
const FILTER: &[u8] = b"{\"notifications\":{\"toolsListChanged\":true}}";
/// Pause before a subscription is opened again; it doubles while subscriptions end soon.
const REOPEN_FIRST: Duration = Duration::from_secs(1);
/// The longest pause. A subscription that lasted as long makes the next pause short.
const REOPEN_MAX: Duration = Duration::from_secs(60);

/// How a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The server has none.
    NotOffered,
    /// It can be opened again.
    ForNow,
}

/// Keeps a subscription open until the instance is gone or the server has none.
pub(super) async fn listen(link: Link, exchange: Arc<Exchange>) {
    let mut pause = REOPEN_FIRST;
    loop {
        let begun = Instant::now();
        if once(&link, &exchange).await == Ended::NotOffered {
            return;
        }
        pause = match begun.elapsed() >= REOPEN_MAX {
            true => REOPEN_FIRST,
            false => pause.saturating_mul(2).min(REOPEN_MAX),
        };
        sleep(pause).await;
        // What was announced while nobody listened is not known: look at the list again.
        exchange.list_changed();
    }
}

async fn once(link: &Link, exchange: &Arc<Exchange>) -> Ended {
    let Ok(mut waiting) = exchange.expect_standing() else { return Ended::NotOffered };
    let request = Era::Stateless.request(waiting.id(), &Method::SubscriptionsListen, Some(FILTER));
    let handover = Handover::default();
    let sent = match link {
        Link::Stdio(stdio) => stdio.send(&request.body, &handover).await,
        Link::Http(http) => http.send(request, &waiting, &handover).await,
    };
    let outcome = match sent {
        Ok(()) => waiting.answer().await,
        Err(failure) => Err(failure),
    };
    match outcome {
        // A result is the server's way to end it.
        Ok(answer) if answer.kind == AnswerKind::Error => Ended::NotOffered,
        Err(Failure::Invalid(_)) => Ended::NotOffered,
        Ok(_) | Err(_) => Ended::ForNow,
    }
}
