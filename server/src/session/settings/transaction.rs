//! What becomes of settings when a transaction begins, commits or is rolled back, and the settings that describe the
//! transaction itself.

use std::sync::Arc;

use highwater_types::{SqlError, SqlState};

use super::{Mark, Scope, Settings};

impl Settings {
    /// A transaction begins: its own settings take their defaults.
    pub fn begin(&mut self) {
        self.marks.clear();
        self.mark(None);
        for (name, default) in [
            ("transaction_isolation", "default_transaction_isolation"),
            ("transaction_read_only", "default_transaction_read_only"),
            ("transaction_deferrable", "default_transaction_deferrable"),
        ] {
            let value = self.value(default).to_string();
            if self.value(name) != value {
                self.store(name.to_string(), value, Scope::Local);
            }
        }
    }

    /// The transaction has committed: SET stays, SET LOCAL goes.
    pub fn commit(&mut self) {
        self.marks.clear();
        self.version += 1;
        if !self.changes.local.is_empty() {
            self.changes.local = Arc::default();
            self.refresh();
        }
    }

    /// The transaction was rolled back: all as it was before.
    pub fn rollback(&mut self) {
        let first = self.marks.drain(..).next();
        if let Some(start) = first {
            self.changes = start.changes;
            self.refresh();
        }
    }

    /// SAVEPOINT.
    pub fn savepoint(&mut self, name: &str) {
        self.mark(Some(name.to_string()));
    }

    /// ROLLBACK TO: all as it was at the savepoint, which stays.
    pub fn rollback_to(&mut self, name: &str) {
        if let Some(at) = self.find_mark(name) {
            self.marks.truncate(at + 1);
            self.changes = self.marks[at].changes.clone();
            self.refresh();
        }
    }

    /// RELEASE: the savepoint goes, what was set since stays.
    pub fn release(&mut self, name: &str) {
        if let Some(at) = self.find_mark(name) {
            self.marks.truncate(at);
        }
    }

    fn mark(&mut self, savepoint: Option<String>) {
        // SET LOCAL means something from here on.
        self.version += 1;
        let changes = self.changes.clone();
        self.marks.push(Mark { savepoint, changes });
    }

    fn find_mark(&self, name: &str) -> Option<usize> {
        self.marks.iter().rposition(|m| m.savepoint.as_deref() == Some(name))
    }

    /// SET TRANSACTION: the modes are the words after it.
    pub(super) fn set_transaction(&mut self, modes: &[String]) -> Result<(), SqlError> {
        for mode in modes {
            let (name, value) = transaction_mode(mode)?;
            self.set_text(&format!("transaction_{name}"), value, Scope::Local)?;
        }
        Ok(())
    }

    /// SET SESSION CHARACTERISTICS AS TRANSACTION.
    ///
    /// # Errors
    /// When there is no such mode.
    pub fn set_characteristics(&mut self, modes: &[String]) -> Result<(), SqlError> {
        for mode in modes {
            let (name, value) = transaction_mode(mode)?;
            self.set_text(&format!("default_transaction_{name}"), value, Scope::Session)?;
        }
        Ok(())
    }
}

/// `ISOLATION LEVEL x`, `READ ONLY`, `[NOT] DEFERRABLE`: the setting's name without its prefix, and the value.
fn transaction_mode(mode: &str) -> Result<(&'static str, &str), SqlError> {
    let upper = mode.trim().to_ascii_uppercase();
    let words: Vec<&str> = upper.split_whitespace().collect();
    Ok(match words.as_slice() {
        ["ISOLATION", "LEVEL", "SERIALIZABLE"] => ("isolation", "serializable"),
        ["ISOLATION", "LEVEL", "REPEATABLE", "READ"] => ("isolation", "repeatable read"),
        ["ISOLATION", "LEVEL", "READ", "COMMITTED"] => ("isolation", "read committed"),
        ["ISOLATION", "LEVEL", "READ", "UNCOMMITTED"] => ("isolation", "read uncommitted"),
        ["READ", "ONLY"] => ("read_only", "on"),
        ["READ", "WRITE"] => ("read_only", "off"),
        ["DEFERRABLE"] => ("deferrable", "on"),
        ["NOT", "DEFERRABLE"] => ("deferrable", "off"),
        _ => {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("transaction mode {mode} is not supported"),
            ));
        }
    })
}
