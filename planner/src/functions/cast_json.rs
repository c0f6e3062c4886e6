//! Casts of jsonb scalars to numbers and booleans.

use arrow::array::{ArrayRef, AsArray};
use highwater_types::text::TextSettings;
use highwater_types::text::json::Json;
use highwater_types::{SqlError, SqlState, SqlType};

use super::cast::cast_array;

/// Casts a column of jsonb scalars.
pub(crate) fn from_jsonb(array: &ArrayRef, to: &SqlType, settings: &TextSettings) -> Result<ArrayRef, SqlError> {
    let mut texts: Vec<Option<String>> = Vec::with_capacity(array.len());
    for value in array.as_string::<i64>() {
        texts.push(match value.map(Json::parse).transpose()? {
            None => None,
            Some(Json::Number(number)) if *to != SqlType::Bool => Some(number),
            Some(Json::Bool(value)) if *to == SqlType::Bool => Some(value.to_string()),
            Some(other) => {
                let kind = match other {
                    Json::Array(_) => "array",
                    Json::Object(_) => "object",
                    Json::Bool(_) => "boolean",
                    Json::Number(_) => "numeric",
                    Json::String(_) => "string",
                    Json::Null => "null",
                };

                return Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("cannot cast jsonb {kind} to type {to}"),
                ));
            }
        });
    }
    let texts: ArrayRef = std::sync::Arc::new(arrow::array::StringArray::from(texts));
    if matches!(to, SqlType::Bool | SqlType::Numeric(_)) {
        return cast_array(&texts, &SqlType::Text, to, true, settings);
    }
    // By way of numeric, so that `1.5` rounds as PostgreSQL rounds it.
    let numbers = cast_array(&texts, &SqlType::Text, &SqlType::Numeric(None), true, settings)?;
    cast_array(&numbers, &SqlType::Numeric(None), to, true, settings)
}
