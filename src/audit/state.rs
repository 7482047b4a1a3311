//! The live state as lines, at the head of every segment: what a start must know of the history.
//!
//! Must never leave anything of it out: a start reads the last segment and no other.

use super::encode;
use super::line::{Kind, Lines, Object, RECORD_BYTES_MAX, Stamp};
use super::live::Live;
use crate::model::approval::Stood;
use crate::model::claim::Claim;
use crate::model::name::Subject;
use crate::model::provenance::Provenance;

/// The live state as lines, each of a bounded size.
pub(super) fn write(lines: &mut Lines, stamp: &Stamp, live: &Live) {
    runs(lines, stamp, live);
    plans(lines, stamp, live);
    questions(lines, stamp, live);
    stored(lines, stamp, live);
    let open: Vec<_> = live.open.values().collect();
    chunks(lines, stamp, "open", &open, |_| 1024, |object, call| encode::open_call(object, call));
    ended(lines, stamp, live);
    closed(lines, stamp, live);
    budgets(lines, stamp, live);
}

fn runs(lines: &mut Lines, stamp: &Stamp, live: &Live) {
    let mut runs: Vec<_> = live.runs.values().collect();
    runs.sort_by(|a, b| a.run.cmp(&b.run));
    chunks(
        lines,
        stamp,
        "runs",
        &runs,
        |run| 512 + provenance_bytes(&run.provenance) + run.claim.as_ref().map_or(0, claim_bytes),
        |object, run| {
            object.text("run", run.run.as_str());
            object.text("entry_point", run.entry_point.as_str());
            object.text("subject", run.subject.as_str());
            if let Some(session) = &run.session {
                object.text("session", session);
            }
            if let Some(claim) = &run.claim {
                encode::claim(object, claim);
            }
            if let Some(origin) = &run.origin {
                encode::origin(object, origin);
            }
            encode::sources(object, "provenance", &run.provenance);
            object.time("started", run.started);
            object.time("used", run.used);
            object.text("history", run.history.as_str());
        },
    );
}

/// After the runs that they belong to.
fn plans(lines: &mut Lines, stamp: &Stamp, live: &Live) {
    let mut runs: Vec<_> = live.runs.values().collect();
    runs.sort_by(|a, b| a.run.cmp(&b.run));
    // One line for each: what a long plan has selected takes up to half of what a line may have.
    for grant in runs.iter().flat_map(|run| run.plans.grants()) {
        lines.push(stamp, Kind::State, |object| object.json("grants", &[grant]));
    }
    let pasts: Vec<_> =
        runs.iter().flat_map(|run| run.plans.history().iter().map(|past| (&run.run, past))).collect();
    chunks(
        lines,
        stamp,
        "pasts",
        &pasts,
        |(_, past)| 512 + provenance_bytes(&past.brings),
        |object, (run, past)| {
            object.text("run", run.as_str());
            object.json("past", past);
        },
    );
}

fn questions(lines: &mut Lines, stamp: &Stamp, live: &Live) {
    let open: Vec<_> = live.questions.values().filter(|it| stamp.wall < it.asked.until).collect();
    chunks(
        lines,
        stamp,
        "questions",
        &open,
        |it| 1024 + provenance_bytes(&it.asked.exact.provenance) + 512 * it.agreed.len(),
        |object, Stood { asked, standing, agreed }| {
            object.json("asked", asked);
            object.json("standing", standing);
            if !agreed.is_empty() {
                object.json("agreed", agreed);
            }
        },
    );
}

fn stored(lines: &mut Lines, stamp: &Stamp, live: &Live) {
    let mut stored: Vec<(&str, Option<&Subject>, &Provenance)> = Vec::new();
    for (upstream, store) in &live.stored {
        if !store.all.is_empty() {
            stored.push((upstream.as_str(), None, &store.all));
        }
        stored.extend(store.subjects.iter().map(|(who, sources)| (upstream.as_str(), Some(who), sources)));
    }
    chunks(
        lines,
        stamp,
        "stored",
        &stored,
        |entry| 512 + provenance_bytes(entry.2),
        |object, entry| {
            object.text("upstream", entry.0);
            if let Some(subject) = entry.1 {
                object.text("subject", subject.as_str());
            }
            encode::sources(object, "sources", entry.2);
        },
    );
}

fn ended(lines: &mut Lines, stamp: &Stamp, live: &Live) {
    let stones: Vec<_> = live.tombstones.values().collect();
    chunks(
        lines,
        stamp,
        "tombstones",
        &stones,
        |_| 1024,
        |object, stone| {
            object.text("entry_point", stone.entry_point.as_str());
            object.text("txn", stone.txn.as_str());
            object.text("run", stone.run.as_str());
            object.text("why", stone.why.as_str());
            object.time("until", stone.until);
        },
    );
}

fn closed(lines: &mut Lines, stamp: &Stamp, live: &Live) {
    let revoked: Vec<_> = live.revoked.iter().collect();
    chunks(
        lines,
        stamp,
        "revoked",
        &revoked,
        |_| 512,
        |object, (who, since)| {
            encode::revoked(object, who);
            object.time("at", since.at);
            encode::actor(object, Some(&since.by));
        },
    );
    let closed: Vec<_> = live.closed.iter().collect();
    chunks(
        lines,
        stamp,
        "closed",
        &closed,
        |_| 256,
        |object, (source, since)| {
            object.text("source", source.as_str());
            object.time("at", since.at);
            encode::actor(object, Some(&since.by));
        },
    );
}

fn budgets(lines: &mut Lines, stamp: &Stamp, live: &Live) {
    let counted: Vec<_> = live.budgets.counts.values().collect();
    chunks(
        lines,
        stamp,
        "budgets",
        &counted,
        |_| 1024,
        |object, entry| {
            object.text("budget", entry.budget.as_str());
            object.digest("key", &entry.key);
            object.object("counts", |object| {
                for (amount, count) in entry.counts.iter() {
                    object.object(amount.code(), |object| {
                        object.signed("since", count.since().0);
                        object.number("used", count.used());
                    });
                }
            });
        },
    );
    if let Some(lost) = live.budgets.lost_at {
        lines.push(stamp, Kind::State, |object| object.time("budgets_lost", lost));
    }
}

fn chunks<T>(
    lines: &mut Lines,
    stamp: &Stamp,
    key: &str,
    entries: &[T],
    bytes_of: impl Fn(&T) -> usize,
    write: impl Fn(&mut Object<'_>, &T),
) {
    let mut rest = entries;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take_while(|entry| {
            bytes += bytes_of(entry);
            bytes <= RECORD_BYTES_MAX / 4
        });
        // An entry that is larger than the bound stands alone; none is larger than a record may be.
        let count = fitting.count().max(1);
        let (chunk, after) = rest.split_at(count.min(rest.len()));
        lines.push(stamp, Kind::State, |object| {
            object.objects(key, chunk.iter(), |object, entry| write(object, entry))
        });
        rest = after;
    }
}

fn provenance_bytes(provenance: &Provenance) -> usize {
    provenance.iter().map(|source| source.as_str().len() + 3).sum()
}

/// Escaped text may take more; a line then is longer than the bound of a chunk and within that of a record.
fn claim_bytes(claim: &Claim) -> usize {
    let roles: usize = claim.roles.iter().map(|role| role.as_str().len() + 3).sum();
    1024 + roles + 2 * claim.trigger.bytes()
}
