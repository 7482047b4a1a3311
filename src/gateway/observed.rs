//! What telemetry sees of the gateway.
//!
//! Must never name a subject, a key or an argument: figures, names of the configuration, reason codes.

use super::Gateway;
use crate::audit;
use crate::limit::Fullness;
use crate::model::reason::Reason;
use crate::telemetry::{
    Breaker, BudgetFigures, Figures, Finding, Halt, JournalFigures, Observed, Readiness, UpstreamFigures,
};

impl Observed for Gateway {
    fn figures(&self) -> Figures {
        let journal = self.journal.figures();
        Figures {
            calls_in_flight: count(self.gate.figures().in_flight),
            sessions: count(self.sessions.len()),
            runs: count(self.runs.figures().open),
            streams: count(self.streams.len()),
            journal: JournalFigures {
                records: journal.lines,
                bytes: journal.bytes,
                commits: journal.groups,
                queued: journal.queued,
                queue_max: journal.queue_max,
                seq: journal.written_seq,
                synced_seq: journal.synced_seq,
                halts: journal.halts,
                sync_failures: journal.sync_failures,
            },
            upstreams: self.upstream_figures(),
            reloads: self.reload_figures(),
            budgets: self.budget_figures(),
        }
    }

    fn readiness(&self) -> Readiness {
        let halted = match self.journal.status() {
            audit::Status::Going => None,
            audit::Status::Halted(halt) => {
                Some(Halt { reason: Reason::JournalHalted, message: halt.to_string() })
            }
        };
        let mut unready = Vec::new();
        if self.gate.is_draining() {
            let code = Reason::Draining.code().to_owned();
            unready.push(Finding { code, message: Reason::Draining.sentence().to_owned() });
        }
        unready.extend(self.metrics.sinks_unready());
        let mut findings = self.worlds.now().in_force.findings.clone();
        findings.extend(self.metrics.certificate_findings());
        findings.extend(self.metrics.sink_findings());
        findings.extend(self.reloads.finding());
        Readiness { unready, halted, findings }
    }
}

impl Gateway {
    fn budget_figures(&self) -> Vec<BudgetFigures> {
        let fullest = self.gate.fullest(self.clock.wall()).into_iter();
        let figures = fullest.map(|Fullness { budget, amount, used, limit, reason }| BudgetFigures {
            budget,
            amount: amount.code(),
            used,
            limit,
            reason,
        });
        figures.collect()
    }

    fn upstream_figures(&self) -> Vec<UpstreamFigures> {
        let catalogue = self.upstreams.catalogue();
        let conditions = self.upstreams.conditions().into_iter();
        let figures = conditions.map(|(name, condition)| {
            let of_it = || catalogue.tools().iter().filter(|tool| tool.id.upstream == name);
            let pins = self.upstreams.pin_counts(&name);
            UpstreamFigures {
                name: name.to_string(),
                instances: count(condition.instances),
                tools: count(of_it().count()),
                breaker: if condition.is_left_alone { Breaker::Open } else { Breaker::Closed },
                pins_changed: count(pins.changed),
                pins_waiting: count(pins.waiting),
                pins_suspicious: count(pins.suspicious),
            }
        });
        figures.collect()
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
