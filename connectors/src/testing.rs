//! What the connectors' own tests share: a declaration in a line, and rows as text.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use highwater_types::SqlType;

use crate::{
    Connector, ConnectorError, DeadLetter, Include, ManualClock, Offset, PartitionId, ReadStep, SourceBatch,
    SourceColumn, SourceSpec, connect_with,
};

/// A declaration with these columns and `WITH (...)` options, written `key = value, ...`.
pub(crate) fn spec(connector: &str, columns: &[(&str, SqlType)], options: &str) -> SourceSpec {
    let pairs = options.split(", ").filter(|pair| !pair.is_empty());
    SourceSpec {
        connector: connector.to_string(),
        columns: columns.iter().map(|(name, t)| column(name, t.clone(), None)).collect(),
        options: pairs
            .map(|pair| pair.split_once(" = ").expect("key = value"))
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect(),
        ..SourceSpec::default()
    }
}

pub(crate) fn column(name: &str, sql_type: SqlType, include: Option<Include>) -> SourceColumn {
    SourceColumn {
        name: name.to_string(),
        sql_type,
        include,
    }
}

/// Connects with a clock that stands still.
pub(crate) fn connect(spec: &SourceSpec) -> (Box<dyn Connector>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let connector = connect_with(spec, Arc::clone(&clock) as Arc<dyn crate::Clock>);
    (connector.expect("a sound declaration"), clock)
}

/// Why a declaration is refused.
pub(crate) fn refusal(spec: &SourceSpec) -> ConnectorError {
    match crate::connect(spec) {
        Ok(_) => panic!("{spec:?} was not refused"),
        Err(error) => error,
    }
}

/// Everything one partition has, until it ends or has nothing now.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// `offset: values ...`, a line a row.
    pub(crate) rows: Vec<String>,
    pub(crate) dead: Vec<DeadLetter>,
    pub(crate) next: Offset,
    pub(crate) ended: bool,
}

pub(crate) fn read_all(
    connector: &dyn Connector,
    partition: &PartitionId,
    from: u64,
    until: Option<u64>,
    max_rows: usize,
) -> Seen {
    let mut reader = connector
        .open(partition, Offset(from), until.map(Offset))
        .expect("an existing partition");
    let mut seen = Seen::default();
    loop {
        match reader.read(max_rows).expect("a readable partition") {
            ReadStep::Idle => return seen,
            ReadStep::End => {
                seen.ended = true;
                return seen;
            }
            ReadStep::Rows(batch) => {
                assert_eq!(batch.offsets.len(), batch.batch.num_rows());
                assert!(batch.offsets.iter().all(|offset| *offset < batch.next));
                seen.next = batch.next;
                seen.rows.extend(lines(&batch));
                seen.dead.extend(batch.dead);
            }
        }
    }
}

/// The rows of a batch, as `offset: values ...`.
pub(crate) fn lines(batch: &SourceBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("null");
    // A timestamptz is shown as its time in UTC.
    let shown = |column: &ArrayRef| match column.data_type() {
        DataType::Timestamp(unit, Some(_)) => cast(column, &DataType::Timestamp(*unit, None)).expect("the same time"),
        _ => Arc::clone(column),
    };
    let shown: Vec<ArrayRef> = batch.batch.columns().iter().map(shown).collect();
    let columns = shown.iter();
    let columns: Vec<ArrayFormatter<'_>> = columns
        .map(|c| ArrayFormatter::try_new(c.as_ref(), &options).expect("every type has a text form"))
        .collect();
    let row = |row: usize| {
        columns
            .iter()
            .map(|c| c.value(row).to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let offsets = batch.offsets.iter().enumerate();
    offsets.map(|(i, offset)| format!("{offset}: {}", row(i))).collect()
}
