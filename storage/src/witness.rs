//! [`Witness`]: a small file beside the database that says what must be in it. sled takes damage for a write that a
//! crash cut short and opens without what came after it, so only something outside of its file can tell.
//!
//! ```text
//! catalog <sum> <sum>     the catalog's sum before and after the last change
//! epoch <n>               the log had reached this epoch
//! ```
//! It is replaced as a whole before each change of the catalog, and when the folder is closed. So the catalog has one
//! of the two sums whenever the process died, and the log is at the epoch or beyond. Changes of the log alone do not
//! write it: that would be a second fsync for each commit.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use highwater_types::Epoch;

use crate::StorageError;

const FILE: &str = "witness";

/// A sum over objects, which does not depend on their order and from which an object can be taken out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    /// With one object more.
    pub(crate) fn with(self, key: &[u8], value: &[u8]) -> Sum {
        Sum(self.0.wrapping_add(hash(key, value)))
    }

    /// With one object less.
    pub(crate) fn without(self, key: &[u8], value: &[u8]) -> Sum {
        Sum(self.0.wrapping_sub(hash(key, value)))
    }
}

fn hash(key: &[u8], value: &[u8]) -> u64 {
    let crc = |first: &[u8], second: &[u8]| {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(first);
        hasher.update(second);
        u64::from(hasher.finalize())
    };
    crc(key, value) << 32 | crc(value, key)
}

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Witness {
    /// The catalog's sum before the last change.
    pub before: Sum,
    /// The catalog's sum after it.
    pub after: Sum,
    /// An epoch that the log had reached.
    pub epoch: Epoch,
}

impl Witness {
    /// What the folder's file says; `None` in a new folder.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged itself.
    pub(crate) fn read(folder: &Path) -> Result<Option<Witness>, StorageError> {
        let path = folder.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => parse(&text).map(Some).ok_or_else(|| StorageError::Damaged {
                what: format!("the file {path:?}"),
                reason: "it is not of a known form".to_string(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StorageError::Io {
                action: "read",
                path,
                source,
            }),
        }
    }

    /// Compares the database with what was written.
    ///
    /// # Errors
    /// When something that was durable is not there.
    pub(crate) fn check(&self, catalog: Sum, epoch: Epoch) -> Result<(), StorageError> {
        if ![self.before, self.after].contains(&catalog) {
            return Err(StorageError::Damaged {
                what: "the catalog".to_string(),
                reason: "it is not what was last written".to_string(),
            });
        }
        if epoch < self.epoch {
            return Err(StorageError::Damaged {
                what: "the write-ahead log".to_string(),
                reason: format!("it ends at epoch {epoch}, and had reached epoch {}", self.epoch),
            });
        }
        Ok(())
    }

    /// Replaces the folder's file, durably.
    ///
    /// # Errors
    /// When it cannot be written; then the old one stands.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), StorageError> {
        let path = folder.join(FILE);
        let text = format!(
            "catalog {:016x} {:016x}\nepoch {}\n",
            self.before.0, self.after.0, self.epoch.0
        );
        replace(folder, &path, &text).map_err(|source| StorageError::Io {
            action: "write",
            path,
            source,
        })
    }
}

fn replace(folder: &Path, path: &PathBuf, text: &str) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = File::create(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(folder)?.sync_all()
}

fn parse(text: &str) -> Option<Witness> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let sum = |word: &str| u64::from_str_radix(word, 16).ok().map(Sum);
    match words.as_slice() {
        ["catalog", before, after, "epoch", epoch] => Some(Witness {
            before: sum(before)?,
            after: sum(after)?,
            epoch: Epoch(epoch.parse().ok()?),
        }),
        _ => None,
    }
}
