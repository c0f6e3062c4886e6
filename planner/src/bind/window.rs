//! Window functions: `f(...) OVER (...)`.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::{Sort, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{
    Cast, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, WindowFrame, WindowFrameBound, WindowFrameUnits,
    WindowFunctionDefinition,
};
use highwater_types::{SqlError, SqlState, SqlType};
use sqlparser::ast::{self, NamedWindowExpr, WindowSpec, WindowType};

use super::aggregate::{Rewrite, precompute};
use super::function::{Call, null_treatment, undefined_function};
use super::order::by_sort_key;
use super::scope::fold;
use super::{Binder, ExprCx, Typed};
use crate::error::{PlanError, Result};
use crate::functions;

/// A window, with what named windows it builds on put in.
struct Window<'w> {
    partition_by: &'w [ast::Expr],
    order_by: &'w [ast::OrderByExpr],
    frame: Option<&'w ast::WindowFrame>,
}

impl Binder<'_> {
    pub(crate) fn bind_window_call(
        &mut self,
        call: &Call<'_>,
        over: &WindowType,
        cx: &mut ExprCx<'_>,
    ) -> Result<Typed> {
        if cx.in_aggregate {
            return Err(PlanError::from(SqlError::new(
                SqlState::GROUPING_ERROR,
                "aggregate function calls cannot contain window function calls",
            )));
        }
        if !cx.place.allows_windows() {
            return Err(PlanError::WindowNotAllowed { place: cx.place.name() });
        }
        let definition = self.window_definition(call)?;
        let windows = cx.windows;
        let window = resolve(over, windows)?;
        let args = self.aggregate_args(call, cx)?;
        check_counts(&call.name, &args)?;
        let mut partition_by = Vec::with_capacity(window.partition_by.len());
        for expr in window.partition_by {
            let typed = self.bind_expr(expr, cx)?;
            partition_by.push(by_sort_key(self.settle(typed)?.expr, &cx.schema)?);
        }
        let mut order_by = self.bind_sort(window.order_by, cx)?;
        // A distance from the row's own value needs the value.
        if window
            .frame
            .is_none_or(|frame| frame.units != ast::WindowFrameUnits::Range)
        {
            for sort in &mut order_by {
                sort.expr = by_sort_key(sort.expr.clone(), &cx.schema)?;
            }
        }
        let filter = match call.filter {
            Some(filter) => Some(Box::new(self.bind_condition(filter, "FILTER", cx)?)),
            None => None,
        };
        let parts = args.iter().map(|arg| &arg.expr).chain(&partition_by);
        refuse_nested(parts.chain(order_by.iter().map(|sort| &sort.expr)))?;
        let frame = match window.frame {
            Some(frame) => WindowFrame::try_from(frame.clone()).map_err(invalid_frame)?,
            None => WindowFrame::new((!order_by.is_empty()).then_some(false)),
        };
        frame.regularize_order_bys(&mut order_by).map_err(invalid_frame)?;
        let frame = match order_by.first() {
            Some(first) => by_peers(frame, &first.expr.get_type(&cx.schema)?),
            None => frame,
        };
        let typed = self.with_argument_types(&call.name, args, cx, |args| {
            Expr::WindowFunction(Box::new(WindowFunction {
                fun: definition.clone(),
                params: WindowFunctionParams {
                    args,
                    partition_by: partition_by.clone(),
                    order_by: order_by.clone(),
                    window_frame: frame.clone(),
                    filter: filter.clone(),
                    null_treatment: null_treatment(call.null_treatment),
                    distinct: call.distinct,
                },
            }))
        })?;
        as_bigint(typed, cx)
    }

    fn window_definition(&self, call: &Call<'_>) -> Result<WindowFunctionDefinition> {
        if let Some(window) = self.state.window_functions().get(&call.name) {
            return Ok(WindowFunctionDefinition::WindowUDF(window.clone()));
        }
        if functions::is_aggregate(&call.name)
            && let Some(aggregate) = self.state.aggregate_functions().get(&call.name)
        {
            if call.distinct {
                return Err(PlanError::unsupported(
                    "DISTINCT in a window function",
                    "Use a subquery.",
                ));
            }
            return Ok(WindowFunctionDefinition::AggregateUDF(aggregate.clone()));
        }
        match self.find_scalar(&call.name) {
            Some(_) => Err(PlanError::WrongObject {
                message: format!(
                    "OVER specified, but {} is not a window function nor an aggregate function",
                    call.name
                ),
                hint: None,
            }),
            None => Err(undefined_function(&call.name, &[])),
        }
    }
}

