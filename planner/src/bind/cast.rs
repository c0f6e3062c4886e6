//! Casts that are asked for, and casts between names of objects and their oids.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use highwater_types::{SqlError, SqlState, SqlType};

use super::object::split_name;
use super::types::{Category, category};
use super::{Binder, Casting, Typed};
use crate::error::{PlanError, Result};

impl Binder<'_> {
    /// `CAST(typed AS to)`.
    pub(crate) fn cast_to(&mut self, typed: Typed, to: &SqlType) -> Result<Typed> {
        self.coerce(typed, to, Casting::Explicit)
    }

    /// Between a name as text and an oid: `'pg_class'::regclass`, `oid::regtype::text`.
    pub(crate) fn cast_object_name(&mut self, typed: Typed, to: &SqlType) -> Result<Typed> {
        if category(to) == Category::String {
            return self.object_name(typed, to);
        }
        if let Expr::Literal(value, _) = &typed.expr {
            let text = match value {
                ScalarValue::Utf8(text) => text.clone(),
                ScalarValue::Null => None,
                other => return Err(PlanError::internal(format!("{other} is no name"))),
            };
            let Some(text) = text else {
                return Ok(oid_literal(None, to));
            };
            if let Ok(number) = text.trim().parse::<u32>() {
                return Ok(oid_literal(Some(number), to));
            }
            if text == "-" && *to != SqlType::Oid {
                return Ok(oid_literal(Some(0), to));
            }
            if let Some(oid) = self.oid_of_name(&text, to)? {
                return Ok(oid_literal(Some(oid), to));
            }
        }
        let function = match to {
            SqlType::Regclass => "regclassin",
            SqlType::Regtype => "regtypein",
            SqlType::Regproc => "regprocin",
            SqlType::Regnamespace => "regnamespacein",
            SqlType::Regrole => "regrolein",
            _ => "oidin",
        };
        match self.find_scalar(function) {
            Some(function) => Ok(Typed::new(function.call(vec![typed.expr]), to.clone())),
            None if *to == SqlType::Oid => Ok(Typed::new(
                super::library::cast(typed.expr, &typed.sql_type, to, true)?,
                to.clone(),
            )),
            None => Err(self.unknown_object(&typed, to)),
        }
    }

    /// The name of the object with an oid.
    fn object_name(&mut self, typed: Typed, to: &SqlType) -> Result<Typed> {
        let function = match &typed.sql_type {
            SqlType::Regclass => Some("regclassout"),
            SqlType::Regtype => Some("regtypeout"),
            SqlType::Regproc => Some("regprocout"),
            SqlType::Regnamespace => Some("regnamespaceout"),
            SqlType::Regrole => Some("regroleout"),
            _ => None,
        };
        match function.and_then(|name| self.find_scalar(name)) {
            Some(function) => Ok(Typed::new(function.call(vec![typed.expr]), to.clone())),
            None => Ok(Typed::new(
                super::library::cast(typed.expr, &SqlType::Oid, to, true)?,
                to.clone(),
            )),
        }
    }

    /// The oid of an object that the catalog knows by itself.
    fn oid_of_name(&self, text: &str, to: &SqlType) -> Result<Option<u32>> {
        let parts = split_name(text)?;
        let catalog = &self.ctx.catalog;
        Ok(match (to, parts.as_slice()) {
            (SqlType::Regclass, [name]) => catalog.resolve(&self.written.search_path, name).map(|r| r.id.0),
            (SqlType::Regclass, [schema, name]) => catalog.find(schema, name).map(|r| r.id.0),
            (SqlType::Regnamespace, [name]) => catalog.schema(name).map(|s| s.id.0),
            _ => None,
        })
    }

    fn unknown_object(&self, typed: &Typed, to: &SqlType) -> PlanError {
        let name = match &typed.expr {
            Expr::Literal(ScalarValue::Utf8(Some(text)), _) => text.clone(),
            _ => {
                return PlanError::unsupported(format!("a cast to {to} of a value that is not a constant"), "");
            }
        };
        match to {
            SqlType::Regclass => PlanError::UndefinedTable { name },
            SqlType::Regtype => PlanError::UndefinedType { name },
            SqlType::Regnamespace => PlanError::UndefinedSchema { name },
            SqlType::Regrole => PlanError::UndefinedObject { kind: "role", name },
            SqlType::Regproc => PlanError::from(SqlError::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("function \"{name}\" does not exist"),
            )),
            _ => PlanError::from(SqlError::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                format!("invalid input syntax for type {to}: \"{name}\""),
            )),
        }
    }
}

fn oid_literal(oid: Option<u32>, to: &SqlType) -> Typed {
    Typed::new(Expr::Literal(ScalarValue::UInt32(oid), None), to.clone())
}
