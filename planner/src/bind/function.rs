//! Calls of functions: which function a name means, what an aggregate's clauses do, and the types of arguments that
//! have none yet.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction, Sort};
use datafusion::logical_expr::{AggregateUDF, Expr, ExprSchemable, ScalarUDF};
use highwater_types::SqlType;
use sqlparser::ast::{
    self, DuplicateTreatment, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments,
};

use super::coerce::{Params, placeholder};
use super::order::by_sort_key;
use super::outline::Outline;
use super::scope::fold_name;
use super::set::is_set_function;
use super::{Binder, Casting, ExprCx, Typed};
use crate::error::{PlanError, Result};
use crate::functions;

/// The types that a parameter among a function's arguments is tried with, in this order.
const PARAMETER_TYPES: [SqlType; 10] = [
    SqlType::Text,
    SqlType::Int4,
    SqlType::Int8,
    SqlType::Float8,
    SqlType::Timestamptz,
    SqlType::Timestamp,
    SqlType::Interval,
    SqlType::Jsonb,
    SqlType::Bool,
    SqlType::Uuid,
];

/// A call, taken apart.
pub(crate) struct Call<'c> {
    /// Without its schema, folded.
    pub name: String,
    /// `*` stands for all arguments.
    pub star: bool,
    pub args: Vec<&'c ast::Expr>,
    /// Names of arguments given as `name => value`, by position.
    pub arg_names: Vec<Option<String>>,
    pub distinct: bool,
    pub order_by: &'c [ast::OrderByExpr],
    pub within_group: bool,
    pub filter: Option<&'c ast::Expr>,
    pub null_treatment: Option<ast::NullTreatment>,
}

/// What other databases call a count of distinct values that may be off.
const APPROX_COUNT_DISTINCT: &str = "approx_count_distinct";

