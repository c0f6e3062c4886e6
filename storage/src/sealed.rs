//! The envelope around every small stored value: one byte of format version, a CRC-32, the payload. The checksum
//! covers the key too, so that a value found under another key is seen as damage. Large log records have their own
//! header (`wal/record.rs`) with the same two guards.

use crate::StorageError;
use crate::disk::Disk;

const HEADER_BYTES: usize = 5;

/// Version, checksum and payload in one.
pub(crate) fn seal(version: u8, key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEADER_BYTES + payload.len());
    value.push(version);
    value.extend(checksum(version, key, payload).to_le_bytes());
    value.extend(payload);
    value
}

/// The payload and its version. `known` is the newest version that the caller can read; `what` names the value in
/// an error.
pub(crate) fn unseal<'a>(
    disk: &Disk,
    known: u8,
    key: &[u8],
    value: &'a [u8],
    what: &dyn Fn() -> String,
) -> Result<(u8, &'a [u8]), StorageError> {
    if value.len() < HEADER_BYTES {
        return Err(disk.damaged(what(), format!("only {} bytes long", value.len())));
    }
    let version = value[0];
    if version == 0 || version > known {
        return Err(disk.unknown_version(what(), version, known));
    }
    let payload = &value[HEADER_BYTES..];
    let written = u32::from_le_bytes([value[1], value[2], value[3], value[4]]);
    if checksum(version, key, payload) != written {
        return Err(disk.damaged(what(), "its checksum does not match".to_string()));
    }
    Ok((version, payload))
}

fn checksum(version: u8, key: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[version]);
    hasher.update(key);
    hasher.update(payload);
    hasher.finalize()
}
