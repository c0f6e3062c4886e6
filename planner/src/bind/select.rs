//! SELECT, in PostgreSQL's order: FROM, WHERE, GROUP BY, HAVING, window functions, QUALIFY (which PostgreSQL does not
//! have), the SELECT list with its set-returning functions, DISTINCT, ORDER BY, LIMIT.

use std::ops::ControlFlow;

use datafusion::common::Column;
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr, lit};
use highwater_types::SqlType;
use sqlparser::ast::{self, Distinct, SelectItem, Spanned, VisitMut};
use sqlparser::tokenizer::Span;

use super::aggregate::{Grouping, aggregate, collect};
use super::decorrelate::filtered;
use super::items::Item;
use super::order::{output_named, position, sort_key, sorted};
use super::query::{Bounds, limited};
use super::scope::{fold, unique_names};
use super::set::unnest_sets;
use super::subquery::Pending;
use super::window::compute_windows;
use super::{Binder, BoundColumn, Casting, ExprCx, Origin, Place, Rows, Source, Typed};
use crate::error::{PlanError, Result};

/// A bound entry of the SELECT list.
struct Output {
    name: String,
    typed: Typed,
    origin: Origin,
    open: bool,
}

/// A key of ORDER BY or DISTINCT ON.
enum Key {
    Output(usize),
    Hidden(Expr, Span),
}

/// Everything of a SELECT that is computed above its groups.
struct Parts {
    outputs: Vec<Output>,
    having: Option<Expr>,
    qualify: Option<Expr>,
    order: Vec<(Key, ast::OrderByOptions)>,
    distinct_on: Vec<Key>,
    having_subqueries: Vec<Pending>,
    subqueries: Vec<Pending>,
    sets: Vec<super::set::SetCall>,
}

impl Parts {
    /// The expressions that window functions and set-returning functions may stand in.
    fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        let outputs = self.outputs.iter_mut().map(|o| &mut o.typed.expr);
        let order = self.order.iter_mut().map(|(key, _)| key);
        let keys = order.chain(&mut self.distinct_on).filter_map(|key| match key {
            Key::Hidden(expr, _) => Some(expr),
            Key::Output(_) => None,
        });
        outputs
            .chain(&mut self.qualify)
            .chain(keys)
            .chain(self.sets.iter_mut().map(|s| &mut s.list))
            .collect()
    }
}

