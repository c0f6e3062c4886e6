//! [`Mode`]: the ways in which one file is run.

use std::fmt;

/// How a file is run. Its answers must be the same in every mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As written.
    Plain,
    /// Every query is declared as a materialized view before the next rows are written, and at the query's place the
    /// view is read instead.
    ViewFirst,
    /// The server is stopped and started again on its folder before a query, whenever something was said since the
    /// last time.
    Restarts,
}

impl Mode {
    /// All of them.
    pub const ALL: [Mode; 3] = [Mode::Plain, Mode::ViewFirst, Mode::Restarts];

    /// The word for it: in a test's name, and after `skipif` and `onlyif` in files.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Plain => "plain",
            Mode::ViewFirst => "view-first",
            Mode::Restarts => "restarts",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
