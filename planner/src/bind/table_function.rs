//! Functions in FROM: set-returning functions, functions that are tables, and scalar functions as tables of one row.

use std::sync::Arc;

use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Cast, Expr, LogicalPlan, LogicalPlanBuilder};
use highwater_types::SqlType;
use sqlparser::ast::{self, Spanned};

use super::from::with_column_names;
use super::function::{Call, function_name, take_args, undefined_function};
use super::scope::{Scope, ScopeColumn, ScopeTable, fold};
use super::set::{SetCall, SetResult, is_set_function, unnest};
use super::{Binder, Casting, ExprCx, OuterScope, Place, Source, Typed};
use crate::error::{PlanError, Result};

impl Binder<'_> {
    pub(crate) fn bind_table_function(
        &mut self,
        name: &ast::ObjectName,
        args: &[ast::FunctionArg],
        with_ordinality: bool,
        alias: Option<&ast::TableAlias>,
        lateral: &[OuterScope],
    ) -> Result<Source> {
        let mut call = Call {
            name: function_name(name)?,
            star: false,
            args: Vec::new(),
            arg_names: Vec::new(),
            distinct: false,
            order_by: &[],
            within_group: false,
            filter: None,
            null_treatment: None,
        };
        take_args(args, &mut call)?;
        let depth = self.outer.len();
        self.outer.extend_from_slice(lateral);
        let bound = self.bind_function_rows(&call, with_ordinality, alias);
        self.outer.truncate(depth);
        bound.map_err(|error| error.at(name.span()))
    }

    pub(crate) fn bind_unnest_table(
        &mut self,
        arrays: &[ast::Expr],
        with_ordinality: bool,
        alias: Option<&ast::TableAlias>,
        lateral: &[OuterScope],
    ) -> Result<Source> {
        let call = Call {
            name: "unnest".to_string(),
            star: false,
            args: arrays.iter().collect(),
            arg_names: vec![None; arrays.len()],
            distinct: false,
            order_by: &[],
            within_group: false,
            filter: None,
            null_treatment: None,
        };
        let depth = self.outer.len();
        self.outer.extend_from_slice(lateral);
        let bound = self.bind_function_rows(&call, with_ordinality, alias);
        self.outer.truncate(depth);
        let span = arrays
            .first()
            .map_or_else(sqlparser::tokenizer::Span::empty, Spanned::span);
        bound.map_err(|error| error.at(span))
    }

    fn bind_function_rows(
        &mut self,
        call: &Call<'_>,
        with_ordinality: bool,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Source> {
        let scope = Scope::default();
        let mut cx = ExprCx::new(&scope, &DFSchema::empty(), Place::Function);
        let args = self.bind_args(call, &mut cx)?;
        if is_set_function(&call.name) {
            if !with_ordinality && let Some(source) = self.lazy_series(&call.name, &args, alias)? {
                return Ok(source);
            }
            let set = self.set_result(&call.name, args, &mut cx)?;
            let base = self.attach(LogicalPlanBuilder::empty(true).build()?, cx.subqueries)?;
            return self.set_rows(&call.name, set, base, with_ordinality, alias);
        }
        if let Some(function) = self.find_table_function(&call.name) {
            return self.table_rows(&call.name, function.as_ref(), args, alias);
        }
        if self.find_callable(&call.name).is_none() {
            return Err(undefined_function(&call.name, &args));
        }
        let value = self.call(&call.name, args, &mut cx)?;
        let base = self.attach(LogicalPlanBuilder::empty(true).build()?, cx.subqueries)?;
        self.one_row(&call.name, value, base, alias)
    }

    fn find_table_function(&self, name: &str) -> Option<Arc<dyn TableFunctionImpl>> {
        if let Some(function) = self.ctx.functions.table.get(name) {
            return Some(Arc::clone(function));
        }
        self.state.table_functions().get(name).map(|f| Arc::clone(f.function()))
    }

    /// A series between constants is made as it is read, not as a list.
    fn lazy_series(&mut self, name: &str, args: &[Typed], alias: Option<&ast::TableAlias>) -> Result<Option<Source>> {
        let constant = |t: &Typed| matches!((&t.expr, &t.sql_type), (Expr::Literal(v, _), SqlType::Int4 | SqlType::Int8) if !v.is_null());
        if name != "generate_series" || !matches!(args.len(), 2 | 3) || !args.iter().all(constant) {
            return Ok(None);
        }
        let Some(function) = self.find_table_function(name) else {
            return Ok(None);
        };
        let narrow = args.iter().all(|a| a.sql_type == SqlType::Int4);
        let mut bounds = Vec::with_capacity(args.len());
        for arg in args {
            bounds.push(self.coerce(arg.clone(), &SqlType::Int8, Casting::Implicit)?);
        }
        let number = |t: &Typed| match &t.expr {
            Expr::Literal(ScalarValue::Int64(Some(n)), _) => *n,
            _ => 1,
        };
        let step = bounds.get(2).map_or(1, number);
        let (first, last) = (number(&bounds[0]), number(&bounds[1]));
        if step == 0 || (first > last) == (step > 0) && first != last {
            return Ok(None);
        }
        let mut source = self.table_rows(name, function.as_ref(), bounds, alias)?;
        if narrow {
            for column in source
                .scope
                .columns
                .iter_mut()
                .chain(&mut source.scope.tables[0].columns)
            {
                let cast = Cast::new(Box::new(column.value.clone()), SqlType::Int4.to_arrow());
                column.value = Expr::Cast(cast);
                column.sql_type = SqlType::Int4;
            }
            return self.with_plain_columns(source).map(Some);
        }
        Ok(Some(source))
    }

    /// Computes the scope's values below, so that each is a column.
    fn with_plain_columns(&mut self, source: Source) -> Result<Source> {
        let qualifier = self.names.fresh("series");
        let mut exprs = Vec::new();
        let mut columns = source.scope.tables[0].columns.clone();
        for column in &mut columns {
            exprs.push(
                column
                    .value
                    .clone()
                    .alias_qualified(Some(qualifier.clone()), &column.name),
            );
            column.value = Expr::Column(Column::new(Some(qualifier.clone()), &column.name));
        }
        let plan = LogicalPlanBuilder::from(source.plan).project(exprs)?.build()?;
        let mut table = source.scope.tables[0].clone();
        table.columns = columns;
        Ok(Source {
            plan,
            scope: Scope::of_table(table),
        })
    }

    /// Rows of a set-returning function.
    fn set_rows(
        &mut self,
        name: &str,
        set: SetResult,
        base: LogicalPlan,
        with_ordinality: bool,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Source> {
        let shown = alias.map_or_else(|| name.to_string(), |a| fold(&a.name));
        let qualifier = self.names.fresh(&shown);
        let mut lists = set.lists;
        if with_ordinality {
            let positions = self.positions(&lists[0], 1)?;
            lists.push(positions);
        }
        let count = lists.len() - usize::from(with_ordinality);
        let mut calls = Vec::with_capacity(lists.len());
        let mut columns = Vec::with_capacity(lists.len());
        for (i, list) in lists.into_iter().enumerate() {
            let SqlType::Array(element) = list.sql_type else {
                return Err(PlanError::internal(format!("{name} yields no list")));
            };
            let column = Column::new(Some(qualifier.clone()), format!("value{}", i + 1));
            let shown_name = match set.names.get(i) {
                _ if i == count => "ordinality".to_string(),
                Some(own) => (*own).to_string(),
                // A function with one column gives it its own name, or the alias's.
                None if count == 1 => shown.clone(),
                None => name.to_string(),
            };
            let mut typed = Typed::new(Expr::Column(column.clone()), *element);
            if i == count {
                typed = cast(typed, &SqlType::Int8);
            } else if let Some(to) = &set.element {
                typed = cast(typed, to);
            }
            columns.push((shown_name, typed));
            calls.push(SetCall {
                column,
                list: list.expr,
            });
        }
        let plan = unnest(base, &calls)?;
        self.rows_under(shown, columns, plan, alias)
    }

    /// A function that is a table of its own.
    fn table_rows(
        &mut self,
        name: &str,
        function: &dyn TableFunctionImpl,
        args: Vec<Typed>,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Source> {
        let mut values = Vec::with_capacity(args.len());
        for arg in args {
            let arg = self.settle(arg)?;
            values.push(match arg.expr {
                literal @ Expr::Literal(..) => literal,
                other => self.evaluate(&other).map_err(|_| {
                    PlanError::unsupported(
                        format!("{name} of arguments that are not constants"),
                        "Give it constants.",
                    )
                })?,
            });
        }
        let provider = function.call_with_args(TableFunctionArgs::new(&values, self.state.as_ref()))?;
        let schema = provider.schema();
        let one = schema.fields().len() == 1;
        let shown = alias.map_or_else(|| name.to_string(), |a| fold(&a.name));
        let columns = schema
            .fields()
            .iter()
            .map(|f| (f.name().clone(), SqlType::of_field(f)))
            .collect();
        let mut source = self.scan(provider_as_source(provider), name, None, columns, None, alias)?;
        if one && alias.is_none_or(|a| a.columns.is_empty()) {
            source.scope.columns[0].name.clone_from(&shown);
            source.scope.tables[0].columns[0].name = shown;
        }
        Ok(source)
    }

    /// A scalar function as a table of one row; a composite value's fields are columns.
    fn one_row(
        &mut self,
        name: &str,
        value: Typed,
        base: LogicalPlan,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Source> {
        let shown = alias.map_or_else(|| name.to_string(), |a| fold(&a.name));
        let columns = match &value.sql_type {
            SqlType::Record(fields) => {
                let get = self.scalar_function("get_field")?;
                fields
                    .iter()
                    .map(|(field, sql_type)| {
                        let expr = get.call(vec![value.expr.clone(), datafusion::logical_expr::lit(field.as_str())]);
                        (field.clone(), Typed::new(expr, sql_type.clone()))
                    })
                    .collect()
            }
            _ => vec![(shown.clone(), value)],
        };
        self.rows_under(shown, columns, base, alias)
    }

    /// Computes columns over a plan, and names them.
    fn rows_under(
        &mut self,
        shown: String,
        columns: Vec<(String, Typed)>,
        plan: LogicalPlan,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Source> {
        let qualifier = self.names.fresh(&shown);
        let names = super::scope::unique_names(columns.iter().map(|(name, _)| name.as_str()));
        let mut exprs = Vec::with_capacity(columns.len());
        let mut scope_columns = Vec::with_capacity(columns.len());
        for ((name, typed), unique) in columns.into_iter().zip(names) {
            exprs.push(typed.expr.alias_qualified(Some(qualifier.clone()), &unique));
            scope_columns.push(ScopeColumn {
                name,
                value: Expr::Column(Column::new(Some(qualifier.clone()), unique)),
                sql_type: typed.sql_type,
                origin: None,
            });
        }
        let plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
        let table = ScopeTable {
            relation: None,
            alias: shown,
            schema: None,
            columns: scope_columns,
        };
        Ok(Source {
            plan,
            scope: Scope::of_table(with_column_names(table, alias)?),
        })
    }
}

fn cast(typed: Typed, to: &SqlType) -> Typed {
    match typed.sql_type == *to {
        true => typed,
        false => Typed::new(Expr::Cast(Cast::new(Box::new(typed.expr), to.to_arrow())), to.clone()),
    }
}
