//! The SELECT list before it is bound: `*` expanded, and each entry named.

use datafusion::logical_expr::lit;
use highwater_types::SqlType;
use sqlparser::ast::{self, SelectItem, SelectItemQualifiedWildcardKind, Spanned};

use super::name::output_name;
use super::scope::{ScopeColumn, ScopeTable, fold, fold_name};
use super::{Binder, ExprCx, Origin, Place, Source, Typed};
use crate::error::{PlanError, Result};

/// An entry of the SELECT list, with `*` expanded.
pub(crate) enum Item<'q> {
    Written { name: String, expr: &'q ast::Expr },
    Column { name: String, typed: Typed, origin: Origin },
}

impl Binder<'_> {
    /// Expands `*`, and names each entry.
    pub(crate) fn expand_items<'q>(&mut self, projection: &'q [SelectItem], source: &Source) -> Result<Vec<Item<'q>>> {
        let mut items = Vec::with_capacity(projection.len());
        for item in projection {
            match item {
                SelectItem::UnnamedExpr(expr) => items.push(Item::Written {
                    name: output_name(expr),
                    expr,
                }),
                SelectItem::ExprWithAlias { expr, alias } => items.push(Item::Written {
                    name: fold(alias),
                    expr,
                }),
                SelectItem::ExprWithAliases { .. } => {
                    return Err(PlanError::syntax("a column takes one alias"));
                }
                SelectItem::Wildcard(options) => {
                    check_wildcard(options)?;
                    if source.scope.tables.is_empty() {
                        return Err(PlanError::syntax("SELECT * with no tables specified is not valid")
                            .at(options.wildcard_token.0.span));
                    }
                    items.extend(source.scope.columns.iter().map(item_of));
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    check_wildcard(options)?;
                    let table = find_table(source, name)?;
                    items.extend(table.columns.iter().map(item_of));
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(expr), options) => {
                    check_wildcard(options)?;
                    items.extend(self.fields_of(expr, source)?);
                }
            }
        }
        Ok(items)
    }

    /// `(row).*`.
    fn fields_of<'q>(&mut self, expr: &ast::Expr, source: &Source) -> Result<Vec<Item<'q>>> {
        let mut cx = ExprCx::new(&source.scope, source.plan.schema(), Place::Where);
        let row = self.bind_expr(expr, &mut cx)?;
        let SqlType::Record(fields) = &row.sql_type else {
            return Err(PlanError::WrongObject {
                message: format!("type {} is not composite", row.sql_type),
                hint: None,
            }
            .at(expr.span()));
        };
        let get = self.scalar_function("get_field")?;
        let item = |(name, sql_type): &(String, SqlType)| Item::Column {
            name: name.clone(),
            typed: Typed::new(get.call(vec![row.expr.clone(), lit(name.as_str())]), sql_type.clone()),
            origin: None,
        };
        Ok(fields.iter().map(item).collect())
    }
}

impl Item<'_> {
    /// What its column is called.
    pub(crate) fn name(&self) -> &str {
        match self {
            Item::Written { name, .. } | Item::Column { name, .. } => name,
        }
    }
}

fn item_of<'q>(column: &ScopeColumn) -> Item<'q> {
    Item::Column {
        name: column.name.clone(),
        typed: Typed::new(column.value.clone(), column.sql_type.clone()),
        origin: column.origin,
    }
}

/// Whether two entries say the same.
pub(crate) fn same_item(a: &Item<'_>, b: &Item<'_>) -> bool {
    match (a, b) {
        (Item::Written { expr: a, .. }, Item::Written { expr: b, .. }) => a == b,
        (Item::Column { typed: a, .. }, Item::Column { typed: b, .. }) => a.expr == b.expr,
        _ => false,
    }
}

fn find_table<'s>(source: &'s Source, name: &ast::ObjectName) -> Result<&'s ScopeTable> {
    let parts = fold_name(name);
    let found = match parts.as_slice() {
        [table] => source.scope.table(None, table),
        [.., schema, table] => source.scope.table(Some(schema), table),
        [] => None,
    };
    found.ok_or_else(|| {
        PlanError::MissingFrom {
            name: parts.last().cloned().unwrap_or_default(),
        }
        .at(name.span())
    })
}

fn check_wildcard(options: &ast::WildcardAdditionalOptions) -> Result<()> {
    let plain = options.opt_ilike.is_none()
        && options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_replace.is_none()
        && options.opt_rename.is_none();
    match plain {
        true => Ok(()),
        false => Err(
            PlanError::unsupported("* with EXCEPT, EXCLUDE, REPLACE or RENAME", "List the columns.")
                .at(options.wildcard_token.0.span),
        ),
    }
}
