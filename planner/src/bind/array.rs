//! Arrays, rows, and access to their elements and fields.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{Expr, lit};
use highwater_types::SqlType;
use sqlparser::ast::{self, AccessExpr, Spanned, Subscript};

use super::scope::{ScopeTable, fold};
use super::{Binder, Casting, ExprCx, Typed};
use crate::error::{PlanError, Result};

impl Binder<'_> {
    /// `ARRAY[a, b]`.
    pub(crate) fn bind_array(&mut self, elements: &[ast::Expr], cx: &mut ExprCx<'_>) -> Result<Typed> {
        if elements.is_empty() {
            return Err(PlanError::from(
                highwater_types::SqlError::new(
                    highwater_types::SqlState::INDETERMINATE_DATATYPE,
                    "cannot determine type of empty array",
                )
                .with_hint("Explicitly cast to the desired type, for example ARRAY[]::integer[]."),
            ));
        }
        let mut bound = Vec::with_capacity(elements.len());
        for element in elements {
            bound.push(self.bind_expr(element, cx)?);
        }
        let (exprs, common) = self.unify(bound, "ARRAY")?;
        self.make_array(exprs, &common)
    }

    /// `ARRAY[a, b]::t[]`: the elements are cast one by one.
    pub(crate) fn bind_array_of(&mut self, elements: &[ast::Expr], to: &SqlType, cx: &mut ExprCx<'_>) -> Result<Typed> {
        let mut exprs = Vec::with_capacity(elements.len());
        for element in elements {
            exprs.push(self.bind_as(element, to, Casting::Explicit, cx)?);
        }
        self.make_array(exprs, to)
    }

    fn make_array(&mut self, exprs: Vec<Expr>, element: &SqlType) -> Result<Typed> {
        if matches!(element, SqlType::Array(_)) {
            return Err(PlanError::unsupported(
                "an array of arrays",
                "Use an array of one dimension.",
            ));
        }
        let sql_type = SqlType::Array(Box::new(element.clone()));
        let values: Option<Vec<ScalarValue>> = exprs
            .iter()
            .map(|e| match e {
                Expr::Literal(value, _) => Some(value.clone()),
                _ => None,
            })
            .collect();
        if let Some(values) = values {
            let list = ScalarValue::new_list_nullable(&values, &element.to_arrow());
            let literal = Expr::Literal(ScalarValue::List(list), None);
            return Ok(Typed::new(literal, sql_type));
        }
        let make = self.scalar_function("make_array")?;
        Ok(Typed::new(make.call(exprs), sql_type))
    }

    /// `(a, b)` as a value.
    pub(crate) fn bind_row(&mut self, fields: &[ast::Expr], cx: &mut ExprCx<'_>) -> Result<Typed> {
        if fields.is_empty() {
            return Err(PlanError::unsupported("a row without fields", "Give it one."));
        }
        let mut named = Vec::with_capacity(fields.len());
        for (i, field) in fields.iter().enumerate() {
            let typed = self.bind_expr(field, cx)?;
            named.push((format!("f{}", i + 1), self.settle(typed)?));
        }
        self.make_row(named)
    }

    /// A table's row as one value.
    pub(crate) fn whole_row(&self, table: &ScopeTable) -> Result<Typed> {
        let fields = table
            .columns
            .iter()
            .map(|c| (c.name.clone(), Typed::new(c.value.clone(), c.sql_type.clone())));
        self.make_row(fields.collect())
    }

    fn make_row(&self, fields: Vec<(String, Typed)>) -> Result<Typed> {
        let make = self.scalar_function("named_struct")?;
        let mut args = Vec::with_capacity(fields.len() * 2);
        let mut types = Vec::with_capacity(fields.len());
        for (name, typed) in fields {
            args.push(lit(name.clone()));
            args.push(typed.expr);
            types.push((name, typed.sql_type));
        }
        Ok(Typed::new(make.call(args), SqlType::Record(types)))
    }

    /// `a[1]`, `a[1:2]`, `(row).field`, and chains of them.
    pub(crate) fn bind_access(&mut self, root: &ast::Expr, chain: &[AccessExpr], cx: &mut ExprCx<'_>) -> Result<Typed> {
        let mut typed = self.bind_expr(root, cx)?;
        for access in chain {
            typed = match access {
                AccessExpr::Dot(ast::Expr::Identifier(ident)) => self.field(typed, &fold(ident), cx)?,
                AccessExpr::Dot(other) => return Err(PlanError::unsupported(format!(".{other}"), "")),
                AccessExpr::Subscript(Subscript::Index { index }) => self.element(typed, index, cx)?,
                AccessExpr::Subscript(Subscript::Slice {
                    lower_bound,
                    upper_bound,
                    stride: None,
                }) => self.slice(typed, lower_bound.as_ref(), upper_bound.as_ref(), cx)?,
                AccessExpr::Subscript(slice @ Subscript::Slice { .. }) => {
                    return Err(PlanError::unsupported(format!("[{slice}]"), ""));
                }
            };
        }
        Ok(typed)
    }

    fn field(&mut self, row: Typed, name: &str, cx: &mut ExprCx<'_>) -> Result<Typed> {
        let SqlType::Record(fields) = &row.sql_type else {
            return Err(PlanError::WrongObject {
                message: format!(
                    "column notation .{name} applied to type {}, which is not a composite type",
                    row.sql_type
                ),
                hint: None,
            });
        };
        let Some((_, sql_type)) = fields.iter().find(|(field, _)| field == name) else {
            return Err(PlanError::UndefinedColumn {
                qualifier: None,
                name: name.to_string(),
                near: None,
            });
        };
        let sql_type = sql_type.clone();
        let get = self.scalar_function("get_field")?;
        let expr = get.call(vec![row.expr, lit(name)]);
        cx.typed(expr.clone())?;
        Ok(Typed::new(expr, sql_type))
    }

    /// A subscript, a bigint.
    fn subscript(&mut self, index: &ast::Expr, cx: &mut ExprCx<'_>) -> Result<Expr> {
        let typed = self.bind_expr(index, cx)?;
        if !typed.is_unknown() && !super::types::casts_in_assignment(&typed.sql_type, &SqlType::Int8) {
            return Err(PlanError::from(highwater_types::SqlError::new(
                highwater_types::SqlState::DATATYPE_MISMATCH,
                "array subscript must have type integer",
            ))
            .at(index.span()));
        }
        Ok(self.coerce(typed, &SqlType::Int8, Casting::Assignment)?.expr)
    }

    /// One element; NULL outside of the array.
    fn element(&mut self, array: Typed, index: &ast::Expr, cx: &mut ExprCx<'_>) -> Result<Typed> {
        if matches!(array.sql_type, SqlType::Jsonb) {
            let key = self.bind_expr(index, cx)?;
            return self.apply_operator("->", array, key, cx);
        }
        let index = self.subscript(index, cx)?;
        // The catalogs' vectors count from 0.
        let (array, first) = match &array.sql_type {
            SqlType::Int2Vector => (
                self.coerce(array, &SqlType::Array(Box::new(SqlType::Int2)), Casting::Implicit)?,
                0,
            ),
            SqlType::OidVector => (
                self.coerce(array, &SqlType::Array(Box::new(SqlType::Oid)), Casting::Implicit)?,
                0,
            ),
            _ => (array, 1),
        };
        let SqlType::Array(element) = array.sql_type.clone() else {
            return Err(PlanError::from(highwater_types::SqlError::new(
                highwater_types::SqlState::DATATYPE_MISMATCH,
                format!(
                    "cannot subscript type {} because it does not support subscripting",
                    array.sql_type
                ),
            )));
        };
        let get = self.scalar_function("array_element")?;
        let position = match (&index, first) {
            (_, 1) => index.clone(),
            (Expr::Literal(ScalarValue::Int64(Some(i)), _), _) => lit(i + 1),
            _ => index.clone() + lit(1_i64),
        };
        // DataFusion counts negative positions from the end.
        let expr = match &position {
            Expr::Literal(ScalarValue::Int64(Some(i)), _) if *i >= 1 => get.call(vec![array.expr, position]),
            Expr::Literal(..) => Expr::Literal(ScalarValue::try_from(&element.to_arrow())?, None),
            _ => {
                let inside = position.clone().gt_eq(lit(1_i64));
                let value = get.call(vec![array.expr, position]);
                Expr::Case(Case::new(None, vec![(Box::new(inside), Box::new(value))], None))
            }
        };
        Ok(Typed::new(expr, *element))
    }

    fn slice(
        &mut self,
        array: Typed,
        from: Option<&ast::Expr>,
        to: Option<&ast::Expr>,
        cx: &mut ExprCx<'_>,
    ) -> Result<Typed> {
        if !matches!(array.sql_type, SqlType::Array(_)) {
            return Err(PlanError::unsupported(format!("a slice of {}", array.sql_type), ""));
        }
        let from = match from {
            Some(from) => self.subscript(from, cx)?,
            None => lit(1_i64),
        };
        let to = match to {
            Some(to) => self.subscript(to, cx)?,
            None => {
                let length = self.scalar_function("cardinality")?.call(vec![array.expr.clone()]);
                Expr::Cast(datafusion::logical_expr::Cast::new(Box::new(length), DataType::Int64))
            }
        };
        // Positions before the first stand for the first.
        let from = self.scalar_function("greatest")?.call(vec![from, lit(1_i64)]);
        let expr = self.scalar_function("array_slice")?.call(vec![array.expr, from, to]);
        Ok(Typed::new(expr, array.sql_type))
    }
}
