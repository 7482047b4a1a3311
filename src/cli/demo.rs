//! `sluicegate demo`: the whole thing at once, to look at.
