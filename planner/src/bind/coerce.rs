//! Types meet: casts that expressions make without being asked, the common type of branches, and the types of
//! literals and parameters that nothing has given one yet.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Schema};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, ExprSchemable, Operator};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use highwater_types::text::{TextSettings, parse_column};
use highwater_types::{QUOTIENT, SqlType, UNCONSTRAINED_NUMERIC};
use sqlparser::tokenizer::Span;

use super::types::{Category, casts_explicitly, casts_implicitly, casts_in_assignment, category, is_oid_like};
use super::{Binder, library};
use crate::error::{PlanError, Result};
use crate::functions::{self, integer_as_numeric, scalar_at, stored_quotient};

/// A bound expression and its PostgreSQL type.
#[derive(Debug, Clone)]
pub(crate) struct Typed {
    pub expr: Expr,
    /// [`SqlType::Unknown`] for literals and parameters that nothing has given a type yet.
    pub sql_type: SqlType,
    /// Where it stands, for names and literals.
    pub span: Span,
}

impl Typed {
    pub(crate) fn new(expr: Expr, sql_type: SqlType) -> Typed {
        Typed {
            expr,
            sql_type,
            span: Span::empty(),
        }
    }

    /// NULL without type.
    pub(crate) fn null() -> Typed {
        Typed::new(Expr::Literal(ScalarValue::Null, None), SqlType::Unknown)
    }

    /// The text of a literal without type.
    pub(crate) fn unknown_text(&self) -> Option<&str> {
        match (&self.expr, &self.sql_type) {
            (Expr::Literal(ScalarValue::Utf8(Some(text)), _), SqlType::Unknown) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_unknown(&self) -> bool {
        self.sql_type == SqlType::Unknown
    }
}

/// How much a cast may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Casting {
    /// In any expression.
    Implicit,
    /// Into a column.
    Assignment,
    /// Asked for.
    Explicit,
}

/// The parameters of a statement. The first thing that gives a parameter a type decides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params {
    types: Vec<Option<SqlType>>,
}

impl Params {
    pub(crate) fn new(declared: &[Option<SqlType>]) -> Params {
        Params {
            types: declared.to_vec(),
        }
    }

    /// The type of parameter `number` (from 1), if known.
    pub(crate) fn type_of(&mut self, number: usize) -> Option<SqlType> {
        if self.types.len() < number {
            self.types.resize(number, None);
        }
        self.types[number - 1].clone().filter(|t| *t != SqlType::Unknown)
    }

    /// The number in a parameter's name.
    pub(crate) fn number_of(id: &str) -> Option<usize> {
        id.strip_prefix('$')?.parse().ok()
    }

    fn settle(&mut self, number: usize, sql_type: &SqlType) -> SqlType {
        match self.type_of(number) {
            Some(known) => known,
            None => {
                self.types[number - 1] = Some(sql_type.clone());
                sql_type.clone()
            }
        }
    }

    /// All types, once the statement is bound.
    pub(crate) fn finish(&self) -> Result<Vec<SqlType>> {
        let known = |(i, t): (usize, &Option<SqlType>)| match t {
            Some(sql_type) if *sql_type != SqlType::Unknown => Ok(sql_type.clone()),
            _ => Err(PlanError::IndeterminateParameter { number: i + 1 }),
        };
        self.types.iter().enumerate().map(known).collect()
    }
}

/// The placeholder of a parameter with a type.
pub(crate) fn placeholder(number: usize, sql_type: &SqlType) -> Expr {
    Expr::Placeholder(Placeholder::new_with_field(
        format!("${number}"),
        Some(sql_type.to_field(&format!("${number}"))),
    ))
}

/// The number of a parameter that has no type yet.
fn untyped_parameter(typed: &Typed) -> Option<usize> {
    match &typed.expr {
        Expr::Placeholder(Placeholder { id, field: None }) if typed.is_unknown() => Params::number_of(id),
        _ => None,
    }
}

