//! [`NumericCasts`]: numerics that are compared get the digits of the one that has most, and DataFusion does that with a
//! cast of Arrow's, to which NaN and the infinities of a numeric are numbers too large. The cast of ours knows them.

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;
use highwater_types::{QUOTIENT, SqlType};

use crate::functions::{self, stored_quotient};

/// Puts our casts between numerics in the place of Arrow's.
#[derive(Debug, Default)]
pub(crate) struct NumericCasts;

impl AnalyzerRule for NumericCasts {
    fn name(&self) -> &str {
        "numeric_casts"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let analyzed = plan.transform_up_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let recast = expr.transform_up(|expr| recast(expr, &schema))?;
                Ok(recast.update_data(|expr| name.restore(expr)))
            })
        })?;
        Ok(analyzed.data)
    }
}

/// The SQL type of a numeric field; a quotient's is that in which one is kept, so that its digits tell it apart.
fn numeric_type(field: &Field) -> SqlType {
    match *field.data_type() == QUOTIENT {
        true => stored_quotient(),
        false => SqlType::of_field(field),
    }
}

fn recast(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::Cast(cast) = &expr else {
        return Ok(Transformed::no(expr));
    };
    let is_numeric = |data_type: &DataType| matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..));
    if !is_numeric(cast.field.data_type()) {
        return Ok(Transformed::no(expr));
    }
    let (_, from) = cast.expr.to_field(schema)?;
    if !is_numeric(from.data_type()) {
        return Ok(Transformed::no(expr));
    }
    let (from, to) = (numeric_type(&from), numeric_type(&cast.field));
    let ours = functions::cast(cast.expr.as_ref().clone(), &from, &to, false)?;
    Ok(Transformed::yes(ours))
}
