//! The text form of deltas that tests are written in: `+1 a 5, -1 b null` is two changes of a relation with two
//! columns. Values are separated by spaces; `null` is NULL; `'a b'` quotes. Timestamps are written as integers
//! of microseconds or in ISO form, whichever Arrow's cast accepts.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Decimal256Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::text::numeric::Numeric;
use crate::{Delta, DeltaError};

/// Reads the text form of a delta.
///
/// # Errors
/// When a change does not have one value a column, or a value is not of the column's type.
pub fn parse_delta(schema: &SchemaRef, text: &str) -> Result<Delta, DeltaError> {
    let mut weights = Vec::new();
    let mut columns: Vec<Vec<Option<String>>> = vec![Vec::new(); schema.fields().len()];
    for change in split(text, ',') {
        let mut words = split(&change, ' ').into_iter();
        let weight = words.next().unwrap_or_default();
        weights.push(
            weight
                .parse::<i64>()
                .map_err(|e| bad(format!("weight {weight:?}: {e}")))?,
        );
        let values: Vec<String> = words.collect();
        if values.len() != columns.len() {
            return Err(bad(format!(
                "{change:?} has {} values, not {}",
                values.len(),
                columns.len()
            )));
        }
        for (column, value) in columns.iter_mut().zip(values) {
            column.push((value != "null").then(|| value.trim_matches('\'').to_string()));
        }
    }
    let arrays: Vec<ArrayRef> = columns
        .into_iter()
        .zip(schema.fields())
        .map(|(values, field)| typed(&StringArray::from(values), field.data_type()))
        .collect::<Result<_, _>>()?;
    let batch = RecordBatch::try_new(Arc::clone(schema), arrays)?;
    let weights = if weights.iter().all(|w| *w == 1) {
        None
    } else {
        Some(Int64Array::from(weights))
    };
    Delta::try_new(batch, weights)
}

/// Writes a delta, its changes sorted so that equal deltas have equal texts.
pub fn format_delta(delta: &Delta) -> String {
    let options = FormatOptions::default().with_null("null");
    let columns: Vec<ArrayFormatter<'_>> = delta
        .batch()
        .columns()
        .iter()
        .map(|c| ArrayFormatter::try_new(c.as_ref(), &options).expect("every column type has a text form"))
        .collect();
    let mut changes: Vec<(Vec<String>, i64)> = (0..delta.num_rows())
        .map(|row| {
            (
                columns.iter().map(|c| quoted(c.value(row).to_string())).collect(),
                delta.weight(row),
            )
        })
        .collect();
    changes.sort();
    let texts: Vec<String> = changes
        .into_iter()
        .map(|(values, weight)| format!("{weight:+} {}", values.join(" ")).trim_end().to_string())
        .collect();
    texts.join(", ")
}

fn typed(values: &StringArray, data_type: &DataType) -> Result<ArrayRef, DeltaError> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    if let DataType::Timestamp(_, _) = data_type
        && values.iter().flatten().all(|v| v.parse::<i64>().is_ok())
    {
        let numbers = cast_with_options(values, &DataType::Int64, &options)?;
        return Ok(cast_with_options(&numbers, data_type, &options)?);
    }
    // What is no finite number is unknown to Arrow's cast.
    let specials: Vec<Option<Numeric>> = match data_type {
        DataType::Decimal128(_, _) | DataType::Decimal256(_, _) => values.iter().map(|v| special(v?)).collect(),
        _ => vec![None; values.len()],
    };
    let rows = values.iter().zip(&specials);
    let known: StringArray = rows.map(|(v, special)| v.filter(|_| special.is_none())).collect();
    let array = cast_with_options(&known, data_type, &options)?;
    Ok(match data_type {
        DataType::Decimal128(_, _) => {
            let finite = array.as_primitive::<Decimal128Type>();
            let rows = finite.iter().zip(specials);
            let all: Decimal128Array = rows.map(|(v, s)| s.map_or(v, Numeric::to_128)).collect();
            Arc::new(all.with_data_type(data_type.clone()))
        }
        DataType::Decimal256(_, _) => {
            let finite = array.as_primitive::<Decimal256Type>();
            let rows = finite.iter().zip(specials);
            let all: Decimal256Array = rows.map(|(v, s)| s.map_or(v, |s| Some(s.to_256()))).collect();
            Arc::new(all.with_data_type(data_type.clone()))
        }
        _ => array,
    })
}

fn special(word: &str) -> Option<Numeric> {
    match word {
        "NaN" => Some(Numeric::NaN),
        "Infinity" => Some(Numeric::Infinity),
        "-Infinity" => Some(Numeric::NegInfinity),
        _ => None,
    }
}

/// Splits at a separator outside quotes, and drops empty parts.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut inside_quotes = false;
    for c in text.chars() {
        if c == '\'' {
            inside_quotes = !inside_quotes;
        }
        if !inside_quotes && (c == separator || (separator == ' ' && c.is_whitespace())) {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
        .into_iter()
        .map(|p| p.trim().to_string())
        .filter(|p| !p.is_empty())
        .collect()
}

fn quoted(value: String) -> String {
    if value.is_empty() || value.contains([' ', ',']) {
        format!("'{value}'")
    } else {
        value
    }
}

fn bad(message: String) -> DeltaError {
    DeltaError::Arrow(arrow::error::ArrowError::ParseError(message))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema, TimeUnit};

    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("k", DataType::Utf8, true),
            Field::new("t", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        ]));
        let delta = parse_delta(&schema, "+1 'a b' 1000000, -2 null null").expect("well formed");
        let text = format_delta(&delta);
        assert_eq!(text, "+1 'a b' 1970-01-01T00:00:01, -2 null null");
        assert_eq!(format_delta(&parse_delta(&schema, &text).expect("its own text")), text);
    }
}
