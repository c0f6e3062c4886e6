//! Casts: every one that PostgreSQL makes, over whole columns, with its errors.
//!
//! A cast that cannot fail and changes only the width of a number is DataFusion's own, which its optimizer knows;
//! every other is [`PgCast`].

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringBuilder, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use highwater_types::text::{self, TextSettings, TextWriter, parse_column};
use highwater_types::{SqlError, SqlState, SqlType};

use super::function::{external, internal, text_settings};
use super::scalar::scalar_at;
use super::{cast_json, cast_number, cast_time, label};
use crate::error::{PlanError, Result};

/// The cast of `expr`, a value of type `from`, to `to`. `explicit`: asked for by CAST, so that `varchar(n)` cuts off
/// what is too long instead of refusing it.
///
/// # Errors
/// 42846 when PostgreSQL has no such cast.
pub fn cast(expr: Expr, from: &SqlType, to: &SqlType, explicit: bool) -> Result<Expr> {
    if from == to {
        return Ok(expr);
    }
    if !is_possible(from, to) {
        return Err(PlanError::CannotCast {
            from: from.clone(),
            to: to.clone(),
        });
    }
    if is_lossless(from, to) {
        // A cast to a field says that NULL may come out, whatever goes in; DataFusion then disagrees with itself. So
        // only a type that needs its metadata names a field.
        let field = to.to_field("cast");
        return Ok(Expr::Cast(match field.metadata().is_empty() {
            true => Cast::new(Box::new(expr), to.to_arrow()),
            false => Cast::new_from_field(Box::new(expr), field),
        }));
    }
    let cast = PgCast {
        from: from.clone(),
        to: to.clone(),
        explicit,
        signature: Signature::user_defined(if is_stable(from, to) {
            Volatility::Stable
        } else {
            Volatility::Immutable
        }),
    };
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(
        Arc::new(ScalarUDF::new_from_impl(cast)),
        vec![expr],
    )))
}

/// Whether Arrow's own cast does what PostgreSQL's does, and cannot fail.
fn is_lossless(from: &SqlType, to: &SqlType) -> bool {
    use SqlType as S;
    let texts = |t: &SqlType| {
        matches!(
            t,
            S::Text | S::Varchar(None) | S::Bpchar(None) | S::Unknown | S::Name | S::Json | S::PgNodeTree
        )
    };
    match (from, to) {
        (S::Int2, S::Int4 | S::Int8 | S::Float8) | (S::Int4, S::Int8 | S::Float8) | (S::Float4, S::Float8) => true,
        (S::Text | S::Varchar(_) | S::Bpchar(_) | S::Name | S::Json | S::Unknown, S::Text | S::Varchar(None)) => true,
        (from, S::Bpchar(None)) => texts(from) || matches!(from, S::Varchar(_) | S::Bpchar(_)),
        _ => false,
    }
}

/// Whether the session's settings decide the result.
fn is_stable(from: &SqlType, to: &SqlType) -> bool {
    let zoned = |t: &SqlType| *t == SqlType::Timestamptz;
    zoned(from) != zoned(to)
}

fn is_text(sql_type: &SqlType) -> bool {
    use SqlType as S;
    matches!(
        sql_type,
        S::Text | S::Varchar(_) | S::Bpchar(_) | S::Name | S::Char | S::Unknown | S::PgNodeTree
    )
}

fn is_number(sql_type: &SqlType) -> bool {
    use SqlType as S;
    matches!(
        sql_type,
        S::Int2 | S::Int4 | S::Int8 | S::Float4 | S::Float8 | S::Numeric(_)
    )
}

fn is_oid(sql_type: &SqlType) -> bool {
    use SqlType as S;
    matches!(
        sql_type,
        S::Oid | S::Regclass | S::Regtype | S::Regproc | S::Regnamespace | S::Regrole
    )
}