impl Binder<'_> {
    pub(crate) fn bind_select(
        &mut self,
        select: &ast::Select,
        keys: &[ast::OrderByExpr],
        bounds: &Bounds,
        expected: &[SqlType],
    ) -> Result<Rows> {
        refuse_clauses(select)?;
        let source = self.bind_from(&select.from)?;
        let source = self.bind_where(source, select.selection.as_ref(), "WHERE", Place::Where)?;
        let items = self.expand_items(&select.projection, &source)?;
        let mut cx = ExprCx::new(&source.scope, source.plan.schema(), Place::GroupBy);
        cx.windows = &select.named_window;
        let mut grouping = self.bind_group_by(&select.group_by, &items, &mut cx)?;
        let group_subqueries = std::mem::take(&mut cx.subqueries);
        let mut parts = self.bind_parts(select, &items, keys, expected, &mut cx)?;
        let mut plan = self.attach(source.plan.clone(), group_subqueries)?;
        if is_aggregation(&grouping, &parts)? {
            plan = self.group(plan, &mut grouping, &mut parts, &source.scope)?;
        }
        let subqueries = std::mem::take(&mut parts.subqueries);
        plan = self.attach(plan, subqueries)?;
        plan = compute_windows(self, plan, &mut parts.exprs_mut())?;
        plan = filtered(plan, parts.qualify.take())?;
        plan = unnest_sets(plan, std::mem::take(&mut parts.sets))?;
        self.output(plan, parts, select.distinct.as_ref(), bounds)
    }

    /// Applies WHERE.
    pub(crate) fn bind_where(
        &mut self,
        source: Source,
        condition: Option<&ast::Expr>,
        clause: &str,
        place: Place,
    ) -> Result<Source> {
        let Some(condition) = condition else {
            return Ok(source);
        };
        let mut cx = ExprCx::new(&source.scope, source.plan.schema(), place);
        let mut conditions = Vec::new();
        self.bind_conjuncts(condition, clause, &mut cx, &mut conditions)?;
        let subqueries = cx.subqueries;
        let columns = source.plan.schema().columns();
        // Conditions without subqueries go first: what they drop needs no join.
        let added = |e: &Expr| e.column_refs().iter().any(|c| !columns.contains(c));
        let (late, early): (Vec<Expr>, Vec<Expr>) = conditions.into_iter().partition(added);
        let plan = filtered(source.plan, early.into_iter().reduce(Expr::and))?;
        let plan = self.attach(plan, subqueries)?;
        let plan = filtered(plan, late.into_iter().reduce(Expr::and))?;
        Ok(Source {
            plan,
            scope: source.scope,
        })
    }

    /// Binds what stands above the groups.
    fn bind_parts(
        &mut self,
        select: &ast::Select,
        items: &[Item<'_>],
        keys: &[ast::OrderByExpr],
        expected: &[SqlType],
        cx: &mut ExprCx<'_>,
    ) -> Result<Parts> {
        cx.place = Place::Having;
        let having = match &select.having {
            Some(having) => Some(self.bind_condition(having, "HAVING", cx)?),
            None => None,
        };
        let having_subqueries = std::mem::take(&mut cx.subqueries);
        cx.place = Place::Select;
        let outputs = self.bind_outputs(items, expected, cx)?;
        cx.place = Place::Qualify;
        let qualify = match &select.qualify {
            Some(condition) => Some(self.bind_condition(&over_items(condition, items, cx.scope), "QUALIFY", cx)?),
            None => None,
        };
        cx.place = Place::OrderBy;
        let mut order = Vec::with_capacity(keys.len());
        for key in keys {
            order.push((self.bind_key(&key.expr, items, &outputs, "ORDER BY", cx)?, key.options));
        }
        let mut distinct_on = Vec::new();
        if let Some(Distinct::On(exprs)) = &select.distinct {
            for expr in exprs {
                distinct_on.push(self.bind_key(expr, items, &outputs, "DISTINCT ON", cx)?);
            }
        }
        Ok(Parts {
            outputs,
            having,
            qualify,
            order,
            distinct_on,
            having_subqueries,
            subqueries: std::mem::take(&mut cx.subqueries),
            sets: std::mem::take(&mut cx.sets),
        })
    }

    fn bind_outputs(&mut self, items: &[Item<'_>], expected: &[SqlType], cx: &mut ExprCx<'_>) -> Result<Vec<Output>> {
        let mut outputs = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            outputs.push(match item {
                Item::Column { name, typed, origin } => Output {
                    name: name.clone(),
                    typed: typed.clone(),
                    origin: *origin,
                    open: false,
                },
                Item::Written { name, expr } => {
                    let typed = self.bind_expr(expr, cx)?;
                    let open = typed.is_unknown();
                    let typed = match expected.get(i) {
                        Some(to) if open && *to != SqlType::Unknown => self
                            .coerce(typed, to, Casting::Assignment)
                            .map_err(|error| error.at(expr.span()))?,
                        _ => self.settle(typed)?,
                    };
                    Output {
                        name: name.clone(),
                        origin: cx.scope.origin_of(&typed.expr),
                        typed,
                        open,
                    }
                }
            });
        }
        Ok(outputs)
    }

    fn bind_key(
        &mut self,
        expr: &ast::Expr,
        items: &[Item<'_>],
        outputs: &[Output],
        clause: &str,
        cx: &mut ExprCx<'_>,
    ) -> Result<Key> {
        let same = |a: usize, b: usize| outputs[a].typed.expr == outputs[b].typed.expr;
        let at = match position(expr, items.len(), clause)? {
            Some(at) => Some(at),
            None => output_named(expr, outputs.iter().map(|o| o.name.as_str()), clause, same)?,
        };
        if let Some(at) = at {
            return Ok(Key::Output(at));
        }
        let typed = self.bind_expr(expr, cx)?;
        let typed = self.settle(typed)?;
        match outputs.iter().position(|o| o.typed.expr == typed.expr) {
            Some(at) => Ok(Key::Output(at)),
            None => Ok(Key::Hidden(typed.expr, expr.span())),
        }
    }

    /// Groups, and takes the parts above the groups.
    fn group(
        &mut self,
        plan: LogicalPlan,
        grouping: &mut Grouping,
        parts: &mut Parts,
        scope: &super::Scope,
    ) -> Result<LogicalPlan> {
        let (below, mut above): (Vec<Pending>, Vec<Pending>) = std::mem::take(&mut parts.subqueries)
            .into_iter()
            .partition(|p| p.in_aggregate);
        let (having_below, mut having_above): (Vec<Pending>, Vec<Pending>) =
            std::mem::take(&mut parts.having_subqueries)
                .into_iter()
                .partition(|p| p.in_aggregate);
        let plan = self.attach(plan, having_below)?;
        let plan = self.attach(plan, below)?;
        let mut exprs: Vec<Expr> = parts.exprs_mut().into_iter().map(|e| e.clone()).collect();
        exprs.extend(parts.having.clone());
        exprs.extend(above.iter().chain(&having_above).filter_map(|p| p.on.clone()));
        let exprs: Vec<&Expr> = exprs.iter().collect();
        let groups = aggregate(self, plan, grouping, &exprs, scope)?;
        let mut added: Vec<Column> = parts.sets.iter().map(|s| s.column.clone()).collect();
        added.extend(
            above
                .iter()
                .chain(&having_above)
                .flat_map(|p| p.plan.schema().columns()),
        );
        for pending in above.iter_mut().chain(&mut having_above) {
            groups.check_subquery(pending, scope)?;
            if let Some(on) = pending.on.take() {
                pending.on = Some(groups.over_groups(on, scope, &added)?);
            }
        }
        for expr in parts.exprs_mut() {
            *expr = groups.over_groups(std::mem::take(expr), scope, &added)?;
        }
        let having = match parts.having.take() {
            Some(having) => Some(groups.over_groups(having, scope, &added)?),
            None => None,
        };
        let plan = self.attach(groups.plan, having_above)?;
        parts.subqueries = above;
        filtered(plan, having)
    }

    /// The SELECT list's columns, without duplicates, in order, bounded.
    fn output(
        &mut self,
        plan: LogicalPlan,
        parts: Parts,
        distinct: Option<&Distinct>,
        bounds: &Bounds,
    ) -> Result<Rows> {
        let qualifier = self.names.fresh("q");
        let names = unique_names(parts.outputs.iter().map(|o| o.name.as_str()));
        let mut exprs: Vec<Expr> = Vec::with_capacity(names.len());
        let mut columns = Vec::with_capacity(names.len());
        for (output, unique) in parts.outputs.into_iter().zip(names) {
            let column = match &output.typed.expr {
                Expr::Column(column) if column.relation.is_some() && !exprs.contains(&output.typed.expr) => {
                    exprs.push(output.typed.expr.clone());
                    column.clone()
                }
                _ => {
                    exprs.push(output.typed.expr.alias_qualified(Some(qualifier.clone()), &unique));
                    Column::new(Some(qualifier.clone()), unique)
                }
            };
            columns.push(BoundColumn {
                name: output.name,
                open: output.open,
                column,
                sql_type: output.typed.sql_type,
                origin: output.origin,
            });
        }
        let width = exprs.len();
        let mut hidden_at = None;
        let mut key_column = |key: Key| match key {
            Key::Output(at) => Expr::Column(columns[at].column.clone()),
            Key::Hidden(expr, span) => {
                hidden_at.get_or_insert(span);
                let name = format!("sort key {}", exprs.len() - width + 1);
                exprs.push(expr.alias_qualified(Some(qualifier.clone()), &name));
                Expr::Column(Column::new(Some(qualifier.clone()), name))
            }
        };
        let order: Vec<Sort> = parts
            .order
            .into_iter()
            .map(|(key, options)| sort_key(key_column(key), options))
            .collect();
        let on: Vec<Expr> = parts.distinct_on.into_iter().map(&mut key_column).collect();
        let hidden = exprs.len() > width;
        let mut plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
        match distinct {
            None | Some(Distinct::All) => {}
            Some(Distinct::Distinct) if hidden => {
                return Err(PlanError::InvalidReference {
                    message: "for SELECT DISTINCT, ORDER BY expressions must appear in select list".to_string(),
                }
                .at(hidden_at.unwrap_or_else(Span::empty)));
            }
            Some(Distinct::Distinct) => plan = LogicalPlanBuilder::from(plan).distinct()?.build()?,
            Some(Distinct::On(exprs)) => {
                let span = exprs.first().map_or_else(Span::empty, Spanned::span);
                plan = self.first_of_each(plan, on, &order).map_err(|error| error.at(span))?;
            }
        }
        let plan = self.ordered(plan, order, bounds)?;
        let wanted: Vec<Column> = columns.iter().map(|c| c.column.clone()).collect();
        let plan = match plan.schema().columns() == wanted {
            true => plan,
            false => {
                let exprs: Vec<Expr> = wanted.into_iter().map(Expr::Column).collect();
                LogicalPlanBuilder::from(plan).project(exprs)?.build()?
            }
        };
        Ok(Rows { plan, columns })
    }

    /// DISTINCT ON: the first row of each group, in the order.
    fn first_of_each(&mut self, plan: LogicalPlan, on: Vec<Expr>, order: &[Sort]) -> Result<LogicalPlan> {
        let leading = &order[..on.len().min(order.len())];
        if leading.iter().any(|key| !on.contains(&key.expr)) {
            return Err(PlanError::InvalidReference {
                message: "SELECT DISTINCT ON expressions must match initial ORDER BY expressions".to_string(),
            });
        }
        let (plan, number) = self.numbered(plan, on, order.to_vec())?;
        filtered(plan, Some(binary_expr(number, Operator::Eq, lit(1_i64))))
    }

    fn ordered(&mut self, plan: LogicalPlan, order: Vec<Sort>, bounds: &Bounds) -> Result<LogicalPlan> {
        if !bounds.with_ties {
            return limited(sorted(plan, order)?, bounds);
        }
        if order.is_empty() {
            return Err(PlanError::syntax(
                "WITH TIES cannot be specified without ORDER BY clause",
            ));
        }
        if bounds.skip.is_some() {
            return Err(PlanError::unsupported(
                "OFFSET with WITH TIES",
                "Use rank() in a subquery.",
            ));
        }
        let (plan, rank) = self.ranked(plan, vec![], order.clone(), "rank")?;
        let within = bounds.fetch.clone().map(|fetch| rank.lt_eq(fetch));
        sorted(filtered(plan, within)?, order)
    }

    /// The columns of RETURNING over a table's rows.
    pub(crate) fn bind_returning(&mut self, items: &[SelectItem], source: Source) -> Result<Rows> {
        let expanded = self.expand_items(items, &source)?;
        let mut cx = ExprCx::new(&source.scope, source.plan.schema(), Place::Returning);
        let outputs = self.bind_outputs(&expanded, &[], &mut cx)?;
        let plan = self.attach(source.plan.clone(), cx.subqueries)?;
        let parts = Parts {
            outputs,
            having: None,
            qualify: None,
            order: Vec::new(),
            distinct_on: Vec::new(),
            having_subqueries: Vec::new(),
            subqueries: Vec::new(),
            sets: Vec::new(),
        };
        self.output(plan, parts, None, &Bounds::default())
    }
}

/// The condition of QUALIFY with what its names mean: a column of FROM, or else an entry of the SELECT list.
fn over_items(condition: &ast::Expr, items: &[Item<'_>], scope: &super::Scope) -> ast::Expr {
    let meaning = |ident: &ast::Ident| {
        let wanted = fold(ident);
        let is_column = !matches!(scope.find(&wanted), Ok(None));
        items.iter().filter(|_| !is_column).find_map(|item| match item {
            Item::Written { name, expr } if *name == wanted => Some((*expr).clone()),
            Item::Written { .. } | Item::Column { .. } => None,
        })
    };
    let mut condition = condition.clone();
    let mut names = OuterNames { meaning, depth: 0 };
    let replaced = condition.visit(&mut names);
    debug_assert!(replaced.is_continue(), "every expression is looked at");
    condition
}

/// Puts what names mean in their place, but for those inside of subqueries, which have columns of their own.
struct OuterNames<M> {
    meaning: M,
    depth: usize,
}

impl<M: Fn(&ast::Ident) -> Option<ast::Expr>> ast::VisitorMut for OuterNames<M> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut ast::Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut ast::Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        if let ast::Expr::Identifier(ident) = expr
            && self.depth == 0
            && let Some(meant) = (self.meaning)(ident)
        {
            *expr = ast::Expr::Nested(Box::new(meant));
        }
        ControlFlow::Continue(())
    }
}

