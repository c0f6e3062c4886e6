//! What a statement takes and answers: RowDescription and ParameterDescription.

use highwater_types::{SqlError, SqlState, SqlType};
use pgwire::messages::data::{FieldDescription, NoData, ParameterDescription, RowDescription};

use super::encode::Format;
use super::types;
use super::wire::Writer;
use crate::session::OutputColumn;

/// PostgreSQL's limit on the columns of a result.
const MAX_COLUMNS: usize = 1664;
/// PostgreSQL's code for a result beyond it.
const TOO_MANY_COLUMNS: SqlState = SqlState("54011");

/// Puts the description of rows, with one format a column, or of there being none.
///
/// # Errors
/// 54011 when there are too many columns.
pub(super) fn put_row_description(
    writer: &mut Writer,
    columns: Option<&[OutputColumn]>,
    formats: &[Format],
) -> Result<(), SqlError> {
    let Some(columns) = columns else {
        writer.put(&NoData::new());
        return Ok(());
    };
    if columns.len() > MAX_COLUMNS {
        return Err(SqlError::new(
            TOO_MANY_COLUMNS,
            format!("target lists can have at most {MAX_COLUMNS} entries"),
        ));
    }
    let fields = columns
        .iter()
        .enumerate()
        .map(|(index, column)| field(column, formats.get(index).copied().unwrap_or(Format::Text)))
        .collect();
    writer.put(&RowDescription::new(fields));
    Ok(())
}

fn field(column: &OutputColumn, format: Format) -> FieldDescription {
    let (table, number) = match column.origin {
        Some((relation, number)) => (relation.0 as i32, number),
        None => (0, 0),
    };
    FieldDescription::new(
        column.name.replace('\0', ""),
        table,
        number,
        types::oid(&column.sql_type),
        types::length(&column.sql_type),
        modifier(column),
        format.code(),
    )
}

/// A computed numeric has a precision here where PostgreSQL's has none.
fn modifier(column: &OutputColumn) -> i32 {
    match column.sql_type {
        SqlType::Numeric(_) if column.origin.is_none() => -1,
        _ => types::modifier(&column.sql_type),
    }
}

/// Puts the types of a statement's parameters.
pub(super) fn put_parameter_description(writer: &mut Writer, params: &[SqlType]) {
    writer.put(&ParameterDescription::new(params.iter().map(types::oid).collect()));
}
