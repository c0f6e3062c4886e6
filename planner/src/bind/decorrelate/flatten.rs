//! The rewrite itself, one rule for each kind of node: what a node yields, its rewritten form yields for each value of
//! the domain, with the domain's columns beside it.

use std::sync::Arc;

use datafusion::common::{Column, ExprSchema, JoinType, NullEquality};
use datafusion::logical_expr::expr::GroupingSet;
use datafusion::logical_expr::logical_plan::{Aggregate, Distinct, Join, Union};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Expr, Filter, Limit, LogicalPlan, LogicalPlanBuilder, Operator, Projection, Window, binary_expr,
};

use super::{Domain, Flat, Key, filtered, has_outer, is_one_row, meets};
use crate::bind::Binder;
use crate::bind::aggregate::precompute;
use crate::bind::join::join_plans;
use crate::error::{PlanError, Result};

impl Binder<'_> {
    /// Rewrites a relation to carry its domain.
    pub(super) fn flatten(&mut self, plan: LogicalPlan, domain: &Domain, defaulted: bool) -> Result<Flat> {
        if !domain.occurs_in(&plan)? {
            return self.beside_domain(plan, domain);
        }
        match plan {
            LogicalPlan::Filter(filter) => self.flatten_filter(filter, domain),
            LogicalPlan::Projection(projection) => self.flatten_projection(projection, domain, defaulted),
            LogicalPlan::Aggregate(aggregate) => self.flatten_aggregate(aggregate, domain, defaulted),
            LogicalPlan::Join(join) => self.flatten_join(join, domain),
            LogicalPlan::Sort(mut sort) => {
                let flat = self.flatten(sort.input.as_ref().clone(), domain, false)?;
                for key in &mut sort.expr {
                    key.expr = domain.replace(key.expr.clone(), &flat.keys)?;
                }
                let plan = LogicalPlanBuilder::from(flat.plan).sort(sort.expr)?.build()?;
                Ok(Flat { plan, keys: flat.keys })
            }
            LogicalPlan::Limit(limit) => self.flatten_limit(limit, domain),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let columns = input.schema().columns();
                let flat = self.flatten(input.as_ref().clone(), domain, false)?;
                let plan = LogicalPlanBuilder::from(only_columns(flat.plan, &columns, &flat.keys)?)
                    .distinct()?
                    .build()?;
                Ok(Flat { plan, keys: flat.keys })
            }
            LogicalPlan::Window(window) => self.flatten_window(window, domain),
            LogicalPlan::Union(union) => self.flatten_union(union, domain),
            LogicalPlan::Unnest(unnest) => {
                let flat = self.flatten(unnest.input.as_ref().clone(), domain, false)?;
                let plan = LogicalPlanBuilder::from(flat.plan)
                    .unnest_columns_with_options(unnest.exec_columns, unnest.options)?
                    .build()?;
                Ok(Flat { plan, keys: flat.keys })
            }
            other => Err(PlanError::unsupported(
                format!(
                    "a subquery that refers to the outer query from inside of a {}",
                    node_name(&other)
                ),
                "Rewrite it as a join.",
            )),
        }
    }

    /// A relation that looks at nothing of the outer one, for each value of the domain.
    fn beside_domain(&mut self, plan: LogicalPlan, domain: &Domain) -> Result<Flat> {
        let all: Vec<usize> = (0..domain.columns.len()).collect();
        let (values, keys) = self.domain_plan(domain, &all)?;
        if is_one_row(&plan) {
            return Ok(Flat { plan: values, keys });
        }
        let plan = join_plans(plan, values, JoinType::Inner, None)?;
        Ok(Flat { plan, keys })
    }

    fn flatten_filter(&mut self, filter: Filter, domain: &Domain) -> Result<Flat> {
        let input = filter.input.as_ref().clone();
        let mut conditions = split_conjunction_owned(filter.predicate);
        let flat = match domain.occurs_in(&input)? {
            true => self.flatten(input, domain, false)?,
            false => self.keys_from_equalities(input, &mut conditions, domain)?,
        };
        let mut replaced = Vec::with_capacity(conditions.len());
        for condition in conditions {
            replaced.push(domain.replace(condition, &flat.keys)?);
        }
        Ok(Flat {
            plan: filtered(flat.plan, conjunction(replaced))?,
            keys: flat.keys,
        })
    }

    /// Takes keys from conditions `outer = inner`, and removes those. Where there is none for some column, the domain is
    /// joined by those that there are.
    fn keys_from_equalities(
        &mut self,
        input: LogicalPlan,
        conditions: &mut Vec<Expr>,
        domain: &Domain,
    ) -> Result<Flat> {
        let mut found: Vec<Option<Expr>> = vec![None; domain.columns.len()];
        conditions.retain(|condition| match equality(condition, domain) {
            Some((i, inner)) if found[i].is_none() => {
                found[i] = Some(inner);
                false
            }
            _ => true,
        });
        let Some(found) = found.iter().cloned().collect::<Option<Vec<Expr>>>() else {
            return self.beside_domain_where(input, &found, domain);
        };
        let (mut plan, rewrite) = precompute(self, input, found.iter().cloned())?;
        let mut keys = Vec::with_capacity(found.len());
        for inner in found {
            keys.push(match rewrite.whole(&inner) {
                Expr::Column(column) => Key {
                    column,
                    null_safe: false,
                },
                constant => {
                    let (with, key) = self.constant_key(plan, constant)?;
                    plan = with;
                    key
                }
            });
        }
        Ok(Flat { plan, keys })
    }

    /// A relation that looks at nothing of the outer one, for each value of the domain to whose columns these expressions
    /// of it are equal, where there are any.
    fn beside_domain_where(&mut self, plan: LogicalPlan, equal: &[Option<Expr>], domain: &Domain) -> Result<Flat> {
        let all: Vec<usize> = (0..domain.columns.len()).collect();
        let (values, keys) = self.domain_plan(domain, &all)?;
        let on = equal.iter().zip(&keys).filter_map(|(inner, key)| {
            let key = Expr::Column(key.column.clone());
            Some(binary_expr(inner.clone()?, Operator::Eq, key))
        });
        let on = on.reduce(Expr::and);
        let plan = join_plans(plan, values, JoinType::Inner, on)?;
        Ok(Flat { plan, keys })
    }

    /// `outer = 5`: the constant as a column.
    fn constant_key(&mut self, plan: LogicalPlan, constant: Expr) -> Result<(LogicalPlan, Key)> {
        let qualifier = self.names.fresh("corr");
        let mut exprs: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        exprs.push(constant.alias_qualified(Some(qualifier.clone()), "value"));
        let plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
        let column = Column::new(Some(qualifier), "value");
        Ok((
            plan,
            Key {
                column,
                null_safe: false,
            },
        ))
    }

    fn flatten_projection(&mut self, projection: Projection, domain: &Domain, defaulted: bool) -> Result<Flat> {
        let flat = self.flatten(projection.input.as_ref().clone(), domain, defaulted)?;
        let mut exprs = Vec::with_capacity(projection.expr.len() + flat.keys.len());
        let names = projection.schema.columns();
        for (expr, name) in projection.expr.into_iter().zip(&names) {
            let is_plain = matches!(expr, Expr::Column(_));
            let replaced = domain.replace(expr.unalias(), &flat.keys)?;
            exprs.push(match is_plain {
                true => replaced,
                false => replaced.alias_qualified(name.relation.clone(), &name.name),
            });
        }
        for key in &flat.keys {
            if !names.contains(&key.column) && !exprs.contains(&Expr::Column(key.column.clone())) {
                exprs.push(Expr::Column(key.column.clone()));
            }
        }
        let plan = LogicalPlanBuilder::from(flat.plan).project(exprs)?.build()?;
        Ok(Flat { plan, keys: flat.keys })
    }

    fn flatten_aggregate(&mut self, aggregate: Aggregate, domain: &Domain, defaulted: bool) -> Result<Flat> {
        let columns = aggregate.schema.columns();
        let flat = self.flatten(aggregate.input.as_ref().clone(), domain, false)?;
        let keys = flat.keys.iter().map(|k| Expr::Column(k.column.clone()));
        let mut groups = Vec::with_capacity(aggregate.group_expr.len());
        for expr in &aggregate.group_expr {
            groups.push(domain.replace(expr.clone(), &flat.keys)?);
        }
        let one_group = groups.is_empty();
        match groups.as_mut_slice() {
            [Expr::GroupingSet(GroupingSet::GroupingSets(sets))] => {
                for set in sets {
                    set.extend(keys.clone());
                }
            }
            _ => {
                for key in keys {
                    if !groups.contains(&key) {
                        groups.push(key);
                    }
                }
            }
        }
        let mut calls = Vec::with_capacity(aggregate.aggr_expr.len());
        for call in &aggregate.aggr_expr {
            calls.push(domain.replace(call.clone(), &flat.keys)?);
        }
        let plan = LogicalPlanBuilder::from(flat.plan).aggregate(groups, calls)?.build()?;
        if one_group && !defaulted {
            return self.with_empty_groups(plan, &aggregate, columns, flat.keys, domain);
        }
        Ok(Flat { plan, keys: flat.keys })
    }

    /// An aggregation without groups answers one row even over no input: for every value of the domain.
    fn with_empty_groups(
        &mut self,
        plan: LogicalPlan,
        aggregate: &Aggregate,
        columns: Vec<Column>,
        inner_keys: Vec<Key>,
        domain: &Domain,
    ) -> Result<Flat> {
        let all: Vec<usize> = (0..domain.columns.len()).collect();
        let (values, keys) = self.domain_plan(domain, &all)?;
        let on = keys
            .iter()
            .zip(&inner_keys)
            .map(|(k, inner)| meets(Expr::Column(k.column.clone()), inner));
        let plan = join_plans(values, plan, JoinType::Left, on.reduce(Expr::and))?;
        let mut exprs: Vec<Expr> = keys.iter().map(|k| Expr::Column(k.column.clone())).collect();
        for (column, call) in columns.iter().zip(&aggregate.aggr_expr) {
            let data_type = aggregate.schema.field_from_column(column)?.data_type();
            let default = match call {
                Expr::AggregateFunction(call) => call.func.default_value(data_type)?,
                other => return Err(PlanError::internal(format!("{other} is no aggregate"))),
            };
            let value = Expr::Column(column.clone());
            exprs.push(match default.is_null() {
                true => value,
                false => {
                    let coalesce = self.scalar_function("coalesce")?;
                    let value = coalesce.call(vec![value, Expr::Literal(default, None)]);
                    value.alias_qualified(column.relation.clone(), &column.name)
                }
            });
        }
        let plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
        Ok(Flat { plan, keys })
    }

    fn flatten_join(&mut self, join: Join, domain: &Domain) -> Result<Flat> {
        let on = join.on.iter().map(|(l, r)| match join.null_equality {
            NullEquality::NullEqualsNothing => binary_expr(l.clone(), Operator::Eq, r.clone()),
            NullEquality::NullEqualsNull => binary_expr(l.clone(), Operator::IsNotDistinctFrom, r.clone()),
        });
        let condition = on.chain(join.filter.clone()).reduce(Expr::and);
        let left_looks = domain.occurs_in(&join.left)?;
        let right_looks = domain.occurs_in(&join.right)?;
        let (left, right) = (join.left.as_ref().clone(), join.right.as_ref().clone());
        match join.join_type {
            JoinType::Inner if !left_looks && !right_looks => {
                let joined = join_plans(left, right, JoinType::Inner, None)?;
                match condition {
                    Some(condition) => self.flatten_filter(Filter::try_new(condition, Arc::new(joined))?, domain),
                    None => self.beside_domain(joined, domain),
                }
            }
            JoinType::Inner if !left_looks => {
                let flat = self.flatten(right, domain, false)?;
                let condition = condition.map(|c| domain.replace(c, &flat.keys)).transpose()?;
                let plan = join_plans(left, flat.plan, JoinType::Inner, condition)?;
                Ok(Flat { plan, keys: flat.keys })
            }
            JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => {
                let flat = self.flatten(left, domain, false)?;
                let condition = condition.map(|c| domain.replace(c, &flat.keys)).transpose()?;
                if !right_looks {
                    let plan = join_plans(flat.plan, right, join.join_type, condition)?;
                    return Ok(Flat { plan, keys: flat.keys });
                }
                self.join_flat(flat, right, join.join_type, condition, domain)
            }
            JoinType::Right => {
                let swapped = join_plans(right, left, JoinType::Left, condition)?;
                self.flatten(swapped, domain, false)
            }
            other => Err(PlanError::unsupported(
                format!("a subquery that refers to the outer query from inside of a {other} join"),
                "Rewrite it as a join.",
            )),
        }
    }

    /// Joins two relations that both carry the domain.
    fn join_flat(
        &mut self,
        left: Flat,
        right: LogicalPlan,
        join: JoinType,
        condition: Option<Expr>,
        domain: &Domain,
    ) -> Result<Flat> {
        let columns = right.schema().columns();
        let right = self.flatten(right, domain, false)?;
        let (right, right_keys) = self.rename_keys(right, &columns)?;
        let same = left
            .keys
            .iter()
            .zip(&right_keys)
            .map(|(l, r)| meets(Expr::Column(l.column.clone()), r));
        let condition = same.chain(condition).reduce(Expr::and);
        let plan = join_plans(left.plan, right, join, condition)?;
        Ok(Flat { plan, keys: left.keys })
    }

    /// LIMIT counts for each value of the domain.
    fn flatten_limit(&mut self, limit: Limit, domain: &Domain) -> Result<Flat> {
        let columns = limit.input.schema().columns();
        let (input, order) = match limit.input.as_ref() {
            LogicalPlan::Sort(sort) => (sort.input.as_ref().clone(), sort.expr.clone()),
            other => (other.clone(), Vec::new()),
        };
        let flat = self.flatten(input, domain, false)?;
        let mut keys = Vec::with_capacity(order.len());
        for mut key in order {
            key.expr = domain.replace(key.expr, &flat.keys)?;
            keys.push(key);
        }
        let partition = flat.keys.iter().map(|k| Expr::Column(k.column.clone())).collect();
        let (plan, number) = self.numbered(flat.plan, partition, keys)?;
        let skip = limit.skip.as_deref().cloned();
        let mut conditions = Vec::new();
        if let Some(skip) = &skip {
            conditions.push(number.clone().gt(skip.clone()));
        }
        if let Some(fetch) = limit.fetch.as_deref().cloned() {
            let last = match skip {
                Some(skip) => skip + fetch,
                None => fetch,
            };
            conditions.push(number.lt_eq(last));
        }
        let plan = filtered(plan, conjunction(conditions))?;
        Ok(Flat {
            plan: only_columns(plan, &columns, &flat.keys)?,
            keys: flat.keys,
        })
    }

    fn flatten_window(&mut self, window: Window, domain: &Domain) -> Result<Flat> {
        let flat = self.flatten(window.input.as_ref().clone(), domain, false)?;
        let mut calls = Vec::with_capacity(window.window_expr.len());
        let mut exprs: Vec<Expr> = flat.plan.schema().columns().into_iter().map(Expr::Column).collect();
        for call in window.window_expr {
            let name = call.schema_name().to_string();
            let Expr::WindowFunction(mut call) = domain.replace(call, &flat.keys)? else {
                return Err(PlanError::internal("a window function expected"));
            };
            let keys = flat.keys.iter().map(|k| Expr::Column(k.column.clone()));
            call.params.partition_by.extend(keys);
            let call = Expr::WindowFunction(call);
            exprs.push(Expr::Column(Column::from_name(call.schema_name().to_string())).alias(name));
            calls.push(call);
        }
        let plan = LogicalPlanBuilder::from(flat.plan)
            .window(calls)?
            .project(exprs)?
            .build()?;
        Ok(Flat { plan, keys: flat.keys })
    }

    fn flatten_union(&mut self, union: Union, domain: &Domain) -> Result<Flat> {
        let qualifier = self.names.fresh("corr");
        let outward = union.schema.columns();
        let mut inputs = Vec::with_capacity(union.inputs.len());
        let mut safe = vec![false; domain.columns.len()];
        let mut flats = Vec::with_capacity(union.inputs.len());
        for input in &union.inputs {
            let columns = input.schema().columns();
            let flat = self.flatten(input.as_ref().clone(), domain, false)?;
            for (safe, key) in safe.iter_mut().zip(&flat.keys) {
                *safe |= key.null_safe;
            }
            flats.push((flat, columns));
        }
        for (flat, columns) in flats {
            // A branch in which NULL meets nothing loses those rows when another needs NULL to meet NULL.
            let not_null = flat
                .keys
                .iter()
                .zip(&safe)
                .filter(|(key, safe)| **safe && !key.null_safe);
            let not_null = not_null.map(|(key, _)| Expr::IsNotNull(Box::new(Expr::Column(key.column.clone()))));
            let plan = filtered(flat.plan, not_null.reduce(Expr::and))?;
            let mut exprs: Vec<Expr> = columns
                .into_iter()
                .zip(&outward)
                .map(|(c, out)| Expr::Column(c).alias_qualified(out.relation.clone(), &out.name))
                .collect();
            for (i, key) in flat.keys.iter().enumerate() {
                let name = format!("key{}", i + 1);
                exprs.push(Expr::Column(key.column.clone()).alias_qualified(Some(qualifier.clone()), name));
            }
            inputs.push(Arc::new(LogicalPlanBuilder::from(plan).project(exprs)?.build()?));
        }
        let plan = LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?);
        let mut exprs = Vec::new();
        let mut keys = Vec::new();
        let columns = plan.schema().columns();
        for (i, column) in columns.into_iter().enumerate() {
            let name = match i.checked_sub(outward.len()) {
                None => outward[i].clone(),
                Some(k) => {
                    let name = Column::new(Some(qualifier.clone()), format!("key{}", k + 1));
                    keys.push(Key {
                        column: name.clone(),
                        null_safe: safe[k],
                    });
                    name
                }
            };
            exprs.push(Expr::Column(column).alias_qualified(name.relation, name.name));
        }
        let plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
        Ok(Flat { plan, keys })
    }
}

