//! Functions of texts and bytes. Lengths and places count characters, from 1.

use highwater_types::{SqlError, SqlState, SqlType};

use super::function::{Call, Function, Takes};
use super::rows::{Answer, Bytes, Int4, Int8, Text, map_rows, map1, map2, map3, map4};

const TEXT: fn() -> SqlType = || SqlType::Text;
const INT4: fn() -> SqlType = || SqlType::Int4;
const BOOL: fn() -> SqlType = || SqlType::Bool;
const BYTEA: fn() -> SqlType = || SqlType::Bytea;
const TEXTS: fn() -> SqlType = || SqlType::Array(Box::new(SqlType::Text));

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    let mut functions = measuring();
    functions.extend(changing());
    functions.extend(cutting());
    functions.extend(trimming());
    functions.extend(super::string_join::joining());
    functions
}

/// An argument that the function does not take.
pub(crate) fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn characters(text: &str) -> i32 {
    text.chars().count() as i32
}

fn measuring() -> Vec<Function> {
    use Takes as T;
    let mut functions = Vec::new();
    for name in ["length", "char_length", "character_length"] {
        functions.push(Function::new(name, &[T::Text], INT4, |c| {
            map1::<Text, _>(c, |s| Ok(Some(characters(s))))
        }));
    }
    functions.extend([
        Function::new("length", &[T::Bytea], INT4, |c| {
            map1::<Bytes, _>(c, |b| Ok(Some(b.len() as i32)))
        }),
        Function::new("octet_length", &[T::Text], INT4, |c| {
            map1::<Text, _>(c, |s| Ok(Some(s.len() as i32)))
        }),
        Function::new("octet_length", &[T::Bytea], INT4, |c| {
            map1::<Bytes, _>(c, |b| Ok(Some(b.len() as i32)))
        }),
        Function::new("bit_length", &[T::Text], INT4, |c| {
            map1::<Text, _>(c, |s| Ok(Some(s.len() as i32 * 8)))
        }),
        Function::new("bit_length", &[T::Bytea], INT4, |c| {
            map1::<Bytes, _>(c, |b| Ok(Some(b.len() as i32 * 8)))
        }),
        Function::new("ascii", &[T::Text], INT4, |c| {
            map1::<Text, _>(c, |s| Ok(Some(s.chars().next().map_or(0, |c| u32::from(c) as i32))))
        }),
        Function::new("starts_with", &[T::Text, T::Text], BOOL, |c| {
            map2::<Text, Text, _>(c, |s, p| Ok(Some(s.starts_with(p))))
        }),
        Function::new("strpos", &[T::Text, T::Text], INT4, |c| {
            map2::<Text, Text, _>(c, |s, part| Ok(Some(place_of(s, part))))
        }),
        Function::new("position", &[T::Text, T::Text], INT4, |c| {
            map2::<Text, Text, _>(c, |part, s| Ok(Some(place_of(s, part))))
        }),
        Function::new("md5", &[T::Text], TEXT, |c| {
            map1::<Text, _>(c, |s| Ok(Some(super::digest::md5_hex(s.as_bytes()))))
        }),
        Function::new("md5", &[T::Bytea], TEXT, |c| {
            map1::<Bytes, _>(c, |b| Ok(Some(super::digest::md5_hex(b))))
        }),
        Function::new("to_hex", &[T::Int4], TEXT, |c| {
            map1::<Int4, _>(c, |n| Ok(Some(format!("{n:x}"))))
        }),
        Function::new("to_hex", &[T::Int8], TEXT, |c| {
            map1::<Int8, _>(c, |n| Ok(Some(format!("{n:x}"))))
        }),
    ]);
    functions
}

/// Where a part begins, from 1; 0 when it is not in the text.
fn place_of(text: &str, part: &str) -> i32 {
    text.find(part).map_or(0, |at| characters(&text[..at]) + 1)
}

