//! From a statement and a catalog to a plan: a DataFusion plan for reads and writes, a stream plan for views.
//!
//! A query passes three rooms: `bind` gives every name a meaning and every expression a PostgreSQL type, and turns
//! subqueries into joins; [`session_state()`] optimises; for a view, [`stream`] makes operators of the result.

mod bind;
pub mod catalog;
mod context;
mod ddl;
mod dml;
mod error;
pub mod functions;
mod now;
mod place;
mod position;
mod query;
mod rename;
mod rules;
mod session_state;
mod session_window;
pub mod stream;
#[cfg(test)]
mod tests;
mod translate;
mod window;

pub use bind::sql_type;
pub use context::{
    NoSystemRelations, PlanContext, PlanSettings, RelationSource, ScanTarget, SessionFunctions, SystemRelations,
    placeholder,
};
pub use ddl::{plan_inline_view, table_from_ddl, view_columns};
pub use dml::{
    DeletePlan, InsertPlan, OnConflict, Returning, UpdatePlan, completion_plan, conflict_schema, plan_copy_from,
    plan_delete, plan_insert, plan_update,
};
pub use error::{PlanError, Result};
pub use now::{instant, with_now, with_now_as_parameter};
pub use position::Mark;
pub use query::{
    BoundQuery, NamedRelation, OutputColumn, QueryPlan, bind_query, plan_expressions, plan_query, relations_read,
};
pub use rename::with_texts_following;
pub use session_state::{session_state, shared_session_state};
pub use session_window::SessionNode;
pub use stream::{ViewPlan, explain_stream, plan_view};
pub use window::{ProcTimeNode, WINDOW_END, WINDOW_START, WindowNode};
