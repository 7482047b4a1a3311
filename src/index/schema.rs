//! The tables, and how records become rows.
//!
//! Must never keep a step half: whoever calls holds the transaction.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::audit::{End, Part, Position, Row, Seq};
use crate::model::digest::Sha256;

/// Which tables these are. Others are of no use, and made anew.
const VERSION: i64 = 1;
/// Names that are remembered while rows are made; beyond that they are looked up.
const NAMES_MAX: usize = 65_536;

/// Words stand once, and rows hold their numbers. `ended` is the number of the last record of a call, nothing where it
/// has not ended: calls are told in the order in which they ended.
const TABLES: &str = "
CREATE TABLE names (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE (kind, name));
CREATE TABLE calls (
    seq INTEGER PRIMARY KEY, ended INTEGER, at INTEGER, time TEXT NOT NULL, sources INTEGER NOT NULL,
    subject INTEGER NOT NULL, entry_point INTEGER NOT NULL, run INTEGER NOT NULL, agent INTEGER NOT NULL,
    upstream INTEGER NOT NULL, target INTEGER NOT NULL, refused INTEGER NOT NULL, reason INTEGER NOT NULL,
    executed INTEGER NOT NULL, total_us INTEGER);
CREATE INDEX calls_ended ON calls (ended);
CREATE INDEX calls_at ON calls (at);
CREATE INDEX calls_subject ON calls (subject);
CREATE INDEX calls_run ON calls (run);
CREATE INDEX calls_target ON calls (target);
CREATE INDEX calls_reason ON calls (reason);
CREATE TABLE place (segment INTEGER, offset INTEGER NOT NULL, next INTEGER NOT NULL, last INTEGER NOT NULL,
    digest TEXT NOT NULL);
";

/// What a name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum NameOf {
    Sources,
    Subject,
    EntryPoint,
    Run,
    Agent,
    Upstream,
    Target,
    Reason,
    Executed,
}

impl NameOf {
    pub(super) const fn number(self) -> i64 {
        match self {
            Self::Sources => 0,
            Self::Subject => 1,
            Self::EntryPoint => 2,
            Self::Run => 3,
            Self::Agent => 4,
            Self::Upstream => 5,
            Self::Target => 6,
            Self::Reason => 7,
            Self::Executed => 8,
        }
    }
}

/// How far the index is: where the journal is read on, and the last record that is known.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) at: Position,
    pub(super) last: Seq,
    pub(super) digest: Option<Sha256>,
}

/// Makes the tables where there are none of this version.
pub(super) fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let step = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: i64 = step.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != VERSION {
        step.execute_batch(
            "DROP TABLE IF EXISTS names; DROP TABLE IF EXISTS calls; DROP TABLE IF EXISTS place;",
        )?;
        step.execute_batch(TABLES)?;
        step.pragma_update(None, "user_version", VERSION)?;
    }
    step.commit()
}

/// Forgets everything.
pub(super) fn clear(step: &Transaction<'_>) -> rusqlite::Result<()> {
    step.execute_batch("DELETE FROM calls; DELETE FROM names; DELETE FROM place;")
}

/// Forgets the calls that the journal does not have any more.
pub(super) fn forget_before(step: &Transaction<'_>, oldest: Seq) -> rusqlite::Result<()> {
    step.execute("DELETE FROM calls WHERE seq < ?1", [signed(oldest.0)]).map(drop)
}

pub(super) fn place(step: &Transaction<'_>) -> rusqlite::Result<Place> {
    let sql = "SELECT segment, offset, next, last, digest FROM place";
    let kept = step.query_row(sql, [], |row| {
        let segment = row.get::<_, Option<i64>>(0)?.map(unsigned).map(Seq);
        let (offset, next) = (unsigned(row.get(1)?), Seq(unsigned(row.get(2)?)));
        let digest = Sha256::from_hex(&row.get::<_, String>(4)?);
        Ok(Place { at: Position { segment, offset, next }, last: Seq(unsigned(row.get(3)?)), digest })
    });
    kept.optional().map(Option::unwrap_or_default)
}

pub(super) fn keep_place(step: &Transaction<'_>, place: &Place) -> rusqlite::Result<()> {
    let Place { at: Position { segment, offset, next }, last, digest } = place;
    let digest = digest.map(|digest| digest.to_string()).unwrap_or_default();
    step.execute("DELETE FROM place", [])?;
    step.execute(
        "INSERT INTO place VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            segment.map(|first| signed(first.0)),
            signed(*offset),
            signed(next.0),
            signed(last.0),
            digest
        ],
    )
    .map(drop)
}

