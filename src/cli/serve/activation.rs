//! The sockets that a service manager passed (sd_listen_fds(3)), found by name and place.
//!
//! Must never leave one that was passed unserved: who connects to it would wait without end, and a tool
//! server that inherited it could answer in the gateway's place. Trusts the environment as far as it was
//! written for this process (`LISTEN_PID`).

use anyhow::{Context as _, bail, ensure};
use listenfd::ListenFd;

use crate::clock::Clock;
use crate::downstream::{Bind, Bound, ListenSettings};
use crate::socket::Passed;

/// Most sockets that are taken from a service manager; a configuration has a handful of listeners.
const PASSED_SOCKETS_MAX: usize = 64;

/// What was passed and has not been claimed yet.
#[derive(Debug, Default)]
pub(in crate::cli) struct Activation(Vec<(String, Passed)>);

impl Activation {
    /// Takes what was passed to this process, and marks it as not for its children. Has to be called
    /// once, before there is a second thread: it clears the environment that it has read.
    pub(in crate::cli) fn of_this_process() -> anyhow::Result<Self> {
        let word = |name| std::env::var(name).ok();
        // The variables of a parent that was activated itself are not for us.
        if word("LISTEN_PID") != Some(std::process::id().to_string()) {
            return Ok(Self::default());
        }
        let count = word("LISTEN_FDS").context("LISTEN_PID without LISTEN_FDS")?;
        let count: usize =
            count.parse().ok().with_context(|| format!("LISTEN_FDS=`{count}` is no number"))?;
        ensure!(
            count <= PASSED_SOCKETS_MAX,
            "{count} sockets were passed; at most {PASSED_SOCKETS_MAX} are taken"
        );
        let names = names(word("LISTEN_FDNAMES").as_deref(), count)?;
        let mut descriptors = ListenFd::from_env();
        let take = |(index, name): (usize, String)| {
            let passed = take(&mut descriptors, index)
                .with_context(|| format!("the descriptor `{name}` that was passed"))?;
            Ok((name, passed))
        };
        names.into_iter().enumerate().map(take).collect::<anyhow::Result<_>>().map(Self)
    }

    /// The socket of a listener that takes one over. Several may have one name: the place tells them apart.
    pub(super) fn claim(
        &mut self,
        settings: ListenSettings,
        name: &str,
        clock: &Clock,
    ) -> anyhow::Result<Bound> {
        let is_its = |passed: &Passed| match &settings.bind {
            Bind::Tcp(address) => passed.is_at_address(*address),
            Bind::Unix { path, .. } => passed.is_at_path(path),
        };
        let found = self.0.iter().position(|(known, passed)| known == name && is_its(passed));
        let Some(found) = found else {
            bail!("no such socket was passed by the service manager; {self}");
        };
        Ok(Bound::adopt(settings, self.0.swap_remove(found).1, clock)?)
    }

    /// Checks that every socket has found its listener.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        ensure!(
            self.0.is_empty(),
            "no listener takes every socket that the service manager passed; {self}, and each needs a \
             `[listen.NAME]` with this `systemd` and this `address` or `socket`"
        );
        Ok(())
    }
}

impl std::fmt::Display for Activation {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return write!(out, "none is left");
        }
        write!(out, "there is")?;
        for (index, (name, passed)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(out, "{separator} `{}` at {}", name.escape_default(), passed.place())?;
        }
        Ok(())
    }
}

/// The name of each descriptor. A manager that names none passes one whose name is `unknown`
/// (sd_listen_fds_with_names(3)).
fn names(written: Option<&str>, count: usize) -> anyhow::Result<Vec<String>> {
    let Some(written) = written else { return Ok(vec!["unknown".to_owned(); count]) };
    let names: Vec<String> = written.split(':').map(str::to_owned).collect();
    ensure!(
        names.len() == count || (count == 0 && written.is_empty()),
        "LISTEN_FDNAMES has not one name for each of LISTEN_FDS={count}"
    );
    Ok(if count == 0 { Vec::new() } else { names })
}

fn take(descriptors: &mut ListenFd, index: usize) -> anyhow::Result<Passed> {
    if let Ok(Some(socket)) = descriptors.take_tcp_listener(index) {
        return Ok(Passed::tcp(socket)?);
    }
    let socket =
        descriptors.take_unix_listener(index).context("is neither a TCP nor a unix stream socket")?;
    Ok(Passed::unix(socket.context("was taken already")?)?)
}

#[test]
fn each_descriptor_has_a_name() {
    assert_eq!(names(None, 2).unwrap(), ["unknown", "unknown"]);
    assert_eq!(names(Some("a::c"), 3).unwrap(), ["a", "", "c"]);
    assert!(names(Some(""), 0).unwrap().is_empty());
    assert!(names(Some("a"), 2).is_err());
    assert!(names(Some("a:b"), 1).is_err());
}
