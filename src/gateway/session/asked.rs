//! What the client of a session was asked and has not answered yet (2025 revisions).
//!
//! Must never hand an answer to another question: numbers are never used twice in a session.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::{Session, lock};
use crate::gateway::mirror::Speaker;
use crate::upstream::Said;

/// Questions of one session that may be open.
const ASKED_MAX: usize = 64;

/// The open questions.
#[derive(Debug, Default)]
pub(super) struct AskedTable {
    next: AtomicU64,
    open: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
}

/// What the client said, and who it was.
#[derive(Debug)]
pub(in crate::gateway) struct Answer {
    pub(in crate::gateway) speaker: Speaker,
    pub(in crate::gateway) said: Said,
}

/// One open question. Forgotten when dropped.
#[derive(Debug)]
pub(in crate::gateway) struct Expected {
    session: Arc<Session>,
    /// The id of the request.
    pub(in crate::gateway) number: u64,
    answer: oneshot::Receiver<Answer>,
}

impl Session {
    /// Makes room for one question; `None` where too many are open.
    pub(in crate::gateway) fn expect_answer(self: &Arc<Self>) -> Option<Expected> {
        let number = self.asked.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        let mut open = lock(&self.asked.open);
        if open.len() >= ASKED_MAX {
            return None;
        }
        open.insert(number, sender);
        Some(Expected { session: Arc::clone(self), number, answer })
    }

    /// Takes in the answer to the question `number`. Whether there is such a question.
    pub(in crate::gateway) fn answered(&self, number: u64, answer: Answer) -> bool {
        let waiting = lock(&self.asked.open).remove(&number);
        waiting.is_some_and(|waiting| waiting.send(answer).is_ok())
    }
}

impl Expected {
    /// Waits for the answer. `None` where there will be none.
    pub(in crate::gateway) async fn answer(&mut self) -> Option<Answer> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        lock(&self.session.asked.open).remove(&self.number);
    }
}
