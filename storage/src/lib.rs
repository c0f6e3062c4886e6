//! What survives a restart: the catalog and the write-ahead log, both in one sled database.
//!
//! Start with [`Store`], which owns a data folder; [`Store::wal`] is the log of table changes. The catalog is kept
//! as opaque values under string keys: what is in them is the server's affair, that they are whole is ours.
//!
//! # Promises
//! - What a call has acknowledged is on the device (see `disk.rs` for what that takes with sled).
//! - A call takes effect whole or not at all, whenever the process dies.
//! - Every stored value carries a format version and a CRC-32; damage is reported by the name of what is damaged
//!   ([`StorageError::Damaged`]) and never read as data; a file of its own tells when something is gone.
//! - After a failed write nothing more is written until the folder is opened again: what the failed write left
//!   behind is unknown ([`StorageError::Stopped`]).

mod catalog;
mod disk;
mod error;
mod lock;
mod sealed;
mod store;
mod wal;
mod witness;

pub use error::StorageError;
pub use store::Store;
pub use wal::{Replay, Wal, WalEntry};