impl Binder<'_> {
    pub(crate) fn bind_function(&mut self, function: &ast::Function, cx: &mut ExprCx<'_>) -> Result<Typed> {
        if let FunctionArguments::Subquery(query) = &function.args {
            return match fold_name(&function.name).last().map(String::as_str) {
                Some("array") => self.bind_array_subquery(query, cx),
                _ => Err(PlanError::syntax(
                    "a subquery as an argument needs parentheses of its own",
                )),
            };
        }
        let mut call = take_apart(function)?;
        if call.name == APPROX_COUNT_DISTINCT {
            // An answer that rows may be taken from again needs every value, and then is exact.
            call.name = "count".to_string();
            call.distinct = true;
        }
        if let Some(over) = &function.over {
            return self.bind_window_call(&call, over, cx);
        }
        if matches!(function.args, FunctionArguments::None)
            && let Some(word) = self.bind_bare_word(&call.name)?
        {
            return Ok(word);
        }
        if let Some(special) = self.bind_special_function(&call, cx)? {
            return Ok(special);
        }
        if is_set_function(&call.name) {
            return self.bind_set_call(&call, cx);
        }
        if self.find_callable(&call.name).is_none()
            && functions::is_aggregate(&call.name)
            && let Some(aggregate) = self.state.aggregate_functions().get(&call.name).cloned()
        {
            return self.bind_aggregate(aggregate, &call, cx);
        }
        self.bind_scalar_call(&call, cx)
    }

    fn bind_scalar_call(&mut self, call: &Call<'_>, cx: &mut ExprCx<'_>) -> Result<Typed> {
        let not_aggregate = |clause: &str| PlanError::WrongObject {
            message: format!("{clause} specified, but {} is not an aggregate function", call.name),
            hint: None,
        };
        let args = self.bind_args(call, cx)?;
        if self.find_callable(&call.name).is_none() {
            return self.bind_unknown_call(call, args);
        }
        let args = super::named_arguments::place(call, args)?;
        if call.distinct {
            return Err(not_aggregate("DISTINCT"));
        }
        if call.filter.is_some() {
            return Err(not_aggregate("FILTER"));
        }
        if !call.order_by.is_empty() {
            return Err(not_aggregate("ORDER BY"));
        }
        self.call(&call.name, args, cx)
    }

    /// A call that is no function's: a cast written as one, or an error.
    fn bind_unknown_call(&mut self, call: &Call<'_>, mut args: Vec<Typed>) -> Result<Typed> {
        if self.state.window_functions().contains_key(&call.name) {
            return Err(PlanError::WrongObject {
                message: format!("window function {} requires an OVER clause", call.name),
                hint: None,
            });
        }
        match super::types::cast_function(&call.name) {
            Some(to) if args.len() == 1 => {
                let arg = args.swap_remove(0);
                let undefined = undefined_function(&call.name, std::slice::from_ref(&arg));
                self.cast_to(arg, &to).map_err(|error| match error {
                    PlanError::CannotCast { .. } => undefined,
                    other => other,
                })
            }
            _ => Err(undefined_function(&call.name, &args)),
        }
    }

    /// Binds a call's arguments.
    pub(crate) fn bind_args(&mut self, call: &Call<'_>, cx: &mut ExprCx<'_>) -> Result<Vec<Typed>> {
        let mut args = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            args.push(self.bind_expr(arg, cx)?);
        }
        Ok(args)
    }

    /// Calls a scalar function by name.
    pub(crate) fn call(&mut self, name: &str, args: Vec<Typed>, cx: &mut ExprCx<'_>) -> Result<Typed> {
        let function = self.find_scalar(name).ok_or_else(|| undefined_function(name, &args))?;
        let args = self.arrays_beside(name, args)?;
        self.with_argument_types(name, args, cx, |args| {
            Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&function), args))
        })
    }

    /// A literal beside an array is an array too, for a function of two arrays.
    fn arrays_beside(&mut self, name: &str, mut args: Vec<Typed>) -> Result<Vec<Typed>> {
        if !matches!(name, "array_cat" | "array_overlap") {
            return Ok(args);
        }
        let array = args.iter().find(|a| matches!(a.sql_type, SqlType::Array(_)));
        let Some(to) = array.map(|a| a.sql_type.clone()) else {
            return Ok(args);
        };
        for arg in &mut args {
            if arg.is_unknown() {
                *arg = self.coerce(arg.clone(), &to, Casting::Implicit)?;
            }
        }
        Ok(args)
    }

    /// Makes a call whose arguments may be parameters without type: the first type that the function takes is theirs.
    pub(crate) fn with_argument_types(
        &mut self,
        name: &str,
        args: Vec<Typed>,
        cx: &ExprCx<'_>,
        make: impl Fn(Vec<Expr>) -> Expr,
    ) -> Result<Typed> {
        let untyped = |a: &Typed| a.is_unknown() && matches!(a.expr, Expr::Placeholder(_));
        if !args.iter().any(untyped) {
            let outline = Outline::try_new(&args, cx)?;
            return outline
                .typed(make(outline.args.clone()))
                .map_err(|error| undefined_unless_value(error, name, &args));
        }
        for candidate in &PARAMETER_TYPES {
            let exprs = args
                .iter()
                .map(|a| match &a.expr {
                    Expr::Placeholder(p) if untyped(a) => match Params::number_of(&p.id) {
                        Some(number) => placeholder(number, candidate),
                        None => a.expr.clone(),
                    },
                    other => other.clone(),
                })
                .collect();
            if cx.typed(make(exprs)).is_ok() {
                let mut settled = Vec::with_capacity(args.len());
                for arg in args {
                    settled.push(match untyped(&arg) {
                        true => self.coerce(arg, candidate, Casting::Implicit)?.expr,
                        false => arg.expr,
                    });
                }
                return cx.typed(make(settled));
            }
        }
        Err(undefined_function(name, &args))
    }

    /// A scalar function that a statement may name: PostgreSQL's, not those that only DataFusion has.
    pub(crate) fn find_callable(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let is_known = functions::is_scalar(name) || self.ctx.functions.scalar.contains_key(name);
        is_known.then(|| self.find_scalar(name)).flatten()
    }

    /// A scalar function: the session's, then the library's.
    pub(crate) fn find_scalar(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let of_session = self.ctx.functions.scalar.get(name);
        of_session.or_else(|| self.state.scalar_functions().get(name)).cloned()
    }

    /// A scalar function that the binder itself needs.
    pub(crate) fn scalar_function(&self, name: &str) -> Result<Arc<ScalarUDF>> {
        self.find_scalar(name)
            .ok_or_else(|| PlanError::internal(format!("the function {name} is missing")))
    }

    fn bind_aggregate(&mut self, aggregate: Arc<AggregateUDF>, call: &Call<'_>, cx: &mut ExprCx<'_>) -> Result<Typed> {
        if cx.in_aggregate {
            return Err(PlanError::NestedAggregate);
        }
        if !cx.place.allows_aggregates() {
            return Err(PlanError::AggregateNotAllowed { place: cx.place.name() });
        }
        cx.in_aggregate = true;
        let bound = self.bind_aggregate_parts(call, cx);
        cx.in_aggregate = false;
        let (mut args, order_by, filter) = bound?;
        if call.distinct && args.len() > 1 && call.name == "count" {
            return Err(undefined_function(&call.name, &args));
        }
        if matches!(call.name.as_str(), "min" | "max")
            && let [arg] = args.as_slice()
            && !super::types::has_extremes(&arg.sql_type)
        {
            return Err(undefined_function(&call.name, &args));
        }
        if call.distinct && call.name == "count" {
            for arg in &mut args {
                if let Some(key) = functions::sort_key(&arg.expr.get_type(&cx.schema)?) {
                    *arg = Typed::new(key.call(vec![arg.expr.clone()]), SqlType::Bytea);
                }
            }
        }
        let is_ordered_set = matches!(call.name.as_str(), "mode" | "percentile_cont" | "percentile_disc");
        if is_ordered_set != call.within_group {
            return Err(PlanError::WrongObject {
                message: match is_ordered_set {
                    true => format!("WITHIN GROUP is required for ordered-set aggregate {}", call.name),
                    false => format!(
                        "{} is not an ordered-set aggregate, so it cannot have WITHIN GROUP",
                        call.name
                    ),
                },
                hint: None,
            });
        }
        if call.within_group {
            // The ordered value comes first, as DataFusion has it.
            let values = order_by.iter().map(|s| Typed::new(s.expr.clone(), SqlType::Unknown));
            args = values.chain(args).collect();
        }
        let null_treatment = null_treatment(call.null_treatment);
        self.with_argument_types(&call.name, args, cx, |args| {
            Expr::AggregateFunction(AggregateFunction::new_udf(
                Arc::clone(&aggregate),
                args,
                call.distinct,
                filter.clone().map(Box::new),
                order_by.clone(),
                null_treatment,
            ))
        })
    }

    fn bind_aggregate_parts(
        &mut self,
        call: &Call<'_>,
        cx: &mut ExprCx<'_>,
    ) -> Result<(Vec<Typed>, Vec<Sort>, Option<Expr>)> {
        let args = self.aggregate_args(call, cx)?;
        let mut order_by = self.bind_sort(call.order_by, cx)?;
        // An ordered-set aggregate answers the value that it orders by, and DISTINCT orders by what it keeps apart.
        if !call.within_group && !call.distinct {
            for sort in &mut order_by {
                sort.expr = by_sort_key(sort.expr.clone(), &cx.schema)?;
            }
        }
        let filter = match call.filter {
            Some(filter) => Some(self.bind_condition(filter, "FILTER", cx)?),
            None => None,
        };
        Ok((args, order_by, filter))
    }

    /// The arguments of an aggregate; `count(*)` counts a constant.
    pub(crate) fn aggregate_args(&mut self, call: &Call<'_>, cx: &mut ExprCx<'_>) -> Result<Vec<Typed>> {
        if !call.star {
            if call.args.is_empty() && call.name == "count" {
                return Err(PlanError::WrongObject {
                    message: "count(*) must be used to call a parameterless aggregate function".to_string(),
                    hint: None,
                });
            }
            return self.bind_args(call, cx);
        }
        match call.name.as_str() {
            "count" => Ok(vec![Typed::new(
                Expr::Literal(ScalarValue::Int64(Some(1)), None),
                SqlType::Int8,
            )]),
            name => Err(PlanError::UndefinedFunction {
                signature: format!("{name}()"),
            }),
        }
    }

    /// An ORDER BY inside of a call.
    pub(crate) fn bind_sort(&mut self, order_by: &[ast::OrderByExpr], cx: &mut ExprCx<'_>) -> Result<Vec<Sort>> {
        let mut keys = Vec::with_capacity(order_by.len());
        for key in order_by {
            let typed = self.bind_expr(&key.expr, cx)?;
            let typed = self.settle(typed)?;
            let typed = self.sortable(typed)?;
            let ascending = key.options.asc.unwrap_or(true);
            keys.push(Sort::new(
                typed.expr,
                ascending,
                key.options.nulls_first.unwrap_or(!ascending),
            ));
        }
        Ok(keys)
    }
}

