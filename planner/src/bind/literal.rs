//! Literals: integers take the narrowest of int4, int8 and numeric, decimals keep their own scale, and strings have
//! no type until something gives them one.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::Placeholder;
use highwater_types::{SqlError, SqlState, SqlType};
use sqlparser::ast::{self, DateTimeField, Value};

use super::coerce::placeholder;
use super::{Binder, Casting, ExprCx, Typed};
use crate::error::{PlanError, Result};

impl Binder<'_> {
    pub(crate) fn bind_value(&mut self, value: &Value) -> Result<Typed> {
        match value {
            Value::Number(text, _) => number(text),
            Value::SingleQuotedString(text)
            | Value::EscapedStringLiteral(text)
            | Value::UnicodeStringLiteral(text)
            | Value::NationalStringLiteral(text) => Ok(unknown(text)),
            Value::DollarQuotedString(quoted) => Ok(unknown(&quoted.value)),
            Value::Boolean(value) => Ok(Typed::new(
                Expr::Literal(ScalarValue::Boolean(Some(*value)), None),
                SqlType::Bool,
            )),
            Value::Null => Ok(Typed::new(Expr::Literal(ScalarValue::Null, None), SqlType::Unknown)),
            Value::Placeholder(name) => self.bind_parameter(name),
            other => Err(PlanError::unsupported(
                format!("the literal {other}"),
                "Write it as a string and cast it.",
            )),
        }
    }

    fn bind_parameter(&mut self, name: &str) -> Result<Typed> {
        let undefined = || PlanError::UndefinedParameter { name: name.to_string() };
        let number: usize = name
            .strip_prefix('$')
            .and_then(|n| n.parse().ok())
            .filter(|n| (1..=usize::from(u16::MAX)).contains(n))
            .ok_or_else(undefined)?;
        Ok(match self.params.type_of(number) {
            Some(sql_type) => Typed::new(placeholder(number, &sql_type), sql_type),
            None => Typed::new(
                Expr::Placeholder(Placeholder::new_with_field(name.to_string(), None)),
                SqlType::Unknown,
            ),
        })
    }

    /// `INTERVAL '1 day'`, `INTERVAL '1' DAY`, `INTERVAL '1:30' MINUTE TO SECOND`.
    pub(crate) fn bind_interval(&mut self, interval: &ast::Interval, cx: &mut ExprCx<'_>) -> Result<Typed> {
        let value = self.bind_expr(&interval.value, cx)?;
        let Some(text) = value.unknown_text() else {
            let typed = self.coerce(value, &SqlType::Interval, Casting::Explicit)?;
            return self.limited_interval(typed, interval, cx);
        };
        // The last field names the unit of a bare number.
        let field = interval.last_field.as_ref().or(interval.leading_field.as_ref());
        let text = match field {
            Some(field) if text.trim().parse::<f64>().is_ok() => format!("{} {}", text.trim(), unit(field)?),
            Some(DateTimeField::Month) if interval.last_field.is_some() => years_and_months(text),
            Some(DateTimeField::Second)
                if matches!(interval.leading_field, Some(DateTimeField::Minute)) && text.matches(':').count() == 1 =>
            {
                format!("00:{}", text.trim())
            }
            _ => text.to_string(),
        };
        let typed = self.coerce(unknown(&text), &SqlType::Interval, Casting::Explicit)?;
        self.limited_interval(typed, interval, cx)
    }

    /// An interval without what is smaller than the last field that its type names.
    fn limited_interval(&mut self, typed: Typed, interval: &ast::Interval, cx: &mut ExprCx<'_>) -> Result<Typed> {
        let last = interval.last_field.as_ref().or(interval.leading_field.as_ref());
        let last = last.map(super::precision::field_word);
        let typed = self.cut_interval(typed, last.as_deref(), cx)?;
        match interval.fractional_seconds_precision.or(interval.leading_precision) {
            Some(precision) => self.rounded(typed, precision, cx),
            None => Ok(typed),
        }
    }
}

