//! The upstreams as one configuration sets them up, and how one set of them follows another.
//!
//! Whoever decides on a call holds the fleet that it was decided for, and the call is forwarded to that:
//! a call must never reach an upstream whose settings it was not decided under (CASES A29). An upstream
//! that is in no fleet any more ends once nobody holds it, so that no call loses its answer.

use std::path::Path;
use std::sync::Arc;

use super::instance::Parts;
use super::keeper::{Keeper, Roster};
use super::notice::Notices;
use super::pool::Pool;
use super::process::Leftovers;
use super::settings::{Launch, Settings};
use super::{StartError, http};
use crate::clock::Clock;
use crate::model::name::UpstreamName;
use crate::model::secret;

/// The upstreams of one configuration. Clones are the same.
#[derive(Debug, Clone)]
pub struct Fleet(Arc<[Arc<Member>]>);

/// One upstream of it, and of every other fleet in which its launch is the same.
#[derive(Debug)]
pub(super) struct Member(Pool);

impl Drop for Member {
    /// No fleet holds it and no call: its instances may end.
    fn drop(&mut self) {
        self.0.retire();
    }
}

/// What every upstream is made with.
#[derive(Debug)]
pub(super) struct Yard {
    pub(super) leftovers: Leftovers,
    pub(super) spool: Arc<Path>,
    pub(super) clock: Clock,
    pub(super) notices: Notices,
}

/// Settings that can be put in force: what may fail was done. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Prepared {
    pub(super) roster: Roster,
    pub(super) fleet: Fleet,
}

impl Fleet {
    /// No upstream at all.
    pub(super) fn none() -> Self {
        Self(Arc::from([]))
    }

    /// The fleet that `launches` describe. What was launched for `before` in the same way goes on.
    pub(super) fn after(before: &Self, launches: Vec<(Arc<Settings>, Parts)>, keeper: &Arc<Keeper>) -> Self {
        let member = |(launch, parts): (Arc<Settings>, Parts)| {
            let is_it = |member: &&Arc<Member>| Arc::ptr_eq(&member.0.parts().settings, &launch);
            match before.0.iter().find(is_it) {
                Some(same) => Arc::clone(same),
                None => Arc::new(Member(Pool::new(parts, Arc::clone(keeper)))),
            }
        };
        Self(launches.into_iter().map(member).collect())
    }

    /// The part of the fleet that a call of `upstream` needs, so that it keeps nothing else alive.
    #[must_use]
    pub fn only(&self, upstream: &UpstreamName) -> Self {
        Self(self.0.iter().filter(|member| member.0.parts().settings.name == *upstream).cloned().collect())
    }

    pub(super) fn pool(&self, upstream: &UpstreamName) -> Option<&Pool> {
        self.pools().find(|pool| pool.parts().settings.name == *upstream)
    }

    pub(super) fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.0.iter().map(|member| &member.0)
    }

    /// The pools that are not in `other`.
    pub(super) fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a Pool> {
        let is_gone = |member: &&Arc<Member>| !other.0.iter().any(|kept| Arc::ptr_eq(kept, member));
        self.0.iter().filter(is_gone).map(|member| &member.0)
    }
}

impl Yard {
    /// What `settings` are launched from: the launch of `before`, where only what is no part of it
    /// changed, else one of its own.
    ///
    /// # Errors
    /// [`StartError`] says what cannot be set up.
    pub(super) fn launch(
        &self,
        settings: &Settings,
        before: &Fleet,
    ) -> Result<(Arc<Settings>, Parts), StartError> {
        let known = before.pool(&settings.name).map(Pool::parts);
        if let Some(same) = known.filter(|known| known.settings.is_same_launch(settings)) {
            return Ok((Arc::clone(&same.settings), same.clone()));
        }
        let upstream = || settings.name.clone();
        let (client, headers) = match &settings.launch {
            Launch::Process { .. } => (None, ::http::HeaderMap::new()),
            Launch::Http { url, headers, .. } => {
                let client = http::Client::new(url)
                    .map_err(|source| StartError::Roots { upstream: upstream(), source })?;
                let headers = secret::headers(headers)
                    .map_err(|header| StartError::Header { upstream: upstream(), header })?;
                (Some(client), headers)
            }
        };
        let launch = Arc::new(settings.clone());
        let parts = Parts {
            settings: Arc::clone(&launch),
            client,
            headers,
            leftovers: self.leftovers.clone(),
            spool: Arc::clone(&self.spool),
            // What was counted of an upstream does not go back because it is launched anew.
            counters: known.map(|known| Arc::clone(&known.counters)).unwrap_or_default(),
            notices: self.notices.clone(),
            clock: self.clock.clone(),
            known: Arc::default(),
        };
        Ok((launch, parts))
    }
}
