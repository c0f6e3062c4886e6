//! The fixed stream: Nexmark's events, from the connector that ships with Highwater, in the order of events. It is
//! kept in a folder, a file a column, in the batches and epochs in which it is fed. The generator makes rounds of
//! fifty events (a person, three auctions, forty-six bids), so the rows of each table in an epoch are known.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, NullArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimestampMicrosecondType};
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use highwater_connectors::{Offset, ReadStep, SourceColumn, SourceSpec, connect};
use highwater_planner::catalog::{Relation, RelationKind};
use highwater_types::{RelationId, Watermark};

use super::view::relations;
use crate::Result;

/// Rows in a batch, as a source's thread reads them.
const BATCH_ROWS: usize = 8192;
/// Events in a round of the generator.
const ROUND: u64 = 50;
/// How far the watermark is behind, in microseconds: see `sources.sql`.
const LAG_US: i64 = 4_000_000;

/// How long the stream is, and how it is cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) events: u64,
    pub(super) epoch_events: u64,
}

impl Shape {
    pub(super) fn check(&self) -> Result<()> {
        if !self.events.is_multiple_of(ROUND) || !self.epoch_events.is_multiple_of(ROUND) || self.epoch_events == 0 {
            return Err(format!("events come in rounds of {ROUND}: give multiples of it").into());
        }
        Ok(())
    }

    /// The rows of a table in each epoch.
    fn epochs(&self, table: &str) -> Vec<usize> {
        let per_round = match table {
            "person" => 1,
            "auction" => 3,
            _ => 46,
        };
        let mut left = self.events;
        let mut rows = Vec::new();
        while left > 0 {
            let events = left.min(self.epoch_events);
            rows.push((events / ROUND * per_round) as usize);
            left -= events;
        }
        rows
    }
}

/// What is fed of one relation.
pub(super) struct Input {
    pub(super) relation: RelationId,
    /// The batches of each epoch, with all of the relation's columns; those that are not read hold nothing.
    pub(super) epochs: Vec<Vec<RecordBatch>>,
    /// The watermark at the end of each epoch.
    pub(super) watermarks: Vec<Watermark>,
}

/// Makes the stream and writes it to a folder.
pub(super) fn generate(folder: &Path, shape: Shape) -> Result<()> {
    for relation in relations()? {
        let mut source = connect(&spec(&relation, shape.events)?)?;
        let partitions = source.partitions()?;
        let mut reader = source.open(&partitions[0], Offset::default(), None)?;
        let schema = relation.arrow_schema();
        let mut files = Vec::new();
        for field in schema.fields() {
            let file = File::create(path(folder, &relation.name, field.name()))?;
            files.push(FileWriter::try_new_buffered(file, &one_column(field))?);
        }
        for mut rows in shape.epochs(&relation.name) {
            while rows > 0 {
                let ReadStep::Rows(read) = reader.read(rows.min(BATCH_ROWS))? else {
                    return Err(format!("the stream of {} is too short", relation.name).into());
                };
                rows -= read.batch.num_rows();
                for (at, file) in files.iter_mut().enumerate() {
                    let column = Arc::clone(read.batch.column(at));
                    file.write(&RecordBatch::try_new(one_column(schema.field(at)), vec![column])?)?;
                }
            }
        }
        files.iter_mut().try_for_each(FileWriter::finish)?;
    }
    Ok(())
}

/// Takes these columns of a relation into memory.
pub(super) fn load(folder: &Path, shape: Shape, relation: &Relation, columns: &[usize]) -> Result<Input> {
    let time = relation.watermark.as_ref().map(|w| w.column).ok_or("no watermark")?;
    let mut names = Vec::new();
    let mut batches: Vec<Vec<ArrayRef>> = Vec::new();
    for (at, column) in relation.columns.iter().enumerate() {
        names.push(column.name.as_str());
        if at != time && !columns.contains(&at) {
            batches.push(Vec::new());
            continue;
        }
        let file = File::open(path(folder, &relation.name, &column.name))?;
        let read: std::result::Result<Vec<RecordBatch>, _> = FileReader::try_new_buffered(file, None)?.collect();
        batches.push(read?.iter().map(|batch| Arc::clone(batch.column(0))).collect());
    }
    let mut epochs = Vec::new();
    let mut watermarks = Vec::new();
    let (mut next, mut greatest) = (0, i64::MIN);
    for mut rows in shape.epochs(&relation.name) {
        let mut epoch = Vec::new();
        while rows > 0 {
            let count = batches[time][next].len();
            rows -= count;
            let times = batches[time][next].as_primitive::<TimestampMicrosecondType>();
            greatest = arrow::compute::max(times).map_or(greatest, |t| t.max(greatest));
            epoch.push(batch(&names, count, |at| batches[at].get(next).cloned())?);
            next += 1;
        }
        epochs.push(epoch);
        watermarks.push(Watermark(greatest.saturating_sub(LAG_US)));
    }
    Ok(Input {
        relation: relation.id,
        epochs,
        watermarks,
    })
}

/// A batch of these columns; one that was not loaded holds nothing.
fn batch(names: &[&str], row_count: usize, column: impl Fn(usize) -> Option<ArrayRef>) -> Result<RecordBatch> {
    let columns: Vec<ArrayRef> = (0..names.len())
        .map(|at| column(at).unwrap_or_else(|| Arc::new(NullArray::new(row_count))))
        .collect();
    let fields: Vec<Field> = names
        .iter()
        .zip(&columns)
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
        .collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

fn spec(relation: &Relation, events: u64) -> Result<SourceSpec> {
    let RelationKind::Source(config) = &relation.kind else {
        return Err(format!("{} is no source", relation.name).into());
    };
    let columns = relation.columns.iter().map(|column| SourceColumn {
        name: column.name.clone(),
        sql_type: column.sql_type.clone(),
        include: None,
    });
    let mut options = config.options.clone();
    options.insert("count".to_string(), events.to_string());
    Ok(SourceSpec {
        connector: config.connector.clone(),
        columns: columns.collect(),
        options,
        ..SourceSpec::default()
    })
}

fn one_column(field: &Field) -> SchemaRef {
    debug_assert_ne!(*field.data_type(), DataType::Null, "a source's columns have types");
    Arc::new(Schema::new(vec![field.clone().with_nullable(true)]))
}

fn path(folder: &Path, relation: &str, column: &str) -> PathBuf {
    folder.join(format!("{relation}.{column}.arrow"))
}
