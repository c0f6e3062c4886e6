//! [`ColumnPlan`]: where each declared column's values come from, and the batches that result. The connector's own
//! columns are cast to the declared types, INCLUDE columns are filled in.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use highwater_types::SqlType;
use highwater_types::text::{TextSettings, parse_column};

use crate::{ConnectorError, Include, Offset, PartitionId, SourceSpec};

/// How declared columns are made of what a connector reads.
#[derive(Debug, Clone)]
pub(crate) struct ColumnPlan {
    schema: SchemaRef,
    types: Vec<SqlType>,
    slots: Vec<Slot>,
}

/// Where one column's values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The connector's column of this number.
    Data(usize),
    /// The partition's name.
    Partition,
    /// The record's offset.
    Offset,
}

impl ColumnPlan {
    /// `data` answers the number of the connector's column for a declared one: by name, and after checking its type.
    ///
    /// # Errors
    /// Those of `data`, and INCLUDE of what no generator or file has.
    pub(crate) fn try_new(
        connector: &'static str,
        spec: &SourceSpec,
        mut data: impl FnMut(&str, &SqlType) -> Result<usize, ConnectorError>,
    ) -> Result<ColumnPlan, ConnectorError> {
        if spec.columns.iter().all(|c| c.include.is_some()) {
            return Err(ConnectorError::NoColumns { connector });
        }
        let mut slots = Vec::with_capacity(spec.columns.len());
        for column in &spec.columns {
            let (name, sql_type) = (column.name.as_str(), &column.sql_type);
            slots.push(match &column.include {
                None => Slot::Data(data(name, sql_type)?),
                Some(Include::Partition) => {
                    check_included(name, sql_type, "partition name", "text", "text or varchar")?;
                    Slot::Partition
                }
                Some(Include::Offset) => {
                    check_included(name, sql_type, "0", "an offset", "bigint or text")?;
                    Slot::Offset
                }
                Some(what @ (Include::Key | Include::Timestamp | Include::Header(_))) => {
                    return Err(ConnectorError::Include {
                        connector,
                        what: what.word(),
                        expected: "It has PARTITION and OFFSET.",
                    });
                }
            });
        }
        Ok(ColumnPlan {
            schema: spec.schema(),
            types: spec.columns.iter().map(|c| c.sql_type.clone()).collect(),
            slots,
        })
    }

    /// The declared columns of these records. `data` holds the connector's columns.
    pub(crate) fn batch(
        &self,
        data: &[ArrayRef],
        partition: &PartitionId,
        offsets: &[Offset],
    ) -> Result<RecordBatch, ConnectorError> {
        let mut columns = Vec::with_capacity(self.slots.len());
        for (slot, sql_type) in self.slots.iter().zip(&self.types) {
            columns.push(match slot {
                Slot::Data(index) => cast_to(&data[*index], sql_type)?,
                Slot::Partition => repeated(partition.as_str(), sql_type, offsets.len())?,
                Slot::Offset => offset_column(offsets, sql_type)?,
            });
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

/// Casts a column to the Arrow type of a declared one; a value that does not fit is an error.
pub(crate) fn cast_to(column: &ArrayRef, sql_type: &SqlType) -> Result<ArrayRef, ConnectorError> {
    let data_type = sql_type.to_arrow();
    if *column.data_type() == data_type {
        return Ok(Arc::clone(column));
    }
    if *sql_type == SqlType::Timestamptz {
        // A time without a zone is one in UTC, which needs no time zone database.
        let times = cast_to(column, &SqlType::Timestamp)?;
        let times = times.as_primitive::<TimestampMicrosecondType>().clone();
        return Ok(Arc::new(times.with_timezone("UTC")));
    }
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    Ok(cast_with_options(column, &data_type, &strict)?)
}

fn check_included(
    column: &str,
    sql_type: &SqlType,
    sample: &str,
    what: &str,
    expected: &str,
) -> Result<(), ConnectorError> {
    match texts(sql_type, &mut std::iter::once(sample)) {
        Ok(_) => Ok(()),
        Err(_) => Err(ConnectorError::ColumnType {
            column: column.to_string(),
            declared: sql_type.clone(),
            expected: format!("It holds {what}: declare it as {expected}."),
        }),
    }
}

fn repeated(text: &str, sql_type: &SqlType, count: usize) -> Result<ArrayRef, ConnectorError> {
    if *sql_type == SqlType::Text {
        return Ok(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
            text, count,
        ))));
    }
    texts(sql_type, &mut std::iter::repeat_n(text, count))
}

fn offset_column(offsets: &[Offset], sql_type: &SqlType) -> Result<ArrayRef, ConnectorError> {
    if *sql_type == SqlType::Int8 {
        return Ok(Arc::new(Int64Array::from_iter_values(
            offsets.iter().map(|o| o.0 as i64),
        )));
    }
    let words: Vec<String> = offsets.iter().map(Offset::to_string).collect();
    texts(sql_type, &mut words.iter().map(String::as_str))
}

fn texts(sql_type: &SqlType, values: &mut dyn Iterator<Item = &str>) -> Result<ArrayRef, ConnectorError> {
    Ok(parse_column(sql_type, &mut values.map(Some), &TextSettings::default())?)
}
