//! Expressions. Each is bound to a DataFusion expression and its PostgreSQL type; the groups that need room of
//! their own are in `operator.rs`, `predicate.rs`, `function.rs`, `special.rs`, `array.rs` and `subquery.rs`.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, TableReference};
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{Expr, ExprSchemable};
use highwater_types::SqlType;
use sqlparser::ast::{self, Spanned};

use super::coerce::with_equal_fractions;
use super::scope::{Found, Scope, ScopeTable, fold, fold_name};
use super::set::SetCall;
use super::subquery::Pending;
use super::{Binder, Casting, OuterScope, Typed, sql_type};
use crate::error::{PlanError, Result};

/// The clause that an expression stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Select,
    Where,
    JoinOn,
    GroupBy,
    Having,
    Qualify,
    OrderBy,
    Limit,
    Values,
    Function,
    Default,
    Generated,
    Watermark,
    Update,
    Returning,
    OnConflict,
}

impl Place {
    /// As messages name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Place::Select => "SELECT",
            Place::Where => "WHERE",
            Place::JoinOn => "JOIN conditions",
            Place::GroupBy => "GROUP BY",
            Place::Having => "HAVING",
            Place::Qualify => "QUALIFY",
            Place::OrderBy => "ORDER BY",
            Place::Limit => "LIMIT",
            Place::Values => "VALUES",
            Place::Function => "functions in FROM",
            Place::Default => "DEFAULT expressions",
            Place::Generated => "column generation expressions",
            Place::Watermark => "WATERMARK expressions",
            Place::Update => "UPDATE",
            Place::Returning => "RETURNING",
            Place::OnConflict => "ON CONFLICT",
        }
    }

    pub(crate) fn allows_aggregates(self) -> bool {
        matches!(self, Place::Select | Place::Having | Place::Qualify | Place::OrderBy)
    }

    pub(crate) fn allows_windows(self) -> bool {
        matches!(self, Place::Select | Place::Qualify | Place::OrderBy)
    }

    pub(crate) fn allows_sets(self) -> bool {
        matches!(self, Place::Select | Place::OrderBy)
    }

    pub(crate) fn allows_subqueries(self) -> bool {
        !matches!(self, Place::Default | Place::Generated | Place::Watermark)
    }
}

/// What binding an expression looks at and collects.
#[derive(Debug)]
pub(crate) struct ExprCx<'s> {
    pub scope: &'s Scope,
    /// The types of columns: those of the plan below, and those that subqueries and set-returning functions add.
    pub schema: DFSchema,
    pub place: Place,
    /// Subqueries to be joined to the plan below before the expression can be computed.
    pub subqueries: Vec<Pending>,
    /// Set-returning functions to be unnested before the expression can be computed.
    pub sets: Vec<SetCall>,
    /// The WINDOW clause.
    pub windows: &'s [ast::NamedWindowDefinition],
    /// Inside of an aggregate's arguments.
    pub in_aggregate: bool,
}

impl<'s> ExprCx<'s> {
    pub(crate) fn new(scope: &'s Scope, schema: &DFSchema, place: Place) -> ExprCx<'s> {
        ExprCx {
            scope,
            schema: schema.clone(),
            place,
            subqueries: Vec::new(),
            sets: Vec::new(),
            windows: &[],
            in_aggregate: false,
        }
    }

    /// Makes known a column that will be there when the expression is computed.
    pub(crate) fn add_column(&mut self, qualifier: &TableReference, field: FieldRef) -> Result<Column> {
        let column = Column::new(Some(qualifier.clone()), field.name());
        let added = DFSchema::new_with_metadata(vec![(Some(qualifier.clone()), field)], Default::default())?;
        self.schema = self.schema.join(&added)?;
        Ok(column)
    }

    /// An expression with the type that DataFusion derives for it.
    pub(crate) fn typed(&self, expr: Expr) -> Result<Typed> {
        let (_, field) = expr.to_field(&self.schema)?;
        Ok(Typed::new(expr, SqlType::of_field(&field)))
    }
}

impl Binder<'_> {
    /// Binds an expression. Errors get its place in the statement.
    pub(crate) fn bind_expr(&mut self, expr: &ast::Expr, cx: &mut ExprCx<'_>) -> Result<Typed> {
        let mut typed = self.bind_kind(expr, cx).map_err(|error| error.at(expr.span()))?;
        if matches!(
            expr,
            ast::Expr::Value(_)
                | ast::Expr::Identifier(_)
                | ast::Expr::CompoundIdentifier(_)
                | ast::Expr::TypedString(_)
        ) {
            typed.span = expr.span();
        }
        Ok(typed)
    }

