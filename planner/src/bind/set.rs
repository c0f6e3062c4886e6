//! Set-returning functions. Each is a list that is unnested: in the SELECT list several run in lock-step, in FROM
//! they are tables (`table_function.rs`).

use datafusion::common::{Column, NullHandling, ScalarValue, UnnestOptions};
use datafusion::logical_expr::{Cast, Expr, LogicalPlan, LogicalPlanBuilder, lit};
use highwater_types::SqlType;

use super::function::{Call, undefined_function};
use super::types::{Category, category};
use super::{Binder, Casting, ExprCx, Typed};
use crate::error::{PlanError, Result};

/// A list to be unnested, and the column that its elements will stand in.
#[derive(Debug, Clone)]
pub(crate) struct SetCall {
    pub column: Column,
    pub list: Expr,
}

/// What a set-returning function yields: lists that run in lock-step, and a value made of their elements.
#[derive(Debug)]
pub(crate) struct SetResult {
    /// Each list with its elements' type.
    pub lists: Vec<Typed>,
    /// Names of the elements, for functions with several columns.
    pub names: Vec<&'static str>,
    /// The type that the elements are cast to, when the list's differs.
    pub element: Option<SqlType>,
}

/// Whether a name is a set-returning function's.
pub(crate) fn is_set_function(name: &str) -> bool {
    matches!(
        name,
        "generate_series"
            | "generate_subscripts"
            | "unnest"
            | "_pg_expandarray"
            | "regexp_split_to_table"
            | "string_to_table"
            | "regexp_matches"
            | "json_array_elements"
            | "json_each"
            | "json_each_text"
            | "jsonb_each"
            | "jsonb_each_text"
            | "json_array_elements_text"
            | "jsonb_array_elements"
            | "jsonb_array_elements_text"
            | "json_object_keys"
            | "jsonb_object_keys"
            | "pg_partition_ancestors"
    )
}