impl Binder<'_> {
    /// Makes `typed` a value of type `to`.
    pub(crate) fn coerce(&mut self, typed: Typed, to: &SqlType, casting: Casting) -> Result<Typed> {
        let span = typed.span;
        self.coerce_value(typed, to, casting).map_err(|error| error.at(span))
    }

    fn coerce_value(&mut self, typed: Typed, to: &SqlType, casting: Casting) -> Result<Typed> {
        if let Some(number) = untyped_parameter(&typed) {
            let settled = self.params.settle(number, &without_typmod(to));
            let parameter = Typed::new(placeholder(number, &settled), settled);
            return self.coerce(parameter, to, casting);
        }
        if typed.sql_type == *to {
            return Ok(typed);
        }
        if matches!(to, SqlType::Unknown) {
            return Ok(typed);
        }
        if typed.is_unknown() {
            return self.literal_of_type(typed, to, casting == Casting::Explicit);
        }
        let allowed = match casting {
            Casting::Implicit => casts_implicitly(&typed.sql_type, to),
            Casting::Assignment => casts_in_assignment(&typed.sql_type, to),
            Casting::Explicit => casts_explicitly(&typed.sql_type, to),
        };
        if !allowed {
            return Err(PlanError::CannotCast {
                from: typed.sql_type,
                to: to.clone(),
            });
        }
        self.cast(typed, to, casting == Casting::Explicit)
    }

    fn cast(&mut self, typed: Typed, to: &SqlType, explicit: bool) -> Result<Typed> {
        let from = typed.sql_type;
        if is_oid_like(&from) != is_oid_like(to)
            && (category(&from) == Category::String || category(to) == Category::String)
        {
            return self.cast_object_name(Typed::new(typed.expr, from), to);
        }
        if shares_values(&from, to) {
            return Ok(Typed::new(typed.expr, to.clone()));
        }
        let is_literal = matches!(typed.expr, Expr::Literal(..));
        let cast = library::cast(typed.expr, &from, to, explicit)?;
        let expr = if is_literal && !depends_on_session(&from, to) {
            self.constant(&cast)?
        } else {
            cast
        };
        Ok(Typed::new(expr, to.clone()))
    }

    /// A literal without type becomes one of type `to`: its text is read as PostgreSQL reads that type.
    fn literal_of_type(&mut self, typed: Typed, to: &SqlType, explicit: bool) -> Result<Typed> {
        let Expr::Literal(value, _) = &typed.expr else {
            return self.cast(Typed::new(typed.expr, SqlType::Text), to, true);
        };
        if value.is_null() {
            let null = ScalarValue::try_from(&to.to_arrow())?;
            return Ok(Typed::new(Expr::Literal(null, json_metadata(to)), to.clone()));
        }
        let limited = matches!(to, SqlType::Varchar(Some(_)) | SqlType::Bpchar(Some(_)));
        match value {
            ScalarValue::Utf8(Some(text)) if !(is_oid_like(to) || limited && explicit) => {
                match self.read_literal(text, to) {
                    Ok(expr) => return Ok(Typed::new(expr, to.clone())),
                    Err(error) => return self.clock_word(text, to)?.ok_or(error),
                }
            }
            _ => {}
        }
        self.cast(Typed::new(typed.expr, SqlType::Text), to, explicit)
    }

    /// `'now'`, `'today'` and their kin as a date or timestamp: times around that of the transaction.
    fn clock_word(&mut self, text: &str, to: &SqlType) -> Result<Option<Typed>> {
        let days = match text.trim().to_ascii_lowercase().as_str() {
            "now" => None,
            "today" => Some(0),
            "tomorrow" => Some(1),
            "yesterday" => Some(-1),
            _ => return Ok(None),
        };
        let takes_it = match to {
            SqlType::Date | SqlType::Timestamp | SqlType::Timestamptz => true,
            SqlType::Time => days.is_none(),
            _ => false,
        };
        if !takes_it {
            return Ok(None);
        }
        let now = Typed::new(self.scalar_function("now")?.call(vec![]), SqlType::Timestamptz);
        let Some(days) = days else {
            return self.coerce(now, to, Casting::Explicit).map(Some);
        };
        let today = self.coerce(now, &SqlType::Date, Casting::Explicit)?.expr;
        let days = Expr::Literal(ScalarValue::Int32(Some(days)), None);
        let day = library::binary(Operator::Plus, today, days, &DFSchema::empty())?;
        self.coerce(Typed::new(day, SqlType::Date), to, Casting::Explicit)
            .map(Some)
    }

    /// The value that a literal's text stands for, read in the time zone that it was written in.
    fn read_literal(&self, text: &str, to: &SqlType) -> Result<Expr> {
        let settings = TextSettings {
            time_zone: self.written.time_zone.parse().unwrap_or(chrono_tz::Tz::UTC),
            ..TextSettings::default()
        };
        let text = match to {
            SqlType::Bpchar(None) => text.trim_end_matches(' '),
            _ => text,
        };
        let column = parse_column(to, &mut [Some(text)].into_iter(), &settings).map_err(PlanError::from)?;
        Ok(Expr::Literal(scalar_at(&column, 0)?, json_metadata(to)))
    }

    /// The value of an expression without columns, as a literal.
    pub(crate) fn constant(&self, expr: &Expr) -> Result<Expr> {
        let schema = DFSchema::empty();
        let planning = PhysicalPlanningContext::default();
        // Functions look at the session's settings, its time zone for one.
        let mut props = self.state.execution_props().clone();
        props.config_options = Some(Arc::clone(self.state.config_options()));
        let physical = create_physical_expr(expr, &schema, &props, &planning)?;
        value_of(physical.as_ref())
    }

    /// The value of any expression without columns, after DataFusion's own casts.
    pub(crate) fn evaluate(&self, expr: &Expr) -> Result<Expr> {
        value_of(
            self.state
                .create_physical_expr(expr.clone(), &DFSchema::empty())?
                .as_ref(),
        )
    }

    /// Coerces to boolean, for a clause that needs one.
    pub(crate) fn condition(&mut self, typed: Typed, place: &str) -> Result<Expr> {
        if typed.sql_type != SqlType::Bool && !typed.is_unknown() {
            return Err(PlanError::WrongType {
                place: format!("argument of {place}"),
                expected: SqlType::Bool,
                found: typed.sql_type,
            });
        }
        Ok(self.coerce(typed, &SqlType::Bool, Casting::Implicit)?.expr)
    }

    /// The type that the values of CASE, UNION, VALUES and the like share, and the values in it.
    pub(crate) fn unify(&mut self, values: Vec<Typed>, construct: &str) -> Result<(Vec<Expr>, SqlType)> {
        let mut common: Option<SqlType> = None;
        for value in values.iter().filter(|v| !v.is_unknown()) {
            let types = common.iter().chain([&value.sql_type]);
            let next = common_type(types, construct).map_err(|error| error.at(value.span))?;
            common = Some(next);
        }
        let common = common.unwrap_or(SqlType::Text);
        let mut exprs = Vec::with_capacity(values.len());
        for value in values {
            exprs.push(self.coerce(value, &common, Casting::Implicit)?.expr);
        }
        Ok((exprs, common))
    }

    /// What is still without type becomes text.
    pub(crate) fn settle(&mut self, typed: Typed) -> Result<Typed> {
        match typed.is_unknown() {
            true => self.coerce(typed, &SqlType::Text, Casting::Implicit),
            false => Ok(typed),
        }
    }
}

