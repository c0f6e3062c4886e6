//! Every line of `cases.txt`, whose outputs are PostgreSQL's own, read and written here.

use super::*;
use crate::SqlType;

fn sql_type(name: &str) -> SqlType {
    let (base, limits) = match name.split_once('(') {
        None => (name, Vec::new()),
        Some((base, rest)) => {
            let inside = rest.trim_end_matches(')').split(',');
            (base, inside.map(|n| n.parse::<i32>().expect("a limit")).collect())
        }
    };
    match base {
        "boolean" => SqlType::Bool,
        "smallint" => SqlType::Int2,
        "integer" => SqlType::Int4,
        "bigint" => SqlType::Int8,
        "oid" => SqlType::Oid,
        "real" => SqlType::Float4,
        "double precision" => SqlType::Float8,
        "numeric" => SqlType::Numeric((!limits.is_empty()).then(|| (limits[0] as u8, limits[1] as i8))),
        "text" => SqlType::Text,
        "varchar" => SqlType::Varchar(Some(limits[0] as u32)),
        "char" => SqlType::Bpchar(Some(limits[0] as u32)),
        "bytea" => SqlType::Bytea,
        "uuid" => SqlType::Uuid,
        "json" => SqlType::Json,
        "jsonb" => SqlType::Jsonb,
        "date" => SqlType::Date,
        "time" => SqlType::Time,
        "timestamp" => SqlType::Timestamp,
        "timestamptz" => SqlType::Timestamptz,
        "interval" => SqlType::Interval,
        other => SqlType::Array(Box::new(sql_type(
            other
                .strip_suffix("[]")
                .unwrap_or_else(|| panic!("unknown type {other}")),
        ))),
    }
}

fn set(settings: &mut TextSettings, name: &str, value: &str) {
    match name {
        "timezone" => settings.time_zone = value.parse().expect("a zone"),
        "intervalstyle" => settings.interval_style = IntervalStyle::from_name(value).expect("a style"),
        "datestyle" => {
            settings.date_order = match value {
                "ISO, DMY" => DateOrder::Dmy,
                "ISO, YMD" => DateOrder::Ymd,
                _ => DateOrder::Mdy,
            }
        }
        "extra_float_digits" => settings.extra_float_digits = value.parse().expect("a number"),
        "bytea_output" => settings.bytea_escape = value == "escape",
        other => panic!("unknown setting {other}"),
    }
}

fn round_trip(sql_type: &SqlType, input: &str, settings: &TextSettings) -> String {
    let column = match parse_column(sql_type, &mut std::iter::once(Some(input)), settings) {
        Ok(column) => column,
        Err(error) => return format!("!{} {}", error.state, error.message),
    };
    let mut out = Vec::new();
    TextWriter::try_new(&sql_type.to_field("c"), column.as_ref(), settings)
        .expect("every type has a text form")
        .write(0, &mut out);
    String::from_utf8(out).expect("text is UTF-8").replace('\n', "\\n")
}

#[test]
fn every_text_reads_and_writes_as_in_postgresql() {
    let mut settings = TextSettings::default();
    let mut differences = Vec::new();
    for line in include_str!("cases.txt")
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        if let Some((name, value)) = line.strip_prefix("set ").and_then(|l| l.split_once(" = ")) {
            set(&mut settings, name, value);
            continue;
        }
        let parts: Vec<&str> = line.splitn(3, " | ").collect();
        let [name, input, expected] = parts[..] else {
            panic!("not a case: {line}")
        };
        let input = input.replace("\\n", "\n").replace("\\t", "\t");
        let found = round_trip(&sql_type(name), &input, &settings);
        if found != expected {
            differences.push(format!("{name} | {input}\n  wants {expected}\n  found {found}"));
        }
    }
    assert!(
        differences.is_empty(),
        "{} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[test]
fn beyond_finite_numerics_sort_as_in_postgresql() {
    use arrow::datatypes::i256;
    let largest = i256::from_i128(10i128.pow(38)).wrapping_mul(i256::from_i128(10i128.pow(38)));
    assert!(numeric::NEG_INFINITY_256 < largest.wrapping_neg());
    assert!(largest < numeric::INFINITY_256 && numeric::INFINITY_256 < numeric::NAN_256);
    assert!(10i128.pow(38) < numeric::INFINITY_128 && numeric::INFINITY_128 < numeric::NAN_128);
}

#[test]
fn quotients_show_sixteen_significant_digits() {
    let show = |unscaled: i128, zeros: u32| {
        let value = numeric::power_of_ten(zeros)
            .expect("small")
            .wrapping_mul(arrow::datatypes::i256::from_i128(unscaled));
        let mut out = Vec::new();
        numeric::write_numeric(
            numeric::Numeric::Finite(value),
            24,
            numeric::DisplayScale::Quotient,
            &mut out,
        );
        String::from_utf8(out).expect("digits")
    };
    // PostgreSQL: 1/1, 10/4, 0/5, 1/3 (rounded at 20 places), 123456/2, 1/20000.
    assert_eq!(show(1, 24), "1.00000000000000000000");
    assert_eq!(show(25, 23), "2.5000000000000000");
    assert_eq!(show(0, 0), "0.00000000000000000000");
    assert_eq!(show(33_333_333_333_333_333_333, 4), "0.33333333333333333333");
    assert_eq!(show(61_728, 24), "61728.000000000000");
    assert_eq!(show(5, 19), "0.000050000000000000000000");
}

#[test]
fn now_needs_a_clock_that_the_caller_reads() {
    let mut settings = TextSettings::default();
    assert_eq!(
        round_trip(&SqlType::Date, "today", &settings),
        "!0A000 the date/time value \"today\" is not supported here"
    );
    settings.now_us = Some(1_704_448_800_000_000);
    assert_eq!(
        round_trip(&SqlType::Timestamptz, "now", &settings),
        "2024-01-05 10:00:00+00"
    );
    assert_eq!(
        round_trip(&SqlType::Timestamp, "tomorrow 08:00", &settings),
        "2024-01-06 08:00:00"
    );
}
