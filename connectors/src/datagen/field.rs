//! [`Field`]: how one column's values are made.
//!
//! | option | of | means |
//! |---|---|---|
//! | `kind` | all | `random` (default) or `sequence`: numbers that count up with the rows |
//! | `start`, `end` | sequences | the first number; the last one, after which the source ends |
//! | `min`, `max` | random numbers | both may occur; 0 and 32767 unless given |
//! | `length` | random text | letters and digits in it; 10 |
//! | `values` | all | one of these, separated by commas |
//! | `max_past` | dates and timestamps | up to how much a value lies before its row's time, which counts up; 0 |
//! | `null_probability` | all | the share of NULLs; 0 |

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, FixedSizeBinaryBuilder, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, StringBuilder, Time64MicrosecondArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::{nullif, take};
use highwater_types::SqlType;
use highwater_types::text::{TextSettings, parse_column};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use crate::ConnectorError;
use crate::options::{Options, invalid};

const DAY_US: i64 = 86_400_000_000;
const DEFAULT_MAX: f64 = 32_767.0;
const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
/// Decimal places of a random `numeric` that declares none.
const DEFAULT_SCALE: i8 = 2;

/// When a row is said to have happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowTime {
    pub(super) start_us: i64,
    pub(super) step_us: f64,
}

impl RowTime {
    fn of(self, row: u64) -> i64 {
        self.start_us.saturating_add((row as f64 * self.step_us) as i64)
    }
}

/// One column's generator.
#[derive(Debug)]
pub(super) struct Field {
    sql_type: SqlType,
    kind: Kind,
    seed: u64,
    null_probability: f64,
}

#[derive(Debug)]
enum Kind {
    Sequence {
        start: i64,
        end: Option<i64>,
    },
    Integer {
        min: i64,
        max: i64,
    },
    Float {
        min: f64,
        max: f64,
    },
    /// Integers of units of the last decimal place.
    Decimal {
        min: i128,
        max: i128,
        scale: u32,
    },
    Text {
        length: usize,
    },
    Bool,
    Time,
    Uuid,
    RowTime {
        time: RowTime,
        max_past_us: i64,
    },
    OneOf {
        values: ArrayRef,
    },
}

impl Field {
    /// Reads the options of the column `name`.
    pub(super) fn try_new(
        options: &Options,
        name: &str,
        sql_type: &SqlType,
        seed: u64,
        time: RowTime,
    ) -> Result<Field, ConnectorError> {
        let key = |option: &str| format!("fields.{name}.{option}");
        let null_names = [key("null_probability"), key("null_rate")];
        let null_probability = options
            .number(&[&null_names[0], &null_names[1]], 0.0..=1.0)?
            .unwrap_or(0.0);
        let is_sequence = options.word(&[&key("kind")], &["random", "sequence"])? == Some("sequence");
        let values = options.text(&[&key("values")])?;
        let kind = match values {
            Some(list) => one_of(&key("values"), sql_type, &list)?,
            None if is_time(sql_type) => Kind::RowTime {
                time,
                max_past_us: options.interval_us(&[&key("max_past")])?.unwrap_or(0),
            },
            None if is_sequence => sequence(options, name, sql_type)?,
            None => random(options, name, sql_type)?,
        };
        Ok(Field {
            sql_type: sql_type.clone(),
            kind,
            seed: seed ^ fnv(name.as_bytes()),
            null_probability,
        })
    }

    /// After how many rows this column has no more values.
    pub(super) fn row_limit(&self) -> Option<u64> {
        match self.kind {
            Kind::Sequence { start, end: Some(end) } => Some(end.abs_diff(start).saturating_add(1)),
            Kind::Sequence { end: None, .. }
            | Kind::Integer { .. }
            | Kind::Float { .. }
            | Kind::Decimal { .. }
            | Kind::Text { .. }
            | Kind::Bool
            | Kind::Time
            | Kind::Uuid
            | Kind::RowTime { .. }
            | Kind::OneOf { .. } => None,
        }
    }

    /// The values of these rows.
    pub(super) fn column(&self, rows: &[u64]) -> Result<ArrayRef, ConnectorError> {
        let values = self.values(rows)?;
        if self.null_probability == 0.0 {
            return Ok(values);
        }
        // A stream of its own, so that NULLs do not change the values between them.
        let is_null = |row: &u64| draw(!self.seed, *row).random::<f64>() < self.null_probability;
        Ok(nullif(
            &values,
            &BooleanArray::from_iter(rows.iter().map(|row| Some(is_null(row)))),
        )?)
    }

