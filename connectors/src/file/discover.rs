//! [`Files`]: which files a path stands for, by now.

use std::path::Path;
use std::sync::Arc;

use crate::options::invalid;
use crate::{Clock, ConnectorError, PartitionId};

/// How long a list of files is good for.
const REFRESH_US: u64 = 1_000_000;

/// The files found so far, in the order in which they were found.
pub(super) struct Files {
    path: String,
    follow: bool,
    found: Vec<PartitionId>,
    clock: Arc<dyn Clock>,
    searched_us: u64,
}

impl Files {
    /// # Errors
    /// When the path is no pattern, or nothing is there and nothing more is waited for.
    pub(super) fn try_new(path: &str, follow: bool, clock: Arc<dyn Clock>) -> Result<Files, ConnectorError> {
        let found: Vec<PartitionId> = find(path)?.iter().map(|file| PartitionId::new(file)).collect();
        if found.is_empty() && !follow {
            return Err(ConnectorError::NoFile { path: path.to_string() });
        }
        Ok(Files {
            path: path.to_string(),
            follow,
            found,
            searched_us: clock.now_us(),
            clock,
        })
    }

    pub(super) fn found(&self) -> &[PartitionId] {
        &self.found
    }

    /// Looks for new files, when it is time.
    pub(super) fn refresh(&mut self) -> Result<(), ConnectorError> {
        let now_us = self.clock.now_us();
        if !self.follow || now_us - self.searched_us < REFRESH_US {
            return Ok(());
        }
        self.searched_us = now_us;
        for file in find(&self.path)? {
            if !self.found.iter().any(|known| known.as_str() == file) {
                self.found.push(PartitionId::new(&file));
            }
        }
        Ok(())
    }
}

/// The files that a path stands for, sorted. Hidden ones are left out unless they are named.
pub(super) fn find(path: &str) -> Result<Vec<String>, ConnectorError> {
    let options = glob::MatchOptions {
        require_literal_leading_dot: true,
        require_literal_separator: true,
        ..glob::MatchOptions::default()
    };
    let pattern = if Path::new(path).is_dir() {
        format!("{}/*", glob::Pattern::escape(path.trim_end_matches('/')))
    } else if Path::new(path).is_file() {
        // A name may look like a pattern.
        glob::Pattern::escape(path)
    } else {
        path.to_string()
    };
    let found = glob::glob_with(&pattern, options).map_err(|e| {
        invalid(
            "path".to_string(),
            path.to_string(),
            &format!("A path or a pattern; {}.", e.msg),
        )
    })?;
    let mut files = Vec::new();
    for file in found {
        let file = file.map_err(|e| ConnectorError::Io {
            path: e.path().display().to_string(),
            source: e.into(),
        })?;
        if file.is_file() {
            files.push(file.display().to_string());
        }
    }
    Ok(files)
}
