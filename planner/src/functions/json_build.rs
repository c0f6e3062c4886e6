//! JSON from values of any type, one row's or those of many.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use highwater_types::text::TextSettings;
use highwater_types::text::json::{normalise_jsonb, write_quoted};
use highwater_types::{SqlError, SqlType};

use super::function::{Arg, Call, Function, Takes};
use super::json::invalid;
use super::rows::{JsonValue, map_rows};
use super::to_json::ToJson;

const JSONB: fn() -> SqlType = || SqlType::Jsonb;
const JSON: fn() -> SqlType = || SqlType::Json;

/// JSON from values of any type.
pub(crate) fn building() -> Vec<Function> {
    use Takes as T;
    let build_object = |call: &Call| -> Result<ArrayRef, SqlError> { build(call, object_text) };
    let build_array = |call: &Call| -> Result<ArrayRef, SqlError> { build(call, array_text) };
    vec![
        Function::new("to_json", &[T::Any], JSON, |c| build(c, value_text)).stable(),
        Function::new("to_jsonb", &[T::Any], JSONB, |c| build(c, value_text)).stable(),
        Function::new("row_to_json", &[T::Any], JSON, |c| build(c, value_text)).stable(),
        Function::new("array_to_json", &[T::AnyArray], JSON, |c| build(c, value_text)).stable(),
        Function::new("json_build_object", &[], JSON, build_object)
            .and_more(T::Any)
            .with_nulls()
            .stable(),
        Function::new("jsonb_build_object", &[], JSONB, build_object)
            .and_more(T::Any)
            .with_nulls()
            .stable(),
        Function::new("json_build_array", &[], JSON, build_array)
            .and_more(T::Any)
            .with_nulls()
            .stable(),
        Function::new("jsonb_build_array", &[], JSONB, build_array)
            .and_more(T::Any)
            .with_nulls()
            .stable(),
    ]
}

type Append = fn(&[ToJson<'_>], &[Arg], usize, &mut String) -> Result<(), SqlError>;

/// Writes each row's JSON, and normalises it where the result is a jsonb.
fn build(call: &Call, append: Append) -> Result<ArrayRef, SqlError> {
    let writers: Vec<ToJson<'_>> = call
        .args
        .iter()
        .map(|a| ToJson::try_new(&a.field, &a.array, &call.settings))
        .collect::<Result<_, _>>()?;
    let text = |row: usize| {
        let mut out = String::new();
        append(&writers, &call.args, row, &mut out).map(|()| out)
    };
    match call.return_type {
        DataType::LargeUtf8 => map_rows(call, |r| Ok(Some(JsonValue(normalise_jsonb(&text(r)?)?)))),
        _ => map_rows(call, |r| text(r).map(Some)),
    }
}

fn value_text(writers: &[ToJson<'_>], args: &[Arg], row: usize, out: &mut String) -> Result<(), SqlError> {
    writers[0].write(args[0].at(row), out);
    Ok(())
}

fn array_text(writers: &[ToJson<'_>], args: &[Arg], row: usize, out: &mut String) -> Result<(), SqlError> {
    out.push('[');
    for (at, (writer, arg)) in writers.iter().zip(args).enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        writer.write(arg.at(row), out);
    }
    out.push(']');
    Ok(())
}

fn object_text(writers: &[ToJson<'_>], args: &[Arg], row: usize, out: &mut String) -> Result<(), SqlError> {
    if args.len() % 2 == 1 {
        return Err(invalid("argument list must have even number of elements")
            .with_hint("The arguments of json_build_object() must consist of alternating keys and values."));
    }
    out.push('{');
    for (at, (writers, pair)) in writers.chunks(2).zip(args.chunks(2)).enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        if pair[0].is_null(row) {
            return Err(invalid(&format!("argument {} cannot be null", at * 2 + 1)));
        }
        push_key(&writers[0], pair[0].at(row), out);
        out.push_str(" : ");
        writers[1].write(pair[1].at(row), out);
    }
    out.push('}');
    Ok(())
}

/// A value as a key: in quotes whatever its type.
fn push_key(writer: &ToJson<'_>, row: usize, out: &mut String) {
    let mut key = String::new();
    writer.write(row, &mut key);
    if key.starts_with('"') {
        out.push_str(&key);
    } else {
        write_quoted(&key, out);
    }
}

/// `json_agg`: all values as an array.
pub(crate) fn collect_array(values: &ArrayRef, data_type: &DataType) -> Result<ScalarValue, SqlError> {
    let settings = TextSettings::default();
    let writer = ToJson::try_new(
        &arrow::datatypes::Field::new("v", values.data_type().clone(), true),
        values,
        &settings,
    )?;
    let mut out = String::from("[");
    for row in 0..values.len() {
        if row > 0 {
            out.push_str(", ");
        }
        writer.write(row, &mut out);
    }
    out.push(']');
    finish(out, data_type)
}

/// `json_object_agg`: keys and values as an object.
pub(crate) fn collect_object(
    keys: &ArrayRef,
    values: &ArrayRef,
    data_type: &DataType,
) -> Result<ScalarValue, SqlError> {
    let settings = TextSettings::default();
    let writer = |array: &ArrayRef| {
        ToJson::try_new(
            &arrow::datatypes::Field::new("v", array.data_type().clone(), true),
            array,
            &settings,
        )
    };
    let (key_writer, value_writer) = (writer(keys)?, writer(values)?);
    let mut out = String::from("{ ");
    for row in 0..keys.len() {
        if keys.is_null(row) {
            return Err(invalid("field name must not be null"));
        }
        if row > 0 {
            out.push_str(", ");
        }
        push_key(&key_writer, row, &mut out);
        out.push_str(" : ");
        value_writer.write(row, &mut out);
    }
    out.push_str(" }");
    finish(out, data_type)
}

fn finish(text: String, data_type: &DataType) -> Result<ScalarValue, SqlError> {
    Ok(match data_type {
        DataType::LargeUtf8 => ScalarValue::LargeUtf8(Some(normalise_jsonb(&text)?)),
        _ => ScalarValue::Utf8(Some(text)),
    })
}