fn unit(field: &DateTimeField) -> Result<String> {
    let name = field.to_string().to_lowercase();
    match name.as_str() {
        "year" | "month" | "day" | "hour" | "minute" | "second" => Ok(name),
        _ => Err(PlanError::syntax(format!("syntax error at or near \"{field}\""))),
    }
}

/// `1-6` of YEAR TO MONTH.
fn years_and_months(text: &str) -> String {
    match text.trim().split_once('-') {
        Some((years, months)) if !years.is_empty() => format!("{years} years {months} months"),
        _ => text.to_string(),
    }
}

/// A string literal.
pub(crate) fn unknown(text: &str) -> Typed {
    Typed::new(
        Expr::Literal(ScalarValue::Utf8(Some(text.to_string())), None),
        SqlType::Unknown,
    )
}

/// An `integer` constant.
pub(crate) fn int4(value: i32) -> Typed {
    Typed::new(Expr::Literal(ScalarValue::Int32(Some(value)), None), SqlType::Int4)
}

pub(crate) fn number(text: &str) -> Result<Typed> {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    if let Ok(value) = digits.parse::<i32>() {
        return Ok(int4(value));
    }
    if let Ok(value) = digits.parse::<i64>() {
        return Ok(Typed::new(
            Expr::Literal(ScalarValue::Int64(Some(value)), None),
            SqlType::Int8,
        ));
    }
    if let Some(typed) = decimal(&digits) {
        return Ok(typed);
    }
    // Beyond our numerics, the nearest double still serves.
    match digits.parse::<f64>() {
        Ok(value) if value.is_finite() && digits.contains(['e', 'E']) => Ok(Typed::new(
            Expr::Literal(ScalarValue::Float64(Some(value)), None),
            SqlType::Float8,
        )),
        _ => Err(out_of_range(text)),
    }
}

fn out_of_range(text: &str) -> PlanError {
    {
        PlanError::from(SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("value \"{text}\" is out of range for type numeric"),
        ))
    }
}

/// A decimal literal with exactly its digits: `1.50` is a numeric(3,2), `1e5` a numeric(6,0).
fn decimal(text: &str) -> Option<Typed> {
    let lower = text.to_ascii_lowercase();
    let (mantissa, exponent) = match lower.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (lower.as_str(), 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    let mut scale = i32::try_from(fraction.len()).ok()? - exponent;
    if scale < 0 {
        digits.push_str(&"0".repeat(usize::try_from(-scale).ok().filter(|n| *n <= 76)?));
        scale = 0;
    }
    let digits = digits.trim_start_matches('0');
    let scale = i8::try_from(scale).ok()?;
    let precision = u8::try_from(digits.len()).ok()?.max(u8::try_from(scale).ok()?).max(1);
    let digits = if digits.is_empty() { "0" } else { digits };
    let value = match precision {
        1..=38 => ScalarValue::Decimal128(Some(digits.parse().ok()?), precision, scale),
        39..=76 => ScalarValue::Decimal256(Some(arrow::datatypes::i256::from_string(digits)?), precision, scale),
        _ => return None,
    };
    Some(Typed::new(
        Expr::Literal(value, None),
        SqlType::Numeric(Some((precision, scale))),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_the_narrowest_type_that_holds_them() {
        let cases = [
            ("5", SqlType::Int4),
            ("3000000000", SqlType::Int8),
            ("9223372036854775808", SqlType::Numeric(Some((19, 0)))),
            ("1.50", SqlType::Numeric(Some((3, 2)))),
            (".05", SqlType::Numeric(Some((2, 2)))),
            ("1e5", SqlType::Numeric(Some((6, 0)))),
            ("1.5e-3", SqlType::Numeric(Some((4, 4)))),
        ];
        for (text, expected) in cases {
            assert_eq!(number(text).expect("a number").sql_type, expected, "{text}");
        }
    }
}
