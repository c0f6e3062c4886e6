//! [`Outline`]: a call's arguments, each reduced to a column of its type. DataFusion derives the type of an expression,
//! and a name for it, from the whole tree; asked at every level of a deep tree that costs the cube of its depth. A call
//! over an outline is one level deep.

use std::borrow::Cow;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, TableReference};
use datafusion::logical_expr::{Expr, ExprSchemable};
use highwater_types::SqlType;

use super::Typed;
use super::expr::ExprCx;
use crate::error::Result;

/// The table that the columns which stand for arguments are of; no name in SQL can hold its first character.
const ARGUMENTS: &str = "\0arguments";

/// The arguments of a call.
pub(crate) struct Outline<'c> {
    /// What stands for each argument. Constants stand for themselves.
    pub(crate) args: Vec<Expr>,
    /// What `args` are columns of.
    pub(crate) schema: Cow<'c, DFSchema>,
    /// The arguments.
    real: Vec<Expr>,
}

impl<'c> Outline<'c> {
    /// The outline of these arguments. Where one has no type yet and is no constant, all stand for themselves.
    pub(crate) fn try_new(args: &[Typed], cx: &'c ExprCx<'_>) -> Result<Outline<'c>> {
        let real: Vec<Expr> = args.iter().map(|arg| arg.expr.clone()).collect();
        if args.iter().any(|arg| arg.is_unknown() && !is_constant(&arg.expr)) {
            return Ok(Outline {
                args: real.clone(),
                schema: Cow::Borrowed(&cx.schema),
                real,
            });
        }
        let table = TableReference::bare(ARGUMENTS);
        let mut fields = Vec::new();
        let mut outlined = Vec::with_capacity(args.len());
        for (index, arg) in args.iter().enumerate() {
            if is_constant(&arg.expr) {
                outlined.push(arg.expr.clone());
                continue;
            }
            let name = index.to_string();
            outlined.push(Expr::Column(Column::new(Some(table.clone()), &name)));
            fields.push((Some(table.clone()), arg.sql_type.to_field(&name)));
        }
        Ok(Outline {
            args: outlined,
            schema: Cow::Owned(DFSchema::new_with_metadata(fields, Default::default())?),
            real,
        })
    }

    /// An expression over the outline as one over the arguments, with its type.
    pub(crate) fn typed(&self, expr: Expr) -> Result<Typed> {
        let (_, field) = expr.to_field(self.schema.as_ref())?;
        Ok(Typed::new(self.filled(expr)?, SqlType::of_field(&field)))
    }

    /// An expression over the outline as one over the arguments.
    pub(crate) fn filled(&self, expr: Expr) -> Result<Expr> {
        let filled = expr.transform_down(|part| match self.argument(&part) {
            Some(argument) => Ok(Transformed::new(argument.clone(), true, TreeNodeRecursion::Jump)),
            None => Ok(Transformed::no(part)),
        })?;
        Ok(filled.data)
    }

    /// The argument that a column stands for.
    fn argument(&self, part: &Expr) -> Option<&Expr> {
        let Expr::Column(column) = part else { return None };
        let table = column.relation.as_ref()?;
        if table.table() != ARGUMENTS {
            return None;
        }
        self.real.get(column.name.parse::<usize>().ok()?)
    }
}

fn is_constant(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(..) | Expr::Placeholder(_))
}