    fn values(&self, rows: &[u64]) -> Result<ArrayRef, ConnectorError> {
        let rngs = rows.iter().map(|row| draw(self.seed, *row));
        match &self.kind {
            Kind::Sequence { start, .. } => self.integers(rows.iter().map(|row| start.wrapping_add(*row as i64))),
            Kind::Integer { min, max } => self.integers(rngs.map(|mut rng| rng.random_range(*min..=*max))),
            Kind::Float { min, max } => {
                let values = rngs.map(|mut rng| min + rng.random::<f64>() * (max - min));
                Ok(match self.sql_type {
                    SqlType::Float4 => Arc::new(Float32Array::from_iter_values(values.map(|v| v as f32))),
                    _ => Arc::new(Float64Array::from_iter_values(values)),
                })
            }
            Kind::Decimal { min, max, scale } => {
                let texts = rngs.map(|mut rng| decimal_text(rng.random_range(*min..=*max), *scale));
                self.parse(&texts.collect::<Vec<_>>())
            }
            Kind::Text { length } => Ok(random_texts(rngs, *length, rows.len())),
            Kind::Bool => Ok(Arc::new(BooleanArray::from_iter(
                rngs.map(|mut rng| Some(rng.random::<bool>())),
            ))),
            Kind::Time => {
                let values = rngs.map(|mut rng| rng.random_range(0..DAY_US));
                Ok(Arc::new(Time64MicrosecondArray::from_iter_values(values)))
            }
            Kind::Uuid => random_uuids(rngs, rows.len()),
            Kind::RowTime { time, max_past_us } => {
                let values = rows
                    .iter()
                    .zip(rngs)
                    .map(|(row, mut rng)| time.of(*row) - rng.random_range(0..=*max_past_us));
                Ok(self.times(values))
            }
            Kind::OneOf { values } => {
                let picks = rngs.map(|mut rng| rng.random_range(0..values.len() as u32));
                Ok(take(values, &UInt32Array::from_iter_values(picks), None)?)
            }
        }
    }

    /// Whole numbers, in whatever type the column is. Bounds were checked when the field was made.
    fn integers(&self, values: impl Iterator<Item = i64>) -> Result<ArrayRef, ConnectorError> {
        Ok(match self.sql_type {
            SqlType::Int2 => Arc::new(Int16Array::from_iter_values(values.map(|v| v as i16))),
            SqlType::Int4 => Arc::new(Int32Array::from_iter_values(values.map(|v| v as i32))),
            SqlType::Int8 => Arc::new(Int64Array::from_iter_values(values)),
            SqlType::Float4 => Arc::new(Float32Array::from_iter_values(values.map(|v| v as f32))),
            SqlType::Float8 => Arc::new(Float64Array::from_iter_values(values.map(|v| v as f64))),
            _ => return self.parse(&values.map(|v| v.to_string()).collect::<Vec<_>>()),
        })
    }

    fn times(&self, values: impl Iterator<Item = i64>) -> ArrayRef {
        match self.sql_type {
            SqlType::Date => Arc::new(Date32Array::from_iter_values(
                values.map(|v| v.div_euclid(DAY_US) as i32),
            )),
            SqlType::Timestamptz => Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC")),
            _ => Arc::new(TimestampMicrosecondArray::from_iter_values(values)),
        }
    }

    fn parse(&self, texts: &[String]) -> Result<ArrayRef, ConnectorError> {
        let mut values = texts.iter().map(|text| Some(text.as_str()));
        Ok(parse_column(&self.sql_type, &mut values, &TextSettings::default())?)
    }
}

fn is_time(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Timestamp | SqlType::Timestamptz | SqlType::Date)
}

fn sequence(options: &Options, name: &str, sql_type: &SqlType) -> Result<Kind, ConnectorError> {
    let key = |option: &str| format!("fields.{name}.{option}");
    let bounds = integer_bounds(sql_type);
    let start = options.number(&[&key("start")], bounds.clone())?.unwrap_or(0);
    let end = options.number(&[&key("end")], start..=*bounds.end())?;
    match sql_type {
        SqlType::Int2 | SqlType::Int4 | SqlType::Int8 => Ok(Kind::Sequence {
            start,
            // Past the type's last number there is nothing to go on with.
            end: end.or_else(|| (*sql_type != SqlType::Int8).then_some(*bounds.end())),
        }),
        SqlType::Float4 | SqlType::Float8 | SqlType::Numeric(_) | SqlType::Text | SqlType::Varchar(None) => {
            Ok(Kind::Sequence { start, end })
        }
        _ => Err(ConnectorError::ColumnType {
            column: name.to_string(),
            declared: sql_type.clone(),
            expected: "A sequence is of numbers, text or timestamps.".to_string(),
        }),
    }
}