/// DataFusion counts rows in unsigned integers; PostgreSQL in bigint.
fn as_bigint(typed: Typed, cx: &ExprCx<'_>) -> Result<Typed> {
    match typed.expr.get_type(&cx.schema)? {
        DataType::UInt64 => {
            let cast = Cast::new(Box::new(typed.expr), DataType::Int64);
            Ok(Typed::new(Expr::Cast(cast), SqlType::Int8))
        }
        _ => Ok(typed),
    }
}

/// A RANGE frame without offsets, in groups of peers, which is the same frame. DataFusion takes no RANGE over an order
/// by these types, since it has no offset for them.
pub(super) fn by_peers(frame: WindowFrame, first_key: &DataType) -> WindowFrame {
    let without_offset = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::CurrentRow => true,
        WindowFrameBound::Preceding(offset) | WindowFrameBound::Following(offset) => offset.is_null(),
    };
    let has_no_offsets = matches!(
        first_key,
        DataType::Binary | DataType::FixedSizeBinary(_) | DataType::Interval(_) | DataType::Time64(_)
    );
    let is_range = frame.units == WindowFrameUnits::Range;
    if is_range && has_no_offsets && without_offset(&frame.start_bound) && without_offset(&frame.end_bound) {
        return WindowFrame::new_bounds(WindowFrameUnits::Groups, frame.start_bound, frame.end_bound);
    }
    frame
}

fn refuse_nested<'e>(mut parts: impl Iterator<Item = &'e Expr>) -> Result<()> {
    let is_window = |expr: &Expr| Ok(matches!(expr, Expr::WindowFunction(_)));
    // The closure does not fail.
    if parts.any(|expr| expr.exists(is_window).unwrap_or(false)) {
        let message = "window function calls cannot be nested";
        return Err(PlanError::from(SqlError::new(SqlState("42P20"), message)));
    }
    Ok(())
}

fn invalid_frame(error: datafusion::common::DataFusionError) -> PlanError {
    PlanError::from(SqlError::new(SqlState("42P20"), error.strip_backtrace()))
}

/// The window that OVER means.
fn resolve<'w>(over: &'w WindowType, named: &'w [ast::NamedWindowDefinition]) -> Result<Window<'w>> {
    match over {
        WindowType::NamedWindow(name) => resolve_name(name, named, 0),
        WindowType::WindowSpec(spec) => resolve_spec(spec, named, 0),
    }
}

fn resolve_name<'w>(name: &ast::Ident, named: &'w [ast::NamedWindowDefinition], depth: usize) -> Result<Window<'w>> {
    let found = named.iter().find(|definition| fold(&definition.0) == fold(name));
    match found {
        Some(definition) if depth <= named.len() => match &definition.1 {
            NamedWindowExpr::NamedWindow(other) => resolve_name(other, named, depth + 1),
            NamedWindowExpr::WindowSpec(spec) => resolve_spec(spec, named, depth + 1),
        },
        _ => Err(PlanError::UndefinedObject {
            kind: "window",
            name: fold(name),
        }
        .at(name.span)),
    }
}

