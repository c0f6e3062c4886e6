//! [`Store`]: a data folder that this process owns.
//!
//! ```text
//! <folder>/lock       the owner's process id, locked while it lives
//! <folder>/witness    what must be in the database (see `witness.rs`)
//! <folder>/sled/      one sled database:
//!     catalog         an object a key
//!     meta            the format's version; which log trees are in force; what was forgotten
//!     log-<n>         appended changes by epoch
//!     base-<n>        what earlier logs came to, one sum a table
//! ```

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::catalog::CatalogTree;
use crate::disk::{Disk, Writes};
use crate::lock::FolderLock;
use crate::sealed::{seal, unseal};
use crate::witness::{Sum, Witness};
use crate::{StorageError, Wal};

/// The version of the folder's layout as a whole. Version 1 is what this file's header shows.
const LAYOUT_VERSION: u8 = 1;
const LAYOUT_KEY: &[u8] = b"layout";

/// The catalog and the write-ahead log of one server.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    catalog: CatalogTree,
    /// The catalog's sum, held while it is changed.
    sum: Mutex<Sum>,
    wal: Wal,
    // Dropped in this order: sled writes on drop, and must have the folder until then.
    disk: Arc<Disk>,
    _lock: FolderLock,
}

impl Store {
    /// Opens the folder, or makes it, and keeps every other process out of it. Compacts the log when it has grown
    /// long, so this can take as long as reading all stored rows once.
    ///
    /// # Errors
    /// [`StorageError::Locked`] when another process has it; damage, or an error of the file system.
    pub fn open(dir: &Path) -> Result<Store, StorageError> {
        let lock = FolderLock::take(dir)?;
        let disk = Arc::new(Disk::open(dir)?);
        check_layout(&disk)?;
        let catalog = CatalogTree::open(&disk)?;
        let wal = Wal::open(Arc::clone(&disk))?;
        let sum = catalog.sum(&disk)?;
        if let Some(witness) = Witness::read(dir)?
            && let Err(error) = witness.check(sum, wal.last_epoch())
        {
            // An object that is damaged can be named; one that is gone cannot.
            catalog.load(&disk)?;
            return Err(error);
        }
        if wal.is_long() {
            match wal.compact() {
                // A full device is no reason not to start: the long log is as good.
                Err(error @ StorageError::DiskFull { .. }) => tracing::warn!(%error, "the log is not compacted"),
                compacted => compacted?,
            }
        }
        Ok(Store {
            folder: dir.to_path_buf(),
            catalog,
            sum: Mutex::new(sum),
            wal,
            disk,
            _lock: lock,
        })
    }

    /// Every object of the catalog, by key.
    ///
    /// # Errors
    /// When one is damaged.
    pub fn catalog_load(&self) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        self.catalog.load(&self.disk)
    }

    /// Puts and deletes objects in one transaction, durable on return. A key in both is put.
    ///
    /// # Errors
    /// When it could not be made durable; then the store takes no more writes until it is opened again.
    pub fn catalog_commit(&self, puts: &[(String, Vec<u8>)], deletes: &[String]) -> Result<(), StorageError> {
        let mut sum = self.sum();
        let change = self.catalog.change(&self.disk, puts, deletes, *sum)?;
        let after = change.sum;
        let witness = self.witness(*sum, after);
        // An append that has failed may have moved the epoch.
        self.disk.check()?;
        witness.write(&self.folder)?;
        self.catalog.commit(&self.disk, change)?;
        *sum = after;
        Ok(())
    }

    fn witness(&self, before: Sum, after: Sum) -> Witness {
        Witness {
            before,
            after,
            epoch: self.wal.last_epoch(),
        }
    }

    fn sum(&self) -> MutexGuard<'_, Sum> {
        self.sum.lock().expect("no code panics while it holds the sum")
    }

    /// The log of table changes.
    pub fn wal(&self) -> &Wal {
        &self.wal
    }

    /// Bytes on disk.
    pub fn size_bytes(&self) -> u64 {
        self.disk.size_bytes()
    }
}

