//! Asking the index.
//!
//! Must never put what was asked for into the text of a statement: it is bound.

use rusqlite::types::Value;
use rusqlite::{params, params_from_iter};

use super::schema::{NameOf, unsigned};
use super::{Index, IndexError};
use crate::audit::{Query, Row, Verdict};
use crate::model::glob::Glob;

/// Conditions that all have to hold, and what is bound in them.
#[derive(Default)]
struct Where {
    conditions: Vec<String>,
    bound: Vec<Value>,
}

const SELECT: &str = "
SELECT c.seq, c.time, sources.name, subject.name, entry_point.name, run.name, agent.name, upstream.name, target.name,
    c.refused, reason.name, executed.name, c.total_us
FROM calls c
JOIN names sources ON sources.id = c.sources JOIN names subject ON subject.id = c.subject
JOIN names entry_point ON entry_point.id = c.entry_point JOIN names run ON run.id = c.run
JOIN names agent ON agent.id = c.agent JOIN names upstream ON upstream.id = c.upstream
JOIN names target ON target.id = c.target JOIN names reason ON reason.id = c.reason
JOIN names executed ON executed.id = c.executed";

impl Index {
    /// Hands every call that `query` means to `visit`, in the order in which they ended; those that have not come last.
    ///
    /// # Errors
    /// [`IndexError`] where the index cannot be asked; and what `visit` says.
    pub fn query<E: From<IndexError>>(
        &self,
        query: &Query,
        mut visit: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        let asked = self.conditions(query).map_err(IndexError::from)?;
        let text = asked.statement();
        let failed = |error: rusqlite::Error| E::from(IndexError::from(error));
        let mut statement = self.connection.prepare(&text).map_err(failed)?;
        let mut rows = statement.query(params_from_iter(asked.bound)).map_err(failed)?;
        while let Some(found) = rows.next().map_err(failed)? {
            visit(row(found).map_err(failed)?)?;
        }
        Ok(())
    }

    fn conditions(&self, query: &Query) -> rusqlite::Result<Where> {
        let Query { since, until, source, subject, run, upstream, target, verdict, reason } = query;
        let mut asked = Where::default();
        if let Some(since) = since {
            asked.and("c.at >= ?", Value::Integer(since.as_microsecond()));
        }
        if let Some(until) = until {
            asked.and("c.at < ?", Value::Integer(until.as_microsecond()));
        }
        if let Some(verdict) = verdict {
            asked.and("c.refused = ?", Value::Integer(i64::from(*verdict == Verdict::Refused)));
        }
        let exact = [
            ("subject", NameOf::Subject, subject),
            ("run", NameOf::Run, run),
            ("upstream", NameOf::Upstream, upstream),
            ("reason", NameOf::Reason, reason),
        ];
        for (column, of, wanted) in exact {
            if let Some(wanted) = wanted {
                asked.among(column, &self.names(of, |name| name == wanted)?);
            }
        }
        if let Some(source) = source {
            let has = |names: &str| names.split(' ').any(|name| name == source);
            asked.among("sources", &self.names(NameOf::Sources, has)?);
        }
        if let Some(glob) = target {
            asked.among("target", &self.names(NameOf::Target, |name| Glob::matches(glob, name))?);
        }
        Ok(asked)
    }

    /// The numbers of the names that are meant.
    fn names(&self, of: NameOf, is_meant: impl Fn(&str) -> bool) -> rusqlite::Result<Vec<i64>> {
        let mut statement = self.connection.prepare("SELECT id, name FROM names WHERE kind = ?1")?;
        let mut rows = statement.query(params![of.number()])?;
        let mut meant = Vec::new();
        while let Some(row) = rows.next()? {
            if is_meant(row.get_ref(1)?.as_str()?) {
                meant.push(row.get(0)?);
            }
        }
        Ok(meant)
    }
}

impl Where {
    fn and(&mut self, condition: &str, bound: Value) {
        self.conditions.push(condition.to_owned());
        self.bound.push(bound);
    }

    fn among(&mut self, column: &str, ids: &[i64]) {
        // Numbers of our own, and as many as there may be: a list of bound ones would have an end.
        let list: Vec<_> = ids.iter().map(ToString::to_string).collect();
        self.conditions.push(format!("c.{column} IN ({})", list.join(",")));
    }

    fn statement(&self) -> String {
        let conditions =
            if self.conditions.is_empty() { "1".to_owned() } else { self.conditions.join(" AND ") };
        format!("{SELECT} WHERE {conditions} ORDER BY c.ended IS NULL, c.ended, c.seq")
    }
}

fn row(found: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let sources: String = found.get(2)?;
    Ok(Row {
        seq: unsigned(found.get(0)?),
        time: found.get(1)?,
        sources: sources.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        subject: found.get(3)?,
        entry_point: found.get(4)?,
        run: found.get(5)?,
        agent: found.get(6)?,
        upstream: found.get(7)?,
        target: found.get(8)?,
        verdict: if found.get::<_, bool>(9)? { Verdict::Refused } else { Verdict::Forwarded },
        reason: found.get(10)?,
        executed: found.get(11)?,
        total_us: found.get::<_, Option<i64>>(12)?.map(unsigned),
    })
}