/// Whether PostgreSQL has the cast at all.
fn is_possible(from: &SqlType, to: &SqlType) -> bool {
    use SqlType as S;
    if is_text(from) || is_text(to) {
        return !matches!(to, S::Record(_) | S::Void);
    }
    match (from, to) {
        (a, b) if is_number(a) && is_number(b) => true,
        (a, b) if is_oid(a) && is_oid(b) => true,
        (S::Int2 | S::Int4 | S::Int8, b) if is_oid(b) => true,
        (a, S::Int4 | S::Int8) if is_oid(a) => true,
        (S::Bool, S::Int4) | (S::Int4, S::Bool) => true,
        (S::Date, S::Timestamp | S::Timestamptz) => true,
        (S::Timestamp, S::Date | S::Time | S::Timestamptz) => true,
        (S::Timestamptz, S::Date | S::Time | S::Timestamp) => true,
        (S::Time, S::Interval) | (S::Interval, S::Time) => true,
        (S::Json, S::Jsonb) | (S::Jsonb, S::Json) => true,
        (S::Jsonb, S::Bool) => true,
        (S::Jsonb, to) => is_number(to),
        (S::Array(from), S::Array(to)) => from == to || is_possible(from, to),
        (S::Int2Vector, S::Array(_)) | (S::OidVector, S::Array(_)) => true,
        (S::Record(from), S::Record(to)) => from.len() == to.len(),
        (a, b) => a == b,
    }
}

/// One cast, as a function of one argument.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct PgCast {
    from: SqlType,
    to: SqlType,
    explicit: bool,
    signature: Signature,
}

impl ScalarUDFImpl for PgCast {
    fn name(&self) -> &str {
        "cast"
    }

