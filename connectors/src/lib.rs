//! Where rows come from: one module per connector, all behind [`Connector`].
//!
//! A connector has partitions; a partition is read in order by a [`PartitionReader`], which answers rows with the
//! offset of each ([`SourceBatch`]), or that there are none now, or that there will be no more. Reading a partition
//! from an offset gives the very rows that were read there before: that is what a view made later, and a restart,
//! rely on. Nothing here sleeps or starts a thread: whoever reads decides when to ask again.
//!
//! | module | connector | a partition is | an offset is |
//! |---|---|---|---|
//! | `nexmark` | the Nexmark benchmark's auctions | a share of the generator's rounds | an event's number |
//! | `datagen` | made-up values, per column | every n-th row | a row's number |
//! | `file` | CSV, JSON lines and Parquet files | a file | a byte of text, a row of Parquet |
//!
//! To add one: a module with a `connect(spec, clock)`, its name in [`CONNECTORS`], an arm in [`connect_with`].

mod clock;
mod columns;
mod connector;
mod datagen;
mod error;
mod file;
mod nexmark;
mod options;
mod pace;
mod spec;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_types::SqlType;

pub use clock::{Clock, ManualClock, SystemClock};
pub use connector::{Connector, DeadLetter, Offset, PartitionId, PartitionReader, ReadStep, SourceBatch};
pub use error::ConnectorError;
pub use spec::{Include, SourceColumn, SourceSpec};

/// The names that `connector = '...'` knows.
pub const CONNECTORS: [&str; 3] = [datagen::NAME, file::NAME, nexmark::NAME];

/// Checks all that a source's declaration says, and makes its connector. Opens nothing yet.
///
/// # Errors
/// What is wrong with the declaration; of a misspelt name, which one comes nearest.
pub fn connect(spec: &SourceSpec) -> Result<Box<dyn Connector>, ConnectorError> {
    connect_with(spec, Arc::new(SystemClock::default()))
}

/// The same, with a clock of the caller's: rates and the search for new files go by it.
///
/// # Errors
/// As [`connect`].
pub fn connect_with(spec: &SourceSpec, clock: Arc<dyn Clock>) -> Result<Box<dyn Connector>, ConnectorError> {
    match spec.connector.as_str() {
        nexmark::NAME => Ok(Box::new(nexmark::NexmarkConnector::try_new(spec, clock)?)),
        datagen::NAME => Ok(Box::new(datagen::DatagenConnector::try_new(spec, clock)?)),
        file::NAME => Ok(Box::new(file::FileConnector::try_new(spec, clock)?)),
        other => Err(ConnectorError::UnknownConnector {
            connector: other.to_string(),
            nearest: options::nearest(other, CONNECTORS),
        }),
    }
}

/// Adds the options that a source's name stands for: a Nexmark source called `bid` is one of bids.
pub fn add_implied_options(connector: &str, source: &str, options: &mut BTreeMap<String, String>) {
    if connector == nexmark::NAME {
        nexmark::add_table(source, options);
    }
}

/// The columns of a source that declares none; `None` for a connector that does not know what it brings.
///
/// # Errors
/// When the options do not say it well, or what they name cannot be looked at.
pub fn default_columns(
    connector: &str,
    options: &BTreeMap<String, String>,
) -> Result<Option<Vec<(String, SqlType)>>, ConnectorError> {
    match connector {
        nexmark::NAME => nexmark::default_columns(options).map(Some),
        file::NAME => file::default_columns(options),
        _ => Ok(None),
    }
}