fn changing() -> Vec<Function> {
    use Takes as T;
    vec![
        Function::new("lower", &[T::Text], TEXT, |c| {
            map1::<Text, _>(c, |s| Ok(Some(s.chars().map(lower).collect::<String>())))
        }),
        Function::new("upper", &[T::Text], TEXT, |c| {
            map1::<Text, _>(c, |s| Ok(Some(s.chars().map(upper).collect::<String>())))
        }),
        Function::new("initcap", &[T::Text], TEXT, |c| {
            map1::<Text, _>(c, |s| Ok(Some(initcap(s))))
        }),
        Function::new("reverse", &[T::Text], TEXT, |c| {
            map1::<Text, _>(c, |s| Ok(Some(s.chars().rev().collect::<String>())))
        }),
        Function::new("repeat", &[T::Text, T::Int4], TEXT, |c| {
            map2::<Text, Int4, _>(c, |s, n| {
                let n = usize::try_from(n).unwrap_or(0);
                bounded(s.len().saturating_mul(n))?;
                Ok(Some(s.repeat(n)))
            })
        }),
        Function::new("replace", &[T::Text, T::Text, T::Text], TEXT, |c| {
            map3::<Text, Text, Text, _>(c, |s, from, to| {
                Ok(Some(if from.is_empty() {
                    s.to_string()
                } else {
                    s.replace(from, to)
                }))
            })
        }),
        Function::new("translate", &[T::Text, T::Text, T::Text], TEXT, |c| {
            map3::<Text, Text, Text, _>(c, |s, from, to| Ok(Some(translate(s, from, to))))
        }),
        Function::new("chr", &[T::Int4], TEXT, |c| map1::<Int4, _>(c, chr)),
        Function::new("encode", &[T::Bytea, T::Text], TEXT, |c| {
            map2::<Bytes, Text, _>(c, super::digest::encode)
        }),
        Function::new("decode", &[T::Text, T::Text], BYTEA, |c| {
            map2::<Text, Text, _>(c, super::digest::decode)
        }),
        Function::new("convert_from", &[T::Bytea, T::Text], TEXT, |c| {
            map2::<Bytes, Text, _>(c, |b, _| match std::str::from_utf8(b) {
                Ok(text) => Ok(Some(text.to_string())),
                Err(_) => Err(SqlError::new(
                    SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                    "invalid byte sequence for encoding \"UTF8\"",
                )),
            })
        }),
        Function::new("convert_to", &[T::Text, T::Text], BYTEA, |c| {
            map2::<Text, Text, _>(c, |s, _| Ok(Some(s.as_bytes().to_vec())))
        }),
    ]
}

/// A text is at most this long.
const MAX_TEXT_BYTES: usize = 1 << 30;

fn bounded(bytes: usize) -> Result<(), SqlError> {
    if bytes >= MAX_TEXT_BYTES {
        return Err(SqlError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            "requested length too large",
        ));
    }
    Ok(())
}

/// One character for one, as the C library maps them: `ß` stays.
fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(upper), None) => upper,
        _ => c,
    }
}

fn lower(c: char) -> char {
    let mut mapped = c.to_lowercase();
    match (mapped.next(), mapped.next()) {
        (Some(lower), None) => lower,
        _ => c,
    }
}

fn initcap(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        match inside {
            true => out.push(lower(c)),
            false => out.push(upper(c)),
        }
        inside = c.is_alphanumeric();
    }
    out
}

fn translate(text: &str, from: &str, to: &str) -> String {
    let to: Vec<char> = to.chars().collect();
    let changed = |c: char| match from.chars().position(|f| f == c) {
        None => Some(c),
        Some(at) => to.get(at).copied(),
    };
    text.chars().filter_map(changed).collect()
}

fn chr(code: i32) -> Answer<String> {
    let refused = |message: String| Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
    match code {
        ..0 => Err(invalid("character number must be positive")),
        0 => refused("null character not permitted".to_string()),
        code => match char::from_u32(code as u32) {
            Some(c) => Ok(Some(c.to_string())),
            None if code > 0x10_ffff => refused(format!("requested character too large for encoding: {code}")),
            None => refused(format!("requested character not valid for encoding: {code}")),
        },
    }
}