/// What is remembered while rows are made.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The numbers of names.
    names: HashMap<(NameOf, String), i64>,
    /// The calls of this step that have not ended: most end within it, and so are written once.
    begun: BTreeMap<Seq, Row>,
}

impl Known {
    /// Takes in what one record says. Is not whole before [`Self::settle`].
    pub(super) fn take(&mut self, step: &Transaction<'_>, part: Part) -> rusqlite::Result<()> {
        match part {
            Part::Begun(row) => drop(self.begun.insert(Seq(row.seq), row)),
            Part::Refused(row) => self.put(step, &row, Some(Seq(row.seq)))?,
            Part::Ended { of, end, alone } => {
                let ended = Seq(alone.seq);
                if let Some(row) = self.begun.remove(&of) {
                    self.put(step, &end.of(row), Some(ended))?;
                } else if self.end(step, of, ended, &end)? == 0 {
                    // It began before all that is there.
                    self.put(step, &end.of(alone), Some(ended))?;
                }
            }
        }
        Ok(())
    }

    /// Keeps the calls that have not ended in this step.
    pub(super) fn settle(&mut self, step: &Transaction<'_>) -> rusqlite::Result<()> {
        let begun = std::mem::take(&mut self.begun);
        begun.values().try_for_each(|row| self.put(step, row, None))
    }

    fn put(&mut self, step: &Transaction<'_>, row: &Row, ended: Option<Seq>) -> rusqlite::Result<()> {
        let at = row.time.parse::<Timestamp>().ok().map(|at| at.as_microsecond());
        let mut id = |of, name: &str| self.id(step, of, name);
        let sources = id(NameOf::Sources, &row.sources.join(" "))?;
        let subject = id(NameOf::Subject, &row.subject)?;
        let (entry_point, run) = (id(NameOf::EntryPoint, &row.entry_point)?, id(NameOf::Run, &row.run)?);
        let (agent, upstream) = (id(NameOf::Agent, &row.agent)?, id(NameOf::Upstream, &row.upstream)?);
        let (target, reason) = (id(NameOf::Target, &row.target)?, id(NameOf::Reason, &row.reason)?);
        let executed = id(NameOf::Executed, &row.executed)?;
        let refused = row.verdict == crate::audit::Verdict::Refused;
        let mut insert = step.prepare_cached(
            "INSERT OR REPLACE INTO calls VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)",
        )?;
        insert.execute(params![
            signed(row.seq),
            ended.map(|ended| signed(ended.0)),
            at,
            row.time,
            sources,
            subject,
            entry_point,
            run,
            agent,
            upstream,
            target,
            refused,
            reason,
            executed,
            row.total_us.map(signed),
        ])?;
        Ok(())
    }

    fn end(&mut self, step: &Transaction<'_>, of: Seq, ended: Seq, end: &End) -> rusqlite::Result<usize> {
        let End { reason, executed, total_us } = end;
        let (reason, executed) =
            (self.id(step, NameOf::Reason, reason)?, self.id(step, NameOf::Executed, executed)?);
        let mut update = step.prepare_cached(
            "UPDATE calls SET ended = ?2, reason = ?3, executed = ?4, total_us = ?5 WHERE seq = ?1",
        )?;
        let total = total_us.map(signed);
        update.execute(params![signed(of.0), signed(ended.0), reason, executed, total])
    }

    fn id(&mut self, step: &Transaction<'_>, of: NameOf, name: &str) -> rusqlite::Result<i64> {
        let key = (of, name.to_owned());
        if let Some(id) = self.names.get(&key) {
            return Ok(*id);
        }
        step.prepare_cached("INSERT OR IGNORE INTO names (kind, name) VALUES (?1, ?2)")?
            .execute(params![of.number(), name])?;
        let id = step
            .prepare_cached("SELECT id FROM names WHERE kind = ?1 AND name = ?2")?
            .query_row(params![of.number(), name], |row| row.get(0))?;
        if self.names.len() >= NAMES_MAX {
            self.names.clear();
        }
        self.names.insert(key, id);
        Ok(id)
    }
}

/// SQLite has no unsigned numbers. No journal has as many records as a signed one cannot count.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
