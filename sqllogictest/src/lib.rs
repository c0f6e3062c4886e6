//! Runs sqllogictest files: SQL in, text out, over PostgreSQL's wire and through a real driver.
//!
//! A folder of [`suites/`](suites_folder) holds the files of one topic. Each file runs on a server of its own in every
//! [`Mode`]: as written; with every query declared as a materialized view before the rows it reads are there; and
//! with restarts of the server in between. A folder whose answers PostgreSQL must share also runs against one.
//!
//! `cargo test --workspace --test suites join` runs what has `join` in its name; with `HIGHWATER_SUITES=write` the
//! results a server gives replace those in the files, to be read before they are believed.

mod client;
mod mode;
mod run;
mod sql;
mod states;
mod suite;
mod target;
mod view_first;
mod write;

pub use mode::Mode;
pub use run::{FileError, run_file};
pub use states::unasserted_states;
pub use suite::{Suite, read_floors, suites, suites_folder};
pub use target::Target;
pub use view_first::Viewed;
pub use write::write_results;
