//! The server: one database, the coordinator that cuts its epochs, the sessions that read and write it, the
//! PostgreSQL protocol in front of them, and what the `highwater` binary makes of it all.

// This library serves its own binary and the tests, and most modules are private: `pub` says there what the
// neighbours may use.
#![allow(unreachable_pub)]

pub mod config;
pub mod coordinator;
pub mod database;
pub mod demo;
mod new_relation;
pub mod pg;
pub mod runtime;
pub mod serve;
pub mod session;
mod stored_catalog;
mod system;
