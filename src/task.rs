//! A task that ends with whoever holds it.
//!
//! Must never outlive its holder: what a task waits for may never come, for instance the end of a pipe
//! that a stray process holds open (CASES F25).

use tokio::task::JoinHandle;

/// A task; aborted when dropped.
#[derive(Debug)]
pub struct Task(JoinHandle<()>);

impl Task {
    /// Runs `future` in a task of its own.
    pub fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }

    /// Ends the task at its next wait.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Waits for the end of the task, which may have been waited for before. Cancel safe.
    pub async fn finished(&mut self) {
        if !self.0.is_finished() {
            let _ = (&mut self.0).await;
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
