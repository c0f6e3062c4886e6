//! The server: one database, the coordinator that cuts its epochs, the sessions that read and write it, and the
//! PostgreSQL protocol in front of them.

pub mod config;
pub mod coordinator;
pub mod database;
pub mod pg;
pub mod session;
mod stored_catalog;
mod system;
