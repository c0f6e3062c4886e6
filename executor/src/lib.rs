//! Views as timely dataflows: operators over changing inputs, the workers that run them, the collections they
//! fill, and snapshot queries over those.

mod error;
pub mod op;
pub mod state;

pub use error::{ExecError, sql_error};