    fn schema_name(&self, args: &[Expr]) -> DfResult<String> {
        Ok(format!("cast({} as {})", label::arguments(args)?, self.to))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> DfResult<Vec<DataType>> {
        Ok(arg_types.to_vec())
    }

    fn return_type(&self, _arg_types: &[DataType]) -> DfResult<DataType> {
        Ok(self.to.to_arrow())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> DfResult<FieldRef> {
        Ok(self.to.to_field("cast"))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let settings = text_settings(&args.config_options);
        let run = |array: &ArrayRef| {
            // The plan's type may be wider than the array's own, never another.
            cast_array(array, &self.from, &self.to, self.explicit, &settings).map_err(external)
        };
        match &args.args[0] {
            ColumnarValue::Array(array) => Ok(ColumnarValue::Array(run(array)?)),
            ColumnarValue::Scalar(value) => {
                let array = run(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(scalar_at(&array, 0)?))
            }
        }
    }
}

/// Casts a column.
///
/// # Errors
/// As PostgreSQL: 22P02, 22003, 22008, 22001 and so on, for the first value that does not fit.
pub(crate) fn cast_array(
    array: &ArrayRef,
    from: &SqlType,
    to: &SqlType,
    explicit: bool,
    settings: &TextSettings,
) -> std::result::Result<ArrayRef, SqlError> {
    let wanted = to.to_arrow();
    if array.data_type() == &DataType::Null {
        return Ok(new_null_array(&wanted, array.len()));
    }
    if is_text(to) || *to == SqlType::Json {
        return to_text(array, from, to, explicit, settings);
    }
    if *array.data_type() == wanted && !matches!(to, SqlType::Int2Vector | SqlType::OidVector) {
        return Ok(Arc::clone(array));
    }
    let from = if matches!(array.data_type(), DataType::Utf8) {
        from
    } else {
        &SqlType::of_arrow(array.data_type())
    };
    match (from, to) {
        (SqlType::Int2Vector | SqlType::OidVector, SqlType::Array(element)) => from_vector(array, element, settings),
        (SqlType::Jsonb, to) => cast_json::from_jsonb(array, to, settings),
        (_, to) if array.data_type() == &DataType::Utf8 => {
            parse_column(to, &mut array.as_string::<i32>().iter(), settings)
        }
        (SqlType::Array(from), SqlType::Array(element)) => {
            let list = array
                .as_list_opt::<i32>()
                .ok_or_else(|| unknown_cast(array.data_type(), &wanted))?;
            let elements = cast_array(list.values(), from, element, explicit, settings)?;
            let list = ListArray::new(
                element.to_field("item"),
                list.offsets().clone(),
                elements,
                list.nulls().cloned(),
            );
            Ok(Arc::new(list))
        }
        (from, to) if is_time(from) && is_time(to) => cast_time::cast_time(array, from, to, settings),
        (from, to) => match cast_number::cast_number(array, from, to)? {
            Some(array) => Ok(array),
            None => arrow::compute::cast(array, &wanted).map_err(internal),
        },
    }
}

fn is_time(sql_type: &SqlType) -> bool {
    use SqlType as S;
    matches!(
        sql_type,
        S::Date | S::Time | S::Timestamp | S::Timestamptz | S::Interval
    )
}

fn unknown_cast(from: &DataType, to: &DataType) -> SqlError {
    SqlError::new(SqlState::CANNOT_COERCE, format!("cannot cast {from} to {to}"))
}

/// `1 2 3` as an array.
fn from_vector(
    array: &ArrayRef,
    element: &SqlType,
    settings: &TextSettings,
) -> std::result::Result<ArrayRef, SqlError> {
    let texts: Vec<Option<String>> = array
        .as_string::<i32>()
        .iter()
        .map(|v| v.map(|v| format!("{{{}}}", v.split_whitespace().collect::<Vec<_>>().join(","))))
        .collect();
    let to = SqlType::Array(Box::new(element.clone()));
    parse_column(&to, &mut texts.iter().map(|t| t.as_deref()), settings)
}

/// To any of the types that are text.
fn to_text(
    array: &ArrayRef,
    from: &SqlType,
    to: &SqlType,
    explicit: bool,
    settings: &TextSettings,
) -> std::result::Result<ArrayRef, SqlError> {
    if array.data_type() == &DataType::Utf8 {
        let source = array.as_string::<i32>();
        return match to {
            SqlType::Varchar(Some(_)) | SqlType::Bpchar(Some(_)) | SqlType::Char | SqlType::Name => {
                let mut texts = StringBuilder::with_capacity(source.len(), source.values().len());
                for value in source {
                    match value {
                        None => texts.append_null(),
                        Some(value) => texts.append_value(fit(value, to, explicit)?),
                    }
                }
                Ok(Arc::new(texts.finish()))
            }
            SqlType::Json if *from != SqlType::Json => parse_column(to, &mut source.iter(), settings),
            _ => Ok(Arc::clone(array)),
        };
    }
    // A field of the array's own type; metadata only where it says more than the type.
    let field = match from.to_arrow() == *array.data_type() {
        true => from.to_field("value"),
        false => Arc::new(Field::new("value", array.data_type().clone(), true)),
    };
    let writer = TextWriter::try_new(&field, array.as_ref(), settings)?;
    let mut texts = StringBuilder::with_capacity(array.len(), array.len() * 8);
    let mut buffer = Vec::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            texts.append_null();
            continue;
        }
        buffer.clear();
        writer.write(row, &mut buffer);
        let text = std::str::from_utf8(&buffer).expect("text forms are UTF-8");
        texts.append_value(match (text, array.data_type()) {
            ("t", DataType::Boolean) => fit("true", to, explicit)?,
            ("f", DataType::Boolean) => fit("false", to, explicit)?,
            (text, _) => fit(text, to, explicit)?,
        });
    }
    Ok(Arc::new(texts.finish()))
}

/// A text as the type holds it.
fn fit<'t>(text: &'t str, to: &SqlType, explicit: bool) -> std::result::Result<&'t str, SqlError> {
    let cut = |limit: u32| match text.char_indices().nth(limit as usize) {
        Some((end, _)) => &text[..end],
        None => text,
    };
    Ok(match to {
        SqlType::Varchar(Some(limit)) if explicit => cut(*limit),
        SqlType::Varchar(Some(limit)) => text::fit_varchar(text, *limit)?,
        SqlType::Bpchar(Some(limit)) if explicit => cut(*limit).trim_end_matches(' '),
        SqlType::Bpchar(Some(limit)) => text::fit_bpchar(text, *limit)?,
        SqlType::Char => text.chars().next().map_or("", |c| &text[..c.len_utf8()]),
        SqlType::Name => {
            let mut end = text.len().min(63);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            &text[..end]
        }
        _ => text,
    })
}