fn cutting() -> Vec<Function> {
    use Takes as T;
    let mut functions = Vec::new();
    for name in ["substr", "substring"] {
        functions.extend([
            Function::new(name, &[T::Text, T::Int4], TEXT, |c| {
                map2::<Text, Int4, _>(c, |s, from| substring(s, from, None))
            }),
            Function::new(name, &[T::Text, T::Int4, T::Int4], TEXT, |c| {
                map3::<Text, Int4, Int4, _>(c, |s, from, n| substring(s, from, Some(n)))
            }),
            Function::new(name, &[T::Bytea, T::Int4], BYTEA, |c| {
                map2::<Bytes, Int4, _>(c, |b, from| {
                    let (skip, _) = window(from, None)?;
                    Ok(Some(b.iter().skip(skip).copied().collect::<Vec<u8>>()))
                })
            }),
            Function::new(name, &[T::Bytea, T::Int4, T::Int4], BYTEA, |c| {
                map3::<Bytes, Int4, Int4, _>(c, |b, from, n| {
                    let (skip, take) = window(from, Some(n))?;
                    Ok(Some(b.iter().skip(skip).take(take).copied().collect::<Vec<u8>>()))
                })
            }),
        ]);
    }
    functions.extend([
        Function::new("left", &[T::Text, T::Int4], TEXT, |c| {
            map2::<Text, Int4, _>(c, |s, n| Ok(Some(left(s, n).to_string())))
        }),
        Function::new("right", &[T::Text, T::Int4], TEXT, |c| {
            map2::<Text, Int4, _>(c, |s, n| Ok(Some(right(s, n).to_string())))
        }),
        Function::new("split_part", &[T::Text, T::Text, T::Int4], TEXT, |c| {
            map3::<Text, Text, Int4, _>(c, split_part)
        }),
        Function::new("overlay", &[T::Text, T::Text, T::Int4], TEXT, |c| {
            map3::<Text, Text, Int4, _>(c, |s, new, from| overlay(s, new, from, characters(new)))
        }),
        Function::new("overlay", &[T::Text, T::Text, T::Int4, T::Int4], TEXT, |c| {
            map4::<Text, Text, Int4, Int4, _>(c, overlay)
        }),
        Function::new("lpad", &[T::Text, T::Int4], TEXT, |c| {
            map2::<Text, Int4, _>(c, |s, n| pad(s, n, " ", true))
        }),
        Function::new("lpad", &[T::Text, T::Int4, T::Text], TEXT, |c| {
            map3::<Text, Int4, Text, _>(c, |s, n, fill| pad(s, n, fill, true))
        }),
        Function::new("rpad", &[T::Text, T::Int4], TEXT, |c| {
            map2::<Text, Int4, _>(c, |s, n| pad(s, n, " ", false))
        }),
        Function::new("rpad", &[T::Text, T::Int4, T::Text], TEXT, |c| {
            map3::<Text, Int4, Text, _>(c, |s, n, fill| pad(s, n, fill, false))
        }),
        Function::new("string_to_array", &[T::Text, T::Text], TEXTS, string_to_array).with_nulls(),
        Function::new("string_to_array", &[T::Text, T::Text, T::Text], TEXTS, |c| {
            string_to_array(c)
        })
        .with_nulls(),
    ]);
    functions
}

/// How many to skip, and how many to take from there.
fn window(from: i32, count: Option<i32>) -> Result<(usize, usize), SqlError> {
    let start = i64::from(from) - 1;
    let Some(count) = count else {
        return Ok((start.max(0) as usize, usize::MAX));
    };
    if count < 0 {
        return Err(SqlError::new(
            SqlState("22011"),
            "negative substring length not allowed",
        ));
    }
    let end = (start + i64::from(count)).max(0);
    let start = start.max(0);
    Ok((start as usize, (end - start).max(0) as usize))
}

fn substring(text: &str, from: i32, count: Option<i32>) -> Answer<String> {
    let (skip, take) = window(from, count)?;
    if text.is_ascii() {
        let start = skip.min(text.len());
        let end = start.saturating_add(take).min(text.len());
        return Ok(Some(text[start..end].to_string()));
    }
    Ok(Some(text.chars().skip(skip).take(take).collect::<String>()))
}

