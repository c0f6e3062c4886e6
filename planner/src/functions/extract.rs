//! EXTRACT, which answers a numeric, and `date_part`, which answers a double.
//!
//! The numeric's scale follows the field, as in PostgreSQL: `second` and `epoch` have six digits after the point,
//! `milliseconds` three, all others none. Where the field is no constant the result is an unconstrained numeric.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow::datatypes::{Float64Type, i256};
use highwater_types::text::datetime::zone::Zone;
use highwater_types::text::datetime::{
    Civil, DATE_INFINITY, DATE_NEG_INFINITY, DAY_US, HOUR_US, MINUTE_US, SECOND_US, days_from_civil, julian_day,
};
use highwater_types::text::numeric::{Numeric, overflow, rescale};
use highwater_types::{IntervalParts, SqlError, SqlType, UNCONSTRAINED_NUMERIC};

use super::cast::cast_array;
use super::cast_number::{build, scale_of};
use super::cast_time::{instant_to_local, is_infinite};
use super::date_trunc::{unit_name, unknown_unit, unsupported_unit};
use super::function::{Call, Function, Gives, Takes, TypeArgs};

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    use Takes as T;
    let sources: [&'static [Takes]; 4] = [
        &[T::Text, T::Timestamp],
        &[T::Text, T::Timestamptz],
        &[T::Text, T::Time],
        &[T::Text, T::Interval],
    ];
    let extracting = |takes| Function::new("extract", takes, || SqlType::Numeric(None), extract);
    let of_date: &'static [Takes] = &[T::Text, T::Date];
    let mut functions = vec![
        extracting(of_date).giving(Gives::From(field_type)),
        Function::new("date_part", of_date, || SqlType::Float8, date_part_of_midnight),
    ];
    for takes in sources {
        functions.push(extracting(takes).giving(Gives::From(field_type)).stable());
        functions.push(Function::new("date_part", takes, || SqlType::Float8, date_part).stable());
    }
    functions
}

/// `date_part` takes a date for its midnight, which has hours; EXTRACT does not.
fn date_part_of_midnight(call: &Call) -> Result<ArrayRef, SqlError> {
    let date = &call.args[1].array;
    let midnight = cast_array(date, &SqlType::Date, &SqlType::Timestamp, false, &call.settings)?;
    date_part(&call.with_arg(1, midnight, SqlType::Timestamp.to_field("midnight")))
}

/// The result's type, by the field.
fn field_type(args: &TypeArgs<'_>) -> DataType {
    let field = match args.constants.first() {
        Some(Some(datafusion::common::ScalarValue::Utf8(Some(field)))) => unit_name(field),
        _ => return UNCONSTRAINED_NUMERIC,
    };
    let of_date = matches!(args.types[1], DataType::Date32);
    let scale = match field.as_str() {
        "epoch" if of_date => 0,
        "epoch" | "second" => 6,
        "milliseconds" => 3,
        "julian" if !of_date => return UNCONSTRAINED_NUMERIC,
        _ => 0,
    };
    DataType::Decimal128(38, scale)
}

/// A field's value: a whole number, so many digits of which stand after the point; NULL, or infinite.
#[derive(Debug, Clone, Copy)]
enum Value {
    Number(i128, i32),
    Infinite(bool),
    Missing,
}

fn whole(value: impl Into<i128>) -> Value {
    Value::Number(value.into(), 0)
}

fn value_at(call: &Call, row: usize) -> Result<Value, SqlError> {
    let (field, source) = (&call.args[0], &call.args[1]);
    let unit = field.array.as_string::<i32>().value(field.at(row));
    let name = unit_name(unit);
    let at = source.at(row);
    match source.array.data_type() {
        DataType::Date32 => of_date(unit, &name, source.array.as_primitive::<Date32Type>().value(at)),
        DataType::Time64(_) => of_time(
            unit,
            &name,
            source.array.as_primitive::<Time64MicrosecondType>().value(at),
        ),
        DataType::Interval(_) => of_interval(
            unit,
            &name,
            source.array.as_primitive::<IntervalMonthDayNanoType>().value(at).into(),
        ),
        DataType::Timestamp(_, zone) => {
            let us = source.array.as_primitive::<TimestampMicrosecondType>().value(at);
            let zone = zone.as_ref().map(|_| Zone::Named(call.settings.time_zone));
            of_timestamp(unit, &name, us, zone)
        }
        other => Err(unknown_unit(unit, &SqlType::of_arrow(other).to_string())),
    }
}

