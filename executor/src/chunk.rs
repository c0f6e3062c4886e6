//! [`Chunk`]: what travels on every edge of a dataflow: rows of a delta, or faults, with the tick of their epoch.
//! Clones share their columns, so a batch moves between operators and workers by reference.
//!
//! timely counts the records of each message to know what is outstanding. A chunk with a count of zero would not
//! exist for it, so empty chunks are never made; the default chunk is only what is left after one was taken.

use std::io::Write;
use std::sync::Arc;

use highwater_types::{Delta, Fault, Tick};
use timely::Accountable;
use timely::bytes::arc::Bytes;
use timely::dataflow::channels::ContainerBytes;

/// Faults with their weights.
pub(crate) type Faults = Arc<[(Fault, i64)]>;

/// Changes of one kind.
#[derive(Debug, Clone)]
pub(crate) enum Changes {
    /// At least one row.
    Rows(Delta),
    /// At least one fault.
    Faults(Faults),
}

impl Changes {
    /// How many rows or faults there are.
    pub(crate) fn count(&self) -> usize {
        match self {
            Changes::Rows(delta) => delta.num_rows(),
            Changes::Faults(faults) => faults.len(),
        }
    }
}

/// A message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chunk(Option<(Arc<Tick>, Changes)>);

impl Chunk {
    /// A message of these changes; `None` when there are none.
    pub(crate) fn of(tick: &Arc<Tick>, changes: Changes) -> Option<Chunk> {
        (changes.count() > 0).then(|| Chunk(Some((Arc::clone(tick), changes))))
    }

    /// What is in it. A second call finds nothing.
    pub(crate) fn take(&mut self) -> Option<(Arc<Tick>, Changes)> {
        self.0.take()
    }
}

impl Accountable for Chunk {
    fn record_count(&self) -> i64 {
        self.0.as_ref().map_or(0, |(_, changes)| changes.count() as i64)
    }
}

/// Workers are threads of one process, between which messages move as they are: timely asks for this only where
/// it would have to serialise them.
impl ContainerBytes for Chunk {
    fn from_bytes(_bytes: Bytes) -> Self {
        unreachable!("chunks never leave the process")
    }

    fn length_in_bytes(&self) -> usize {
        unreachable!("chunks never leave the process")
    }

    fn into_bytes<W: Write>(&self, _writer: &mut W) {
        unreachable!("chunks never leave the process")
    }
}