fn is_aggregation(grouping: &Grouping, parts: &Parts) -> Result<bool> {
    if !grouping.exprs.is_empty() || grouping.sets.is_some() || parts.having.is_some() {
        return Ok(true);
    }
    let mut found = Vec::new();
    let keys = parts.order.iter().map(|(key, _)| key).chain(&parts.distinct_on);
    let hidden = keys.filter_map(|key| match key {
        Key::Hidden(expr, _) => Some(expr),
        Key::Output(_) => None,
    });
    let lists = parts.sets.iter().map(|s| &s.list);
    let on = parts.subqueries.iter().filter_map(|p| p.on.as_ref());
    for expr in parts
        .outputs
        .iter()
        .map(|o| &o.typed.expr)
        .chain(&parts.qualify)
        .chain(hidden)
        .chain(lists)
        .chain(on)
    {
        collect(expr, |e| matches!(e, Expr::AggregateFunction(_)), &mut found)?;
    }
    Ok(!found.is_empty())
}

/// Clauses that sqlparser knows from other databases.
fn refuse_clauses(select: &ast::Select) -> Result<()> {
    let refused = [
        (select.top.is_some(), "TOP", "Use LIMIT."),
        (select.into.is_some(), "SELECT INTO here", "Use CREATE TABLE ... AS."),
        (!select.lateral_views.is_empty(), "LATERAL VIEW", "Use unnest."),
        (select.prewhere.is_some(), "PREWHERE", "Use WHERE."),
        (!select.connect_by.is_empty(), "CONNECT BY", "Use WITH RECURSIVE."),
        (!select.cluster_by.is_empty(), "CLUSTER BY", "Leave it out."),
        (!select.distribute_by.is_empty(), "DISTRIBUTE BY", "Leave it out."),
        (!select.sort_by.is_empty(), "SORT BY", "Use ORDER BY."),
        (select.exclude.is_some(), "EXCLUDE", "List the columns."),
        (select.value_table_mode.is_some(), "SELECT AS", "Use ROW."),
    ];
    match refused.iter().find(|(is_there, _, _)| *is_there) {
        Some((_, construct, hint)) => Err(PlanError::unsupported(*construct, *hint)),
        None => Ok(()),
    }
}