impl Binder<'_> {
    /// A set-returning function among expressions: its elements' column.
    pub(crate) fn bind_set_call(&mut self, call: &Call<'_>, cx: &mut ExprCx<'_>) -> Result<Typed> {
        if !cx.place.allows_sets() || cx.in_aggregate {
            return Err(PlanError::SetNotAllowed { place: cx.place.name() });
        }
        let args = self.bind_args(call, cx)?;
        let set = self.set_result(&call.name, args, cx)?;
        let mut elements = Vec::with_capacity(set.lists.len());
        for (i, list) in set.lists.iter().enumerate() {
            let name = set.names.get(i).copied().unwrap_or(&call.name);
            elements.push((name.to_string(), self.add_set(list, name, cx)?));
        }
        if let [(_, element)] = elements.as_mut_slice() {
            let element = element.clone();
            return match &set.element {
                Some(to) => Ok(cast_element(element, to)),
                None => Ok(element),
            };
        }
        let make = self.scalar_function("named_struct")?;
        let types = elements
            .iter()
            .map(|(name, t)| (name.clone(), t.sql_type.clone()))
            .collect();
        let args = elements.into_iter().flat_map(|(name, t)| [lit(name), t.expr]);
        Ok(Typed::new(make.call(args.collect()), SqlType::Record(types)))
    }

    fn add_set(&mut self, list: &Typed, name: &str, cx: &mut ExprCx<'_>) -> Result<Typed> {
        let element = element_type(&list.sql_type)?;
        let qualifier = self.names.fresh("set");
        let column = cx.add_column(&qualifier, element.to_field(name))?;
        cx.sets.push(SetCall {
            column: column.clone(),
            list: list.expr.clone(),
        });
        Ok(Typed::new(Expr::Column(column), element))
    }

    /// The lists behind a set-returning function.
    pub(crate) fn set_result(&mut self, name: &str, args: Vec<Typed>, cx: &mut ExprCx<'_>) -> Result<SetResult> {
        let undefined = undefined_function(name, &args);
        let one = |list: Typed| SetResult {
            lists: vec![list],
            names: Vec::new(),
            element: None,
        };
        match (name, args.len()) {
            ("unnest", 1..) => {
                let mut lists = Vec::with_capacity(args.len());
                for arg in args {
                    lists.push(self.as_array(arg)?);
                }
                Ok(SetResult {
                    lists,
                    names: Vec::new(),
                    element: None,
                })
            }
            ("json_each" | "json_each_text" | "jsonb_each" | "jsonb_each_text", 1) => {
                let (kind, _) = name.split_once('_').ok_or_else(|| undefined.clone())?;
                let values = match name.ends_with("_text") {
                    true => format!("{kind}_object_texts"),
                    false => format!("{kind}_object_values"),
                };
                Ok(SetResult {
                    lists: vec![
                        self.call(&format!("{kind}_object_keys"), args.clone(), cx)?,
                        self.call(&values, args, cx)?,
                    ],
                    names: vec!["key", "value"],
                    element: None,
                })
            }
            ("generate_series", 2 | 3) => self.series(args, cx),
            ("generate_subscripts", 2 | 3) => self.subscripts(args, cx),
            ("_pg_expandarray", 1) => {
                let array = self.as_array(args.into_iter().next().ok_or(undefined)?)?;
                let numbers = self.positions(&array, 1)?;
                Ok(SetResult {
                    lists: vec![array, numbers],
                    names: vec!["x", "n"],
                    element: None,
                })
            }
            ("regexp_split_to_table", 2 | 3) => Ok(one(self.call("regexp_split_to_array", args, cx)?)),
            ("string_to_table", 2 | 3) => Ok(one(self.call("string_to_array", args, cx)?)),
            _ => {
                let list = self.call(name, args, cx)?;
                match list.sql_type {
                    SqlType::Array(_) if name == "pg_partition_ancestors" => Ok(SetResult {
                        names: vec!["relid"],
                        ..one(list)
                    }),
                    SqlType::Array(_) => Ok(one(list)),
                    _ => Err(undefined),
                }
            }
        }
    }

    /// An array, from whatever counts as one.
    pub(crate) fn as_array(&mut self, typed: Typed) -> Result<Typed> {
        match &typed.sql_type {
            SqlType::Array(_) => Ok(typed),
            SqlType::Int2Vector => self.coerce(typed, &SqlType::Array(Box::new(SqlType::Int2)), Casting::Implicit),
            SqlType::OidVector => self.coerce(typed, &SqlType::Array(Box::new(SqlType::Oid)), Casting::Implicit),
            SqlType::Unknown => self.coerce(typed, &SqlType::Array(Box::new(SqlType::Text)), Casting::Implicit),
            other => Err(PlanError::UndefinedFunction {
                signature: format!("unnest({other})"),
            }),
        }
    }

    fn series(&mut self, args: Vec<Typed>, cx: &mut ExprCx<'_>) -> Result<SetResult> {
        let undefined = undefined_function("generate_series", &args);
        let times = args.iter().take(2).any(|a| category(&a.sql_type) == Category::DateTime);
        if times {
            return self.time_series(args, cx);
        }
        if args.iter().any(|a| matches!(a.sql_type, SqlType::Numeric(_))) {
            return self.numeric_series(args, cx);
        }
        let wide = args
            .iter()
            .any(|a| !matches!(a.sql_type, SqlType::Int2 | SqlType::Int4 | SqlType::Unknown));
        let mut bounds = Vec::with_capacity(3);
        for arg in args {
            if matches!(arg.sql_type, SqlType::Float4 | SqlType::Float8) {
                return Err(undefined);
            }
            bounds.push(self.coerce(arg, &SqlType::Int8, Casting::Implicit)?.expr);
        }
        if bounds.len() == 2 {
            bounds.push(lit(1_i64));
        }
        let list = self.scalar_function("generate_series")?.call(bounds);
        Ok(SetResult {
            lists: vec![Typed::new(list, SqlType::Array(Box::new(SqlType::Int8)))],
            names: Vec::new(),
            element: (!wide).then_some(SqlType::Int4),
        })
    }

    fn numeric_series(&mut self, mut args: Vec<Typed>, cx: &mut ExprCx<'_>) -> Result<SetResult> {
        if args.len() == 2 {
            args.push(super::literal::int4(1));
        }
        Ok(SetResult {
            lists: vec![self.call("numeric_series", args, cx)?],
            names: Vec::new(),
            element: None,
        })
    }

    fn time_series(&mut self, args: Vec<Typed>, cx: &mut ExprCx<'_>) -> Result<SetResult> {
        if args.len() != 3 {
            return Err(undefined_function("generate_series", &args));
        }
        let zoned = args.iter().any(|a| a.sql_type == SqlType::Timestamptz);
        let to = if zoned || args.iter().take(2).all(|a| a.sql_type == SqlType::Date) {
            SqlType::Timestamptz
        } else {
            SqlType::Timestamp
        };
        let mut typed = Vec::with_capacity(3);
        for (i, arg) in args.into_iter().enumerate() {
            let to = if i == 2 { &SqlType::Interval } else { &to };
            typed.push(self.coerce(arg, to, Casting::Implicit)?);
        }
        let list = self.call("generate_series", typed, cx)?;
        let sql_type = SqlType::Array(Box::new(to));
        // DataFusion's series counts nanoseconds.
        let list = Expr::Cast(Cast::new(Box::new(list.expr), sql_type.to_arrow()));
        Ok(SetResult {
            lists: vec![Typed::new(list, sql_type)],
            names: Vec::new(),
            element: None,
        })
    }

    fn subscripts(&mut self, args: Vec<Typed>, _cx: &mut ExprCx<'_>) -> Result<SetResult> {
        let reverse = match args.get(2).map(|a| &a.expr) {
            None | Some(Expr::Literal(ScalarValue::Boolean(Some(false)), _)) => false,
            Some(Expr::Literal(ScalarValue::Boolean(Some(true)), _)) => true,
            Some(_) => {
                return Err(PlanError::unsupported(
                    "generate_subscripts in an order that is not a constant",
                    "Order the result.",
                ));
            }
        };
        let Some(array) = args.into_iter().next() else {
            return Err(PlanError::internal("generate_subscripts without an array"));
        };
        let first = if matches!(array.sql_type, SqlType::Int2Vector | SqlType::OidVector) {
            0
        } else {
            1
        };
        let array = self.as_array(array)?;
        let mut numbers = self.positions(&array, first)?;
        if reverse {
            numbers.expr = self.scalar_function("array_reverse")?.call(vec![numbers.expr]);
        }
        Ok(SetResult {
            lists: vec![numbers],
            names: Vec::new(),
            element: None,
        })
    }

    /// The positions of an array's elements, counted from `first`.
    pub(crate) fn positions(&mut self, array: &Typed, first: i64) -> Result<Typed> {
        let length = self.scalar_function("array_length")?.call(vec![array.expr.clone()]);
        let length = Expr::Cast(Cast::new(Box::new(length), arrow::datatypes::DataType::Int64));
        let last = length + lit(first - 1);
        let list = self
            .scalar_function("generate_series")?
            .call(vec![lit(first), last, lit(1_i64)]);
        let to = SqlType::Array(Box::new(SqlType::Int4));
        let list = Expr::Cast(Cast::new(Box::new(list), to.to_arrow()));
        Ok(Typed::new(list, to))
    }
}