/// The first `n` characters, or all but the last `-n`.
fn left(text: &str, n: i32) -> &str {
    let keep = if n >= 0 {
        n
    } else {
        characters(text).saturating_add(n).max(0)
    };
    text.char_indices()
        .nth(keep as usize)
        .map_or(text, |(end, _)| &text[..end])
}

/// The last `n` characters, or all but the first `-n`.
fn right(text: &str, n: i32) -> &str {
    let length = characters(text);
    let skip = if n >= 0 {
        length.saturating_sub(n).max(0)
    } else {
        n.saturating_neg().min(length)
    };
    text.char_indices()
        .nth(skip as usize)
        .map_or("", |(start, _)| &text[start..])
}

fn split_part(text: &str, separator: &str, field: i32) -> Answer<String> {
    if field == 0 {
        return Err(invalid("field position must not be zero"));
    }
    if separator.is_empty() {
        let is_whole = field == 1 || field == -1;
        return Ok(Some(if is_whole { text.to_string() } else { String::new() }));
    }
    let place = (field.unsigned_abs() - 1) as usize;
    let part = match field > 0 {
        true => text.split(separator).nth(place),
        false => text.rsplit(separator).nth(place),
    };
    Ok(Some(part.unwrap_or_default().to_string()))
}

fn overlay(text: &str, new: &str, from: i32, count: i32) -> Answer<String> {
    if from <= 0 {
        return Err(SqlError::new(
            SqlState("22011"),
            "negative substring length not allowed",
        ));
    }
    let head: String = text.chars().take(from as usize - 1).collect();
    let rest = (i64::from(from) - 1 + i64::from(count)).max(0) as usize;
    let tail: String = text.chars().skip(rest).collect();
    Ok(Some(format!("{head}{new}{tail}")))
}

fn pad(text: &str, length: i32, fill: &str, at_left: bool) -> Answer<String> {
    let length = length.max(0) as usize;
    bounded(length)?;
    let own = text.chars().count();
    if own >= length || fill.is_empty() {
        return Ok(Some(text.chars().take(length).collect()));
    }
    let padding: String = fill.chars().cycle().take(length - own).collect();
    Ok(Some(if at_left {
        format!("{padding}{text}")
    } else {
        format!("{text}{padding}")
    }))
}

fn string_to_array(call: &Call) -> Result<arrow::array::ArrayRef, SqlError> {
    use arrow::array::AsArray;
    let text = |place: usize, row: usize| {
        let arg = call.args.get(place)?;
        (!arg.is_null(row)).then(|| arg.array.as_string::<i32>().value(arg.at(row)))
    };
    map_rows(call, |row| {
        let Some(whole) = text(0, row) else { return Ok(None) };
        let null = text(2, row);
        let parts: Vec<String> = match text(1, row) {
            _ if whole.is_empty() => Vec::new(),
            None => whole.chars().map(String::from).collect(),
            Some("") => vec![whole.to_string()],
            Some(separator) => whole.split(separator).map(str::to_string).collect(),
        };
        let parts = parts.into_iter().map(|p| Some(p).filter(|p| null != Some(p.as_str())));
        Ok(Some(parts.collect::<Vec<Option<String>>>()))
    })
}

fn trimming() -> Vec<Function> {
    use Takes as T;
    macro_rules! trim {
        ($name:literal, $left:literal, $right:literal) => {
            [
                Function::new($name, &[T::Text], TEXT, |c| {
                    map1::<Text, _>(c, |s| Ok(Some(trim(s, " ", $left, $right))))
                }),
                Function::new($name, &[T::Text, T::Text], TEXT, |c| {
                    map2::<Text, Text, _>(c, |s, set| Ok(Some(trim(s, set, $left, $right))))
                }),
            ]
        };
    }
    let mut functions = Vec::new();
    functions.extend(trim!("btrim", true, true));
    functions.extend(trim!("ltrim", true, false));
    functions.extend(trim!("rtrim", false, true));
    functions
}

fn trim(text: &str, set: &str, at_left: bool, at_right: bool) -> String {
    let mut rest = text;
    if at_left {
        rest = rest.trim_start_matches(|c| set.contains(c));
    }
    if at_right {
        rest = rest.trim_end_matches(|c| set.contains(c));
    }
    rest.to_string()
}
