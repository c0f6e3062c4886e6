//! `JOIN ... FOR SYSTEM_TIME AS OF`: each left row with the right side's row as it was at a time.
//!
//! As of PROCTIME() that time is the left row's arrival, which a mark in the plan says. As of a time of the left row, the
//! rows of the right side are versions: each is current from its own time until that of the next one with the same
//! identity. So it is a join with the nearest row (`asof.rs`), revised as either side changes.
//!
//! A row's own time is the column with a watermark; in a table without, the one time in its primary key. The identity is
//! what the condition equates; where that includes all of the primary key but the time, the identity is the key, and
//! what else is equated is asked of the version that was current, as the rest of the condition is.

use std::sync::Arc;

use datafusion::common::{Column, JoinType};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Cast, Expr, Extension, LogicalPlan};
use highwater_parser::asof_condition;
use highwater_types::SqlType;
use sqlparser::ast::{self, JoinOperator, Spanned, TableFactor, TableVersion};

use super::asof::{nearest_first, nearest_row};
use super::join::{key_pair, kind_of, written_names};
use super::lineage::StoredColumn;
use super::scope::{ScopeColumn, fold_name};
use super::{Binder, ExprCx, Place, Source, Typed};
use crate::catalog::Relation;
use crate::error::{PlanError, Result};
use crate::window::ProcTimeNode;

/// As messages name it.
const AS_OF_COLUMN: &str = "FOR SYSTEM_TIME AS OF a column";

/// The right side of a join as of a time.
pub(super) struct AsOf<'a> {
    name: &'a ast::ObjectName,
    alias: Option<&'a ast::TableAlias>,
    time: Time<'a>,
}

/// As of when.
enum Time<'a> {
    /// When the left row arrived.
    Arrival,
    /// A time of the left row.
    Of(&'a ast::Expr),
}

/// The column with the time of a version's row.
struct OwnTime {
    column: ScopeColumn,
    stored: StoredColumn,
}

/// The condition of a join of versions.
struct Condition {
    /// The equalities that say which rows are versions of one thing.
    identity: Vec<Expr>,
    /// What must hold of the version that was current.
    rest: Vec<Expr>,
    /// The columns that USING merges.
    merged: Option<Vec<ScopeColumn>>,
}

/// The right side of a join, when it is one as of a time.
pub(super) fn as_of(factor: &TableFactor) -> Result<Option<AsOf<'_>>> {
    let TableFactor::Table {
        version: Some(version),
        name,
        alias,
        args: None,
        ..
    } = factor
    else {
        return Ok(None);
    };
    let time = match version {
        TableVersion::ForSystemTimeAsOf(ast::Expr::Function(function))
            if fold_name(&function.name).last().map(String::as_str) == Some("proctime") =>
        {
            Time::Arrival
        }
        TableVersion::ForSystemTimeAsOf(time) => Time::Of(time),
        other => {
            return Err(PlanError::unsupported(
                other.to_string(),
                "Use FOR SYSTEM_TIME AS OF PROCTIME(), or of a time column of the left side.",
            )
            .at(name.span()));
        }
    };
    let alias = alias.as_ref();
    Ok(Some(AsOf { name, alias, time }))
}