    /// Binds an expression and makes it a value of one type.
    pub(crate) fn bind_as(
        &mut self,
        expr: &ast::Expr,
        to: &SqlType,
        casting: Casting,
        cx: &mut ExprCx<'_>,
    ) -> Result<Expr> {
        let typed = self.bind_expr(expr, cx)?;
        let coerced = self.coerce(typed, to, casting).map_err(|error| error.at(expr.span()))?;
        Ok(coerced.expr)
    }

    /// Binds a condition.
    pub(crate) fn bind_condition(&mut self, expr: &ast::Expr, place: &str, cx: &mut ExprCx<'_>) -> Result<Expr> {
        let typed = self.bind_expr(expr, cx)?;
        self.condition(typed, place).map_err(|error| error.at(expr.span()))
    }

    fn bind_kind(&mut self, expr: &ast::Expr, cx: &mut ExprCx<'_>) -> Result<Typed> {
        match expr {
            ast::Expr::Identifier(ident) => self.bind_name(std::slice::from_ref(ident), cx),
            ast::Expr::CompoundIdentifier(parts) => self.bind_name(parts, cx),
            ast::Expr::CompoundFieldAccess { root, access_chain } => self.bind_access(root, access_chain, cx),
            ast::Expr::Nested(inner) => self.bind_expr(inner, cx),
            ast::Expr::Value(value) => self.bind_value(&value.value),
            ast::Expr::Interval(interval) => self.bind_interval(interval, cx),
            ast::Expr::TypedString(typed) => {
                let value = self.bind_value(&typed.value.value)?;
                let to = match &typed.data_type {
                    // Only here is a bare `char` of any length.
                    ast::DataType::Char(None) | ast::DataType::Character(None) => SqlType::Bpchar(None),
                    other => sql_type(other)?,
                };
                let value = self.cast_to(value, &to)?;
                self.rounded_to(value, &typed.data_type, cx)
            }
            ast::Expr::Cast {
                kind, expr, data_type, ..
            } => self.bind_cast(kind, expr, data_type, cx),
            ast::Expr::Collate { expr, collation } => {
                check_collation(collation)?;
                self.bind_expr(expr, cx)
            }
            ast::Expr::UnaryOp { op, expr } => self.bind_unary(*op, expr, cx),
            ast::Expr::BinaryOp { left, op, right } => self.bind_binary(left, op, right, cx),
            ast::Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => self.bind_case(operand.as_deref(), conditions, else_result.as_deref(), cx),
            ast::Expr::Function(function) => self.bind_function(function, cx),
            ast::Expr::Array(array) => self.bind_array(&array.elem, cx),
            ast::Expr::Tuple(fields) => self.bind_row(fields, cx),
            ast::Expr::Subquery(query) => self.bind_scalar_subquery(query, cx),
            ast::Expr::Exists { subquery, negated } => self.bind_exists(subquery, *negated, cx),
            ast::Expr::InSubquery {
                expr,
                subquery,
                negated,
            } => self.bind_in_subquery(expr, subquery, *negated, cx),
            ast::Expr::IsNull(_)
            | ast::Expr::IsNotNull(_)
            | ast::Expr::IsTrue(_)
            | ast::Expr::IsNotTrue(_)
            | ast::Expr::IsFalse(_)
            | ast::Expr::IsNotFalse(_)
            | ast::Expr::IsUnknown(_)
            | ast::Expr::IsNotUnknown(_)
            | ast::Expr::IsDistinctFrom(..)
            | ast::Expr::IsNotDistinctFrom(..)
            | ast::Expr::InList { .. }
            | ast::Expr::Between { .. }
            | ast::Expr::Like { .. }
            | ast::Expr::ILike { .. }
            | ast::Expr::SimilarTo { .. }
            | ast::Expr::AnyOp { .. }
            | ast::Expr::AllOp { .. } => self.bind_predicate(expr, cx),
            other => self.bind_special(other, cx),
        }
    }