fn random(options: &Options, name: &str, sql_type: &SqlType) -> Result<Kind, ConnectorError> {
    let key = |option: &str| format!("fields.{name}.{option}");
    match sql_type {
        SqlType::Int2 | SqlType::Int4 | SqlType::Int8 => {
            let bounds = integer_bounds(sql_type);
            let min = options.number(&[&key("min")], bounds.clone())?;
            let max = options.number(&[&key("max")], min.unwrap_or(*bounds.start())..=*bounds.end())?;
            let max = max.unwrap_or_else(|| (DEFAULT_MAX as i64).max(min.unwrap_or(0)));
            Ok(Kind::Integer {
                min: min.unwrap_or(0.min(max)),
                max,
            })
        }
        SqlType::Float4 | SqlType::Float8 => {
            let (min, max) = float_bounds(options, name)?;
            Ok(Kind::Float { min, max })
        }
        SqlType::Numeric(shape) => {
            let scale = shape.map_or(DEFAULT_SCALE, |(_, scale)| scale).max(0) as u32;
            let (min, max) = float_bounds(options, name)?;
            let factor = 10f64.powi(scale as i32);
            // The largest number that numeric(p, s) holds, in units of its last place.
            let limit = shape.map_or(i128::MAX, |(p, _)| {
                10i128.checked_pow(u32::from(p)).map_or(i128::MAX, |n| n - 1)
            });
            let units = |v: f64| ((v * factor).round() as i128).clamp(-limit, limit);
            Ok(Kind::Decimal {
                min: units(min),
                max: units(max),
                scale,
            })
        }
        SqlType::Text | SqlType::Varchar(_) | SqlType::Bpchar(_) => {
            let limit = match sql_type {
                SqlType::Varchar(Some(limit)) | SqlType::Bpchar(Some(limit)) => *limit as usize,
                _ => 1 << 20,
            };
            let length = options.number(&[&key("length")], 0..=limit)?;
            Ok(Kind::Text {
                length: length.unwrap_or(10.min(limit)),
            })
        }
        SqlType::Bool => Ok(Kind::Bool),
        SqlType::Time => Ok(Kind::Time),
        SqlType::Uuid => Ok(Kind::Uuid),
        _ => Err(ConnectorError::ColumnType {
            column: name.to_string(),
            declared: sql_type.clone(),
            expected: format!("Values of this type are not made up: list some in {:?}.", key("values")),
        }),
    }
}

fn float_bounds(options: &Options, name: &str) -> Result<(f64, f64), ConnectorError> {
    let min = options.number(&[&format!("fields.{name}.min")], -1e30..=1e30)?;
    let max = options.number(&[&format!("fields.{name}.max")], min.unwrap_or(-1e30)..=1e30)?;
    let max = max.unwrap_or_else(|| DEFAULT_MAX.max(min.unwrap_or(0.0)));
    Ok((min.unwrap_or_else(|| max.min(0.0)), max))
}

fn integer_bounds(sql_type: &SqlType) -> std::ops::RangeInclusive<i64> {
    match sql_type {
        SqlType::Int2 => i64::from(i16::MIN)..=i64::from(i16::MAX),
        SqlType::Int4 => i64::from(i32::MIN)..=i64::from(i32::MAX),
        _ => i64::MIN..=i64::MAX,
    }
}

fn one_of(option: &str, sql_type: &SqlType, list: &str) -> Result<Kind, ConnectorError> {
    let mut words = list.split(',').map(|word| Some(word.trim()));
    match parse_column(sql_type, &mut words, &TextSettings::default()) {
        Ok(values) => Ok(Kind::OneOf { values }),
        Err(error) => Err(invalid(
            option.to_string(),
            list.to_string(),
            &format!("Values separated by commas; {error}."),
        )),
    }
}

/// The source of a value's randomness. The algorithm is named, so that it stays what it is.
fn draw(seed: u64, row: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_add(row.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

fn random_texts(rngs: impl Iterator<Item = Xoshiro256PlusPlus>, length: usize, count: usize) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(count, count * length);
    let mut text = String::with_capacity(length);
    for mut rng in rngs {
        text.clear();
        text.extend((0..length).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())])));
        builder.append_value(&text);
    }
    Arc::new(builder.finish())
}

fn random_uuids(rngs: impl Iterator<Item = Xoshiro256PlusPlus>, count: usize) -> Result<ArrayRef, ConnectorError> {
    let mut builder = FixedSizeBinaryBuilder::with_capacity(count, 16);
    for mut rng in rngs {
        let mut bytes = rng.random::<u128>().to_be_bytes();
        // Version 4, variant 1.
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        builder.append_value(bytes)?;
    }
    Ok(Arc::new(builder.finish()))
}

fn decimal_text(units: i128, scale: u32) -> String {
    let factor = 10u128.pow(scale);
    let (whole, rest) = (units.unsigned_abs() / factor, units.unsigned_abs() % factor);
    let sign = if units < 0 { "-" } else { "" };
    if scale == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{rest:0width$}", width = scale as usize)
    }
}

/// Fowler, Noll and Vo's hash, version 1a.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