/// Quotients have more digits behind the point than other numerics have without a declared scale: where one of these
/// values is a quotient, the other numerics get as many.
pub(crate) fn with_equal_fractions(exprs: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>> {
    let types = exprs.iter().map(|expr| Ok(expr.get_type(schema)?));
    let types: Vec<DataType> = types.collect::<Result<_>>()?;
    if !types.contains(&QUOTIENT) {
        return Ok(exprs);
    }
    let values = exprs.into_iter().zip(types);
    let widened = values.map(|(expr, data_type)| match data_type == UNCONSTRAINED_NUMERIC {
        true => with_fraction(expr),
        false => Ok(expr),
    });
    widened.collect()
}

/// An unconstrained numeric with the digits of a quotient.
pub(crate) fn with_fraction(expr: Expr) -> Result<Expr> {
    functions::cast(expr, &SqlType::Numeric(None), &stored_quotient(), false)
}

/// Whether a cast between two types changes no value.
fn shares_values(from: &SqlType, to: &SqlType) -> bool {
    if is_oid_like(from) && is_oid_like(to) {
        return true;
    }
    let text = matches!(category(from), Category::String) || matches!(from, SqlType::PgNodeTree);
    text && matches!(to, SqlType::Text | SqlType::Varchar(None))
}

/// Functions that take any type tell a json literal from a text by this alone.
fn json_metadata(sql_type: &SqlType) -> Option<FieldMetadata> {
    (*sql_type == SqlType::Json).then(|| FieldMetadata::new_from_field(&sql_type.to_field("literal")))
}

/// The value of an expression without columns, over one row without columns.
fn value_of(expr: &dyn PhysicalExpr) -> Result<Expr> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options)?;
    let array = expr.evaluate(&row)?.into_array(1)?;
    Ok(Expr::Literal(scalar_at(&array, 0)?, None))
}

/// Whether the cast reads the session's time zone or the clock, and so waits until the statement runs.
fn depends_on_session(from: &SqlType, to: &SqlType) -> bool {
    let zoned = |t: &SqlType| matches!(t, SqlType::Timestamptz);
    (zoned(from) != zoned(to)) && (zoned(from) || category(from) != Category::String)
}

