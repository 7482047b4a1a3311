//! Hearing of changes where there is no session: the subscription that stays open (2026-07-28,
//! basic/patterns/subscriptions).
//!
//! Must never end or delay a call: a server without it works as well. It trusts nothing that comes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Link;
use super::asking::{GivingUp, stand};
use crate::upstream::era::Era;
use crate::upstream::exchange::Exchange;
use crate::upstream::failure::{AnswerKind, Failure};
use crate::upstream::features::{Feature, Features};
use crate::wire::Method;

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
pub(super) async fn listen(link: Link, exchange: Arc<Exchange>, features: Features) {
    let filter = filter(features);
    let mut pause = REOPEN_FIRST;
    loop {
        let begun = Instant::now();
        if once(&link, &exchange, &filter).await == Ended::NotOffered {
            return;
        }
        pause = match begun.elapsed() >= REOPEN_MAX {
            true => REOPEN_FIRST,
            false => pause.saturating_mul(2).min(REOPEN_MAX),
        };
        sleep(pause).await;
        // What was announced while nobody listened is not known: look at the list again.
        exchange.everything_changed();
    }
}

async fn once(link: &Link, exchange: &Arc<Exchange>, filter: &str) -> Ended {
    let Ok(waiting) = exchange.expect_standing() else { return Ended::NotOffered };
    let request = Era::Stateless.request(waiting.id(), &Method::SubscriptionsListen, Some(filter.as_bytes()));
    // Given up with its instance alone, which needs not be told.
    match stand(link, waiting, request, GivingUp::Silently).await {
        // A result is the server's way to end it.
        Ok(answer) if answer.kind == AnswerKind::Error => Ended::NotOffered,
        Err(Failure::Invalid(_)) => Ended::NotOffered,
        Ok(_) | Err(_) => Ended::ForNow,
    }
}

/// What is listened for: the changes that the server says it announces.
fn filter(features: Features) -> String {
    let wanted = [
        (Feature::ToolChanges, "toolsListChanged"),
        (Feature::PromptChanges, "promptsListChanged"),
        (Feature::ResourceChanges, "resourcesListChanged"),
    ];
    let wanted = wanted.iter().filter(|(feature, _)| features.has(*feature));
    let members: Vec<_> = wanted.map(|(_, member)| format!("\"{member}\":true")).collect();
    format!("{{\"notifications\":{{{}}}}}", members.join(","))
}
