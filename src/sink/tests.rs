//! What the tests of the forms share.

pub(super) mod samples;
