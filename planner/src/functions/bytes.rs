//! Functions of bytes that have no like for texts: single bits and bytes; and trimming, cutting in, and searching.

use highwater_types::{SqlError, SqlState, SqlType};

use super::function::{Function, Takes};
use super::rows::{Bytes, Int4, Int8, map1, map2, map3, map4};

const INT4: fn() -> SqlType = || SqlType::Int4;
const INT8: fn() -> SqlType = || SqlType::Int8;
const BYTEA: fn() -> SqlType = || SqlType::Bytea;

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    let mut functions = single();
    functions.extend(whole());
    functions
}

/// Bits and bytes by their number, from 0.
fn single() -> Vec<Function> {
    use Takes as T;
    vec![
        Function::new("get_byte", &[T::Bytea, T::Int4], INT4, |c| {
            map2::<Bytes, Int4, _>(c, |b, at| Ok(Some(i32::from(b[place(i64::from(at), b.len())?]))))
        }),
        Function::new("set_byte", &[T::Bytea, T::Int4, T::Int4], BYTEA, |c| {
            map3::<Bytes, Int4, Int4, _>(c, |b, at, new| {
                let at = place(i64::from(at), b.len())?;
                let mut bytes = b.to_vec();
                bytes[at] = new as u8;
                Ok(Some(bytes))
            })
        }),
        Function::new("get_bit", &[T::Bytea, T::Int8], INT4, |c| {
            map2::<Bytes, Int8, _>(c, |b, at| {
                let at = place(at, b.len() * 8)?;
                Ok(Some(i32::from(b[at / 8] >> (at % 8) & 1)))
            })
        }),
        Function::new("set_bit", &[T::Bytea, T::Int8, T::Int4], BYTEA, |c| {
            map3::<Bytes, Int8, Int4, _>(c, |b, at, new| {
                let at = place(at, b.len() * 8)?;
                let mut bytes = b.to_vec();
                match new {
                    0 => bytes[at / 8] &= !(1 << (at % 8)),
                    1 => bytes[at / 8] |= 1 << (at % 8),
                    _ => return Err(super::string::invalid("new bit must be 0 or 1")),
                }
                Ok(Some(bytes))
            })
        }),
        Function::new("bit_count", &[T::Bytea], INT8, |c| {
            map1::<Bytes, _>(c, |b| {
                Ok(Some(b.iter().map(|byte| i64::from(byte.count_ones())).sum::<i64>()))
            })
        }),
    ]
}

fn place(at: i64, length: usize) -> Result<usize, SqlError> {
    usize::try_from(at).ok().filter(|at| *at < length).ok_or_else(|| {
        SqlError::new(
            SqlState("2202E"),
            format!("index {at} out of valid range, 0..{}", length as i64 - 1),
        )
    })
}

fn whole() -> Vec<Function> {
    use Takes as T;
    vec![
        Function::new("btrim", &[T::Bytea, T::Bytea], BYTEA, |c| {
            map2::<Bytes, Bytes, _>(c, |b, set| Ok(Some(trim(b, set, true, true))))
        }),
        Function::new("ltrim", &[T::Bytea, T::Bytea], BYTEA, |c| {
            map2::<Bytes, Bytes, _>(c, |b, set| Ok(Some(trim(b, set, true, false))))
        }),
        Function::new("rtrim", &[T::Bytea, T::Bytea], BYTEA, |c| {
            map2::<Bytes, Bytes, _>(c, |b, set| Ok(Some(trim(b, set, false, true))))
        }),
        Function::new("strpos", &[T::Bytea, T::Bytea], INT4, |c| {
            map2::<Bytes, Bytes, _>(c, |b, part| Ok(Some(place_of(b, part))))
        }),
        Function::new("position", &[T::Bytea, T::Bytea], INT4, |c| {
            map2::<Bytes, Bytes, _>(c, |part, b| Ok(Some(place_of(b, part))))
        }),
        Function::new("overlay", &[T::Bytea, T::Bytea, T::Int4], BYTEA, |c| {
            map3::<Bytes, Bytes, Int4, _>(c, |b, new, from| overlay(b, new, from, new.len() as i32))
        }),
        Function::new("overlay", &[T::Bytea, T::Bytea, T::Int4, T::Int4], BYTEA, |c| {
            map4::<Bytes, Bytes, Int4, Int4, _>(c, overlay)
        }),
    ]
}

fn trim(bytes: &[u8], set: &[u8], at_left: bool, at_right: bool) -> Vec<u8> {
    let mut rest = bytes;
    while at_left && rest.first().is_some_and(|b| set.contains(b)) {
        rest = &rest[1..];
    }
    while at_right && rest.last().is_some_and(|b| set.contains(b)) {
        rest = &rest[..rest.len() - 1];
    }
    rest.to_vec()
}

/// Where a part begins, from 1; 0 when it is not there.
fn place_of(bytes: &[u8], part: &[u8]) -> i32 {
    if part.is_empty() {
        return 1;
    }
    let at = bytes.windows(part.len()).position(|window| window == part);
    at.map_or(0, |at| at as i32 + 1)
}

fn overlay(bytes: &[u8], new: &[u8], from: i32, count: i32) -> super::rows::Answer<Vec<u8>> {
    if from <= 0 {
        return Err(SqlError::new(
            SqlState("22011"),
            "negative substring length not allowed",
        ));
    }
    let start = (from as usize - 1).min(bytes.len());
    let rest = (i64::from(from) - 1 + i64::from(count)).clamp(0, bytes.len() as i64) as usize;
    Ok(Some([&bytes[..start], new, &bytes[rest..]].concat()))
}
