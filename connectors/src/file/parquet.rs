//! Parquet: columns by name, cast to the declared types. An offset is a row's number in the file, and reading on from
//! one passes over whole row groups before it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema};
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
    /// Rows in the file.
    row_count: u64,
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
        let row_count = builder.metadata().file_metadata().num_rows().unsigned_abs();
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
            row_count,
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
            if !fits(stored, sql_type) {
                return Err(ConnectorError::ColumnType {
                    column: name.clone(),
                    declared: sql_type.clone(),
                    expected: format!("The file has it as {}.", plain_type(&fields[place])),
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
    let column = |field: &Arc<Field>| {
        let (name, sql_type) = (field.name().to_ascii_lowercase(), plain_type(field));
        if fits(field.data_type(), &sql_type) {
            return Ok((name, sql_type));
        }
        Err(ConnectorError::ColumnType {
            column: name,
            declared: sql_type,
            expected: "Declare the columns that are to be read, without this one.".to_string(),
        })
    };
    builder.schema().fields().iter().map(column).collect()
}

/// The type that a stored column has when none is declared.
fn plain_type(field: &Field) -> SqlType {
    match field.data_type() {
        // Text in a file is text, however wide its offsets are.
        stored if is_text(stored) => SqlType::Text,
        DataType::UInt32 => SqlType::Int8,
        _ => SqlType::of_field(field),
    }
}

/// Whether a stored column can be read as this type: text as anything, all else as what PostgreSQL would let be
/// assigned without a loss that nobody is told of. A single value that is too large is a dead letter.
fn fits(stored: &DataType, declared: &SqlType) -> bool {
    let is_date = matches!(stored, DataType::Date32 | DataType::Date64);
    match declared {
        _ if is_text(stored) => true,
        SqlType::Bool => *stored == DataType::Boolean,
        SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Oid => stored.is_integer(),
        SqlType::Float4 | SqlType::Float8 | SqlType::Numeric(_) => stored.is_numeric(),
        SqlType::Date => is_date,
        SqlType::Time => matches!(stored, DataType::Time32(_) | DataType::Time64(_)),
        SqlType::Timestamp | SqlType::Timestamptz => is_date || matches!(stored, DataType::Timestamp(_, _)),
        SqlType::Interval => matches!(stored, DataType::Interval(_)),
        SqlType::Bytea => matches!(
            stored,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
        ),
        SqlType::Uuid => *stored == DataType::FixedSizeBinary(16),
        SqlType::Array(element) => match stored {
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                !is_text(item.data_type()) && fits(item.data_type(), element)
                    || is_text(item.data_type()) && **element == SqlType::Text
            }
            _ => false,
        },
        SqlType::Text
        | SqlType::Varchar(_)
        | SqlType::Bpchar(_)
        | SqlType::Char
        | SqlType::Name
        | SqlType::Json
        | SqlType::Jsonb
        | SqlType::Regclass
        | SqlType::Regtype
        | SqlType::Regproc
        | SqlType::Regnamespace
        | SqlType::Regrole
        | SqlType::Unknown
        | SqlType::Void
        | SqlType::Record(_)
        | SqlType::Int2Vector
        | SqlType::OidVector
        | SqlType::PgNodeTree => false,
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

    fn end(&self) -> Option<Offset> {
        Some(Offset(self.row_count))
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
            let reason = reason.clone()?;
            Some(DeadLetter::new(
                &self.partition,
                offsets[row],
                reason,
                &row_text(rows, row),
            ))
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
