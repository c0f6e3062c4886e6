//! Functions and operators of json and jsonb.
//!
//! A jsonb value is its normal text; it is parsed where its inside matters. What is taken out of a json value keeps the
//! text that it had.

use arrow::array::AsArray;
use highwater_types::text::json::{Json, check_json};
use highwater_types::{SqlError, SqlState, SqlType};

use super::function::{Arg, Call, Function, Takes};
use super::json_raw;
use super::rows::{Answer, Int4, JsonText, JsonValue, JsonValues, Text, Texts, map_rows, map1, map2};

const JSONB: fn() -> SqlType = || SqlType::Jsonb;
const JSON: fn() -> SqlType = || SqlType::Json;
const TEXT: fn() -> SqlType = || SqlType::Text;
const BOOL: fn() -> SqlType = || SqlType::Bool;
const INT4: fn() -> SqlType = || SqlType::Int4;
const JSONBS: fn() -> SqlType = || SqlType::Array(Box::new(SqlType::Jsonb));
const JSONS: fn() -> SqlType = || SqlType::Array(Box::new(SqlType::Json));
const TEXTS: fn() -> SqlType = || SqlType::Array(Box::new(SqlType::Text));

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    let mut functions = access();
    functions.extend(tests());
    functions.extend(super::json_change::changes());
    functions.extend(super::json_build::building());
    functions.extend(super::json_object::functions());
    functions.extend(lists());
    functions
}

/// Taking parts out.
fn access() -> Vec<Function> {
    use Takes as T;
    vec![
        Function::new("->", &[T::Jsonb, T::Text], JSONB, |c| {
            map2::<JsonText, Text, _>(c, |j, key| Ok(Json::parse(j)?.member(key).map(jsonb)))
        }),
        Function::new("->", &[T::Jsonb, T::Int4], JSONB, |c| {
            map2::<JsonText, Int4, _>(c, |j, at| Ok(element(&Json::parse(j)?, at).map(jsonb)))
        }),
        Function::new("->>", &[T::Jsonb, T::Text], TEXT, |c| {
            map2::<JsonText, Text, _>(c, |j, key| Ok(Json::parse(j)?.member(key).and_then(plain_text)))
        }),
        Function::new("->>", &[T::Jsonb, T::Int4], TEXT, |c| {
            map2::<JsonText, Int4, _>(c, |j, at| Ok(element(&Json::parse(j)?, at).and_then(plain_text)))
        }),
        Function::new("#>", &[T::Jsonb, T::Texts], JSONB, |c| {
            map2::<JsonText, Texts, _>(c, |j, path| Ok(follow(&Json::parse(j)?, &path).map(jsonb)))
        }),
        Function::new("#>>", &[T::Jsonb, T::Texts], TEXT, |c| {
            map2::<JsonText, Texts, _>(c, |j, path| Ok(follow(&Json::parse(j)?, &path).and_then(plain_text)))
        }),
        Function::new("->", &[T::Text, T::Text], JSON, |c| {
            map2::<Text, Text, _>(c, |j, key| Ok(json_raw::member(checked(j)?, key).map(str::to_string)))
        }),
        Function::new("->", &[T::Text, T::Int4], JSON, |c| {
            map2::<Text, Int4, _>(c, |j, at| {
                Ok(json_raw::element(checked(j)?, i64::from(at)).map(str::to_string))
            })
        }),
        Function::new("->>", &[T::Text, T::Text], TEXT, |c| {
            map2::<Text, Text, _>(c, |j, key| raw_text(json_raw::member(checked(j)?, key)))
        }),
        Function::new("->>", &[T::Text, T::Int4], TEXT, |c| {
            map2::<Text, Int4, _>(c, |j, at| raw_text(json_raw::element(checked(j)?, i64::from(at))))
        }),
        Function::new("#>", &[T::Text, T::Texts], JSON, |c| {
            map2::<Text, Texts, _>(
                c,
                |j, path| Ok(json_raw::follow(checked(j)?, &path).map(str::to_string)),
            )
        }),
        Function::new("#>>", &[T::Text, T::Texts], TEXT, |c| {
            map2::<Text, Texts, _>(c, |j, path| raw_text(json_raw::follow(checked(j)?, &path)))
        }),
        Function::new("jsonb_extract_path", &[T::Jsonb], JSONB, |c| {
            let json = c.args[0].array.as_string::<i64>();
            map_rows(c, |r| {
                Ok(follow(&Json::parse(json.value(c.args[0].at(r)))?, &path(c, r)).map(jsonb))
            })
        })
        .and_more(T::Text),
        Function::new("jsonb_extract_path_text", &[T::Jsonb], TEXT, |c| {
            let json = c.args[0].array.as_string::<i64>();
            map_rows(c, |r| {
                Ok(follow(&Json::parse(json.value(c.args[0].at(r)))?, &path(c, r)).and_then(plain_text))
            })
        })
        .and_more(T::Text),
        Function::new("json_extract_path", &[T::Text], JSON, |c| {
            let json = c.args[0].array.as_string::<i32>();
            map_rows(c, |r| {
                Ok(json_raw::follow(checked(json.value(c.args[0].at(r)))?, &path(c, r)).map(str::to_string))
            })
        })
        .and_more(T::Text),
        Function::new("json_extract_path_text", &[T::Text], TEXT, |c| {
            let json = c.args[0].array.as_string::<i32>();
            map_rows(c, |r| {
                raw_text(json_raw::follow(checked(json.value(c.args[0].at(r)))?, &path(c, r)))
            })
        })
        .and_more(T::Text),
    ]
}

