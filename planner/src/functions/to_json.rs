//! Values of any type as JSON text, as PostgreSQL's `to_json` writes them.

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef};
use highwater_types::text::json::write_quoted;
use highwater_types::text::{TextSettings, TextWriter};
use highwater_types::{SqlError, SqlType};

/// Writes the values of one column as JSON.
pub(crate) struct ToJson<'a> {
    array: ArrayRef,
    form: Form<'a>,
}

enum Form<'a> {
    Bool,
    /// A number, or the name of what is none in quotes.
    Number(TextWriter<'a>),
    /// JSON already.
    Raw(TextWriter<'a>),
    Quoted(TextWriter<'a>),
    /// A timestamp, with a `T`, and a time zone of hours and minutes.
    Stamp(TextWriter<'a>, bool),
    Array(ListArray, Box<ToJson<'a>>),
    Record(Vec<(String, ToJson<'a>)>),
}

impl<'a> ToJson<'a> {
    pub(crate) fn try_new(field: &Field, array: &ArrayRef, settings: &'a TextSettings) -> Result<ToJson<'a>, SqlError> {
        let sql_type = SqlType::of_field(field);
        let writer = || TextWriter::try_new(field, array.as_ref(), settings);
        use SqlType as S;
        let form = match &sql_type {
            _ if array.data_type() == &DataType::Null => Form::Bool,
            S::Bool => Form::Bool,
            S::Int2 | S::Int4 | S::Int8 | S::Float4 | S::Float8 | S::Numeric(_) => Form::Number(writer()?),
            S::Json | S::Jsonb => Form::Raw(writer()?),
            S::Timestamp => Form::Stamp(writer()?, false),
            S::Timestamptz => Form::Stamp(writer()?, true),
            S::Array(_) if array.as_list_opt::<i32>().is_some() => {
                let list = array.as_list::<i32>().clone();
                let item = item_field(&list);
                let elements = ToJson::try_new(&item, list.values(), settings)?;
                Form::Array(list, Box::new(elements))
            }
            S::Record(_) => {
                let record = array.as_struct().clone();
                let members = record
                    .fields()
                    .iter()
                    .zip(record.columns())
                    .map(|(field, column)| Ok((field.name().clone(), ToJson::try_new(field, column, settings)?)));
                let members = members.collect::<Result<_, SqlError>>()?;
                Form::Record(members)
            }
            _ => Form::Quoted(writer()?),
        };
        Ok(ToJson {
            array: array.clone(),
            form,
        })
    }

    /// Appends a row's value.
    pub(crate) fn write(&self, row: usize, out: &mut String) {
        if self.array.is_null(row) || self.array.data_type() == &DataType::Null {
            return out.push_str("null");
        }
        let text = |writer: &TextWriter<'_>| {
            let mut text = Vec::new();
            writer.write(row, &mut text);
            String::from_utf8_lossy(&text).into_owned()
        };
        match &self.form {
            Form::Bool => out.push_str(if self.array.as_boolean().value(row) {
                "true"
            } else {
                "false"
            }),
            Form::Raw(writer) => out.push_str(&text(writer)),
            Form::Quoted(writer) => write_quoted(&text(writer), out),
            Form::Number(writer) => {
                let number = text(writer);
                match number.ends_with(|c: char| c.is_ascii_digit()) {
                    true => out.push_str(&number),
                    false => write_quoted(&number, out),
                }
            }
            Form::Stamp(writer, is_zoned) => {
                let mut stamp = text(writer).replacen(' ', "T", 1);
                let zone = stamp.len() - stamp.rfind(['+', '-']).unwrap_or(0);
                if *is_zoned && zone == 3 {
                    stamp.push_str(":00");
                }
                write_quoted(&stamp, out);
            }
            Form::Array(list, elements) => {
                let offsets = list.value_offsets();
                out.push('[');
                for (at, element) in (offsets[row] as usize..offsets[row + 1] as usize).enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    elements.write(element, out);
                }
                out.push(']');
            }
            Form::Record(members) => {
                out.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_quoted(name, out);
                    out.push(':');
                    value.write(row, out);
                }
                out.push('}');
            }
        }
    }
}

/// A row as a JSON object, as `to_json` writes it.
///
/// # Panics
/// When the batch has no such row, or a column is not of its field's SQL type.
pub fn row_as_json(batch: &RecordBatch, row: usize) -> String {
    let settings = TextSettings::default();
    let mut json = String::from("{");
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if json.len() > 1 {
            json.push(',');
        }
        write_quoted(field.name(), &mut json);
        json.push(':');
        // A single row is cut out, so that no more than it is prepared for writing.
        let value = column.slice(row, 1);
        ToJson::try_new(field, &value, &settings)
            .expect("a column is of its field's type")
            .write(0, &mut json);
    }
    json.push('}');
    json
}

fn item_field(list: &ListArray) -> FieldRef {
    match list.data_type() {
        DataType::List(item) => item.clone(),
        other => std::sync::Arc::new(Field::new("item", other.clone(), true)),
    }
}