/// How a call treats NULL values.
pub(crate) fn null_treatment(
    written: Option<ast::NullTreatment>,
) -> Option<datafusion::logical_expr::expr::NullTreatment> {
    written.map(datafusion::logical_expr::expr::NullTreatment::from)
}

/// An error that a function raises about a value stands; others mean that it does not take these arguments.
fn undefined_unless_value(error: PlanError, name: &str, args: &[Typed]) -> PlanError {
    match error {
        PlanError::Value(_) | PlanError::Unsupported { .. } => error,
        _ => undefined_function(name, args),
    }
}

pub(crate) fn undefined_function(name: &str, args: &[Typed]) -> PlanError {
    let types: Vec<String> = args.iter().map(|a| a.sql_type.to_string()).collect();
    PlanError::UndefinedFunction {
        signature: format!("{name}({})", types.join(", ")),
    }
}

/// Takes a call apart.
pub(crate) fn take_apart(function: &ast::Function) -> Result<Call<'_>> {
    let mut call = Call {
        name: function_name(&function.name)?,
        star: false,
        args: Vec::new(),
        arg_names: Vec::new(),
        distinct: false,
        order_by: &function.within_group,
        within_group: !function.within_group.is_empty(),
        filter: function.filter.as_deref(),
        null_treatment: function.null_treatment,
    };
    if !matches!(function.parameters, FunctionArguments::None) {
        return Err(PlanError::unsupported("a call with two lists of arguments", ""));
    }
    let FunctionArguments::List(list) = &function.args else {
        return Ok(call);
    };
    call.distinct = matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct));
    take_args(&list.args, &mut call)?;
    for clause in &list.clauses {
        match clause {
            FunctionArgumentClause::OrderBy(keys) => call.order_by = keys,
            FunctionArgumentClause::IgnoreOrRespectNulls(treatment) => call.null_treatment = Some(*treatment),
            other => return Err(PlanError::unsupported(other.to_string(), "")),
        }
    }
    Ok(call)
}