impl Binder<'_> {
    /// Joins a relation as of a time.
    pub(super) fn join_as_of(&mut self, left: Source, right: &AsOf<'_>, operator: &JoinOperator) -> Result<Source> {
        let mut source = self.bind_relation(right.name, right.alias)?;
        match right.time {
            Time::Arrival => {
                let input = Arc::new(source.plan);
                let node = Arc::new(ProcTimeNode { input });
                source.plan = LogicalPlan::Extension(Extension { node });
                self.bind_join(left, source, operator)
            }
            Time::Of(time) => {
                let joined = self.join_versions(left, source, right.name, time, operator);
                joined.map_err(|error| error.at(right.name.span()))
            }
        }
    }

    fn join_versions(
        &mut self,
        left: Source,
        right: Source,
        name: &ast::ObjectName,
        time: &ast::Expr,
        operator: &JoinOperator,
    ) -> Result<Source> {
        let (join, constraint) = kind_of(operator)?;
        if !matches!(join, JoinType::Inner | JoinType::Left) {
            return Err(PlanError::unsupported(
                format!("{AS_OF_COLUMN} in a RIGHT or FULL JOIN"),
                "Use JOIN or LEFT JOIN, with the rows that have the time on the left.",
            ));
        }
        let own = self.own_time(&right, name)?;
        let current = self.has_begun(&left, &right, &own.column, time)?;
        let Some(order) = nearest_first(&current, &left, &right) else {
            return Err(PlanError::unsupported(
                "FOR SYSTEM_TIME AS OF anything but PROCTIME() or a time of the left side",
                "Give a time column of the left side: FROM orders AS o JOIN rates FOR SYSTEM_TIME AS OF o.ts AS r ON ...",
            )
            .at(time.span()));
        };
        let condition = self.condition_of_versions(&left, &right, &own.stored, join, constraint)?;
        let seen = condition.identity.into_iter().fold(current, Expr::and);
        let right = nearest_row(&left, right, seen, order)?;
        self.joined(left, right, join, conjunction(condition.rest), condition.merged)
    }

    /// The column of a relation that is its rows' own time.
    fn own_time(&mut self, right: &Source, name: &ast::ObjectName) -> Result<OwnTime> {
        let mut found = Vec::new();
        for column in &right.scope.columns {
            if let Expr::Column(shown) = &column.value
                && let Some(stored) = self.stored_column(&right.plan, shown)?
                && is_own_time(&stored)
            {
                let column = column.clone();
                found.push(OwnTime { column, stored });
            }
        }
        let shown = fold_name(name).join(".");
        match <[OwnTime; 1]>::try_from(found) {
            Ok([own]) => Ok(own),
            Err(none) if none.is_empty() => Err(PlanError::unsupported(
                format!("{AS_OF_COLUMN} over \"{shown}\", whose rows have no time of their own,"),
                "Declare WATERMARK FOR its time column, or make that part of its primary key; or write ASOF JOIN, which names both times.",
            )),
            Err(_) => Err(PlanError::unsupported(
                format!("{AS_OF_COLUMN} over \"{shown}\", whose rows have several times of their own,"),
                "Join a view that shows one of them, or write ASOF JOIN, which names both times.",
            )),
        }
    }

    /// That a version had begun at a time of the left row.
    fn has_begun(&mut self, left: &Source, right: &Source, own: &ScopeColumn, time: &ast::Expr) -> Result<Expr> {
        let mut seen = ExprCx::new(&left.scope, left.plan.schema(), Place::JoinOn);
        let at = self.bind_expr(time, &mut seen)?;
        refuse_subqueries(&seen, time)?;
        let scope = left.scope.clone().beside(right.scope.clone())?;
        let schema = left.plan.schema().join(right.plan.schema())?;
        let mut cx = ExprCx::new(&scope, &schema, Place::JoinOn);
        let own = Typed::new(own.value.clone(), own.sql_type.clone());
        let begun = self.apply_operator("<=", own, at, &mut cx);
        Ok(begun.map_err(|error| error.at(time.span()))?.expr)
    }

    fn condition_of_versions(
        &mut self,
        left: &Source,
        right: &Source,
        time: &StoredColumn,
        join: JoinType,
        constraint: &ast::JoinConstraint,
    ) -> Result<Condition> {
        let (condition, merged) = match constraint {
            _ if asof_condition(constraint).is_some() => {
                return Err(PlanError::unsupported(
                    format!("{AS_OF_COLUMN} in an ASOF JOIN"),
                    "Write one of the two: each finds the nearest row.",
                ));
            }
            ast::JoinConstraint::On(condition) => (Some(self.plain_condition(left, right, condition)?), None),
            ast::JoinConstraint::Using(names) => {
                let (condition, merged) = self.using(&left.scope, &right.scope, join, &written_names(names))?;
                (condition, Some(merged))
            }
            ast::JoinConstraint::Natural => {
                return Err(PlanError::unsupported(
                    format!("{AS_OF_COLUMN} in a NATURAL JOIN"),
                    "Write ON or USING with the columns that say which rows are versions of one thing.",
                ));
            }
            ast::JoinConstraint::None => (None, None),
        };
        let (mut identity, mut rest) = (Vec::new(), Vec::new());
        for part in condition.into_iter().flat_map(split_conjunction_owned) {
            match key_pair(&part, left.plan.schema(), right.plan.schema()) {
                Some(((_, of_right), _)) => identity.push((part, of_right)),
                None => rest.push(part),
            }
        }
        if identity.is_empty() {
            return Err(PlanError::InvalidReference {
                message: format!("{AS_OF_COLUMN} needs an equality of its sides, such as l.k = r.k"),
            });
        }
        let identity = self.without_beside_the_key(identity, right, time, &mut rest)?;
        Ok(Condition { identity, rest, merged })
    }

    fn plain_condition(&mut self, left: &Source, right: &Source, condition: &ast::Expr) -> Result<Expr> {
        let scope = left.scope.clone().beside(right.scope.clone())?;
        let schema = left.plan.schema().join(right.plan.schema())?;
        let mut cx = ExprCx::new(&scope, &schema, Place::JoinOn);
        let bound = self.bind_condition(condition, "JOIN/ON", &mut cx)?;
        refuse_subqueries(&cx, condition)?;
        Ok(bound)
    }

    /// The equalities, each with its right side's value, that are the identity of versions; what is equated beside
    /// a primary key goes to `rest`.
    fn without_beside_the_key(
        &mut self,
        equal: Vec<(Expr, Expr)>,
        right: &Source,
        time: &StoredColumn,
        rest: &mut Vec<Expr>,
    ) -> Result<Vec<Expr>> {
        let mut stored = Vec::with_capacity(equal.len());
        for (_, of_right) in &equal {
            let found = match plain_column(of_right) {
                Some(column) => self.stored_column(&right.plan, column)?,
                None => None,
            };
            let found = found.filter(|found| found.relation.id == time.relation.id);
            stored.push(found.map(|found| found.at));
        }
        let key: Vec<usize> = key_of(&time.relation)
            .iter()
            .copied()
            .filter(|at| *at != time.at)
            .collect();
        let is_key = |at: &Option<usize>| at.is_some_and(|at| key.contains(&at));
        // Where a view joins rows to the relation's, its key tells them apart no more.
        let decides = !time.joined && !key.is_empty() && key.iter().all(|at| stored.contains(&Some(*at)));
        let mut identity = Vec::with_capacity(equal.len());
        for ((part, _), at) in equal.into_iter().zip(&stored) {
            if decides && !is_key(at) {
                rest.push(part);
            } else {
                identity.push(part);
            }
        }
        Ok(identity)
    }
}

