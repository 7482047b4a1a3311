//! The Merkle tree over the lines of the journal (RFC 6962, 2.1): its root as it grows, and proofs.
//!
//! Pure. Must never keep more than a logarithm of the lines, and never take a line for the next one that is not: where
//! numbers are missing a new tree begins.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::Seq;
use crate::model::digest::Sha256;

/// The hash of two subtrees (RFC 6962, 2.1).
fn node(left: &Sha256, right: &Sha256) -> Sha256 {
    Sha256::of_parts(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// The right edge of a tree: what of it is needed to go on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Frontier {
    /// The number of the first line in it.
    pub(super) base: u64,
    /// How many lines are in it.
    pub(super) size: u64,
    /// The roots of its complete subtrees, the largest first: one for each bit of `size` that is set.
    pub(super) peaks: Vec<Sha256>,
}

impl Frontier {
    /// Takes in the line `seq`.
    pub(super) fn append(&mut self, seq: Seq, leaf: Sha256) {
        if self.size == 0 || seq.0 != self.end() {
            *self = Self { base: seq.0, size: 0, peaks: Vec::new() };
        }
        let mut hash = leaf;
        // Each bit that is carried over joins two subtrees of the same size.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The number of the line that is next.
    pub(super) fn end(&self) -> u64 {
        self.base.saturating_add(self.size)
    }

    /// The root of the tree (RFC 6962, 2.1: MTH).
    pub(super) fn root(&self) -> Sha256 {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Sha256::of(b"") };
        peaks.fold(*last, |right, left| node(left, &right))
    }

    /// Its complete subtrees, the largest first: the places of their leaves, and the roots.
    fn complete(&self) -> impl Iterator<Item = (Range<u64>, Sha256)> {
        let sizes = (0..u64::BITS).rev().map(|bit| 1_u64 << bit).filter(|bit| self.size & bit != 0);
        let ranges = sizes.scan(0, |at, size| {
            let start = *at;
            *at += size;
            Some(start..*at)
        });
        ranges.zip(self.peaks.iter().copied())
    }

    /// Whether it could be one.
    pub(super) fn is_whole(&self) -> bool {
        u64::from(self.size.count_ones()) == self.peaks.len() as u64
    }
}

/// The largest power of two below `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

/// The subtrees whose roots prove that the leaf `index` is in the tree of `size` leaves, from the leaf up (RFC 6962,
/// 2.1.1: PATH). `None` where it cannot be.
pub(super) fn inclusion(index: u64, size: u64) -> Option<Vec<Range<u64>>> {
    if index >= size {
        return None;
    }
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(middle..end);
            end = middle;
        } else {
            path.push(start..middle);
            start = middle;
        }
    }
    path.reverse();
    Some(path)
}

/// The subtrees whose roots prove that the tree of `old` leaves is the beginning of that of `new` (RFC 6962, 2.1.2:
/// PROOF). `None` where it cannot be.
pub(super) fn consistency(old: u64, new: u64) -> Option<Vec<Range<u64>>> {
    if old == 0 || old > new {
        return None;
    }
    let mut proof = Vec::new();
    let (mut start, mut end, mut is_whole) = (0, new, true);
    loop {
        if old == end {
            // The old tree itself is known to whoever asks.
            if !is_whole {
                proof.push(start..end);
            }
            break;
        }
        let middle = start + split(end - start);
        if old <= middle {
            proof.push(middle..end);
            end = middle;
        } else {
            proof.push(start..middle);
            (start, is_whole) = (middle, false);
        }
    }
    proof.reverse();
    Some(proof)
}

/// The roots of subtrees, from leaves that come one after the other, and from a tree that has some of them already.
#[derive(Debug)]
pub(super) struct Roots {
    subtrees: Vec<(Range<u64>, Frontier)>,
}

impl Roots {
    /// Of these subtrees, which do not overlap.
    pub(super) fn of(ranges: Vec<Range<u64>>) -> Self {
        Self { subtrees: ranges.into_iter().map(|range| (range, Frontier::default())).collect() }
    }

    /// Takes over those of the subtrees that are complete in `tree`: their leaves need not come.
    pub(super) fn known_from(&mut self, tree: &Frontier) {
        for (complete, root) in tree.complete() {
            let meant = self.subtrees.iter_mut().find(|(range, _)| *range == complete);
            if let Some((range, frontier)) = meant {
                let size = range.end - range.start;
                *frontier = Frontier { base: range.start, size, peaks: vec![root] };
            }
        }
    }

    /// Takes in the leaf `index`.
    pub(super) fn leaf(&mut self, index: u64, leaf: Sha256) {
        let meant = self.subtrees.iter_mut().find(|(range, _)| range.contains(&index));
        if let Some((_, frontier)) = meant {
            frontier.append(Seq(index), leaf);
        }
    }

