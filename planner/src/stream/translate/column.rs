//! Columns that an operator needs and that its input does not have yet: computed below it, dropped above it.

use datafusion::logical_expr::{Expr, ExprSchemable};

use super::fused::Computed;
use super::{Built, Translator};
use crate::error::Result;

impl Translator<'_> {
    /// `input` with a column for each of these expressions over it, and where those columns stand. Expressions that
    /// are plain columns, or stand there twice, are not computed again.
    pub(super) fn with_columns(&mut self, input: Built, exprs: &[Expr]) -> Result<(Built, Vec<usize>)> {
        let mut computed: Vec<Computed> = (0..input.width()).map(|c| Computed::pass(&input, c)).collect();
        let kept = computed.len();
        let mut places = Vec::with_capacity(exprs.len());
        for expr in exprs {
            let place = match input.position(expr) {
                Some(place) => place,
                None => match computed[kept..].iter().position(|c| c.expr == *expr) {
                    Some(at) => kept + at,
                    None => {
                        let (_, field) = expr.to_field(input.schema().as_ref())?;
                        computed.push(Computed {
                            expr: expr.clone(),
                            field,
                        });
                        computed.len() - 1
                    }
                },
            };
            places.push(place);
        }
        if computed.len() == kept {
            return Ok((input, places));
        }
        Ok((self.project(input, computed)?, places))
    }

    /// Only these columns of `input`, in this order.
    pub(super) fn keep_columns(&mut self, input: Built, columns: &[usize]) -> Result<Built> {
        let computed = columns.iter().map(|c| Computed::pass(&input, *c)).collect();
        self.project(input, computed)
    }
}
