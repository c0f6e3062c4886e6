//! Parquet: columns by name, cast to the declared types. An offset is a row's number in the file, and reading on from
//! one passes over whole row groups before it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{can_cast_types, cast, filter_record_batch};
use arrow::datatypes::{DataType, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use highwater_types::SqlType;
use highwater_types::text::{TextSettings, parse_column};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::columns::{ColumnPlan, cast_to};
use crate::options::nearest;
use crate::{ConnectorError, DeadLetter, Offset, PartitionId, PartitionReader, ReadStep, SourceBatch};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 8192;

/// What was declared.
#[derive(Debug)]
pub(super) struct ParquetShape {
    names: Vec<String>,
    types: Vec<SqlType>,
}

/// Reads one file.
pub(super) struct ParquetReader {
    rows: ParquetRecordBatchReader,
    /// For each declared column, the position in what the file's reader yields.
    places: Vec<usize>,
    types: Vec<SqlType>,
    columns: Arc<ColumnPlan>,
    partition: PartitionId,
    next: u64,
    /// Rows decoded and not yet handed out.
    pending: Option<RecordBatch>,
}

impl ParquetShape {
    pub(super) fn new(names: Vec<String>, types: Vec<SqlType>) -> ParquetShape {
        ParquetShape { names, types }
    }

    /// Whether the file has the declared columns, of types that can be cast.
    pub(super) fn check(&self, path: &Path) -> Result<(), ConnectorError> {
        let builder = open(path)?;
        self.find(path, builder.schema()).map(|_| ())
    }

    pub(super) fn open(
        &self,
        columns: Arc<ColumnPlan>,
        partition: &PartitionId,
        from: Offset,
        until: Option<Offset>,
    ) -> Result<ParquetReader, ConnectorError> {
        let path = Path::new(partition.as_str());
        let builder = open(path)?;
        let found = self.find(path, builder.schema())?;
        let mut roots = found.clone();
        roots.sort_unstable();
        roots.dedup();
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots.iter().copied());
        let mut builder = builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .with_offset(usize::try_from(from.0).unwrap_or(usize::MAX));
        if let Some(until) = until {
            builder = builder.with_limit(usize::try_from(until.0.saturating_sub(from.0)).unwrap_or(usize::MAX));
        }
        Ok(ParquetReader {
            rows: builder.build().map_err(|source| damaged(path, source))?,
            places: found.iter().map(|root| roots.partition_point(|r| r < root)).collect(),
            types: self.types.clone(),
            columns,
            partition: partition.clone(),
            next: from.0,
            pending: None,
        })
    }

    /// The file's columns that are declared.
    fn find(&self, path: &Path, schema: &Schema) -> Result<Vec<usize>, ConnectorError> {
        let fields = schema.fields();
        let mut found = Vec::with_capacity(self.names.len());
        for (name, sql_type) in self.names.iter().zip(&self.types) {
            let exact = fields.iter().position(|f| f.name() == name);
            let place = exact.or_else(|| fields.iter().position(|f| f.name().eq_ignore_ascii_case(name)));
            let Some(place) = place else {
                return Err(ConnectorError::MissingFileColumn {
                    path: path.display().to_string(),
                    column: name.clone(),
                    nearest: nearest(name, fields.iter().map(|f| f.name().as_str())),
                });
            };
            let stored = fields[place].data_type();
            if !is_text(stored) && !can_cast_types(stored, &sql_type.to_arrow()) {
                return Err(ConnectorError::ColumnType {
                    column: name.clone(),
                    declared: sql_type.clone(),
                    expected: format!("The file has it as {}.", SqlType::of_field(&fields[place])),
                });
            }
            found.push(place);
        }
        Ok(found)
    }
}

/// A file's columns and their types.
pub(super) fn columns_of(path: &Path) -> Result<Vec<(String, SqlType)>, ConnectorError> {
    let builder = open(path)?;
    let fields = builder.schema().fields().iter();
    Ok(fields
        .map(|f| (f.name().to_ascii_lowercase(), plain_type(f.data_type(), f)))
        .collect())
}

/// Text in a file is text, however wide its offsets are.
fn plain_type(data_type: &DataType, field: &arrow::datatypes::Field) -> SqlType {
    if is_text(data_type) {
        SqlType::Text
    } else {
        SqlType::of_field(field)
    }
}

fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, ConnectorError> {
    let file = File::open(path).map_err(|source| ConnectorError::Io {
        path: path.display().to_string(),
        source,
    })?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|source| damaged(path, source))
}

fn damaged(path: &Path, source: parquet::errors::ParquetError) -> ConnectorError {
    ConnectorError::Parquet {
        path: path.display().to_string(),
        source,
    }
}

impl PartitionReader for ParquetReader {
    fn read(&mut self, max_rows: usize) -> Result<ReadStep, ConnectorError> {
        let rows = match self.pending.take() {
            Some(rows) => rows,
            None => match self.rows.next() {
                None => return Ok(ReadStep::End),
                Some(rows) => rows?,
            },
        };
        let count = rows.num_rows().min(max_rows.max(1));
        if count < rows.num_rows() {
            self.pending = Some(rows.slice(count, rows.num_rows() - count));
        }
        let rows = rows.slice(0, count);
        let start = self.next;
        self.next += count as u64;
        self.batch(&rows, start)
    }
}

impl ParquetReader {
    fn batch(&self, rows: &RecordBatch, start: u64) -> Result<ReadStep, ConnectorError> {
        let mut data = Vec::with_capacity(self.places.len());
        // Why each row is dead, when one is.
        let mut reasons: Vec<Option<String>> = Vec::new();
        for (place, sql_type) in self.places.iter().zip(&self.types) {
            let stored = rows.column(*place);
            data.push(match convert(stored, sql_type) {
                Ok(column) => column,
                Err(_) => {
                    reasons.resize(rows.num_rows(), None);
                    convert_each(stored, sql_type, &mut reasons)?
                }
            });
        }
        let offsets = (0..rows.num_rows() as u64).map(|row| Offset(start + row));
        let offsets: Vec<Offset> = offsets.collect();
        let batch = self.columns.batch(&data, &self.partition, &offsets)?;
        let next = Offset(self.next);
        if reasons.is_empty() {
            return Ok(ReadStep::Rows(SourceBatch {
                batch,
                offsets,
                next,
                dead: Vec::new(),
            }));
        }
        let dead = reasons.iter().enumerate().filter_map(|(row, reason)| {
            Some(DeadLetter {
                partition: self.partition.clone(),
                offset: offsets[row],
                reason: reason.clone()?,
                payload: row_text(rows, row),
            })
        });
        let dead: Vec<DeadLetter> = dead.collect();
        let good = BooleanArray::from_iter(reasons.iter().map(|reason| Some(reason.is_none())));
        let batch = filter_record_batch(&batch, &good)?;
        let offsets = offsets
            .iter()
            .zip(&reasons)
            .filter(|(_, r)| r.is_none())
            .map(|(o, _)| *o)
            .collect();
        Ok(ReadStep::Rows(SourceBatch {
            batch,
            offsets,
            next,
            dead,
        }))
    }
}

fn convert(stored: &ArrayRef, sql_type: &SqlType) -> Result<ArrayRef, ConnectorError> {
    if is_text(stored.data_type()) {
        let texts = cast(stored, &DataType::Utf8)?;
        return Ok(parse_column(
            sql_type,
            &mut texts.as_string::<i32>().iter(),
            &TextSettings::default(),
        )?);
    }
    cast_to(stored, sql_type)
}

/// The slow way, for a column with a bad value: row by row, NULL where it is bad.
fn convert_each(
    stored: &ArrayRef,
    sql_type: &SqlType,
    reasons: &mut [Option<String>],
) -> Result<ArrayRef, ConnectorError> {
    let null = arrow::array::new_null_array(&sql_type.to_arrow(), 1);
    let mut rows = Vec::with_capacity(stored.len());
    for (row, reason) in reasons.iter_mut().enumerate() {
        rows.push(convert(&stored.slice(row, 1), sql_type).unwrap_or_else(|error| {
            reason.get_or_insert_with(|| error.to_string());
            Arc::clone(&null)
        }));
    }
    let rows: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
    Ok(arrow::compute::concat(&rows)?)
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn row_text(rows: &RecordBatch, row: usize) -> String {
    let options = FormatOptions::default().with_null("null");
    let value = |column: &ArrayRef| match ArrayFormatter::try_new(column.as_ref(), &options) {
        Ok(formatter) => formatter.value(row).to_string(),
        Err(error) => error.to_string(),
    };
    rows.columns().iter().map(value).collect::<Vec<_>>().join(", ")
}
