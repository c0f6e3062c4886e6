//! The PostgreSQL front end: protocol 3.0 and 3.2 over TCP and TLS, from the first byte to the last.
//!
//! pgwire gives the messages, their codec and SCRAM; the loop is our own, because rows must stream with
//! back-pressure, a cancel must stop them, and no message may bring the process down.
//!
//! # The life of a connection
//! 1. `listener.rs` accepts it and gives it a task of its own; whatever happens in there ends with that task.
//! 2. `startup.rs` answers the probes for TLS, reads the startup packet, and has `auth.rs` ask who it is.
//! 3. `connection.rs` reads one message after the other: `frame.rs` cuts it out of the stream, checks it whole and
//!    only then decodes it; `query.rs` answers the simple protocol, `extended.rs` the extended one.
//! 4. Both make statements (`statement.rs`) and run them as portals (`portal.rs`): `run.rs` starts one and moves it
//!    on. Those that concern the connection alone are run here (`command.rs`, `cursor.rs`), all others by the
//!    session. `copy_in.rs` and `copy_out.rs` are COPY.
//! 5. Rows go from Arrow into the output buffer (`encode.rs`), which is written as it fills, or a moment later.
//!
//! Everything that waits, waits through `link.rs`, which also watches for a cancel, a time limit and a client
//! that has gone. What a connection holds is bounded: one frame in, one buffer and one record batch out, and a
//! limited number of statements and portals.

mod auth;
mod cancel;
mod command;
mod connection;
mod copy_binary;
mod copy_csv;
mod copy_in;
mod copy_out;
mod copy_rows;
mod copy_text;
mod cursor;
mod decode;
mod decode_binary;
mod describe;
mod encode;
mod encode_binary;
mod error;
mod extended;
mod frame;
mod link;
mod listener;
mod notify;
mod portal;
mod query;
mod rows;
mod run;
mod startup;
mod statement;
mod tls;
pub(crate) mod types;
mod users;
mod wire;

#[cfg(test)]
mod tests;

pub use cancel::{Backend, Backends};
pub use listener::{Listener, ListenerConfig};
pub use notify::{Notification, Notifier};
pub use tls::{TlsError, TlsIdentity};
pub use users::{UserVerifier, Users, UsersError};