/// A parameter takes the bare type: `varchar(3)` gives a varchar parameter.
pub(crate) fn without_typmod(sql_type: &SqlType) -> SqlType {
    match sql_type {
        SqlType::Varchar(_) => SqlType::Varchar(None),
        SqlType::Bpchar(_) => SqlType::Bpchar(None),
        SqlType::Numeric(_) => SqlType::Numeric(None),
        SqlType::Array(element) => SqlType::Array(Box::new(without_typmod(element))),
        other => other.clone(),
    }
}

/// The type that several types share, as PostgreSQL chooses it for UNION, CASE and related constructs.
pub(crate) fn common_type<'t>(types: impl IntoIterator<Item = &'t SqlType>, construct: &str) -> Result<SqlType> {
    let mut common: Option<SqlType> = None;
    for sql_type in types {
        if *sql_type == SqlType::Unknown {
            continue;
        }
        common = Some(match common {
            None => sql_type.clone(),
            Some(left) => common_of_two(&left, sql_type).ok_or_else(|| PlanError::NoCommonType {
                construct: construct.to_string(),
                left: left.clone(),
                right: sql_type.clone(),
            })?,
        });
    }
    Ok(common.unwrap_or(SqlType::Text))
}

/// The type that two types share.
pub(crate) fn common_of_two(left: &SqlType, right: &SqlType) -> Option<SqlType> {
    if left == right {
        return Some(left.clone());
    }
    match (left, right) {
        (SqlType::Numeric(_), SqlType::Numeric(_)) => Some(wider_numeric(left, right)),
        (SqlType::Numeric(_), integer) | (integer, SqlType::Numeric(_)) if integer_as_numeric(integer).is_some() => {
            let numeric = if matches!(left, SqlType::Numeric(_)) {
                left
            } else {
                right
            };
            integer_as_numeric(integer).map(|i| wider_numeric(numeric, &i))
        }
        (SqlType::Varchar(_), SqlType::Varchar(_)) => Some(SqlType::Varchar(None)),
        (SqlType::Bpchar(_), SqlType::Bpchar(_)) => Some(SqlType::Bpchar(None)),
        (SqlType::Array(l), SqlType::Array(r)) => common_of_two(l, r).map(|e| SqlType::Array(Box::new(e))),
        _ if category(left) != category(right) => None,
        _ if category(left) == Category::String => Some(SqlType::Text),
        _ if casts_implicitly(left, right) => Some(right.clone()),
        _ if casts_implicitly(right, left) => Some(left.clone()),
        _ => None,
    }
}

/// A numeric that holds the values of both.
fn wider_numeric(left: &SqlType, right: &SqlType) -> SqlType {
    let (SqlType::Numeric(Some((p1, s1))), SqlType::Numeric(Some((p2, s2)))) = (left, right) else {
        return SqlType::Numeric(None);
    };
    let scale = (*s1).max(*s2);
    let whole = (i16::from(*p1) - i16::from(*s1)).max(i16::from(*p2) - i16::from(*s2));
    match u8::try_from(whole + i16::from(scale)) {
        Ok(precision) if precision <= 76 => SqlType::Numeric(Some((precision, scale))),
        _ => SqlType::Numeric(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_meet_in_the_type_that_postgresql_chooses() {
        let numeric = |p, s| SqlType::Numeric(Some((p, s)));
        let cases = [
            (vec![SqlType::Int4, SqlType::Int8], SqlType::Int8),
            (vec![SqlType::Int4, numeric(3, 2)], numeric(12, 2)),
            (vec![SqlType::Int8, SqlType::Float4], SqlType::Float4),
            (vec![SqlType::Name, SqlType::Text], SqlType::Text),
            (vec![SqlType::Unknown, SqlType::Unknown], SqlType::Text),
            (
                vec![SqlType::Unknown, SqlType::Date, SqlType::Timestamptz],
                SqlType::Timestamptz,
            ),
            (
                vec![SqlType::Varchar(Some(3)), SqlType::Varchar(Some(5))],
                SqlType::Varchar(None),
            ),
        ];
        for (types, expected) in cases {
            assert_eq!(common_type(&types, "UNION").expect("they meet"), expected, "{types:?}");
        }
        let error = common_type(&[SqlType::Int4, SqlType::Text], "UNION").expect_err("they do not meet");
        assert_eq!(error.to_string(), "UNION types integer and text cannot be matched");
    }
}
