//! The words every layer of Highwater speaks: relations and their ids, SQL types, epochs, ticks and
//! watermarks, deltas, and SQLSTATEs. Nothing here does I/O, waits, or knows a clock.
//!
//! Start with [`Delta`], the unit of flow: Arrow rows with a signed weight each. Then [`Tick`]: the
//! epoch those changes belong to and the watermarks in force.

mod delta;
mod exact_sum;
mod fault;
mod id;
mod quotient;
pub mod script;
mod sql_type;
mod sqlstate;
pub mod text;
mod time;

pub use delta::{Delta, DeltaError, RowKeys, canonical_floats, canonical_nans};
pub use exact_sum::ExactFloatSum;
pub use fault::Fault;
pub use id::RelationId;
pub use quotient::{average, quotient, quotient_digits};
pub use sql_type::{IntervalParts, QUOTIENT, SqlType, UNCONSTRAINED_NUMERIC};
pub use sqlstate::{SqlError, SqlState};
pub use time::{Epoch, SourceWatermark, Tick, Watermark};
