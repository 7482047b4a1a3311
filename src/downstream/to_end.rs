//! Work that goes on to its end even if the client hangs up.
//!
//! hyper drops the future that answers a request when its connection closes. What the gateway began after
//! authentication ends in a record (invariant I6), so it must never be dropped halfway: what is left of it
//! goes on in a task of its own. What it then returns is dropped, and dropping a call cancels it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A future that is not dropped halfway.
pub(super) struct ToEnd<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send + 'static> ToEnd<T> {
    pub(super) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }
}

impl<T: Send + 'static> Future for ToEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.0 else {
            return Poll::Pending;
        };
        let output = ready!(work.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(output)
    }
}

impl<T: Send + 'static> Drop for ToEnd<T> {
    fn drop(&mut self) {
        // Outside a runtime everything ends anyway: the process is going down.
        if let (Some(work), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { drop(work.await) });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn f35_what_was_begun_ends_although_nobody_waits_for_it() {
        let (go, wait) = oneshot::channel::<()>();
        let (done, ended) = oneshot::channel();
        let mut work = ToEnd::new(async move {
            wait.await.unwrap();
            done.send("recorded").unwrap();
        });
        assert!(futures_poll_once(&mut work).await.is_pending());
        drop(work);
        go.send(()).unwrap();
        assert_eq!(ended.await, Ok("recorded"));
    }

    async fn futures_poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context))).await
    }
}
