//! From a logical plan to a [`plan::StreamPlan`].

pub mod plan;
