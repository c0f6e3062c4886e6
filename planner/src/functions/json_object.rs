//! Objects of json and jsonb: made from arrays of texts, and taken apart into lists of keys and of values, which
//! `json_each` and its kin in FROM unnest side by side.

use highwater_types::text::json::{Json, write_quoted};
use highwater_types::{SqlError, SqlState, SqlType};

use super::function::{Function, Takes};
use super::json::{invalid, plain_text};
use super::json_raw;
use super::rows::{Answer, JsonText, JsonValue, JsonValues, Text, Texts, map1, map2};

const JSON: fn() -> SqlType = || SqlType::Json;
const JSONB: fn() -> SqlType = || SqlType::Jsonb;
const JSONS: fn() -> SqlType = || SqlType::Array(Box::new(SqlType::Json));
const JSONBS: fn() -> SqlType = || SqlType::Array(Box::new(SqlType::Jsonb));
const TEXTS: fn() -> SqlType = || SqlType::Array(Box::new(SqlType::Text));

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    use Takes as T;
    vec![
        Function::new("json_object", &[T::Texts], JSON, |c| {
            map1::<Texts, _>(c, |pairs| object(&pairs).map(Some))
        }),
        Function::new("json_object", &[T::Texts, T::Texts], JSON, |c| {
            map2::<Texts, Texts, _>(c, |keys, values| zipped(&keys, &values).map(Some))
        }),
        Function::new("jsonb_object", &[T::Texts], JSONB, |c| {
            map1::<Texts, _>(c, |pairs| normal(&object(&pairs)?))
        }),
        Function::new("jsonb_object", &[T::Texts, T::Texts], JSONB, |c| {
            map2::<Texts, Texts, _>(c, |keys, values| normal(&zipped(&keys, &values)?))
        }),
        Function::new("jsonb_object_values", &[T::Jsonb], JSONBS, |c| {
            map1::<JsonText, _>(c, |j| {
                let values = members(&Json::parse(j)?)?.iter().map(|(_, v)| v.to_string()).collect();
                Ok(Some(JsonValues(values)))
            })
        }),
        Function::new("jsonb_object_texts", &[T::Jsonb], TEXTS, |c| {
            map1::<JsonText, _>(c, |j| texts(&Json::parse(j)?))
        }),
        Function::new("json_object_values", &[T::Text], JSONS, |c| {
            map1::<Text, _>(c, |j| {
                members(&Json::parse(j)?)?;
                let values = json_raw::values(j).into_iter().map(|v| Some(v.to_string()));
                Ok(Some(values.collect::<Vec<_>>()))
            })
        }),
        Function::new("json_object_texts", &[T::Text], TEXTS, |c| {
            map1::<Text, _>(c, |j| texts(&Json::parse(j)?))
        }),
    ]
}

fn normal(text: &str) -> Answer<JsonValue> {
    let mut json = Json::parse(text)?;
    json.normalise();
    Ok(Some(JsonValue(json.to_string())))
}

fn members(json: &Json) -> Result<&[(String, Json)], SqlError> {
    match json {
        Json::Object(members) => Ok(members),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            Err(invalid("cannot deconstruct a value that is not an object"))
        }
    }
}

fn texts(json: &Json) -> Answer<Vec<Option<String>>> {
    Ok(Some(members(json)?.iter().map(|(_, v)| plain_text(v)).collect()))
}

/// Keys and values in turn.
fn object(pairs: &[Option<String>]) -> Result<String, SqlError> {
    if pairs.len() % 2 == 1 {
        return Err(SqlError::new(
            SqlState("2202E"),
            "array must have even number of elements",
        ));
    }
    write(pairs.chunks(2).map(|pair| (&pair[0], &pair[1])))
}

fn zipped(keys: &[Option<String>], values: &[Option<String>]) -> Result<String, SqlError> {
    if keys.len() != values.len() {
        return Err(SqlError::new(SqlState("2202E"), "mismatched array dimensions"));
    }
    write(keys.iter().zip(values))
}

fn write<'t>(pairs: impl Iterator<Item = (&'t Option<String>, &'t Option<String>)>) -> Result<String, SqlError> {
    let mut out = String::from("{");
    for (at, (key, value)) in pairs.enumerate() {
        let key = key.as_deref().ok_or_else(|| {
            SqlError::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "null value not allowed for object key",
            )
        })?;
        out.push_str(if at > 0 { ", " } else { "" });
        write_quoted(key, &mut out);
        out.push_str(" : ");
        match value {
            Some(value) => write_quoted(value, &mut out),
            None => out.push_str("null"),
        }
    }
    out.push('}');
    Ok(out)
}