/// The fields that a time of day has.
fn of_clock(name: &str, us: i64) -> Option<Value> {
    Some(match name {
        "microseconds" => whole(us % MINUTE_US),
        "milliseconds" => Value::Number(i128::from(us % MINUTE_US), 3),
        "second" => Value::Number(i128::from(us % MINUTE_US), 6),
        "minute" => whole(us / MINUTE_US % 60),
        "hour" => whole(us / HOUR_US),
        _ => return None,
    })
}

/// The fields that a day has.
fn of_day(name: &str, days: i64) -> Option<Value> {
    let civil = Civil::from_days(days);
    let year = i64::from(civil.year);
    // As people count: no year 0.
    let counted = if year > 0 { year } else { year - 1 };
    let part_of = |length: i64| {
        if counted > 0 {
            (counted + length - 1) / length
        } else {
            -((length - 1 - counted) / length)
        }
    };
    let weekday = (days + 4).rem_euclid(7);
    Some(whole(match name {
        "day" => i64::from(civil.day),
        "month" => i64::from(civil.month),
        "quarter" => i64::from((civil.month - 1) / 3 + 1),
        "year" => counted,
        "decade" => year.div_euclid(10),
        "century" => part_of(100),
        "millennium" => part_of(1000),
        "dow" => weekday,
        "isodow" => (weekday + 6) % 7 + 1,
        "doy" => days - days_from_civil(year, 1, 1) + 1,
        "week" => iso_week(days).1,
        "isoyear" => {
            let iso = iso_week(days).0;
            if iso > 0 { iso } else { iso - 1 }
        }
        "julian" => julian_day(days),
        _ => return None,
    }))
}

/// ISO 8601's year and week of a day.
pub(crate) fn iso_week(days: i64) -> (i64, i64) {
    // The Thursday of a week decides which year it belongs to.
    let thursday = days - (days + 3).rem_euclid(7) + 3;
    let year = i64::from(Civil::from_days(thursday).year);
    (year, (thursday - days_from_civil(year, 1, 1)) / 7 + 1)
}

/// What an infinite date or timestamp answers: infinity for fields that grow without bound, NULL for the others.
fn of_infinity(unit: &str, name: &str, is_positive: bool, type_name: &str) -> Result<Value, SqlError> {
    match name {
        "microseconds" | "milliseconds" | "second" | "minute" | "hour" | "day" | "month" | "quarter" | "week"
        | "dow" | "isodow" | "doy" | "timezone" | "timezone_hour" | "timezone_minute" => Ok(Value::Missing),
        "year" | "decade" | "century" | "millennium" | "julian" | "isoyear" | "epoch" => {
            Ok(Value::Infinite(is_positive))
        }
        _ => Err(unknown_unit(unit, type_name)),
    }
}

fn of_date(unit: &str, name: &str, days: i32) -> Result<Value, SqlError> {
    if matches!(days, DATE_INFINITY | DATE_NEG_INFINITY) {
        return of_infinity(unit, name, days == DATE_INFINITY, "date");
    }
    match name {
        "epoch" => Ok(whole(i128::from(days) * 86_400)),
        "microseconds" | "milliseconds" | "second" | "minute" | "hour" | "timezone" | "timezone_hour"
        | "timezone_minute" => Err(unsupported_unit(unit, "date")),
        _ => of_day(name, i64::from(days)).ok_or_else(|| unknown_unit(unit, "date")),
    }
}

fn of_time(unit: &str, name: &str, us: i64) -> Result<Value, SqlError> {
    let type_name = "time without time zone";
    match name {
        "epoch" => Ok(Value::Number(i128::from(us), 6)),
        _ => match of_clock(name, us) {
            Some(value) => Ok(value),
            None if of_day(name, 0).is_some() || name.starts_with("timezone") => Err(unsupported_unit(unit, type_name)),
            None => Err(unknown_unit(unit, type_name)),
        },
    }
}