    /// A column by its name, a whole row, or a word that is a function without parentheses.
    fn bind_name(&mut self, parts: &[ast::Ident], cx: &mut ExprCx<'_>) -> Result<Typed> {
        let names: Vec<String> = parts.iter().map(fold).collect();
        let span = parts.first().map(|ident| ident.span);
        if let Some(found) = self.find_name(&names, cx.scope)? {
            return Ok(placed(found, span));
        }
        for level in (0..self.outer.len()).rev() {
            let OuterScope { scope, schema } = self.outer[level].clone();
            if let Some(found) = self.find_name(&names, &scope)? {
                let found = placed(found, span);
                return Ok(Typed::new(as_outer(found.expr, &schema)?, found.sql_type));
            }
        }
        if let [name] = names.as_slice()
            && parts[0].quote_style.is_none()
            && let Some(found) = self.bind_bare_word(name)?
        {
            return Ok(found);
        }
        Err(match names.as_slice() {
            [name] => PlanError::UndefinedColumn {
                qualifier: None,
                name: name.clone(),
                near: cx.scope.near(name),
            },
            [.., table, _] => match cx.scope.hidden_by(table) {
                Some(alias) => PlanError::HiddenFrom {
                    name: table.clone(),
                    alias: Some(alias),
                },
                None => PlanError::MissingFrom { name: table.clone() },
            },
            [] => PlanError::internal("a name without parts"),
        })
    }

    fn find_name(&mut self, names: &[String], scope: &Scope) -> Result<Option<Typed>> {
        let column = match names {
            [name] => match scope.find(name)? {
                Some(Found::Column(column)) => Some(column),
                Some(Found::Row(table)) => return self.whole_row(table).map(Some),
                None => match scope.tables.as_slice() {
                    [table] => return self.system_column(Some(table), name),
                    _ => None,
                },
            },
            [table, name] => match self.system_column(scope.table(None, table), name)? {
                Some(found) => return Ok(Some(found)),
                None => scope.find_in(None, table, name)?,
            },
            [schema, table, name] => scope.find_in(Some(schema), table, name)?,
            [database, schema, table, name] if *database == self.ctx.settings.database => {
                scope.find_in(Some(schema), table, name)?
            }
            [_, _, _, _] => {
                return Err(PlanError::CrossDatabase { name: names.join(".") });
            }
            _ => {
                return Err(PlanError::syntax(format!(
                    "improper qualified name (too many dotted names): {}",
                    names.join(".")
                )));
            }
        };
        Ok(column.map(|c| Typed::new(c.value.clone(), c.sql_type.clone())))
    }

    /// `tableoid`, which every relation has.
    fn system_column(&mut self, table: Option<&ScopeTable>, name: &str) -> Result<Option<Typed>> {
        let Some(ScopeTable {
            relation: Some((schema, relation)),
            columns,
            ..
        }) = table
        else {
            return Ok(None);
        };
        if name != "tableoid" || columns.iter().any(|c| c.name == name) {
            return Ok(None);
        }
        let written = format!("{}.{}", quoted(schema), quoted(relation));
        let oid = self.cast_object_name(super::literal::unknown(&written), &SqlType::Regclass)?;
        Ok(Some(Typed::new(oid.expr, SqlType::Oid)))
    }

