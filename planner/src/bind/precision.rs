//! What stands in parentheses or words behind the types of time: `timestamp(3)`, `interval hour to minute`. A value cast
//! to such a type is rounded once; columns do not keep it, so that only their full precision may be declared.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use highwater_types::SqlType;
use sqlparser::ast::{self, DateTimeField, IntervalFields};

use super::literal::int4;
use super::{Binder, ExprCx, Typed};
use crate::error::{PlanError, Result};

/// The digits that PostgreSQL keeps after a second's point.
const FULL: u64 = 6;

/// The precision that a type of time is given, if it is less than all.
fn precision_of(data_type: &ast::DataType) -> Option<u64> {
    use ast::DataType as D;
    let precision = match data_type {
        D::Time(precision, _) | D::Timestamp(precision, _) => *precision,
        D::Interval { precision, .. } => *precision,
        D::Custom(name, modifiers) if name.to_string().eq_ignore_ascii_case("timestamptz") => {
            modifiers.first().and_then(|m| m.trim().parse().ok())
        }
        _ => None,
    };
    precision.filter(|p| *p < FULL)
}

/// Refuses a column that would have to round its values.
///
/// # Errors
/// `0A000`.
pub(crate) fn check_column(data_type: &ast::DataType) -> Result<()> {
    let fields = matches!(data_type, ast::DataType::Interval { fields: Some(_), .. });
    match precision_of(data_type).is_some() || fields {
        false => Ok(()),
        true => Err(PlanError::unsupported(
            format!("a column of type {}", data_type.to_string().to_lowercase()),
            "Leave the precision out: values have microseconds.",
        )),
    }
}

impl Binder<'_> {
    /// A value that was cast to `data_type`, rounded as that says.
    pub(crate) fn rounded_to(&mut self, typed: Typed, data_type: &ast::DataType, cx: &mut ExprCx<'_>) -> Result<Typed> {
        let typed = match data_type {
            ast::DataType::Interval {
                fields: Some(fields), ..
            } => {
                let last = last_field(fields);
                self.cut_interval(typed, last.as_deref(), cx)?
            }
            _ => typed,
        };
        match precision_of(data_type) {
            Some(precision) => self.rounded(typed, precision, cx),
            None => Ok(typed),
        }
    }

    /// A time, timestamp or interval with so many digits after the second's point.
    pub(crate) fn rounded(&mut self, typed: Typed, precision: u64, cx: &mut ExprCx<'_>) -> Result<Typed> {
        if precision >= FULL {
            return Ok(typed);
        }
        let rounded = self.call("round_time", vec![typed, int4(precision as i32)], cx)?;
        self.folded(rounded)
    }

    /// An interval without what is smaller than its last field.
    pub(crate) fn cut_interval(&mut self, typed: Typed, last: Option<&str>, cx: &mut ExprCx<'_>) -> Result<Typed> {
        let Some(last) = last.filter(|field| *field != "second") else {
            return Ok(typed);
        };
        let unit = Typed::new(
            Expr::Literal(ScalarValue::Utf8(Some(last.to_string())), None),
            SqlType::Text,
        );
        let cut = self.call("cut_interval", vec![unit, typed], cx)?;
        self.folded(cut)
    }

    /// A call over constants as a constant.
    fn folded(&self, typed: Typed) -> Result<Typed> {
        let is_constant = match &typed.expr {
            Expr::ScalarFunction(call) => call.args.iter().all(|a| matches!(a, Expr::Literal(..))),
            _ => false,
        };
        match is_constant {
            true => Ok(Typed::new(self.constant(&typed.expr)?, typed.sql_type)),
            false => Ok(typed),
        }
    }
}

/// The last field of `interval ... to ...`.
fn last_field(fields: &IntervalFields) -> Option<String> {
    fields.to_string().to_lowercase().rsplit(' ').next().map(str::to_string)
}

/// The name of a field as [`Binder::cut_interval`] takes it.
pub(crate) fn field_word(field: &DateTimeField) -> String {
    field.to_string().to_lowercase()
}