/// Whether a stored column is the time of its relation's rows: the one with a watermark, or the one time of a key.
fn is_own_time(stored: &StoredColumn) -> bool {
    let relation = &stored.relation;
    if let Some(watermark) = &relation.watermark {
        return watermark.column == stored.at;
    }
    let is_time = |at: &&usize| {
        matches!(
            relation.columns[**at].sql_type,
            SqlType::Timestamp | SqlType::Timestamptz
        )
    };
    let key = key_of(relation);
    let times: Vec<usize> = key.iter().filter(is_time).copied().collect();
    key.len() > 1 && times == [stored.at]
}

fn key_of(relation: &Relation) -> &[usize] {
    relation.key.as_deref().unwrap_or_default()
}

/// The column that an expression is, or that it is a cast of.
fn plain_column(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Column(column) => Some(column),
        Expr::Cast(Cast { expr, .. }) => plain_column(expr),
        _ => None,
    }
}

fn refuse_subqueries(cx: &ExprCx<'_>, expr: &ast::Expr) -> Result<()> {
    match cx.subqueries.is_empty() {
        true => Ok(()),
        false => Err(PlanError::unsupported(
            format!("a subquery in the condition of {AS_OF_COLUMN}"),
            "Join the subquery first.",
        )
        .at(expr.span())),
    }
}
