//! The server: one database, the coordinator that cuts its epochs, the sessions that read and write it, the
//! PostgreSQL protocol in front of them, and what the `highwater` binary makes of it all.

pub mod config;
pub mod coordinator;
pub mod database;
pub mod demo;
pub mod pg;
pub mod runtime;
pub mod serve;
pub mod session;
mod stored_catalog;
mod system;