fn of_timestamp(unit: &str, name: &str, us: i64, zone: Option<Zone>) -> Result<Value, SqlError> {
    let type_name = match zone {
        Some(_) => "timestamp with time zone",
        None => "timestamp without time zone",
    };
    if is_infinite(us) {
        return of_infinity(unit, name, us > 0, type_name);
    }
    let local = match zone {
        Some(zone) => instant_to_local(us, zone)?,
        None => us,
    };
    let offset = zone.map(|z| z.offset_at(us));
    match (name, offset) {
        ("epoch", _) => Ok(Value::Number(i128::from(us), 6)),
        ("timezone", Some(seconds)) => Ok(whole(seconds)),
        ("timezone_hour", Some(seconds)) => Ok(whole(seconds / 3600)),
        ("timezone_minute", Some(seconds)) => Ok(whole(seconds / 60 % 60)),
        ("timezone" | "timezone_hour" | "timezone_minute", None) => Err(unsupported_unit(unit, type_name)),
        ("julian", _) => {
            let day = julian_day(local.div_euclid(DAY_US));
            let part = i128::from(local.rem_euclid(DAY_US)) * 10i128.pow(20) / i128::from(DAY_US);
            Ok(Value::Number(i128::from(day) * 10i128.pow(20) + part, 20))
        }
        _ => of_clock(name, local.rem_euclid(DAY_US))
            .or_else(|| of_day(name, local.div_euclid(DAY_US)))
            .ok_or_else(|| unknown_unit(unit, type_name)),
    }
}

fn of_interval(unit: &str, name: &str, parts: IntervalParts) -> Result<Value, SqlError> {
    let (months, us) = (i64::from(parts.months), parts.micros);
    let years = months / 12;
    Ok(match name {
        "microseconds" | "milliseconds" | "second" | "minute" => {
            of_clock(name, us).ok_or_else(|| unknown_unit(unit, "interval"))?
        }
        "hour" => whole(us / HOUR_US),
        "day" => whole(parts.days),
        "month" => whole(months % 12),
        "quarter" => whole(months % 12 / 3 + 1),
        "year" => whole(years),
        "decade" => whole(years / 10),
        "century" => whole(years / 100),
        "millennium" => whole(years / 1000),
        "epoch" => {
            // A year counts 365.25 days here, a month of the rest 30.
            let seconds =
                i128::from(years) * 31_557_600 + (i128::from(months % 12) * 30 + i128::from(parts.days)) * 86_400;
            Value::Number(seconds * i128::from(SECOND_US) + i128::from(us), 6)
        }
        "week" | "dow" | "isodow" | "doy" | "isoyear" | "julian" | "timezone" | "timezone_hour" | "timezone_minute" => {
            return Err(unsupported_unit(unit, "interval"));
        }
        _ => return Err(unknown_unit(unit, "interval")),
    })
}

fn extract(call: &Call) -> Result<ArrayRef, SqlError> {
    let to = scale_of(&call.return_type);
    let values = (0..call.rows).map(|row| {
        if call.skips(row) {
            return Ok(None);
        }
        Ok(match value_at(call, row)? {
            Value::Missing => None,
            Value::Infinite(true) => Some(Numeric::Infinity),
            Value::Infinite(false) => Some(Numeric::NegInfinity),
            Value::Number(number, scale) => {
                let number = rescale(i256::from_i128(number), scale, to).ok_or_else(overflow)?;
                Some(Numeric::Finite(number))
            }
        })
    });
    build(&call.return_type, call.rows, values)
}

fn date_part(call: &Call) -> Result<ArrayRef, SqlError> {
    let mut doubles = arrow::array::PrimitiveBuilder::<Float64Type>::with_capacity(call.rows);
    for row in 0..call.rows {
        if call.skips(row) {
            doubles.append_null();
            continue;
        }
        doubles.append_option(match value_at(call, row)? {
            Value::Missing => None,
            Value::Infinite(true) => Some(f64::INFINITY),
            Value::Infinite(false) => Some(f64::NEG_INFINITY),
            Value::Number(number, scale) => Some(number as f64 / 10f64.powi(scale)),
        });
    }
    Ok(std::sync::Arc::new(doubles.finish()))
}
