//! jsonb values made of others: merging, taking out, setting, and their printed form.

use highwater_types::text::json::{Json, write_quoted};
use highwater_types::{SqlError, SqlState, SqlType};

use super::function::{Function, Takes};
use super::json::{invalid, jsonb};
use super::rows::{Answer, Bool, Int4, JsonText, JsonValue, Text, Texts, map1, map2, map3, map4};

const JSONB: fn() -> SqlType = || SqlType::Jsonb;
const JSON: fn() -> SqlType = || SqlType::Json;
const TEXT: fn() -> SqlType = || SqlType::Text;

/// Values made of others.
pub(crate) fn changes() -> Vec<Function> {
    use Takes as T;
    vec![
        Function::new("||", &[T::Jsonb, T::Jsonb], JSONB, |c| {
            map2::<JsonText, JsonText, _>(c, |a, b| normal(concat(Json::parse(a)?, Json::parse(b)?)))
        }),
        Function::new("-", &[T::Jsonb, T::Text], JSONB, |c| {
            map2::<JsonText, Text, _>(c, |j, key| normal(without(Json::parse(j)?, &[Some(key.to_string())])?))
        }),
        Function::new("-", &[T::Jsonb, T::Texts], JSONB, |c| {
            map2::<JsonText, Texts, _>(c, |j, keys| normal(without(Json::parse(j)?, &keys)?))
        }),
        Function::new("-", &[T::Jsonb, T::Int4], JSONB, |c| {
            map2::<JsonText, Int4, _>(c, |j, at| normal(without_element(Json::parse(j)?, i64::from(at))?))
        }),
        Function::new("#-", &[T::Jsonb, T::Texts], JSONB, |c| {
            map2::<JsonText, Texts, _>(c, |j, path| normal(without_path(Json::parse(j)?, &path)?))
        }),
        Function::new("jsonb_set", &[T::Jsonb, T::Texts, T::Jsonb], JSONB, |c| {
            map3::<JsonText, Texts, JsonText, _>(c, |j, path, new| {
                normal(set(container(Json::parse(j)?)?, &path, &Json::parse(new)?, true)?)
            })
        }),
        Function::new("jsonb_set", &[T::Jsonb, T::Texts, T::Jsonb, T::Bool], JSONB, |c| {
            map4::<JsonText, Texts, JsonText, Bool, _>(c, |j, path, new, create| {
                normal(set(container(Json::parse(j)?)?, &path, &Json::parse(new)?, create)?)
            })
        }),
        Function::new("jsonb_insert", &[T::Jsonb, T::Texts, T::Jsonb], JSONB, |c| {
            map3::<JsonText, Texts, JsonText, _>(c, |j, path, new| {
                normal(insert(container(Json::parse(j)?)?, &path, &Json::parse(new)?, false)?)
            })
        }),
        Function::new("jsonb_insert", &[T::Jsonb, T::Texts, T::Jsonb, T::Bool], JSONB, |c| {
            map4::<JsonText, Texts, JsonText, Bool, _>(c, |j, path, new, after| {
                normal(insert(container(Json::parse(j)?)?, &path, &Json::parse(new)?, after)?)
            })
        }),
        Function::new("jsonb_strip_nulls", &[T::Jsonb], JSONB, |c| {
            map1::<JsonText, _>(c, |j| normal(strip_nulls(Json::parse(j)?)))
        }),
        Function::new("json_strip_nulls", &[T::Text], JSON, |c| {
            map1::<Text, _>(c, |j| {
                let mut out = String::new();
                strip_nulls(Json::parse(j)?).write_with(&mut out, ",", ":");
                Ok(Some(out))
            })
        }),
        Function::new("jsonb_pretty", &[T::Jsonb], TEXT, |c| {
            map1::<JsonText, _>(c, |j| {
                let mut out = String::new();
                pretty(&Json::parse(j)?, 0, &mut out);
                Ok(Some(out))
            })
        }),
    ]
}

fn normal(mut value: Json) -> Answer<JsonValue> {
    value.normalise();
    Ok(Some(jsonb(&value)))
}

fn concat(a: Json, b: Json) -> Json {
    let listed = |j| match j {
        Json::Array(elements) => elements,
        other => vec![other],
    };
    match (a, b) {
        (Json::Object(mut members), Json::Object(more)) => {
            members.extend(more);
            Json::Object(members)
        }
        (a, b) => {
            let mut elements = listed(a);
            elements.extend(listed(b));
            Json::Array(elements)
        }
    }
}