    /// The roots, in the order of the ranges; `None` where a leaf is missing.
    pub(super) fn finish(self) -> Option<Vec<Sha256>> {
        let root = |(range, frontier): (Range<u64>, Frontier)| {
            (frontier.base == range.start && frontier.end() == range.end).then(|| frontier.root())
        };
        self.subtrees.into_iter().map(root).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 6962, 2.1, word by word.
    fn mth(leaves: &[Sha256]) -> Sha256 {
        match leaves {
            [] => Sha256::of(b""),
            [only] => *only,
            _ => {
                let middle = (0..).map(|n| 1 << n).take_while(|k| *k < leaves.len()).last().unwrap();
                node(&mth(&leaves[..middle]), &mth(&leaves[middle..]))
            }
        }
    }

    /// RFC 6962, 2.1.1, word by word.
    fn path(m: usize, leaves: &[Sha256]) -> Vec<Sha256> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let k = (0..).map(|n| 1 << n).take_while(|k| *k < leaves.len()).last().unwrap();
        if m < k {
            [path(m, &leaves[..k]), vec![mth(&leaves[k..])]].concat()
        } else {
            [path(m - k, &leaves[k..]), vec![mth(&leaves[..k])]].concat()
        }
    }

    /// Whether the subtree of a consistency proof is the whole old tree, whose root is known.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Subtree {
        Whole,
        Part,
    }

    /// RFC 6962, 2.1.2, word by word.
    fn subproof(m: usize, leaves: &[Sha256], subtree: Subtree) -> Vec<Sha256> {
        if m == leaves.len() {
            return if subtree == Subtree::Whole { Vec::new() } else { vec![mth(leaves)] };
        }
        let k = (0..).map(|n| 1 << n).take_while(|k| *k < leaves.len()).last().unwrap();
        if m <= k {
            [subproof(m, &leaves[..k], subtree), vec![mth(&leaves[k..])]].concat()
        } else {
            [subproof(m - k, &leaves[k..], Subtree::Part), vec![mth(&leaves[..k])]].concat()
        }
    }

    fn leaves(count: usize) -> Vec<Sha256> {
        (0..count).map(|n| super::super::line::leaf(n.to_string().as_bytes())).collect()
    }

    fn roots(ranges: Vec<Range<u64>>, leaves: &[Sha256]) -> Vec<Sha256> {
        let mut roots = Roots::of(ranges);
        (0..).zip(leaves).for_each(|(index, leaf)| roots.leaf(index, *leaf));
        roots.finish().unwrap()
    }

    /// The inputs and roots of the test of the Certificate Transparency project (merkletree/merkle_tree_test.cc).
    #[test]
    fn the_roots_of_known_trees() {
        let inputs = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let expected = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Frontier::default();
        assert_eq!(tree.root(), Sha256::of(b""));
        for (seq, (input, root)) in (0..).zip(inputs.iter().zip(expected)) {
            let bytes = data_encoding::HEXLOWER.decode(input.as_bytes()).unwrap();
            tree.append(Seq(seq), super::super::line::leaf(&bytes));
            assert_eq!(tree.root().to_string(), root);
            assert!(tree.is_whole());
        }
    }

    #[test]
    fn a_missing_line_begins_another_tree() {
        let all = leaves(5);
        let mut tree = Frontier::default();
        tree.append(Seq(7), all[0]);
        tree.append(Seq(8), all[1]);
        assert_eq!((tree.base, tree.size, tree.root()), (7, 2, mth(&all[..2])));
        tree.append(Seq(100), all[2]);
        assert_eq!((tree.base, tree.size, tree.root()), (100, 1, all[2]));
        assert_eq!((inclusion(3, 3), consistency(0, 3), consistency(4, 3)), (None, None, None));
    }

    proptest! {
        #[test]
        fn roots_and_proofs_are_those_of_the_definitions(count in 1..200_usize, at in any::<prop::sample::Index>()) {
            let all = leaves(count);
            let mut tree = Frontier::default();
            (0..).zip(&all).for_each(|(seq, leaf)| tree.append(Seq(seq), *leaf));
            prop_assert_eq!(tree.root(), mth(&all));
            let (size, at) = (count as u64, at.index(count));
            prop_assert_eq!(roots(inclusion(at as u64, size).unwrap(), &all), path(at, &all));
            let old = at + 1;
            let proof = roots(consistency(old as u64, size).unwrap(), &all);
            prop_assert_eq!(proof, subproof(old, &all, Subtree::Whole));
        }
    }
}
