//! [`FolderLock`]: one server per data folder. An advisory lock on the file `lock` inside it, which the operating
//! system drops with the process however that ends; the file's text is the holder's process id, for the message.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::StorageError;

/// Held for as long as this value lives.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Creates the folder when it does not exist, and takes its lock.
    pub(crate) fn take(folder: &Path) -> Result<FolderLock, StorageError> {
        let io = |action, path: &Path| {
            let path = path.to_path_buf();
            move |source| StorageError::Io { action, path, source }
        };
        fs::create_dir_all(folder).map_err(io("create", folder))?;
        let path = folder.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The pid is only there to help; an unreadable one is left out of the message.
                let read = file.read_to_string(&mut text).is_ok();
                return Err(StorageError::Locked {
                    folder: folder.to_path_buf(),
                    pid: text.trim().parse().ok().filter(|_| read),
                });
            }
            Err(TryLockError::Error(source)) => return Err(io("lock", &path)(source)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(io("write", &path))?;
        Ok(FolderLock { _file: file })
    }
}
