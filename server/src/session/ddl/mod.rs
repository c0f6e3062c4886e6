//! DDL: what exists. Each statement plans against the newest catalog while it holds the DDL lock, makes the object
//! exist, and takes effect at once; a transaction block around it does not take it back.

mod alter;
mod comment;
mod drop;
mod index;
mod name;
mod relation;
mod rename;
mod replace;
mod schema;
mod view;

pub(super) use drop::drop_tag;
pub(super) use name::{fold, is_kind};
pub(super) use rename::alter_words;
