//! One reload: read, check, make ready, put in force; or say why not, and leave everything as it was.
//!
//! Must never change anything before everything that can be refused has been. One after the other: nobody
//! else changes what is in force meanwhile.

use std::time::Duration;

use super::orders::Cause;
use super::rooms;
use super::running::Running;
use crate::config::{self, Code, Config, Problem, Problems, Severity};
use crate::console::{AdministrationError, ProblemEntry, ReloadAnswer, ReloadRequest, ReloadResult};
use crate::downstream::{Unready, Why};
use crate::gateway::Next;
use crate::model::digest::Sha256;
use crate::model::place::Place;
use crate::model::reason::Reason;
use crate::model::run::Actor;
use crate::upstream::StartError;

/// How long a reload waits for tool servers that were never seen; what comes up later is announced.
const MEET_MAX: Duration = Duration::from_secs(5);

/// Why a configuration is not in force.
enum Refused {
    /// It is wrong, or something that it needs cannot be had.
    Problems(Problems),
    /// It could not be recorded.
    Journal(Reason),
}

impl Running {
    /// Reloads, tells the service manager, and answers whoever asked.
    pub(super) async fn reload(&mut self, cause: Cause) {
        self.notifier.reloading();
        let (by, answer) = match cause {
            Cause::Signal => (None, None),
            Cause::Files => {
                tracing::info!("a file of the configuration changed");
                (None, None)
            }
            Cause::Person(ReloadRequest { by, answer }) => (Some(by), Some(answer)),
        };
        let done = self.read_anew(by).await;
        let what = match &done {
            Ok(ReloadAnswer { result: ReloadResult::InForce, .. }) => "reloaded",
            Ok(_) | Err(_) => "a reload was refused",
        };
        self.notifier.ready(&format!("{what}; serving, {}", self.in_force()));
        if let Some(answer) = answer {
            // Whoever asked may have gone; the record says what was done.
            drop(answer.send(done));
        }
    }

    async fn read_anew(&mut self, by: Option<Actor>) -> Result<ReloadAnswer, AdministrationError> {
        let path = self.path.clone();
        // Files may be slow, and the gateway serves meanwhile.
        let reading = tokio::task::spawn_blocking(move || config::read(&path)).await;
        let reading = reading.map_err(|_| unavailable(Reason::Fault))?;
        self.watcher.follow(reading.files);
        let digest = reading.digest;
        let refused = match reading.outcome {
            Ok(config) => match self.put_in_force(config, by).await {
                Ok(answer) => return Ok(answer),
                Err(refused) => refused,
            },
            Err(problems) => Refused::Problems(problems),
        };
        match refused {
            Refused::Problems(problems) => Ok(self.refuse(digest, &problems, by).await),
            Refused::Journal(reason) => {
                // What refused the one record will refuse this one too; it is counted and shown either way.
                let _unrecorded = self.gateway.refuse_reload(digest, reason.sentence(), by).await;
                Err(unavailable(reason))
            }
        }
    }

