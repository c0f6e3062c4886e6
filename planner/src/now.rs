//! `now()`: the same instant for a whole transaction, which planning cannot know. A plan keeps the call; whoever runs the
//! plan puts the instant in its place with [`with_now`]. A call that is still there when it is computed reads the clock.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::datatypes::DataType;
use chrono::Utc;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use highwater_types::SqlType;

use crate::bind::placeholder;
use crate::error::Result;

/// The functions that answer the transaction's instant.
const FIXED: [&str; 3] = ["now", "transaction_timestamp", "statement_timestamp"];
/// The name of the variable that stands for the epoch's time in a view's plan.
const CLOCK_OF_VIEW: &str = "now()";
/// The function that reads the clock at every call.
const CLOCK: &str = "clock_timestamp";
/// The names of all of them.
pub(crate) const NAMES: [&str; 4] = [FIXED[0], FIXED[1], FIXED[2], CLOCK];

/// All of them. Volatile, so that no plan has an answer worked in.
pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    NAMES
        .into_iter()
        .map(|name| {
            Arc::new(ScalarUDF::new_from_impl(Now {
                name,
                signature: Signature::nullary(Volatility::Volatile),
            }))
        })
        .collect()
}

/// The plan with the transaction's instant, in microseconds since 1970, in place of `now()`.
/// A plan that does not ask for it is handed back as it is.
pub fn with_now(plan: &LogicalPlan, now_us: i64) -> Result<Cow<'_, LogicalPlan>> {
    replace_now(plan, &Expr::Literal(instant(now_us), None))
}

/// The plan with the parameter `$number` in place of `now()`, for a plan that is compiled once and run at many times.
/// A plan that does not ask for it is handed back as it is.
pub fn with_now_as_parameter(plan: &LogicalPlan, number: usize) -> Result<Cow<'_, LogicalPlan>> {
    replace_now(plan, &placeholder(number, &SqlType::Timestamptz))
}

/// The plan of a view, in which `now()` is the epoch's time: a variable, which no rule makes a constant or a
/// column of.
pub(crate) fn with_clock(plan: &LogicalPlan) -> Result<LogicalPlan> {
    let field = SqlType::Timestamptz.to_field(CLOCK_OF_VIEW);
    let clock = Expr::ScalarVariable(field, vec![CLOCK_OF_VIEW.to_string()]);
    Ok(replace_now(plan, &clock)?.into_owned())
}

/// Whether an expression is what [`with_clock`] has put in.
pub(crate) fn is_clock(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarVariable(_, names) if *names == [CLOCK_OF_VIEW])
}

fn replace_now<'p>(plan: &'p LogicalPlan, by: &Expr) -> Result<Cow<'p, LogicalPlan>> {
    let mut asks = false;
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            asks |= expr.exists(|e| Ok(is_now(e)))?;
            Ok(if asks {
                TreeNodeRecursion::Stop
            } else {
                TreeNodeRecursion::Continue
            })
        })
    })?;
    if !asks {
        return Ok(Cow::Borrowed(plan));
    }
    let replace = |expr: Expr| {
        expr.transform(|e| match &e {
            e if is_now(e) => Ok(Transformed::yes(by.clone())),
            _ => Ok(Transformed::no(e)),
        })
    };
    let replaced = plan.clone().transform_up(|node| node.map_expressions(replace))?;
    Ok(Cow::Owned(replaced.data))
}

/// Whether an expression is a call of `now()`.
pub(crate) fn is_now(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(ScalarFunction { func, .. }) if FIXED.contains(&func.name()))
}

/// The value that `now()` has at an instant, in microseconds since 1970.
pub fn instant(micros: i64) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(micros), Some(Arc::from("UTC")))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Now {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> DfResult<DataType> {
        Ok(SqlType::Timestamptz.to_arrow())
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        Ok(ColumnarValue::Scalar(instant(Utc::now().timestamp_micros())))
    }
}
