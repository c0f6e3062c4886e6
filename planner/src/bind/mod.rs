//! From syntax to a logical plan: what names mean, which types expressions have, PostgreSQL's rules for both.
//!
//! Reading order: `scope.rs` (names), `types.rs` and `coerce.rs` (types), `expr.rs` with `operator.rs`, `function.rs`
//! and `special.rs` (expressions), `from.rs` and `join.rs` with `asof.rs` and `system_time.rs` (FROM), `select.rs` with `items.rs`, `grouping.rs`, `aggregate.rs`, `window.rs`,
//! `set.rs` and `order.rs` (SELECT), `query.rs` (WITH, UNION, VALUES, LIMIT). A subquery is turned into a join where it stands
//! (`subquery.rs`), and what it takes from the outer query is moved up to that join (`decorrelate.rs`): no plan made
//! here holds a subquery expression or an outer reference.

mod aggregate;
mod array;
mod asof;
mod cast;
mod coerce;
mod cte;
mod decorrelate;
mod expr;
mod from;
mod function;
mod grouping;
mod items;
mod join;
mod library;
mod like;
mod lineage;
mod literal;
mod name;
mod named_arguments;
mod object;
mod one_row;
mod operand;
mod operator;
mod order;
mod outline;
mod precision;
mod predicate;
mod query;
mod scope;
mod select;
mod set;
mod setop;
mod single_value;
mod special;
mod subquery;
mod system_time;
mod table_function;
mod types;
mod values;
mod window;
mod window_table;

use std::sync::Arc;

use datafusion::common::{Column, DFSchema};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use highwater_types::{RelationId, SqlType};
use sqlparser::ast;

use crate::context::PlanContext;
use crate::error::Result;
use crate::query::{BoundQuery, NamedRelation, OutputColumn};
use crate::session_state::shared_session_state;

pub(crate) use coerce::{Casting, Typed, placeholder};
pub(crate) use expr::{ExprCx, Place};
pub(crate) use object::Named;
pub(crate) use precision::check_column as check_precision;
pub(crate) use scope::{Names, Origin, Scope, ScopeColumn, ScopeTable, fold, fold_name, unique_names};
pub use types::sql_type;

#[cfg(test)]
pub(crate) use types::by_name as type_by_name;

use coerce::Params;
use cte::Cte;

/// What names and texts in a statement, or in the query of a view that it reads, mean.
#[derive(Debug)]
struct Written {
    /// The schemas that unqualified names of relations are looked up in.
    search_path: Vec<String>,
    /// The zone of times that are written without one.
    time_zone: String,
    /// The relations that the text of a view is known to read.
    reads: Option<Vec<RelationId>>,
}

/// Binds one statement.
pub(crate) struct Binder<'a> {
    pub(crate) ctx: &'a PlanContext,
    pub(crate) state: Arc<SessionState>,
    pub(crate) names: Names,
    params: Params,
    /// The scopes around the one being bound, innermost last.
    outer: Vec<OuterScope>,
    /// The WITH items in sight, innermost last.
    ctes: Vec<Arc<Cte>>,
    /// What the text being bound was written under.
    written: Written,
    /// How many inline views are open around the place being bound.
    view_depth: usize,
    /// The relations that the statement itself names, views included.
    named: Vec<NamedRelation>,
}

/// A scope around a subquery, with the schema its columns' types are in.
#[derive(Debug, Clone)]
pub(crate) struct OuterScope {
    scope: Arc<Scope>,
    schema: Arc<DFSchema>,
}

/// A column that a query yields.
#[derive(Debug, Clone)]
pub(crate) struct BoundColumn {
    pub name: String,
    pub column: Column,
    pub sql_type: SqlType,
    pub origin: Origin,
    /// Whether its value had no type, and is text for want of a better one.
    pub open: bool,
}

/// A query's rows. The plan's schema is exactly `columns`, in this order.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub plan: LogicalPlan,
    pub columns: Vec<BoundColumn>,
}

/// Rows, and what names mean over them.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub plan: LogicalPlan,
    pub scope: Scope,
}

impl<'a> Binder<'a> {
    pub(crate) fn new(ctx: &'a PlanContext, declared: &[Option<SqlType>]) -> Binder<'a> {
        Binder {
            ctx,
            state: shared_session_state(&ctx.settings.time_zone),
            names: Names::default(),
            params: Params::new(declared),
            outer: Vec::new(),
            ctes: Vec::new(),
            written: Written {
                search_path: ctx.settings.search_path.clone(),
                time_zone: ctx.settings.time_zone.clone(),
                reads: ctx.reads.clone(),
            },
            view_depth: 0,
            named: Vec::new(),
        }
    }

    /// Binds a whole statement's query. Its plan's columns get the result's names, made unique by numbers.
    pub(crate) fn bind_top_query(&mut self, query: &ast::Query) -> Result<BoundQuery> {
        let rows = self.bind_query(query, &[])?;
        self.name_outputs(rows)
    }

    /// Binds expressions that stand alone: one row of them.
    pub(crate) fn bind_expressions(&mut self, exprs: &[ast::Expr]) -> Result<BoundQuery> {
        let rows = self.bind_value_rows(&[exprs.to_vec()], &[], Place::Values)?;
        self.name_outputs(rows)
    }

    /// Gives the plan of a whole statement its outward names.
    pub(crate) fn name_outputs(&mut self, rows: Rows) -> Result<BoundQuery> {
        let names = scope::unique_names(rows.columns.iter().map(|c| c.name.as_str()));
        let exprs: Vec<Expr> = rows
            .columns
            .iter()
            .zip(&names)
            .map(|(c, name)| Expr::Column(c.column.clone()).alias(name))
            .collect();
        let plan = LogicalPlanBuilder::from(rows.plan).project(exprs)?.build()?;
        let columns = rows
            .columns
            .into_iter()
            .map(|c| OutputColumn {
                name: c.name,
                sql_type: c.sql_type,
                origin: c.origin,
            })
            .collect();
        Ok(BoundQuery {
            plan,
            columns,
            depends_on: self.named_relations(),
            names: self.named.clone(),
        })
    }

    /// The types of the statement's parameters.
    pub(crate) fn parameter_types(&self) -> Result<Vec<SqlType>> {
        self.params.finish()
    }

    /// The relations that the statement names itself, sorted, once each.
    fn named_relations(&self) -> Vec<RelationId> {
        let mut named: Vec<RelationId> = self.named.iter().map(|named| named.relation).collect();
        named.sort_unstable();
        named.dedup();
        named
    }
}