    /// Everything that may fail, then the record, then the change.
    async fn put_in_force(&mut self, mut config: Config, by: Option<Actor>) -> Result<ReloadAnswer, Refused> {
        let mut problems: Vec<_> =
            config::restart_needed(&self.fixed, &config.fixed).iter().cloned().collect();
        let listeners = std::mem::take(&mut config.listeners);
        let (limits, watch, warnings) = (config.limits.clone(), config.watch, config.warnings.clone());
        let plan = self.downstream.prepare(listeners.clone(), &self.clock).await;
        let plan = plan.map_err(|all| problems.extend(all.iter().map(cannot_listen))).ok();
        let upstreams = self.gateway.prepare_upstreams(config.upstreams.clone());
        let upstreams = upstreams.map_err(|error| problems.push(self.cannot_launch(&error, &config))).ok();
        let (Some(plan), Some(upstreams), []) = (plan, upstreams, problems.as_slice()) else {
            return Err(Refused::Problems(Problems::of(problems)));
        };
        let elsewhere = self.downstream.changes(&plan);
        let listening = plan.listening(&self.downstream).into_iter().chain(self.probed.clone()).collect();
        let config_digest = config.digest;
        let minter = self.gateway.minter_under(config.mint.clone());
        let (configured, _settings) =
            rooms::parts(config, minter, &listeners, listening, (&self.clock, &self.metrics));
        let next = Next { configured, upstreams, elsewhere, by };
        let reloaded = self.gateway.reload(next).await.map_err(Refused::Journal)?;
        self.downstream.follow(plan, &limits, &self.gateway);
        self.watcher.set(watch);
        for what in reloaded.changes.changed() {
            tracing::info!("changed: {what}");
        }
        for what in reloaded.changes.widened() {
            tracing::warn!("wider: {what}");
        }
        let certificates = self.downstream.certificates().clone();
        // What cannot serve is logged, counted and shown; the pair before goes on.
        let _kept = tokio::task::spawn_blocking(move || certificates.reload()).await;
        if tokio::time::timeout(MEET_MAX, self.gateway.meet_upstreams()).await.is_err() {
            tracing::info!("a tool server that is new is not up yet; its tools are announced when they come");
        }
        Ok(ReloadAnswer {
            result: ReloadResult::InForce,
            epoch: reloaded.epoch.0,
            config: config_digest,
            widened: reloaded.changes.widened().to_vec(),
            changed: reloaded.changes.changed().to_vec(),
            problems: entries(&warnings),
        })
    }

    /// What was read is not in force, on the record.
    async fn refuse(&self, config: Sha256, problems: &Problems, by: Option<Actor>) -> ReloadAnswer {
        if let Err(reason) = self.gateway.refuse_reload(config, &summary(problems), by).await {
            tracing::error!(%reason, "that a configuration was refused could not be recorded");
        }
        let (epoch, _) = self.gateway.in_force();
        let (result, problems) = (ReloadResult::Refused, entries(problems));
        let epoch = epoch.0;
        ReloadAnswer { result, epoch, config, widened: Vec::new(), changed: Vec::new(), problems }
    }

    fn cannot_launch(&self, error: &StartError, config: &Config) -> Problem {
        let of = error.upstream().and_then(|name| config.upstreams.iter().find(|one| one.name == *name));
        let file = || Place { file: self.path.display().to_string().into(), line: 1, column: 1 };
        let place = of.map_or_else(file, |settings| settings.place.clone());
        problem(place, Code::CannotLaunch, chain(error), "correct it, and reload again")
    }
}

fn cannot_listen(unready: &Unready) -> Problem {
    let Unready { name, place, why } = unready;
    let (code, help) = match why {
        Why::Bind(_) => (Code::CannotListen, "free it, or choose another port or path"),
        Why::Passed => (Code::RestartNeeded, "restart the gateway, and the socket unit with it"),
        Why::Mode => (Code::RestartNeeded, "restart the gateway, or leave the mode as it was"),
        Why::Cover => (Code::RestartNeeded, "restart the gateway, or listen on another port"),
    };
    problem(place.clone(), code, format!("cannot listen for `[listen.{name}]`: {}", chain(why)), help)
}

fn problem(place: Place, code: Code, message: String, help: &str) -> Problem {
    Problem { place, severity: Severity::Error, code, message, help: help.to_owned() }
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The first error and how many more there are, for the record and the log.
fn summary(problems: &Problems) -> String {
    let mut errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    let Some(Problem { place, code, message, .. }) = errors.next() else { return "it is wrong".to_owned() };
    match errors.count() {
        0 => format!("{place}: {}: {message}", code.word()),
        more => format!("{place}: {}: {message} (and {more} more)", code.word()),
    }
}

fn entries(problems: &Problems) -> Vec<ProblemEntry> {
    let entry = |problem: &Problem| ProblemEntry {
        file: problem.place.file.to_string(),
        line: problem.place.line,
        column: problem.place.column,
        severity: problem.severity.to_string(),
        code: problem.code.word().to_owned(),
        message: problem.message.clone(),
        help: problem.help.clone(),
    };
    // Notes are what `check` says of a configuration; here they would hide what has to be done.
    problems.iter().filter(|problem| problem.severity != Severity::Note).map(entry).collect()
}

fn unavailable(reason: Reason) -> AdministrationError {
    AdministrationError::Unavailable { reason, message: reason.sentence().to_owned() }
}