/// An element of an array; a scalar counts as an array of itself.
fn element(json: &Json, at: i32) -> Option<&Json> {
    match json {
        Json::Array(_) | Json::Object(_) => json.element(i64::from(at)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => matches!(at, 0 | -1).then_some(json),
    }
}

pub(crate) fn jsonb(value: &Json) -> JsonValue {
    JsonValue(value.to_string())
}

fn checked(json: &str) -> Result<&str, SqlError> {
    check_json(json).map(|()| json)
}

/// A value as text: a string without its quotes, null as NULL.
pub(crate) fn plain_text(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => Some(value.to_string()),
    }
}

fn raw_text(raw: Option<&str>) -> Answer<String> {
    Ok(match raw {
        None | Some("null") => None,
        Some(text) if text.starts_with('"') => plain_text(&Json::parse(text)?),
        Some(text) => Some(text.to_string()),
    })
}

/// The path that the arguments after the first are.
fn path(call: &Call, row: usize) -> Vec<Option<String>> {
    let step = |arg: &Arg| Some(arg.array.as_string::<i32>().value(arg.at(row)).to_string());
    call.args[1..].iter().map(step).collect()
}

fn follow<'j>(json: &'j Json, path: &[Option<String>]) -> Option<&'j Json> {
    let mut at = json;
    for step in path {
        let step = step.as_deref()?;
        at = match at {
            Json::Object(_) => at.member(step)?,
            Json::Array(_) => at.element(step.trim().parse().ok()?)?,
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => return None,
        };
    }
    Some(at)
}

/// Questions about a value.
fn tests() -> Vec<Function> {
    use Takes as T;
    vec![
        Function::new("@>", &[T::Jsonb, T::Jsonb], BOOL, |c| {
            map2::<JsonText, JsonText, _>(c, |a, b| Ok(Some(contains(&Json::parse(a)?, &Json::parse(b)?, true))))
        }),
        Function::new("<@", &[T::Jsonb, T::Jsonb], BOOL, |c| {
            map2::<JsonText, JsonText, _>(c, |a, b| Ok(Some(contains(&Json::parse(b)?, &Json::parse(a)?, true))))
        }),
        Function::new("?", &[T::Jsonb, T::Text], BOOL, |c| {
            map2::<JsonText, Text, _>(c, |j, key| Ok(Some(has(&Json::parse(j)?, key))))
        }),
        Function::new("jsonb_exists", &[T::Jsonb, T::Text], BOOL, |c| {
            map2::<JsonText, Text, _>(c, |j, key| Ok(Some(has(&Json::parse(j)?, key))))
        }),
        Function::new("?|", &[T::Jsonb, T::Texts], BOOL, |c| {
            map2::<JsonText, Texts, _>(c, |j, keys| {
                let json = Json::parse(j)?;
                Ok(Some(keys.iter().flatten().any(|k| has(&json, k))))
            })
        }),
        Function::new("jsonb_exists_any", &[T::Jsonb, T::Texts], BOOL, |c| {
            map2::<JsonText, Texts, _>(c, |j, keys| {
                let json = Json::parse(j)?;
                Ok(Some(keys.iter().flatten().any(|k| has(&json, k))))
            })
        }),
        Function::new("?&", &[T::Jsonb, T::Texts], BOOL, |c| {
            map2::<JsonText, Texts, _>(c, |j, keys| {
                let json = Json::parse(j)?;
                Ok(Some(keys.iter().flatten().all(|k| has(&json, k))))
            })
        }),
        Function::new("jsonb_exists_all", &[T::Jsonb, T::Texts], BOOL, |c| {
            map2::<JsonText, Texts, _>(c, |j, keys| {
                let json = Json::parse(j)?;
                Ok(Some(keys.iter().flatten().all(|k| has(&json, k))))
            })
        }),
        Function::new("jsonb_typeof", &[T::Jsonb], TEXT, |c| {
            map1::<JsonText, _>(c, |j| Ok(Some(Json::parse(j)?.type_name().to_string())))
        }),
        Function::new("json_typeof", &[T::Text], TEXT, |c| {
            map1::<Text, _>(c, |j| Ok(Some(Json::parse(j)?.type_name().to_string())))
        }),
        Function::new("jsonb_array_length", &[T::Jsonb], INT4, |c| {
            map1::<JsonText, _>(c, |j| array_length(&Json::parse(j)?))
        }),
        Function::new(
            "jsonb_sort_key",
            &[T::Jsonb],
            || SqlType::Bytea,
            |c| map1::<JsonText, _>(c, |j| Ok(Some(super::json_order::sort_key(&Json::parse(j)?)))),
        ),
        Function::new("json_array_length", &[T::Text], INT4, |c| {
            map1::<Text, _>(c, |j| array_length(&Json::parse(j)?))
        }),
    ]
}