impl Drop for Store {
    /// A clean end says how far the log has come, where every write has gone well.
    fn drop(&mut self) {
        let sum = *self.sum();
        let witness = self.witness(sum, sum);
        if self.disk.check().is_ok()
            && let Err(error) = witness.write(&self.folder)
        {
            tracing::warn!(%error, "the witness could not be written");
        }
    }
}

/// Refuses a folder of a newer layout, and marks a new one.
fn check_layout(disk: &Disk) -> Result<(), StorageError> {
    let meta = disk.tree("meta")?;
    match disk.read(&meta, LAYOUT_KEY)? {
        Some(value) => {
            let what = || "the folder's layout".to_string();
            unseal(disk, LAYOUT_VERSION, LAYOUT_KEY, &value, &what).map(|_| ())
        }
        None => {
            let mut batch = Writes::default();
            batch.insert(LAYOUT_KEY, seal(LAYOUT_VERSION, LAYOUT_KEY, &[]));
            disk.apply(&meta, batch)?;
            disk.sync()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use highwater_types::{Epoch, SqlError, SqlState};

    use super::*;

    fn object(key: &str, value: &[u8]) -> (String, Vec<u8>) {
        (key.to_string(), value.to_vec())
    }

    #[test]
    fn the_catalog_is_what_was_committed_last() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let long = vec![7; 100_000];
        {
            let store = Store::open(dir.path()).expect("a store");
            let first = [
                object("relation/1", b"a"),
                object("relation/10", b""),
                object("x", &long),
            ];
            store.catalog_commit(&first, &[]).expect("a commit");
            let second = [object("relation/1", b"b"), object("x", b"short now")];
            store
                .catalog_commit(&second, &["relation/10".to_string(), "nothing".to_string()])
                .expect("a commit");
            store.catalog_commit(&[object("long", &long)], &[]).expect("a commit");
        }
        let store = Store::open(dir.path()).expect("a store");
        let expected = [
            object("long", &long),
            object("relation/1", b"b"),
            object("x", b"short now"),
        ];
        assert_eq!(store.catalog_load().expect("undamaged"), expected);
    }

    #[test]
    fn a_folder_in_use_is_named_with_its_holder() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let _held = Store::open(dir.path()).expect("a store");
        let error = Store::open(dir.path()).expect_err("the folder is held");
        let text = error.to_string();
        assert!(text.contains(&format!("{:?}", dir.path())), "{text}");
        assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
        assert_eq!(SqlError::from(error).state, SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    }

    #[test]
    fn a_damaged_object_is_named() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        {
            let store = Store::open(dir.path()).expect("a store");
            store
                .catalog_commit(&[object("relation/1", b"abc")], &[])
                .expect("a commit");
        }
        {
            let disk = Disk::open(dir.path()).expect("a database");
            let tree = disk.tree("catalog").expect("the catalog");
            let (key, value) = tree.first().expect("readable").expect("one object");
            let mut value = value.to_vec();
            *value.last_mut().expect("some bytes") ^= 1;
            tree.insert(key, value).expect("a write");
        }
        let loaded = Store::open(dir.path()).and_then(|store| store.catalog_load().map(|_| ()));
        let error = loaded.expect_err("damage");
        assert!(error.to_string().contains("catalog object \"relation/1\""), "{error}");
    }

    #[test]
    fn what_is_gone_is_told() {
        for (what, tree) in [("catalog", "catalog"), ("write-ahead log", "log-1")] {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let store = Store::open(dir.path()).expect("a store");
            store
                .catalog_commit(&[object("relation/1", b"a")], &[])
                .expect("a commit");
            store.wal().append(Epoch(7), &[]).expect("an append");
            drop(store);
            let db = sled::open(dir.path().join("sled")).expect("a database");
            db.open_tree(tree).expect("a tree").clear().expect("cleared");
            drop(db);
            let error = Store::open(dir.path()).expect_err("something is gone");
            assert!(
                matches!(error, StorageError::Damaged { .. }) && error.to_string().contains(what),
                "{error}"
            );
        }
    }

    #[test]
    fn a_change_that_a_crash_cut_short_is_no_damage() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(dir.path()).expect("a store");
        store.catalog_commit(&[object("a", b"1")], &[]).expect("a commit");
        let before = store.sum().with(b"", b"");
        // The witness is there, the change is not: what a crash between the two leaves.
        store.witness(*store.sum(), before).write(dir.path()).expect("written");
        let half = tempfile::tempdir().expect("a temporary folder");
        fs::copy(dir.path().join("witness"), half.path().join("witness")).expect("a copy");
        drop(store);
        fs::copy(half.path().join("witness"), dir.path().join("witness")).expect("a copy");
        let store = Store::open(dir.path()).expect("nothing is damaged");
        assert_eq!(store.catalog_load().expect("undamaged"), [object("a", b"1")]);
    }

    #[test]
    fn a_folder_of_a_newer_layout_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        {
            let disk = Disk::open(dir.path()).expect("a database");
            let meta = disk.tree("meta").expect("a tree");
            meta.insert(LAYOUT_KEY, seal(99, LAYOUT_KEY, &[])).expect("a write");
        }
        let error = Store::open(dir.path()).expect_err("a newer layout");
        assert!(
            matches!(
                error,
                StorageError::UnknownVersion {
                    found: 99,
                    known: LAYOUT_VERSION,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_file_where_the_folder_should_be_is_an_error_with_its_path() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("taken");
        fs::write(&path, "").expect("a file");
        let error = SqlError::from(Store::open(&path).expect_err("not a folder"));
        assert_eq!(error.state, SqlState::IO_ERROR);
        assert!(error.message.contains("taken"), "{error}");
    }

    /// Each line of a fixture is `tree key value`, the latter two in hexadecimal: what a store of that version wrote.
    fn load_fixture(dir: &Path, text: &str) {
        let bytes = |hex: &str| -> Vec<u8> {
            let digits = hex.as_bytes().chunks(2);
            digits
                .map(|pair| u8::from_str_radix(&String::from_utf8_lossy(pair), 16).expect("two digits"))
                .collect()
        };
        let disk = Disk::open(dir).expect("a database");
        for line in text.lines() {
            let mut words = line.split(' ');
            let mut word = || words.next().expect("three words a line");
            let tree = disk.tree(word()).expect("a tree");
            tree.insert(bytes(word()), bytes(word())).expect("a write");
        }
        disk.sync().expect("a sync");
    }

    #[test]
    fn a_store_of_every_version_so_far_opens() {
        let versions = vec![include_str!("testdata/version-1.txt")];
        for text in versions {
            let dir = tempfile::tempdir().expect("a temporary folder");
            load_fixture(dir.path(), text);
            let store = Store::open(dir.path()).expect("an older store");
            let expected = [object("relation/16384", b"a table"), object("setting", b"")];
            assert_eq!(store.catalog_load().expect("undamaged"), expected);
            let log: Vec<String> = store
                .wal()
                .replay()
                .map(|epoch| epoch.expect("undamaged"))
                .flat_map(|(epoch, entries)| entries.into_iter().map(move |e| (epoch, e)))
                .map(|(epoch, e)| {
                    format!(
                        "{epoch} {} {}",
                        e.relation,
                        highwater_types::script::format_delta(&e.delta)
                    )
                })
                .collect();
            assert_eq!(
                log,
                [
                    "2 16384 +1 a 3, +2 b null",
                    "2 16385 +1 x 8",
                    "3 16385 -1 x 8, +1 x 9",
                    "5 16384 -1 a 3"
                ]
            );
            assert_eq!(store.wal().last_epoch(), Epoch(5));
        }
    }
}
