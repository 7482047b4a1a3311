//! A batch, asked about in parts until it is known which records of it a receiver cannot take.
//!
//! What is too large for a receiver is halved, and so is what it calls wrong, until one record is left that it cannot
//! take: that one is set aside. Where it says which record is wrong, that one is asked about first. Must never set a
//! record aside for a receiver that takes nothing at all: that is a failure, and waits.

use std::collections::VecDeque;

use super::failure::Failure;
use super::parcel::Parcel;
use super::target::Refused;

/// Why a receiver takes nothing of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Objection {
    /// What it says.
    pub(super) why: String,
    /// Which record it says it is for, counted from 0.
    pub(super) at: Option<usize>,
}

/// What of a batch was not asked about yet, and what of it was refused.
#[derive(Debug)]
pub(super) struct Spans<'a> {
    left: VecDeque<&'a [Parcel]>,
    /// How many records it has.
    records: usize,
    /// How many of them are settled.
    at: usize,
    refused: Vec<Refused>,
}

impl<'a> Spans<'a> {
    /// All of `parcels`.
    pub(super) fn of(parcels: &'a [Parcel]) -> Self {
        Self { left: VecDeque::from([parcels]), records: parcels.len(), at: 0, refused: Vec::new() }
    }

    /// What is asked about next.
    pub(super) fn next(&mut self) -> Option<&'a [Parcel]> {
        self.left.pop_front()
    }

    /// The receiver has all of `span`.
    pub(super) fn taken(&mut self, span: &'a [Parcel]) {
        self.at += span.len();
    }

    /// The receiver takes nothing of `span`.
    pub(super) fn objected(&mut self, span: &'a [Parcel], objection: Objection) {
        if span.len() <= 1 {
            self.refused.push(Refused { at: self.at, why: objection.why });
            self.at += span.len();
            return;
        }
        for part in parts(span, objection.at).into_iter().rev().filter(|part| !part.is_empty()) {
            self.left.push_front(part);
        }
    }

    /// What was refused.
    pub(super) fn end(self) -> Result<Vec<Refused>, Failure> {
        some_taken(self.records, self.refused)
    }
}

/// Those `refused` of `records`, where that is not all of them.
pub(super) fn some_taken(records: usize, refused: Vec<Refused>) -> Result<Vec<Refused>, Failure> {
    match refused.last() {
        Some(last) if refused.len() == records => Err(Failure::TakesNone { records, why: last.why.clone() }),
        _ => Ok(refused),
    }
}

/// What is asked about next: what is said to be wrong, by itself; else the two halves.
fn parts(span: &[Parcel], wrong: Option<usize>) -> [&[Parcel]; 3] {
    match wrong.filter(|at| *at < span.len()) {
        Some(at) => {
            let (before, rest) = span.split_at(at);
            let (one, behind) = rest.split_at(1);
            [before, one, behind]
        }
        None => {
            let (first, second) = span.split_at(span.len() / 2);
            [first, second, &[]]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Kind, Seq};

    fn batch(records: u64) -> Vec<Parcel> {
        let parcel = |seq| {
            let (time, digest, text) = (String::new(), String::new(), String::new());
            Parcel { seq: Seq(seq), kind: Kind::Start, time, digest, text }
        };
        (0..records).map(parcel).collect()
    }

    #[test]
    fn what_is_named_is_asked_about_by_itself_and_every_part_is_smaller() {
        let span = batch(4);
        let lengths = |wrong| {
            let parts = parts(&span, wrong);
            assert_eq!(parts.concat(), span, "in order, and nothing left out");
            parts.map(<[Parcel]>::len)
        };
        assert_eq!([lengths(Some(0)), lengths(Some(2)), lengths(Some(3))], [[0, 1, 3], [2, 1, 1], [3, 1, 0]]);
        assert_eq!([lengths(None), lengths(Some(4)), lengths(Some(usize::MAX))], [[2, 2, 0]; 3]);
    }

    /// Asks about `records` of which those that `is_poison` says cannot be taken.
    fn refused(records: u64, is_poison: impl Fn(u64) -> bool) -> Result<Vec<usize>, Failure> {
        let batch = batch(records);
        let (mut spans, mut took) = (Spans::of(&batch), Vec::new());
        while let Some(span) = spans.next() {
            if span.iter().any(|parcel| is_poison(parcel.seq.0)) {
                spans.objected(span, Objection { why: "wrong".to_owned(), at: None });
            } else {
                took.extend(span.iter().map(|parcel| parcel.seq.0));
                spans.taken(span);
            }
        }
        assert!(took.is_sorted(), "in order: {took:?}");
        let refused = spans.end()?.into_iter().map(|refused| refused.at).collect::<Vec<_>>();
        assert_eq!(took.len() + refused.len(), usize::try_from(records).unwrap());
        Ok(refused)
    }

    #[test]
    fn what_cannot_be_taken_is_found_and_nothing_else_is_held_back() {
        assert_eq!(refused(9, |_| false).unwrap(), Vec::<usize>::new());
        assert_eq!(refused(9, |seq| seq == 7).unwrap(), [7]);
        assert_eq!(refused(9, |seq| seq % 4 == 0).unwrap(), [0, 4, 8]);
        assert!(matches!(refused(3, |_| true), Err(Failure::TakesNone { records: 3, .. })));
        assert_eq!(refused(0, |_| true).unwrap(), Vec::<usize>::new());
    }
}
