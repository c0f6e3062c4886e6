//! SQL text to [`Statement`]s: PostgreSQL through sqlparser, plus Highwater's own DDL.

mod statement;

pub use statement::*;