fn resolve_spec<'w>(spec: &'w WindowSpec, named: &'w [ast::NamedWindowDefinition], depth: usize) -> Result<Window<'w>> {
    let base = match &spec.window_name {
        Some(name) => Some(resolve_name(name, named, depth + 1)?),
        None => None,
    };
    let base_partition = base.as_ref().map_or(&[] as &[ast::Expr], |b| b.partition_by);
    let base_order = base.as_ref().map_or(&[] as &[ast::OrderByExpr], |b| b.order_by);
    Ok(Window {
        partition_by: if spec.partition_by.is_empty() {
            base_partition
        } else {
            &spec.partition_by
        },
        order_by: if spec.order_by.is_empty() {
            base_order
        } else {
            &spec.order_by
        },
        frame: spec.window_frame.as_ref().or_else(|| base.and_then(|b| b.frame)),
    })
}

/// Computes the window functions among `exprs` and puts their columns in their place.
pub(crate) fn compute_windows(
    binder: &mut Binder<'_>,
    plan: LogicalPlan,
    exprs: &mut [&mut Expr],
) -> Result<LogicalPlan> {
    let mut calls = Vec::new();
    for expr in exprs.iter() {
        super::aggregate::collect(expr, |e| matches!(e, Expr::WindowFunction(_)), &mut calls)?;
    }
    if calls.is_empty() {
        return Ok(plan);
    }
    // What a window looks at becomes columns, so that no two windows are told apart only by a cast.
    let (plan, computed) = precompute(binder, plan, calls.iter().flat_map(window_inputs))?;
    let mut rewrite = Rewrite::default();
    let mut windows = Vec::new();
    for call in calls {
        let over_columns = over_columns(&call, &computed)?;
        let column = Column::from_name(over_columns.schema_name().to_string());
        rewrite.insert(call, Expr::Column(column));
        if !windows.contains(&over_columns) {
            windows.push(over_columns);
        }
    }
    let plan = LogicalPlanBuilder::window_plan(plan, windows)?;
    for expr in exprs.iter_mut() {
        **expr = rewrite.apply(std::mem::take(*expr))?;
    }
    Ok(plan)
}

/// The expressions that a window call looks at.
fn window_inputs(call: &Expr) -> Vec<Expr> {
    let Expr::WindowFunction(window) = call else {
        return Vec::new();
    };
    let params = &window.params;
    let mut inputs: Vec<Expr> = params.args.clone();
    inputs.extend(params.partition_by.iter().cloned());
    inputs.extend(params.order_by.iter().map(|s| s.expr.clone()));
    inputs.extend(params.filter.iter().map(|f| f.as_ref().clone()));
    inputs
}

/// A window call over columns.
fn over_columns(call: &Expr, computed: &Rewrite) -> Result<Expr> {
    let Expr::WindowFunction(window) = call else {
        return Err(PlanError::internal("a window function expected"));
    };
    let mut window = window.clone();
    let params = &mut window.params;
    params.args = params.args.iter().map(|e| computed.whole(e)).collect();
    params.partition_by = params.partition_by.iter().map(|e| computed.whole(e)).collect();
    params.order_by = params
        .order_by
        .iter()
        .map(|s| Sort::new(computed.whole(&s.expr), s.asc, s.nulls_first))
        .collect();
    params.filter = params.filter.as_ref().map(|f| Box::new(computed.whole(f)));
    Ok(Expr::WindowFunction(window))
}

/// The number that `ntile` and `nth_value` take is at least one.
fn check_counts(name: &str, args: &[Typed]) -> Result<()> {
    let (place, state) = match name {
        "ntile" => (0, "22014"),
        "nth_value" => (1, "22016"),
        _ => return Ok(()),
    };
    let is_positive = match args.get(place).map(|a| &a.expr) {
        Some(Expr::Literal(ScalarValue::Int32(Some(count)), _)) => *count > 0,
        Some(Expr::Literal(ScalarValue::Int64(Some(count)), _)) => *count > 0,
        _ => true,
    };
    match is_positive {
        true => Ok(()),
        false => Err(PlanError::from(SqlError::new(
            SqlState(state),
            format!("argument of {name} must be greater than zero"),
        ))),
    }
}
