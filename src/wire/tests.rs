//! Tests of the whole room, named after the cases of `CASES.md` they hold.
