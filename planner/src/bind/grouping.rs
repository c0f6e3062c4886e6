//! GROUP BY: expressions, positions and names of outputs, and the sets of ROLLUP, CUBE and GROUPING SETS.

use highwater_types::{SqlError, SqlState};
use sqlparser::ast;

use super::aggregate::Grouping;
use super::items::{Item, same_item};
use super::order::{output_named, position};
use super::scope::fold;
use super::{Binder, ExprCx};
use crate::error::{PlanError, Result};

/// As in PostgreSQL.
const SETS_MAX: usize = 4096;
/// GROUPING() has a bit for each, and a few tell repeated sets apart.
const SET_KEYS_MAX: usize = 32;

impl Binder<'_> {
    pub(crate) fn bind_group_by(
        &mut self,
        group_by: &ast::GroupByExpr,
        items: &[Item<'_>],
        cx: &mut ExprCx<'_>,
    ) -> Result<Grouping> {
        let exprs = match group_by {
            ast::GroupByExpr::Expressions(exprs, modifiers) if modifiers.is_empty() => exprs,
            _ => {
                return Err(PlanError::unsupported(
                    "GROUP BY ALL and WITH modifiers",
                    "List the expressions.",
                ));
            }
        };
        let mut grouping = Grouping::default();
        let mut sets: Vec<Vec<usize>> = vec![Vec::new()];
        let mut plain = true;
        for expr in exprs {
            let choices = match expr {
                ast::Expr::Rollup(elements) => {
                    plain = false;
                    let elements = self.group_elements(elements, items, &mut grouping, cx)?;
                    (0..=elements.len()).rev().map(|n| elements[..n].concat()).collect()
                }
                ast::Expr::Cube(elements) => {
                    plain = false;
                    let elements = self.group_elements(elements, items, &mut grouping, cx)?;
                    subsets(&elements)?
                }
                ast::Expr::GroupingSets(elements) => {
                    plain = false;
                    self.group_elements(elements, items, &mut grouping, cx)?
                }
                ast::Expr::Tuple(fields) => {
                    self.group_elements(std::slice::from_ref(fields), items, &mut grouping, cx)?
                }
                other => vec![vec![self.group_element(other, items, &mut grouping, cx)?]],
            };
            sets = sets
                .iter()
                .flat_map(|set| {
                    choices
                        .iter()
                        .map(move |choice: &Vec<usize>| [set.clone(), choice.clone()].concat())
                })
                .collect();
            if sets.len() > SETS_MAX {
                return Err(limit_exceeded(format!(
                    "too many grouping sets present (maximum {SETS_MAX})"
                )));
            }
        }
        if !plain && grouping.exprs.len() >= SET_KEYS_MAX {
            return Err(limit_exceeded(format!(
                "too many expressions in grouping sets (maximum {SET_KEYS_MAX})"
            )));
        }
        if !plain {
            grouping.sets = Some(sets);
        }
        Ok(grouping)
    }

    fn group_elements(
        &mut self,
        elements: &[Vec<ast::Expr>],
        items: &[Item<'_>],
        grouping: &mut Grouping,
        cx: &mut ExprCx<'_>,
    ) -> Result<Vec<Vec<usize>>> {
        let mut positions = Vec::with_capacity(elements.len());
        for element in elements {
            let mut set = Vec::with_capacity(element.len());
            for expr in element {
                set.push(self.group_element(expr, items, grouping, cx)?);
            }
            positions.push(set);
        }
        Ok(positions)
    }

    /// One grouping expression: a position, a column of FROM, an output's name, or any expression.
    fn group_element(
        &mut self,
        expr: &ast::Expr,
        items: &[Item<'_>],
        grouping: &mut Grouping,
        cx: &mut ExprCx<'_>,
    ) -> Result<usize> {
        let output = match position(expr, items.len(), "GROUP BY")? {
            Some(at) => Some(at),
            None if is_input_column(expr, cx)? => None,
            None => output_named(expr, items.iter().map(Item::name), "GROUP BY", |a, b| {
                same_item(&items[a], &items[b])
            })?,
        };
        let typed = match output.map(|at| &items[at]) {
            Some(Item::Column { typed, .. }) => typed.clone(),
            Some(Item::Written { expr, .. }) => self.bind_expr(expr, cx)?,
            None => self.bind_expr(expr, cx)?,
        };
        let typed = self.settle(typed)?;
        match grouping.exprs.iter().position(|e| *e == typed.expr) {
            Some(at) => Ok(at),
            None => {
                grouping.exprs.push(typed.expr);
                Ok(grouping.exprs.len() - 1)
            }
        }
    }
}

fn limit_exceeded(message: String) -> PlanError {
    PlanError::from(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message))
}

/// Whether a bare name is a column of FROM, which GROUP BY prefers to an output of that name.
fn is_input_column(expr: &ast::Expr, cx: &ExprCx<'_>) -> Result<bool> {
    match expr {
        ast::Expr::Identifier(ident) => Ok(cx.scope.columns.iter().any(|c| c.name == fold(ident))),
        _ => Ok(true),
    }
}

/// All subsets of CUBE's elements, the largest first.
fn subsets(elements: &[Vec<usize>]) -> Result<Vec<Vec<usize>>> {
    if elements.len() > 12 {
        return Err(PlanError::Syntax {
            message: "CUBE is limited to 12 elements".to_string(),
        });
    }
    let mut sets: Vec<Vec<usize>> = (0..1_usize << elements.len())
        .map(|mask| {
            let taken = elements.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1);
            taken.flat_map(|(_, e)| e.clone()).collect()
        })
        .collect();
    sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
    Ok(sets)
}
