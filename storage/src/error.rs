//! [`StorageError`]: what can go wrong between us and the disk, and its SQLSTATE.

use std::io;
use std::path::PathBuf;

use highwater_types::{DeltaError, Epoch, SqlError, SqlState};
use thiserror::Error;

/// An error of the storage.
#[derive(Debug, Error)]
pub enum StorageError {
    /// Another process has the folder.
    #[error("data folder {folder:?} is in use by another process{}", holder(.pid))]
    Locked {
        /// The data folder.
        folder: PathBuf,
        /// The process that holds it, when it said so.
        pid: Option<u32>,
    },
    /// The operating system refused.
    #[error("cannot {action} {path:?}: {source}")]
    Io {
        /// What was tried: `open`, `write`.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no space left for what was to be written.
    #[error("no space left on the device of data folder {folder:?}")]
    DiskFull {
        /// The data folder.
        folder: PathBuf,
    },
    /// Something stored is not what was written.
    #[error("{what} is damaged: {reason}")]
    Damaged {
        /// What is damaged, by name.
        what: String,
        /// How one can tell.
        reason: String,
    },
    /// Something stored was written by a version of Highwater that this one does not know.
    #[error("{what} has format version {found}; this server knows versions up to {known}")]
    UnknownVersion {
        /// What has the version.
        what: String,
        /// The version it has.
        found: u8,
        /// The newest version known here.
        known: u8,
    },
    /// An earlier write failed; what is on disk is only known again after a restart.
    #[error("data folder {folder:?} takes no more writes since one failed: {reason}")]
    Stopped {
        /// The data folder.
        folder: PathBuf,
        /// The first failure.
        reason: String,
    },
    /// Epochs must be appended in order. An error of ours, never of the user's.
    #[error("epoch {given} was appended to the log after epoch {last}")]
    EpochOrder {
        /// The epoch given.
        given: Epoch,
        /// The newest epoch in the log.
        last: Epoch,
    },
    /// Rows that the log has no form for.
    #[error("rows cannot be written to the log: {0}")]
    Encode(#[from] DeltaError),
}

fn holder(pid: &Option<u32>) -> String {
    pid.map_or(String::new(), |pid| format!(" (process {pid})"))
}

impl StorageError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            StorageError::Locked { .. } => Some("Stop the other server, or give this one its own --data-dir."),
            StorageError::DiskFull { .. } => Some("Free some space, and try again: nothing acknowledged is lost."),
            StorageError::Damaged { .. } => Some("Restore the data folder from a copy."),
            StorageError::UnknownVersion { .. } => {
                Some("Open the data folder with the version that wrote it, or a newer one.")
            }
            StorageError::Stopped { .. } => Some("Restart the server: it reads back what is durable."),
            StorageError::Io { .. } => Some("The data folder and its files must belong to the server's user."),
            StorageError::EpochOrder { .. } | StorageError::Encode(_) => None,
        }
    }

    fn state(&self) -> SqlState {
        match self {
            StorageError::Locked { .. } => SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            StorageError::Io { .. } | StorageError::Stopped { .. } => SqlState::IO_ERROR,
            StorageError::DiskFull { .. } => SqlState::DISK_FULL,
            StorageError::Damaged { .. } | StorageError::UnknownVersion { .. } => SqlState::DATA_CORRUPTED,
            StorageError::EpochOrder { .. } | StorageError::Encode(_) => SqlState::INTERNAL_ERROR,
        }
    }
}

impl From<StorageError> for SqlError {
    fn from(error: StorageError) -> SqlError {
        let shaped = SqlError::new(error.state(), error.to_string());
        match error.hint() {
            Some(hint) => shaped.with_hint(hint),
            None => shaped,
        }
    }
}
