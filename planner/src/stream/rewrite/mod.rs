//! Rewrites of logical plans that views need besides DataFusion's.

pub(super) mod grouping_sets;
pub(super) mod ordered_aggregates;
pub(super) mod refuse;
pub(super) mod ties;