fn without(json: Json, keys: &[Option<String>]) -> Result<Json, SqlError> {
    let named = |name: &str| keys.iter().flatten().any(|k| k == name);
    match json {
        Json::Object(mut members) => {
            members.retain(|(key, _)| !named(key));
            Ok(Json::Object(members))
        }
        Json::Array(mut elements) => {
            elements.retain(|e| !matches!(e, Json::String(s) if named(s)));
            Ok(Json::Array(elements))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Err(invalid("cannot delete from scalar")),
    }
}

fn without_element(json: Json, index: i64) -> Result<Json, SqlError> {
    match json {
        Json::Array(mut elements) => {
            if let Some(at) = place(index, elements.len()) {
                elements.remove(at);
            }
            Ok(Json::Array(elements))
        }
        Json::Object(_) => Err(invalid("cannot delete from object using integer index")),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Err(invalid("cannot delete from scalar")),
    }
}

/// The place of an index that may count from the end.
fn place(index: i64, length: usize) -> Option<usize> {
    let at = if index < 0 { index + length as i64 } else { index };
    usize::try_from(at).ok().filter(|at| *at < length)
}

fn without_path(mut json: Json, path: &[Option<String>]) -> Result<Json, SqlError> {
    let Some((last, parents)) = path.split_last() else {
        return Ok(json);
    };
    if let Some(parent) = follow_mut(&mut json, parents)? {
        let last = last.clone();
        let taken = std::mem::replace(parent, Json::Null);
        *parent = match taken {
            Json::Array(elements) => match &last {
                Some(last) => without_element(Json::Array(elements), index(last, path.len())?)?,
                None => Json::Array(elements),
            },
            Json::Object(members) => without(Json::Object(members), &[last])?,
            scalar => scalar,
        };
    }
    Ok(json)
}

/// A step of a path as the index of an element.
fn index(step: &str, position: usize) -> Result<i64, SqlError> {
    step.trim().parse().map_err(|_| {
        SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("path element at position {position} is not an integer: \"{step}\""),
        )
    })
}

fn follow_mut<'j>(json: &'j mut Json, path: &[Option<String>]) -> Result<Option<&'j mut Json>, SqlError> {
    let mut at = json;
    for (depth, step) in path.iter().enumerate() {
        let Some(step) = step.as_deref() else { return Ok(None) };
        let next = match at {
            Json::Object(members) => members.iter_mut().find(|(k, _)| k == step).map(|(_, v)| v),
            Json::Array(elements) => match place(index(step, depth + 1)?, elements.len()) {
                Some(at) => elements.get_mut(at),
                None => None,
            },
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
        };
        match next {
            Some(next) => at = next,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

fn set(mut json: Json, path: &[Option<String>], new: &Json, create: bool) -> Result<Json, SqlError> {
    let Some((Some(last), parents)) = path.split_last() else {
        return Ok(json);
    };
    match follow_mut(&mut json, parents)? {
        Some(Json::Object(members)) => match members.iter_mut().find(|(k, _)| k == last) {
            Some((_, value)) => *value = new.clone(),
            None if create => members.push((last.clone(), new.clone())),
            None => {}
        },
        Some(Json::Array(elements)) => {
            let index = index(last, path.len())?;
            match place(index, elements.len()) {
                Some(at) => elements[at] = new.clone(),
                None if create && index < 0 => elements.insert(0, new.clone()),
                None if create => elements.push(new.clone()),
                None => {}
            }
        }
        _ => {}
    }
    Ok(json)
}

/// A value in which a path can lead somewhere.
fn container(json: Json) -> Result<Json, SqlError> {
    match json {
        Json::Array(_) | Json::Object(_) => Ok(json),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Err(invalid("cannot set path in scalar")),
    }
}

/// A new member, or a new element before or after another.
fn insert(mut json: Json, path: &[Option<String>], new: &Json, after: bool) -> Result<Json, SqlError> {
    let Some((Some(last), parents)) = path.split_last() else {
        return Ok(json);
    };
    match follow_mut(&mut json, parents)? {
        Some(Json::Object(members)) => {
            if members.iter().any(|(key, _)| key == last) {
                return Err(invalid("cannot replace existing key")
                    .with_hint("Try using the function jsonb_set to replace key value."));
            }
            members.push((last.clone(), new.clone()));
        }
        Some(Json::Array(elements)) => {
            let index = index(last, path.len())?;
            let at = match place(index, elements.len()) {
                Some(at) => at + usize::from(after),
                None if index < 0 => 0,
                None => elements.len(),
            };
            elements.insert(at, new.clone());
        }
        _ => {}
    }
    Ok(json)
}

fn strip_nulls(json: Json) -> Json {
    match json {
        Json::Object(members) => {
            let kept = members.into_iter().filter(|(_, v)| *v != Json::Null);
            Json::Object(kept.map(|(k, v)| (k, strip_nulls(v))).collect())
        }
        Json::Array(elements) => Json::Array(elements.into_iter().map(strip_nulls).collect()),
        scalar => scalar,
    }
}

fn pretty(json: &Json, depth: usize, out: &mut String) {
    let indent = |depth: usize, out: &mut String| {
        out.push('\n');
        out.push_str(&"    ".repeat(depth));
    };
    match json {
        Json::Object(members) => {
            out.push('{');
            for (at, (key, value)) in members.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                indent(depth + 1, out);
                write_quoted(key, out);
                out.push_str(": ");
                pretty(value, depth + 1, out);
            }
            indent(depth, out);
            out.push('}');
        }
        Json::Array(elements) => {
            out.push('[');
            for (at, element) in elements.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                indent(depth + 1, out);
                pretty(element, depth + 1, out);
            }
            indent(depth, out);
            out.push(']');
        }
        scalar => scalar.write(out),
    }
}
