//! The types that numeric operations have: precision and scale of sums, products, remainders and quotients.
//!
//! A sum or product of numerics with precision gets a type in which no result can overflow, as long as 76 digits do.
//! What is computed from an unconstrained numeric is unconstrained, and from a quotient a quotient.

use arrow::datatypes::DataType;
use highwater_types::{QUOTIENT, SqlType, UNCONSTRAINED_NUMERIC};

/// Arrow's greatest precision in 256 bits.
pub(crate) const MAX_PRECISION: i32 = 76;
/// Results of more digits after the point than this become unconstrained.
const MAX_SCALE: i32 = 60;

/// Integers as the narrowest numeric that holds them all.
pub(crate) fn integer_as_numeric(sql_type: &SqlType) -> Option<SqlType> {
    match sql_type {
        SqlType::Int2 => Some(SqlType::Numeric(Some((5, 0)))),
        SqlType::Int4 => Some(SqlType::Numeric(Some((10, 0)))),
        SqlType::Int8 => Some(SqlType::Numeric(Some((19, 0)))),
        _ => None,
    }
}

/// The declared type that keeps a quotient's digits.
pub(crate) fn stored_quotient() -> SqlType {
    SqlType::Numeric(Some((76, 24)))
}

/// Precision and scale of a decimal type, or of the numeric that an integer type becomes.
pub(crate) fn precision_and_scale(data_type: &DataType) -> Option<(i32, i32)> {
    match data_type {
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => Some((i32::from(*p), i32::from(*s))),
        DataType::Int16 => Some((5, 0)),
        DataType::Int32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        _ => None,
    }
}

/// The decimal type of this precision and scale.
pub(crate) fn decimal_type(precision: i32, scale: i32) -> DataType {
    if scale > MAX_SCALE {
        return UNCONSTRAINED_NUMERIC;
    }
    let precision = precision.max(scale).max(1);
    if precision <= 38 {
        return DataType::Decimal128(precision as u8, scale as i8);
    }
    let wide = DataType::Decimal256(precision.min(MAX_PRECISION) as u8, scale as i8);
    // The two types below mean something else; a digit less tells this one apart.
    if wide == UNCONSTRAINED_NUMERIC || wide == QUOTIENT {
        return DataType::Decimal256((MAX_PRECISION - 1) as u8, scale as i8);
    }
    wide
}

/// The type that both arguments' kinds call for, unless both have a precision of their own.
fn without_precision(left: &DataType, right: &DataType) -> Option<DataType> {
    if *left == QUOTIENT || *right == QUOTIENT {
        return Some(QUOTIENT);
    }
    (*left == UNCONSTRAINED_NUMERIC || *right == UNCONSTRAINED_NUMERIC).then_some(UNCONSTRAINED_NUMERIC)
}

fn both(left: &DataType, right: &DataType) -> ((i32, i32), (i32, i32)) {
    let of = |t: &DataType| precision_and_scale(t).unwrap_or((MAX_PRECISION, 20));
    (of(left), of(right))
}

/// The type of a sum or difference.
pub(crate) fn sum_type(left: &DataType, right: &DataType) -> DataType {
    if let Some(data_type) = without_precision(left, right) {
        return data_type;
    }
    let ((p1, s1), (p2, s2)) = both(left, right);
    let scale = s1.max(s2);
    decimal_type((p1 - s1).max(p2 - s2) + scale + 1, scale)
}

/// The type of a product.
pub(crate) fn product_type(left: &DataType, right: &DataType) -> DataType {
    if let Some(data_type) = without_precision(left, right) {
        return data_type;
    }
    let ((p1, s1), (p2, s2)) = both(left, right);
    decimal_type(p1 + p2, s1 + s2)
}

/// The type of a remainder.
pub(crate) fn remainder_type(left: &DataType, right: &DataType) -> DataType {
    if let Some(data_type) = without_precision(left, right) {
        return data_type;
    }
    let ((p1, s1), (p2, s2)) = both(left, right);
    let scale = s1.max(s2);
    decimal_type((p1 - s1).max(p2 - s2) + scale, scale)
}

/// The type that two numerics are compared in.
pub(crate) fn common_type(left: &DataType, right: &DataType) -> DataType {
    if left == right {
        return left.clone();
    }
    let ((p1, s1), (p2, s2)) = both(left, right);
    let scale = s1.max(s2);
    let precision = (p1 - s1).max(p2 - s2) + scale;
    if precision <= 38 {
        return DataType::Decimal128(precision as u8, scale as i8);
    }
    DataType::Decimal256(precision.min(MAX_PRECISION) as u8, scale as i8)
}
