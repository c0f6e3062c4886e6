//! Materialized views: from a bound query to the plan of a dataflow.
//!
//! The way: [`rewrite::refuse`] finds what is not maintained; [`optimize`] lets DataFusion's rules rewrite the logical
//! plan; [`translate`] makes stream nodes of it, while [`derive`] and [`completion`] work out by which columns rows are
//! unique, whether they are ever retracted, which columns a watermark bounds, and so when state can be let go.
//! [`explain_stream`] shows the outcome, [`plan_windows`] what closes its windows.

mod completion;
mod derive;
mod explain;
mod expression_text;
#[cfg(test)]
mod golden;
mod monotone;
mod optimize;
pub mod plan;
mod rewrite;
mod translate;
mod view;
mod windows;

pub use explain::explain_stream;
pub use view::{ViewPlan, plan_view};
pub use windows::{PlanWindow, WindowEnds, plan_windows};
