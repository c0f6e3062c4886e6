//! Values on their way into a table's columns: assignment casts, defaults, generated columns.

use datafusion::common::Column as PlanColumn;
use datafusion::common::DFSchema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};
use highwater_types::{QUOTIENT, SqlError, SqlState, SqlType};
use sqlparser::ast;

use crate::bind::{
    Binder, BoundColumn, Casting, ExprCx, Place, Rows, Scope, ScopeColumn, ScopeTable, Typed, unique_names,
};
use crate::catalog::{Column, Relation};
use crate::error::{PlanError, Result};
use crate::functions::{cast, stored_quotient};

impl Binder<'_> {
    /// A value as one of a column.
    pub(crate) fn assign(&mut self, typed: Typed, column: &Column) -> Result<Expr> {
        let found = typed.sql_type.clone();
        let coerced = self.coerce(typed, &column.sql_type, Casting::Assignment);
        coerced.map(|t| t.expr).map_err(|error| {
            error.map(|error| match error {
                PlanError::CannotCast { .. } => PlanError::CannotAssign {
                    column: column.name.clone(),
                    expected: column.sql_type.clone(),
                    found,
                },
                other => other,
            })
        })
    }

    /// What a column holds when no value is given.
    pub(crate) fn default_value(&mut self, column: &Column) -> Result<Expr> {
        let Some(text) = &column.default else {
            return self.assign(Typed::null(), column);
        };
        let expr = parse_stored(text)?;
        let scope = Scope::default();
        let mut cx = ExprCx::new(&scope, &DFSchema::empty(), Place::Default);
        let typed = self.bind_expr(&expr, &mut cx).map_err(PlanError::without_place)?;
        self.assign(typed, column)
    }

    /// All columns of a table from values for some of them, over `plan`: defaults for the others, then generated
    /// columns, which may look at all that are not generated.
    pub(crate) fn complete_row(
        &mut self,
        plan: LogicalPlan,
        relation: &Relation,
        given: Vec<Option<Expr>>,
    ) -> Result<Rows> {
        self.complete_row_keeping(plan, relation, given, Vec::new())
    }

    /// [`Binder::complete_row`] that also keeps columns of `plan`, which come first.
    pub(crate) fn complete_row_keeping(
        &mut self,
        plan: LogicalPlan,
        relation: &Relation,
        mut given: Vec<Option<Expr>>,
        kept: Vec<Expr>,
    ) -> Result<Rows> {
        given.resize(relation.columns.len(), None);
        let qualifier = self.names.fresh(&relation.name);
        let names = unique_names(relation.columns.iter().map(|c| c.name.as_str()));
        let mut exprs = kept.clone();
        for ((column, value), name) in relation.columns.iter().zip(given).zip(&names) {
            if column.generated.is_some() {
                continue;
            }
            let value = match value {
                Some(value) => value,
                None => self.default_value(column)?,
            };
            let value = with_kept_digits(value, column, plan.schema())?;
            exprs.push(value.alias_qualified(Some(qualifier.clone()), name));
        }
        let mut plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
        let columns: Vec<BoundColumn> = relation
            .columns
            .iter()
            .zip(&names)
            .map(|(column, name)| BoundColumn {
                open: false,
                name: column.name.clone(),
                column: PlanColumn::new(Some(qualifier.clone()), name),
                sql_type: column.sql_type.clone(),
                origin: None,
            })
            .collect();
        if relation.columns.iter().any(|c| c.generated.is_some()) {
            let mut exprs = kept;
            exprs.extend(self.with_generated(&plan, relation, &columns)?);
            plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
        }
        Ok(Rows { plan, columns })
    }

    /// All columns over a plan that has those which are not generated.
    fn with_generated(
        &mut self,
        plan: &LogicalPlan,
        relation: &Relation,
        columns: &[BoundColumn],
    ) -> Result<Vec<Expr>> {
        let scope = stored_scope(relation, columns);
        let mut exprs = Vec::with_capacity(columns.len());
        for (declared, column) in relation.columns.iter().zip(columns) {
            exprs.push(match &declared.generated {
                None => Expr::Column(column.column.clone()),
                Some(text) => {
                    let mut cx = ExprCx::new(&scope, plan.schema(), Place::Generated);
                    let typed = self
                        .bind_expr(&parse_stored(text)?, &mut cx)
                        .map_err(PlanError::without_place)?;
                    let value = self.assign(typed, declared)?;
                    let value = with_kept_digits(value, declared, plan.schema())?;
                    value.alias_qualified(column.column.relation.clone(), &column.column.name)
                }
            });
        }
        Ok(exprs)
    }
}

/// A quotient has more digits behind the point than a numeric column without a declared scale keeps.
fn with_kept_digits(value: Expr, column: &Column, schema: &DFSchema) -> Result<Expr> {
    let is_quotient = column.sql_type == SqlType::Numeric(None) && value.get_type(schema)? == QUOTIENT;
    match is_quotient {
        true => cast(value, &stored_quotient(), &column.sql_type, false),
        false => Ok(value),
    }
}

/// The columns of a table that generated columns may look at.
fn stored_scope(relation: &Relation, columns: &[BoundColumn]) -> Scope {
    let stored = relation
        .columns
        .iter()
        .zip(columns)
        .filter(|(declared, _)| declared.generated.is_none());
    let columns = stored.map(|(declared, column)| ScopeColumn {
        name: declared.name.clone(),
        value: Expr::Column(column.column.clone()),
        sql_type: declared.sql_type.clone(),
        origin: None,
    });
    Scope::of_table(ScopeTable {
        relation: None,
        alias: relation.name.clone(),
        schema: None,
        columns: columns.collect(),
    })
}

/// An expression that the catalog keeps as text.
pub(crate) fn parse_stored(text: &str) -> Result<ast::Expr> {
    highwater_parser::parse_expr(text).map_err(|error| PlanError::from(SqlError::from(error)))
}

/// Refuses a value for a generated column.
pub(crate) fn check_writable(column: &Column) -> Result<()> {
    match &column.generated {
        None => Ok(()),
        Some(_) => Err(PlanError::from(
            SqlError::new(
                SqlState("428C9"),
                format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name),
            )
            .with_detail(format!("Column \"{}\" is a generated column.", column.name)),
        )),
    }
}

/// Whether an expression is the word DEFAULT.
pub(crate) fn is_default(expr: &ast::Expr) -> bool {
    matches!(expr, ast::Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"))
}