fn cast_element(element: Typed, to: &SqlType) -> Typed {
    let cast = Cast::new(Box::new(element.expr), to.to_arrow());
    Typed::new(Expr::Cast(cast), to.clone())
}

fn element_type(array: &SqlType) -> Result<SqlType> {
    match array {
        SqlType::Array(element) => Ok(element.as_ref().clone()),
        other => Err(PlanError::internal(format!("{other} has no elements"))),
    }
}

/// Unnests lists beside the columns of a plan. Lists over elements of other lists come after those.
pub(crate) fn unnest_sets(mut plan: LogicalPlan, mut sets: Vec<SetCall>) -> Result<LogicalPlan> {
    while !sets.is_empty() {
        let waiting: Vec<Column> = sets.iter().map(|s| s.column.clone()).collect();
        let (ready, rest): (Vec<SetCall>, Vec<SetCall>) = sets
            .into_iter()
            .partition(|s| !s.list.column_refs().iter().any(|c| waiting.contains(c)));
        if ready.is_empty() {
            return Err(PlanError::internal("set-returning functions that wait for each other"));
        }
        plan = unnest(plan, &ready)?;
        sets = rest;
    }
    Ok(plan)
}

/// Adds the elements of lists that run in lock-step. DataFusion's node drops the qualifiers of what it unnests, so the
/// lists go through it under names used nowhere else.
pub(crate) fn unnest(plan: LogicalPlan, sets: &[SetCall]) -> Result<LogicalPlan> {
    let kept = plan.schema().columns();
    let lists: Vec<Column> = sets.iter().map(|s| Column::from_name(s.column.flat_name())).collect();
    let mut exprs: Vec<Expr> = kept.iter().cloned().map(Expr::Column).collect();
    for (set, list) in sets.iter().zip(&lists) {
        exprs.push(set.list.clone().alias(&list.name));
    }
    let mut named: Vec<Expr> = kept.into_iter().map(Expr::Column).collect();
    for (set, list) in sets.iter().zip(&lists) {
        let element = Expr::Column(list.clone());
        named.push(element.alias_qualified(set.column.relation.clone(), &set.column.name));
    }
    let options = UnnestOptions {
        null_handling: NullHandling::Drop,
        recursions: Vec::new(),
    };
    let plan = LogicalPlanBuilder::from(plan)
        .project(exprs)?
        .unnest_columns_with_options(lists, options)?
        .project(named)?
        .build()?;
    Ok(plan)
}