/// Takes the arguments of a call apart.
pub(crate) fn take_args<'c>(args: &'c [FunctionArg], call: &mut Call<'c>) -> Result<()> {
    for arg in args {
        let (name, arg) = match arg {
            FunctionArg::Unnamed(arg) => (None, arg),
            FunctionArg::Named { name, arg, .. } => (Some(super::scope::fold(name)), arg),
            FunctionArg::ExprNamed { .. } => {
                return Err(PlanError::unsupported(arg.to_string(), ""));
            }
        };
        match arg {
            FunctionArgExpr::Expr(expr) => {
                call.args.push(expr);
                call.arg_names.push(name);
            }
            FunctionArgExpr::Wildcard => call.star = true,
            FunctionArgExpr::QualifiedWildcard(_) | FunctionArgExpr::WildcardWithOptions(_) => {
                return Err(PlanError::unsupported(
                    format!("{arg} as an argument"),
                    "Name the columns.",
                ));
            }
        }
    }
    Ok(())
}

/// A function's name without the schemas that hold functions.
pub(crate) fn function_name(name: &ast::ObjectName) -> Result<String> {
    let mut parts = fold_name(name);
    let last = parts.pop().unwrap_or_default();
    match parts.last().map(String::as_str) {
        None | Some("pg_catalog" | "information_schema" | "highwater" | "public") => Ok(last),
        Some(schema) => Err(PlanError::UndefinedSchema {
            name: schema.to_string(),
        }),
    }
}
