//! In which order the steps of a plan can happen, and where the values of their arguments come from.
//!
//! Must never leave out an order that calls can be made in: only `after` and `from` settle one, the order of the steps
//! in the plan does not.

use std::collections::BTreeSet;

use super::super::fit::Fitted;
use super::super::steps::{Argument, Constraint, Presence, StepId};

/// The numbers of steps.
pub(super) type Numbers = BTreeSet<usize>;

/// What can come before what, and from where.
pub(super) struct Order {
    /// Of each step, those that have to be done before it.
    needs: Vec<Numbers>,
    /// Of each step, itself and those whose answers its arguments come out of, however far.
    origins: Vec<Numbers>,
    uses: Vec<u32>,
}

impl Order {
    pub(super) fn of(fitted: &Fitted, uses: Vec<u32>) -> Self {
        let steps = fitted.plan().steps();
        let number = |id: &StepId| steps.iter().position(|step| step.id == *id);
        let (mut needs, mut origins): (Vec<Numbers>, Vec<Numbers>) = (Vec::new(), Vec::new());
        for (at, step) in steps.iter().enumerate() {
            // Steps name earlier ones alone: what these need is known.
            let closure = |direct: Numbers, known: &[Numbers]| {
                let further = direct.iter().filter_map(|at| known.get(*at)).flatten().copied();
                let further: Numbers = further.collect();
                &direct | &further
            };
            needs.push(closure(step.needs().into_iter().filter_map(number).collect(), &needs));
            let from = step.selections().into_iter().filter_map(|(id, _)| number(id)).collect();
            let mut all = closure(from, &origins);
            all.insert(at);
            origins.push(all);
        }
        Self { needs, origins, uses }
    }

    /// The steps that the step `at` cannot do without, however far.
    pub(super) fn needs(&self, at: usize) -> impl Iterator<Item = usize> {
        self.needs.get(at).into_iter().flatten().copied()
    }

    /// Whether a call of the step `first` can be made before one of the step `then`.
    pub(super) fn may_precede(&self, first: usize, then: usize) -> bool {
        let is_single = self.uses.get(then).is_some_and(|uses| *uses <= 1);
        let waits = first == then || self.needs.get(first).is_some_and(|needs| needs.contains(&then));
        !(is_single && waits)
    }

    /// The step `at` and those whose answers its arguments come out of.
    pub(super) fn origins(&self, at: usize) -> Numbers {
        self.origins.get(at).cloned().unwrap_or_default()
    }
}

/// Which values an argument can have.
pub(super) enum Pinning<'a> {
    /// Only those that the plan or the trigger names, or that come out of the answers of these steps.
    To(Vec<&'a StepId>),
    /// Others too.
    Open,
}

/// Which values `argument` can have.
pub(super) fn pinning(argument: &Argument) -> Pinning<'_> {
    let mut found = Vec::new();
    match is_pinned(argument) {
        true => {
            argument.constraint.selections(&mut found);
            Pinning::To(found.into_iter().map(|(step, _)| step).collect())
        }
        false => Pinning::Open,
    }
}

/// What a call may leave out has the value that its tool fills in, which nobody named.
fn is_pinned(argument: &Argument) -> bool {
    argument.presence == Presence::Required && holds(&argument.constraint)
}

fn holds(constraint: &Constraint) -> bool {
    match constraint {
        Constraint::Lit(_) | Constraint::Enum(_) | Constraint::From { .. } | Constraint::Trigger(_) => true,
        Constraint::Match(_) | Constraint::Range { .. } | Constraint::Free { .. } => false,
        Constraint::Each { element, .. } => holds(element),
        Constraint::Object(members) => members.values().all(is_pinned),
    }
}
