//! Asks tool servers once what they offer, before there is a gateway: each is started as the gateway would start it,
//! lists its tools, and ends.
//!
//! Must never be a second way to start or to list: it is [`Upstreams`] with a lock file that accepts what is seen. A
//! server that fails, hangs or lies costs its own answer and no other's (I12).

use std::path::Path;

use tokio::sync::mpsc;

use super::catalogue::Tool;
use super::failure::Detail;
use super::notice::{NOTICES_MAX, Notice, Quarantine};
use super::settings::{Pins, Settings};
use super::{StartError, Upstreams};
use crate::clock::Clock;
use crate::model::name::UpstreamName;

/// Most servers that are asked at once.
pub const SURVEYED_AT_ONCE_MAX: usize = 4;

/// What one server offered.
#[derive(Debug)]
pub struct Surveyed {
    /// Which server.
    pub upstream: UpstreamName,
    /// Its tools, or why there are none.
    pub tools: Result<Vec<Tool>, Detail>,
    /// Tools that are not listed, by their names, and why.
    pub quarantined: Vec<(String, Quarantine)>,
}

/// Asks every server of `settings`, each at most its `start_timeout`; `told` hears of each as it has answered. What
/// they offer is accepted in the lock file at `lock_path`; `state_dir` is a folder of the caller's own.
///
/// # Errors
/// [`StartError`] where not even the asking can begin.
pub async fn survey(
    settings: Vec<Settings>,
    lock_path: &Path,
    state_dir: &Path,
    clock: &Clock,
    mut told: impl FnMut(&Surveyed),
) -> Result<Vec<Surveyed>, StartError> {
    let mut all = Vec::new();
    for some in settings.chunks(SURVEYED_AT_ONCE_MAX) {
        let mut some = some.to_vec();
        let mut answered = loop {
            match ask(&some, lock_path, state_dir, clock).await {
                Ok(answered) => break answered,
                // One that cannot even be set up is left out, and the others are asked.
                Err(error) => match error.upstream().cloned() {
                    Some(upstream) => {
                        some.retain(|settings| settings.name != upstream);
                        let failed = failed(upstream, &error);
                        told(&failed);
                        all.push(failed);
                    }
                    None => return Err(error),
                },
            }
        };
        answered.iter().for_each(&mut told);
        all.append(&mut answered);
    }
    Ok(all)
}

fn failed(upstream: UpstreamName, error: &StartError) -> Surveyed {
    Surveyed { upstream, tools: Err(Detail::of_error(error)), quarantined: Vec::new() }
}

async fn ask(
    settings: &[Settings],
    lock_path: &Path,
    state_dir: &Path,
    clock: &Clock,
) -> Result<Vec<Surveyed>, StartError> {
    let names: Vec<UpstreamName> = settings.iter().map(|settings| settings.name.clone()).collect();
    let first_seen = |settings: &Settings| Settings {
        pins: Pins::FirstUse,
        list_wait: settings.start_timeout,
        ..settings.clone()
    };
    let (notices, mut told) = mpsc::channel(NOTICES_MAX);
    let settings = settings.iter().map(first_seen).collect();
    let upstreams = Upstreams::start(settings, lock_path.to_owned(), state_dir, clock.clone(), notices)?;
    upstreams.list_ready().await;
    let catalogue = upstreams.catalogue();
    upstreams.stop().await;
    drop(upstreams);
    let mut heard = Vec::new();
    while let Ok(notice) = told.try_recv() {
        heard.push(notice);
    }
    let one = |upstream: UpstreamName| {
        let tools = catalogue.tools().iter().filter(|tool| tool.id.upstream == upstream).cloned().collect();
        let tools = match why_not(&upstream, &heard) {
            Some(why) => Err(why),
            None => Ok(tools),
        };
        let quarantined = heard.iter().filter_map(|notice| match notice {
            Notice::Quarantined { upstream: of, name, why } if *of == upstream => {
                Some((name.as_str().to_owned(), *why))
            }
            _ => None,
        });
        Surveyed { tools, quarantined: quarantined.collect(), upstream }
    };
    Ok(names.into_iter().map(one).collect())
}

/// Why `upstream` listed nothing: what went wrong, with the last that it said itself.
fn why_not(upstream: &UpstreamName, heard: &[Notice]) -> Option<Detail> {
    let failure = heard.iter().find_map(|notice| match notice {
        Notice::StartFailed { upstream: of, why } if of == upstream => Some(why.as_str().to_owned()),
        Notice::ListWaitExceeded { upstream: of } if of == upstream => {
            Some("it did not answer in time".to_owned())
        }
        Notice::LockUnwritable { why } => Some(format!("what it offers cannot be kept: {}", why.as_str())),
        _ => None,
    });
    let said = heard.iter().rev().find_map(|notice| match notice {
        Notice::Stderr { upstream: of, line } if of == upstream => Some(line.as_str()),
        _ => None,
    });
    failure.map(|failure| match said {
        Some(said) => Detail::new(&format!("{failure}; it said: {said}")),
        None => Detail::new(&failure),
    })
}
