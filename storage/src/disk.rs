//! [`Disk`]: the sled database, made durable. The only place that knows sled's weak spots.
//!
//! # What sled 0.34.7 does on `flush()`, and what it does not
//! Read in `pagecache/iobuf.rs`, and seen under strace: `flush()` is `pwrite64` followed by `sync_file_range` with
//! WAIT_BEFORE | WRITE | WAIT_AFTER. That is not an fsync: it writes neither the file's size and block map nor the
//! device's own cache, so a power cut can lose what `flush()` has acknowledged (a killed process cannot: the
//! kernel has the pages). Therefore [`Disk::sync`] calls `flush()` and then `fdatasync` on the same file through a
//! handle of its own, which the kernel applies to the whole inode.
//!
//! Values larger than a quarter of a segment (128 KiB), and leaves of the tree that grow beyond it, go to files of
//! their own under `blobs/`, which sled never syncs at all. A leaf holds up to 17 values, so no value may be longer
//! than [`VALUE_BYTES_MAX`]: then no leaf reaches the limit and everything is in the one file.
//!
//! Opening a damaged file can make sled panic; that is caught and reported as damage.
//!
//! When the device is full, sled fails a write half done and takes no more, and what is on the device is only known
//! after a restart. So sled is not let come to that: [`Disk::check_room`] refuses a write while there is still room
//! for sled's own, and takes the next one when there is more again.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sled::transaction::{TransactionError, TransactionResult};
use sled::{Batch, Db, IVec, Transactional, Tree};

use crate::StorageError;

/// The longest value that may be stored; see the module's header.
pub(crate) const VALUE_BYTES_MAX: usize = 6 * 1024;
/// Memory for sled's page cache. The log is written once and read once, so a large cache would be wasted.
const CACHE_BYTES: u64 = 32 << 20;
/// How often sled looks for segments to clean. It also writes then, which we never wait for.
const CLEAN_EVERY_MS: u64 = 500;

/// So much of the device is left to sled, which writes whole segments, moves old ones and notes where they are.
const KEPT_FREE_BYTES: u64 = 16 << 20;
/// What takes away rather than adds goes on for longer: it is how a user makes room.
const KEPT_FREE_TO_REMOVE_BYTES: u64 = 8 << 20;
/// How much sled writes for a byte of ours at most: measured with large appends, see `wal/tests.rs`.
pub(crate) const WRITTEN_PER_BYTE: u64 = 3;

/// How long a handle that this process has dropped is waited for, and how often it is looked at.
const HANDLE_WAIT: Duration = Duration::from_secs(5);
const HANDLE_POLL: Duration = Duration::from_millis(1);

/// What a write does to the room that is needed in the long run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// There will be more than before.
    Add,
    /// There will be less, once the log is compacted.
    Remove,
}

/// Changes of one tree that belong together. Of several to one key the last one counts.
#[derive(Debug, Default)]
pub(crate) struct Writes(Vec<(Vec<u8>, Option<Vec<u8>>)>);

impl Writes {
    pub(crate) fn insert(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.0.push((key.into(), Some(value.into())));
    }

    pub(crate) fn remove(&mut self, key: impl Into<Vec<u8>>) {
        self.0.push((key.into(), None));
    }

    /// About how much they take on the device.
    pub(crate) fn size_bytes(&self) -> u64 {
        let sizes = self
            .0
            .iter()
            .map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len));
        sizes.sum::<usize>() as u64
    }

    fn into_batch(self) -> Batch {
        let mut batch = Batch::default();
        for (key, value) in self.0 {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        batch
    }
}

/// A sled database in `<folder>/sled`.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    db: Db,
    /// The same file as sled's, for `fdatasync`.
    file: File,
    failure: OnceLock<String>,
}

impl Disk {
    /// Opens or creates the database.
    pub(crate) fn open(folder: &Path) -> Result<Disk, StorageError> {
        let path = folder.join("sled");
        let config = sled::Config::new()
            .path(&path)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(Some(CLEAN_EVERY_MS));
        let db = open_database(folder, &config)?;
        let file_path = path.join("db");
        let io = |source| StorageError::Io {
            action: "open",
            path: file_path.clone(),
            source,
        };
        let file = File::open(&file_path).map_err(io)?;
        // Once: the names of the files themselves.
        for dir in [folder, path.as_path()] {
            File::open(dir).and_then(|d| d.sync_all()).map_err(io)?;
        }
        Ok(Disk {
            folder: folder.to_path_buf(),
            db,
            file,
            failure: OnceLock::new(),
        })
    }

    /// The tree of this name, made when it does not exist.
    pub(crate) fn tree(&self, name: &str) -> Result<Tree, StorageError> {
        self.db.open_tree(name).map_err(|e| translate(&self.folder, "open", e))
    }

    /// The names of all trees of ours.
    pub(crate) fn tree_names(&self) -> Vec<String> {
        let names = self.db.tree_names();
        names
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect()
    }

    /// Removes a tree. Not synced: whoever drops trees does so again after a crash.
    pub(crate) fn drop_tree(&self, name: &str) -> Result<(), StorageError> {
        self.check()?;
        match self.db.drop_tree(name) {
            Ok(_) => Ok(()),
            Err(e) => Err(self.stop(translate(&self.folder, "write", e))),
        }
    }

