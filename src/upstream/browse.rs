//! What the instance of one caller lists beside tools: looked up for its list, and to find what a call names.
//!
//! Must never look into an instance that the caller does not share (I9), nor wait longer than it is told to.

use std::time::Duration;

use tokio::time::timeout_at;

use super::failure::{Detail, Executed, Failure};
use super::instance::deadline_in;
use super::{Entries, Features, Fleet, Route};
use crate::model::facts::RunId;
use crate::model::name::{Subject, UpstreamName};
use crate::wire::ListKind;

/// Who shares an instance, and so what it lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Everybody.
    All,
    /// The runs of one subject.
    Subject(Subject),
    /// One run.
    Run(RunId),
}

/// What something is looked up for, and so how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A list, which goes out without what is late (`list_wait`).
    List,
    /// A call, which cannot go on without (`call_timeout`).
    Call,
}

impl Fleet {
    /// What the last instance of `upstream` said that it has; `None` where none was started yet.
    #[must_use]
    pub fn features(&self, upstream: &UpstreamName) -> Option<Features> {
        self.pool(upstream)?.parts().known.features()
    }

    /// What `upstream` lists of `kind` to whom `route` names. Starts the instance where none runs.
    ///
    /// # Errors
    /// [`Failure`] says why there is no list: none of them has to do with a call.
    pub async fn entries(
        &self,
        upstream: &UpstreamName,
        kind: ListKind,
        route: &Route,
        purpose: Purpose,
    ) -> Result<Entries, Failure> {
        let pool = self.pool(upstream);
        let pool = pool.ok_or_else(|| Failure::Unavailable(Detail::new("no such upstream")))?;
        let settings = &pool.parts().settings;
        let within: Duration = match purpose {
            Purpose::List => settings.list_wait,
            Purpose::Call => settings.call_timeout,
        };
        let deadline = deadline_in(within);
        let key = pool.key(&route.subject, &route.run);
        let lease = timeout_at(deadline, pool.acquire(&key)).await;
        let lease = lease.map_err(|_| Failure::Timeout(Executed::No))??;
        pool.entries(&lease, kind, deadline).await
    }
}
