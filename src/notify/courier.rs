//! Sends the messages of one notifier, one after the other, in a task of its own.
//!
//! Must never be waited for, nor hold on to a message for longer than its attempts: then it counts as failed, loudly.
//! Must never send more than the configuration says within an hour.

use std::collections::VecDeque;
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::message::Message;
use super::{Channel, Count, Fate, Settings, mail};
use crate::clock::Clock;
use crate::outbound::{Client, Compression, Fault, Response, post};

/// How often a message is sent at most.
const ATTEMPTS_MAX: u32 = 4;
/// How long the second attempt waits at least; each further one twice as long as the one before.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// How long an attempt waits at most, whatever the receiver asks for.
const PAUSE_MAX: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_secs(60 * 60);

pub(super) struct Courier {
    settings: Settings,
    messages: mpsc::Receiver<Message>,
    clock: Clock,
    count: Count,
    /// The connection, until something fails.
    client: Option<Client>,
    /// When messages of the last hour were begun, on the monotonic clock.
    sent: VecDeque<Duration>,
}

/// What came of an attempt.
enum Attempt {
    Taken,
    /// Another one may do better, after this long.
    Later(String, Duration),
    Never(String),
}

impl Courier {
    pub(super) fn new(
        settings: Settings,
        messages: mpsc::Receiver<Message>,
        clock: Clock,
        count: Count,
    ) -> Self {
        Self { settings, messages, clock, count, client: None, sent: VecDeque::new() }
    }

    pub(super) async fn run(mut self) {
        while let Some(message) = self.messages.recv().await {
            let fate = match self.has_room() {
                true => self.deliver(&message).await,
                false => {
                    let (notify, per_hour) = (&self.settings.name, self.settings.per_hour);
                    tracing::error!(
                        notify,
                        per_hour,
                        "a message was dropped: as many were sent within the hour"
                    );
                    Fate::Dropped
                }
            };
            (self.count)(&self.settings.name, fate);
        }
    }

    /// Takes one of the places of the hour, if one is free.
    fn has_room(&mut self) -> bool {
        let now = self.clock.monotonic();
        while self.sent.front().is_some_and(|then| now.saturating_sub(*then) >= HOUR) {
            self.sent.pop_front();
        }
        let has_room = self.sent.len() < self.settings.per_hour;
        if has_room {
            self.sent.push_back(now);
        }
        has_room
    }

    async fn deliver(&mut self, message: &Message) -> Fate {
        let mut pause = PAUSE_MIN;
        for attempt in 1..=ATTEMPTS_MAX {
            let (why, after) = match self.attempt(message).await {
                Attempt::Taken => return Fate::Sent,
                Attempt::Never(why) => return self.fail(message, &why),
                Attempt::Later(why, after) => (why, after),
            };
            self.client = None;
            if attempt == ATTEMPTS_MAX {
                return self.fail(message, &why);
            }
            tracing::warn!(notify = self.settings.name, why, "a message was not taken: it is sent again");
            sleep(pause.max(after).min(PAUSE_MAX)).await;
            pause = pause.saturating_mul(2);
        }
        Fate::Failed
    }

    fn fail(&self, message: &Message, why: &str) -> Fate {
        let (notify, topic) = (&self.settings.name, message.topic.as_str());
        tracing::error!(notify, topic, why, "nobody could be told: the message is given up");
        Fate::Failed
    }

    async fn attempt(&mut self, message: &Message) -> Attempt {
        if let Channel::Mail { command, from, to } = &self.settings.channel {
            let sent = mail::send((command, from, to), message, self.clock.wall()).await;
            return sent.map_or_else(|why| Attempt::Later(why, Duration::ZERO), |()| Attempt::Taken);
        }
        match self.post(message).await {
            Ok(Response { status, .. }) if status.is_success() => Attempt::Taken,
            Ok(Response { status, retry_after, .. }) => {
                let why = format!("it answered with status {}", status.as_u16());
                // Other refusals stay what they are (Standard Webhooks 1.0.0, "Deliverability and reliability").
                match status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) {
                    true => Attempt::Later(why, retry_after.unwrap_or_default()),
                    false => Attempt::Never(why),
                }
            }
            Err(fault) => Attempt::Later(fault.to_string(), Duration::ZERO),
        }
    }

    async fn post(&mut self, message: &Message) -> Result<Response, Fault> {
        let bad = || Fault::Request("it is no webhook".to_owned());
        let Channel::Webhook { url, key, headers, ca } = &self.settings.channel else { return Err(bad()) };
        let client = match self.client.take() {
            Some(client) => client,
            // The files are read each time, so that renewed certificates count without a restart.
            None => Client::new(url, headers, ca.as_deref())?,
        };
        let mut request = post(url, "application/json", Compression::None, message.json.clone()).await?;
        // The same id at each attempt, so that a receiver can tell what comes again.
        let seal = key.seal(&message.id, self.clock.wall(), &message.json).ok_or_else(bad)?;
        request.headers_mut().extend(HeaderMap::from_iter(seal));
        let sent = client.send(request).await;
        self.client = Some(client);
        sent
    }
}
