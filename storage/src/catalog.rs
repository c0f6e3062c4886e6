//! The catalog's tree: an object a key, a DDL statement a transaction.
//!
//! A value is `part count, sealed parts`: long values (a view's definition can be any length) are cut so that no
//! stored value is longer than sled can make durable (see `disk.rs`). Keys are the server's, followed by a zero
//! byte and the part's number.
//!
//! Version 1 of the format: sealed `[parts: u32][bytes]`.

use std::collections::BTreeMap;

use sled::{IVec, Tree};

use crate::StorageError;
use crate::disk::{Aim, Disk, VALUE_BYTES_MAX, Writes};
use crate::sealed::{seal, unseal};
use crate::witness::Sum;

/// The newest version of a stored object that can be read, and the one that is written.
const VERSION: u8 = 1;
const PART_BYTES: usize = VALUE_BYTES_MAX - 64;

/// Reads and writes the catalog's tree.
#[derive(Debug)]
pub(crate) struct CatalogTree {
    tree: Tree,
}

impl CatalogTree {
    pub(crate) fn open(disk: &Disk) -> Result<CatalogTree, StorageError> {
        Ok(CatalogTree {
            tree: disk.tree("catalog")?,
        })
    }

    /// All objects, by key.
    pub(crate) fn load(&self, disk: &Disk) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        let mut objects: Vec<(String, Vec<u8>)> = Vec::new();
        // Parts still to come of the last object, and the number of the next one.
        let mut missing = 0u32;
        let mut next = 0u32;
        for item in self.tree.iter() {
            let (key, value) = item.map_err(|e| disk.read_error(e))?;
            let (name, part) = split_key(disk, &key)?;
            let what = || format!("catalog object {name:?}");
            let (_, payload) = unseal(disk, VERSION, &key, &value, &what)?;
            let Some((count, bytes)) = payload.split_first_chunk::<4>() else {
                return Err(disk.damaged(what(), "it has no part count".to_string()));
            };
            if part == 0 && missing == 0 {
                missing = u32::from_le_bytes(*count);
                next = 0;
                objects.push((name.clone(), Vec::new()));
            }
            let last = objects.last_mut().filter(|(open, _)| *open == name);
            let (Some((_, object)), true) = (last, part == next && missing > 0) else {
                return Err(disk.damaged(what(), format!("part {part} is out of place")));
            };
            object.extend(bytes);
            missing -= 1;
            next += 1;
        }
        if missing > 0 {
            let name = objects.pop().map_or(String::new(), |(name, _)| name);
            return Err(disk.damaged(format!("catalog object {name:?}"), format!("{missing} parts are gone")));
        }
        Ok(objects)
    }

    /// The sum over all that is stored.
    pub(crate) fn sum(&self, disk: &Disk) -> Result<Sum, StorageError> {
        let mut sum = Sum::default();
        for item in self.tree.iter() {
            let (key, value) = item.map_err(|e| disk.read_error(e))?;
            sum = sum.with(&key, &value);
        }
        Ok(sum)
    }

    /// Puts together what writes and removes objects.
    pub(crate) fn change(
        &self,
        disk: &Disk,
        puts: &[(String, Vec<u8>)],
        deletes: &[String],
        sum: Sum,
    ) -> Result<Change, StorageError> {
        let mut old: BTreeMap<IVec, IVec> = BTreeMap::new();
        for name in deletes.iter().chain(puts.iter().map(|(name, _)| name)) {
            for item in self.tree.scan_prefix(prefix(name)) {
                let (key, value) = item.map_err(|e| disk.read_error(e))?;
                old.insert(key, value);
            }
        }
        let mut change = Change {
            writes: Writes::default(),
            sum,
            aim: if puts.is_empty() { Aim::Remove } else { Aim::Add },
        };
        for (key, value) in old {
            change.sum = change.sum.without(&key, &value);
            change.writes.remove(key.to_vec());
        }
        for (name, bytes) in puts {
            for (key, value) in parts_of(name, bytes) {
                change.sum = change.sum.with(&key, &value);
                change.writes.insert(key, value);
            }
        }
        Ok(change)
    }

    /// Makes a change in one transaction, durable on return.
    pub(crate) fn commit(&self, disk: &Disk, change: Change) -> Result<(), StorageError> {
        disk.check_room(change.writes.size_bytes(), change.aim)?;
        disk.apply(&self.tree, change.writes)?;
        disk.sync()
    }
}

/// A change of the catalog, and the sum that it leaves.
#[derive(Debug)]
pub(crate) struct Change {
    writes: Writes,
    pub(crate) sum: Sum,
    aim: Aim,
}

/// An object as it is stored: its parts by key.
fn parts_of(name: &str, bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let parts: Vec<&[u8]> = if bytes.is_empty() {
        vec![&[]]
    } else {
        bytes.chunks(PART_BYTES).collect()
    };
    let sealed = |(part, chunk): (usize, &&[u8])| {
        let key = part_key(name, part as u32);
        let mut payload = (parts.len() as u32).to_le_bytes().to_vec();
        payload.extend(*chunk);
        let value = seal(VERSION, &key, &payload);
        (key, value)
    };
    parts.iter().enumerate().map(sealed).collect()
}

/// The name, as it stands before the zero byte. Names hold no zero byte: SQL has none.
fn prefix(name: &str) -> Vec<u8> {
    debug_assert!(!name.contains('\0'), "a catalog key holds a zero byte: {name:?}");
    let mut key = name.as_bytes().to_vec();
    key.push(0);
    key
}

fn part_key(name: &str, part: u32) -> Vec<u8> {
    let mut key = prefix(name);
    key.extend(part.to_be_bytes());
    key
}

fn split_key(disk: &Disk, key: &[u8]) -> Result<(String, u32), StorageError> {
    let split = key
        .split_last_chunk::<4>()
        .and_then(|(name, part)| Some((name.strip_suffix(&[0])?, u32::from_be_bytes(*part))))
        .and_then(|(name, part)| Some((String::from_utf8(name.to_vec()).ok()?, part)));
    split.ok_or_else(|| {
        disk.damaged(
            format!("catalog key {:?}", String::from_utf8_lossy(key)),
            "it is not of a known form".to_string(),
        )
    })
}