/// For `outer = inner`: the position of the outer column, and the inner side, which looks at no outer column.
fn equality(condition: &Expr, domain: &Domain) -> Option<(usize, Expr)> {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Eq,
        right,
    }) = condition
    else {
        return None;
    };
    let position = |side: &Expr| match side {
        Expr::OuterReferenceColumn(_, column) => domain.columns.iter().position(|c| c == column),
        _ => None,
    };
    let free = |side: &Expr| !domain.occurs_in_expr(side) && !has_outer(side);
    match (position(left), position(right)) {
        (Some(i), None) if free(right) => Some((i, right.as_ref().clone())),
        (None, Some(i)) if free(left) => Some((i, left.as_ref().clone())),
        _ => None,
    }
}

/// Just these columns and the keys.
fn only_columns(plan: LogicalPlan, columns: &[Column], keys: &[Key]) -> Result<LogicalPlan> {
    let mut wanted: Vec<Expr> = columns.iter().cloned().map(Expr::Column).collect();
    for key in keys {
        let key = Expr::Column(key.column.clone());
        if !wanted.contains(&key) {
            wanted.push(key);
        }
    }
    Ok(LogicalPlanBuilder::from(plan).project(wanted)?.build()?)
}

fn node_name(plan: &LogicalPlan) -> String {
    let text = plan.display().to_string();
    text.split([':', ' ']).next().unwrap_or_default().to_lowercase()
}
