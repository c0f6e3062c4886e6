//! Views as timely dataflows: operators over changing inputs, the workers that run them, the collections they
//! fill, and snapshot queries over those.

pub mod batch;
mod chunk;
mod collection;
mod driver;
mod error;
mod exchange;
mod flow;
mod hashing;
pub mod op;
mod projection;
mod render;
mod runtime;
#[cfg(test)]
mod runtime_tests;
mod sink;
pub mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod view_flow;
mod worker;

pub use collection::{CheckedDelta, Collection};
pub use error::{ExecError, sql_error};
pub use projection::Projection;
pub use render::explain_dataflow;
pub use runtime::{DataflowSpec, Report, Runtime, RuntimeHandle, STACK_BYTES};