    /// Refuses to write so many bytes when the device has no room for them.
    pub(crate) fn check_room(&self, bytes: u64, aim: Aim) -> Result<(), StorageError> {
        let device = rustix::fs::fstatvfs(&self.file).map_err(|errno| StorageError::Io {
            action: "ask about",
            path: self.folder.clone(),
            source: errno.into(),
        })?;
        let free = device.f_bavail.saturating_mul(device.f_frsize);
        let kept = match aim {
            Aim::Add => KEPT_FREE_BYTES,
            Aim::Remove => KEPT_FREE_TO_REMOVE_BYTES,
        };
        match free < bytes.saturating_mul(WRITTEN_PER_BYTE).saturating_add(kept) {
            true => Err(StorageError::DiskFull {
                folder: self.folder.clone(),
            }),
            false => Ok(()),
        }
    }

    /// Applies writes, all or none. Durable only after [`Disk::sync`]. A batch costs sled a second record on the
    /// device, so a single write is not made one.
    pub(crate) fn apply(&self, tree: &Tree, writes: Writes) -> Result<(), StorageError> {
        self.check()?;
        let applied = match writes.0.as_slice() {
            [] => Ok(()),
            [(key, Some(value))] => tree.insert(key, value.as_slice()).map(|_| ()),
            [(key, None)] => tree.remove(key).map(|_| ()),
            _ => tree.apply_batch(writes.into_batch()),
        };
        applied.map_err(|e| self.stop(translate(&self.folder, "write", e)))
    }

    /// Applies writes to each of two trees in one transaction. Durable only after [`Disk::sync`].
    pub(crate) fn apply_both(&self, first: (&Tree, Writes), second: (&Tree, Writes)) -> Result<(), StorageError> {
        self.check()?;
        let (one_batch, two_batch) = (first.1.into_batch(), second.1.into_batch());
        let done: TransactionResult<(), ()> = (first.0, second.0).transaction(|(one, two)| {
            one.apply_batch(&one_batch)?;
            two.apply_batch(&two_batch)?;
            Ok(())
        });
        match done {
            Ok(()) => Ok(()),
            Err(TransactionError::Storage(e)) => Err(self.stop(translate(&self.folder, "write", e))),
            Err(TransactionError::Abort(())) => unreachable!("the transaction above never aborts"),
        }
    }

    /// Makes everything applied so far durable.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        self.check()?;
        self.db
            .flush()
            .map_err(|e| self.stop(translate(&self.folder, "write", e)))?;
        self.file
            .sync_data()
            .map_err(|e| self.stop(translate(&self.folder, "sync", sled::Error::Io(e))))
    }

    /// One value.
    pub(crate) fn read(&self, tree: &Tree, key: &[u8]) -> Result<Option<IVec>, StorageError> {
        tree.get(key).map_err(|e| self.read_error(e))
    }

    /// Translates an error of sled's iterators.
    pub(crate) fn read_error(&self, error: sled::Error) -> StorageError {
        translate(&self.folder, "read", error)
    }

    /// Bytes on disk.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |m| m.len())
    }

    /// Something stored is not what was written.
    pub(crate) fn damaged(&self, what: String, reason: String) -> StorageError {
        StorageError::Damaged { what, reason }
    }

    /// Something stored is of a version not known here.
    pub(crate) fn unknown_version(&self, what: String, found: u8, known: u8) -> StorageError {
        StorageError::UnknownVersion { what, found, known }
    }

    /// That every write so far has gone well.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        match self.failure.get() {
            None => Ok(()),
            Some(reason) => Err(StorageError::Stopped {
                folder: self.folder.clone(),
                reason: reason.clone(),
            }),
        }
    }

    /// Remembers the first failed write: a later one could make durable what was answered with an error.
    fn stop(&self, error: StorageError) -> StorageError {
        tracing::error!(folder = %self.folder.display(), %error, "a write failed; no more are taken until a restart");
        self.failure.get_or_init(|| error.to_string());
        error
    }
}

/// Opens the database. A handle that this process has just dropped may still be held by one of sled's threads, which
/// finishes a write; that is waited for. No other process can have it: it would have the folder's lock.
fn open_database(folder: &Path, config: &sled::Config) -> Result<Db, StorageError> {
    let start = Instant::now();
    loop {
        let opened = catch_unwind(AssertUnwindSafe(|| config.open())).map_err(|_| StorageError::Damaged {
            what: "the sled database".to_string(),
            reason: "it cannot be opened".to_string(),
        })?;
        match opened.map_err(|e| translate(folder, "open", e)) {
            Err(StorageError::Locked { .. }) if start.elapsed() < HANDLE_WAIT => std::thread::sleep(HANDLE_POLL),
            opened => return opened,
        }
    }
}

/// The one place where sled's errors become ours.
fn translate(folder: &Path, action: &'static str, error: sled::Error) -> StorageError {
    let damaged = |reason: String| StorageError::Damaged {
        what: "the sled database".to_string(),
        reason,
    };
    match error {
        sled::Error::Io(e) if e.kind() == io::ErrorKind::StorageFull => StorageError::DiskFull {
            folder: folder.to_path_buf(),
        },
        // sled reports a lock that another handle has as a plain error with this text.
        sled::Error::Io(e) if e.to_string().contains("could not acquire lock") => StorageError::Locked {
            folder: folder.to_path_buf(),
            pid: None,
        },
        sled::Error::Io(source) => StorageError::Io {
            action,
            path: folder.join("sled"),
            source,
        },
        sled::Error::Corruption { at, .. } => damaged(match at {
            Some(at) => format!("sled found a bad page at {at:?}"),
            None => "sled found a bad page".to_string(),
        }),
        sled::Error::CollectionNotFound(name) => damaged(format!("tree {:?} is gone", String::from_utf8_lossy(&name))),
        sled::Error::Unsupported(reason) | sled::Error::ReportableBug(reason) => damaged(reason),
    }
}