    fn bind_cast(
        &mut self,
        kind: &ast::CastKind,
        expr: &ast::Expr,
        data_type: &ast::DataType,
        cx: &mut ExprCx<'_>,
    ) -> Result<Typed> {
        match kind {
            ast::CastKind::Cast | ast::CastKind::DoubleColon => {}
            ast::CastKind::TryCast | ast::CastKind::SafeCast => {
                return Err(PlanError::unsupported("TRY_CAST", "Use CAST."));
            }
        }
        let to = sql_type(data_type).map_err(|error| error.at_type_after(expr.span()))?;
        // An array constructor's elements take the target's type, so that ARRAY[]::int[] has one.
        if let (ast::Expr::Array(array), SqlType::Array(element)) = (expr, &to) {
            return self.bind_array_of(&array.elem, element, cx);
        }
        let typed = self.bind_expr(expr, cx)?;
        let literal = typed.is_unknown();
        let value = Typed {
            span: sqlparser::tokenizer::Span::empty(),
            ..typed
        };
        let value = self.cast_to(value, &to).map_err(|error| match literal {
            true => error.at(expr.span()),
            false => error.at_operator_after(expr.span()),
        })?;
        self.rounded_to(value, data_type, cx)
    }

    fn bind_case(
        &mut self,
        operand: Option<&ast::Expr>,
        branches: &[ast::CaseWhen],
        otherwise: Option<&ast::Expr>,
        cx: &mut ExprCx<'_>,
    ) -> Result<Typed> {
        let operand = operand.map(|e| self.bind_expr(e, cx)).transpose()?;
        let mut conditions = Vec::new();
        let mut results = Vec::new();
        for branch in branches {
            let condition = self.bind_expr(&branch.condition, cx)?;
            conditions.push(match &operand {
                None => self.condition(condition, "CASE/WHEN")?,
                Some(operand) => self.equals(operand.clone(), condition, cx)?,
            });
            results.push(self.bind_expr(&branch.result, cx)?);
        }
        // ELSE comes first where types meet.
        if let Some(otherwise) = otherwise {
            results.insert(0, self.bind_expr(otherwise, cx)?);
        }
        let (results, common) = self.unify(results, "CASE")?;
        let mut results = with_equal_fractions(results, &cx.schema)?;
        let otherwise = otherwise.map(|_| Box::new(results.remove(0)));
        let branches = conditions
            .into_iter()
            .map(Box::new)
            .zip(results.into_iter().map(Box::new));
        let case = Expr::Case(Case::new(None, branches.collect(), otherwise));
        Ok(Typed::new(case, common))
    }
}

/// A column that remembers where it is named, for errors found later.
fn placed(mut typed: Typed, span: Option<sqlparser::tokenizer::Span>) -> Typed {
    if let (Expr::Column(column), Some(span)) = (&mut typed.expr, span)
        && let Some(span) = datafusion::common::Span::try_from_sqlparser_span(span)
    {
        column.spans.add_span(span);
    }
    typed
}

/// Where a column is named in the statement.
pub(crate) fn place_of(column: &Column) -> sqlparser::tokenizer::Span {
    let location = |l: datafusion::common::Location| sqlparser::tokenizer::Location::new(l.line, l.column);
    match column.spans.first() {
        Some(span) => sqlparser::tokenizer::Span::new(location(span.start), location(span.end)),
        None => sqlparser::tokenizer::Span::empty(),
    }
}

/// The columns of an expression as columns of an outer query.
pub(crate) fn as_outer(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let transformed = expr.transform(|e| match e {
        Expr::Column(column) => {
            let (_, field) = schema.qualified_field_from_column(&column)?;
            Ok(Transformed::yes(Expr::OuterReferenceColumn(Arc::clone(field), column)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(transformed.data)
}

/// A name as it is written in text, so that it does not fold.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// All text is compared by its bytes, which is what these collations do.
fn check_collation(name: &ast::ObjectName) -> Result<()> {
    let parts = fold_name(name);
    match parts.last().map(String::as_str) {
        Some("default" | "C" | "c" | "POSIX" | "posix" | "ucs_basic") => Ok(()),
        _ => Err(PlanError::UndefinedObject {
            kind: "collation",
            name: name.to_string(),
        }),
    }
}