fn has(json: &Json, key: &str) -> bool {
    match json {
        Json::Object(_) => json.member(key).is_some(),
        Json::Array(elements) => elements.iter().any(|e| matches!(e, Json::String(s) if s == key)),
        Json::String(text) => text == key,
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

/// Whether a value is equal to another, numbers by what they are worth.
fn equal(a: &Json, b: &Json) -> bool {
    fn worth(number: &str) -> &str {
        if number.contains('.') {
            number.trim_end_matches('0').trim_end_matches('.')
        } else {
            number
        }
    }
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => worth(a) == worth(b),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((k, v), (l, w))| k == l && equal(v, w))
        }
        (a, b) => a == b,
    }
}

/// Whether `whole @> part`. On top, an array also contains a scalar.
fn contains(whole: &Json, part: &Json, is_top: bool) -> bool {
    match (whole, part) {
        (Json::Object(_), Json::Object(members)) => members
            .iter()
            .all(|(key, value)| whole.member(key).is_some_and(|v| contains(v, value, false))),
        (Json::Array(elements), Json::Array(wanted)) => {
            wanted.iter().all(|w| elements.iter().any(|e| contains(e, w, false)))
        }
        (Json::Array(elements), scalar) if is_top && !matches!(scalar, Json::Object(_)) => {
            elements.iter().any(|e| equal(e, scalar))
        }
        (a, b) => equal(a, b),
    }
}

fn array_length(json: &Json) -> Answer<i32> {
    match json {
        Json::Array(elements) => Ok(Some(elements.len() as i32)),
        Json::Object(_) => Err(invalid("cannot get array length of a non-array")),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            Err(invalid("cannot get array length of a scalar"))
        }
    }
}

/// A value that is not what the function takes.
pub(crate) fn invalid(message: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// Sets of parts, as lists that FROM unnests.
fn lists() -> Vec<Function> {
    use Takes as T;
    vec![
        Function::new("jsonb_array_elements", &[T::Jsonb], JSONBS, |c| {
            map1::<JsonText, _>(c, |j| {
                Ok(Some(JsonValues(
                    elements(&Json::parse(j)?)?.iter().map(Json::to_string).collect(),
                )))
            })
        }),
        Function::new("jsonb_array_elements_text", &[T::Jsonb], TEXTS, |c| {
            map1::<JsonText, _>(c, |j| {
                Ok(Some(
                    elements(&Json::parse(j)?)?.iter().map(plain_text).collect::<Vec<_>>(),
                ))
            })
        }),
        Function::new("json_array_elements", &[T::Text], JSONS, |c| {
            map1::<Text, _>(c, |j| {
                elements(&Json::parse(j)?)?;
                Ok(Some(
                    json_raw::elements(j)
                        .iter()
                        .map(|e| Some(e.to_string()))
                        .collect::<Vec<_>>(),
                ))
            })
        }),
        Function::new("json_array_elements_text", &[T::Text], TEXTS, |c| {
            map1::<Text, _>(c, |j| {
                Ok(Some(
                    elements(&Json::parse(j)?)?.iter().map(plain_text).collect::<Vec<_>>(),
                ))
            })
        }),
        Function::new("jsonb_object_keys", &[T::Jsonb], TEXTS, |c| {
            map1::<JsonText, _>(c, |j| keys(&Json::parse(j)?, "jsonb_object_keys"))
        }),
        Function::new("json_object_keys", &[T::Text], TEXTS, |c| {
            map1::<Text, _>(c, |j| keys(&Json::parse(j)?, "json_object_keys"))
        }),
    ]
}

fn elements(json: &Json) -> Result<&[Json], SqlError> {
    match json {
        Json::Array(elements) => Ok(elements),
        Json::Object(_) => Err(invalid("cannot extract elements from an object")),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            Err(invalid("cannot extract elements from a scalar"))
        }
    }
}

fn keys(json: &Json, name: &str) -> Answer<Vec<Option<String>>> {
    match json {
        Json::Object(members) => Ok(Some(members.iter().map(|(key, _)| Some(key.clone())).collect())),
        Json::Array(_) => Err(invalid(&format!("cannot call {name} on an array"))),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            Err(invalid(&format!("cannot call {name} on a scalar")))
        }
    }
}
