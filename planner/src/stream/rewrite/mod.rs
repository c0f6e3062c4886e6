//! Rewrites of logical plans that views need besides DataFusion's.

pub(super) mod distinct_on;
pub(super) mod not_in;
pub(super) mod refuse;
pub(super) mod ties;
