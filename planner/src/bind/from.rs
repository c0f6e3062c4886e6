//! FROM: relations, inline views, derived tables and their aliases. Joins are in `join.rs`.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::logical_expr::LogicalPlanBuilder;
use highwater_parser::window_call;
use highwater_types::{SqlError, SqlState, SqlType};
use sqlparser::ast::{self, Spanned, TableFactor};

use super::object::Named;
use super::scope::{Scope, ScopeColumn, ScopeTable, fold, fold_name};
use super::system_time::as_of;
use super::{Binder, OuterScope, Rows, Source, Written};
use crate::catalog::{Relation, RelationKind};
use crate::context::{RelationSource, ScanTarget};
use crate::error::{PlanError, Result};

/// How deeply inline views may stand in each other.
const MAX_VIEW_DEPTH: usize = 64;

impl Binder<'_> {
    /// Binds FROM. Without entries it is one row without columns.
    pub(crate) fn bind_from(&mut self, from: &[ast::TableWithJoins]) -> Result<Source> {
        match from {
            [] => Ok(Source {
                plan: LogicalPlanBuilder::empty(true).build()?,
                scope: Scope::default(),
            }),
            [first, others @ ..] => {
                let source = self.bind_joins(first, &[])?;
                self.bind_from_beside(source, others)
            }
        }
    }

    /// Binds more entries of FROM beside a source.
    pub(crate) fn bind_from_beside(&mut self, mut source: Source, from: &[ast::TableWithJoins]) -> Result<Source> {
        for entry in from {
            let lateral = [outer_scope(&source)];
            let right = self.bind_joins(entry, &lateral)?;
            source = self.cross(source, right)?;
        }
        Ok(source)
    }

    /// One entry of FROM with what is joined to it. `lateral` is what stands left of it.
    pub(crate) fn bind_joins(&mut self, entry: &ast::TableWithJoins, lateral: &[OuterScope]) -> Result<Source> {
        let mut source = self.bind_factor(&entry.relation, lateral)?;
        for join in &entry.joins {
            let mut seen = lateral.to_vec();
            seen.push(outer_scope(&source));
            source = match as_of(&join.relation)? {
                Some(right) => self.join_as_of(source, &right, &join.join_operator)?,
                None => {
                    let right = self.bind_factor(&join.relation, &seen)?;
                    self.bind_join(source, right, &join.join_operator)?
                }
            };
        }
        Ok(source)
    }

    fn bind_factor(&mut self, factor: &TableFactor, lateral: &[OuterScope]) -> Result<Source> {
        if let Some(call) = window_call(factor) {
            let call = call.map_err(|error| PlanError::from(SqlError::from(error)))?;
            return self.bind_window_table(&call, factor_alias(factor));
        }
        match factor {
            TableFactor::Table { version: Some(_), .. } => Err(PlanError::unsupported(
                "FOR SYSTEM_TIME AS OF outside of the right side of a join",
                "Join the table: FROM stream JOIN table FOR SYSTEM_TIME AS OF PROCTIME() AS t ON ...",
            )),
            TableFactor::Table { sample: Some(_), .. } => Err(PlanError::unsupported("TABLESAMPLE", "")),
            TableFactor::Table {
                name,
                alias,
                args: Some(args),
                with_ordinality,
                ..
            } => self.bind_table_function(name, &args.args, *with_ordinality, alias.as_ref(), lateral),
            TableFactor::Table { name, alias, .. } => self.bind_relation(name, alias.as_ref()),
            TableFactor::Function {
                name,
                args,
                with_ordinality,
                alias,
                ..
            } => self.bind_table_function(name, args, *with_ordinality, alias.as_ref(), lateral),
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_ordinality,
                ..
            } => self.bind_unnest_table(array_exprs, *with_ordinality, alias.as_ref(), lateral),
            TableFactor::TableFunction {
                expr: ast::Expr::Function(function),
                alias,
            } => {
                let args = match &function.args {
                    ast::FunctionArguments::List(list) => list.args.as_slice(),
                    ast::FunctionArguments::None | ast::FunctionArguments::Subquery(_) => &[],
                };
                self.bind_table_function(&function.name, args, false, alias.as_ref(), lateral)
            }
            TableFactor::Derived {
                lateral: is_lateral,
                subquery,
                alias,
                ..
            } => {
                let depth = self.outer.len();
                if *is_lateral {
                    self.outer.extend_from_slice(lateral);
                }
                let rows = self.bind_query(subquery, &[]);
                self.outer.truncate(depth);
                derived(rows?, alias.as_ref())
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias,
            } => {
                let source = self.bind_joins(table_with_joins, lateral)?;
                match alias {
                    None => Ok(source),
                    Some(alias) => renamed(source, alias),
                }
            }
            other => Err(PlanError::unsupported(other.to_string(), "")),
        }
    }

    /// A relation, or a WITH item, by name.
    pub(crate) fn bind_relation(&mut self, name: &ast::ObjectName, alias: Option<&ast::TableAlias>) -> Result<Source> {
        if let [part] = fold_name(name).as_slice()
            && let Some(source) = self.bind_cte(part, alias)?
        {
            return Ok(source);
        }
        let named = self.find_relation_as(name, alias.is_some())?;
        self.source_of(named, alias).map_err(|error| error.at(name.span()))
    }

    /// A found relation as a table of FROM.
    pub(crate) fn source_of(&mut self, named: Named, alias: Option<&ast::TableAlias>) -> Result<Source> {
        match named {
            Named::System { schema, name, columns } => {
                let target = ScanTarget::System {
                    schema: schema.clone(),
                    name: name.clone(),
                };
                let source = Arc::new(RelationSource::new(target, Arc::clone(&columns)));
                let types: Vec<(String, SqlType)> = columns
                    .fields()
                    .iter()
                    .map(|f| (f.name().clone(), SqlType::of_field(f)))
                    .collect();
                self.scan(source, &name, Some(&schema), types, None, alias)
            }
            Named::Relation(relation) => match &relation.kind {
                RelationKind::Table { .. } | RelationKind::Source(_) | RelationKind::MaterializedView { .. } => {
                    self.scan_relation(&relation, alias)
                }
                RelationKind::View { query, .. } => self.bind_view(&relation, query, alias),
                RelationKind::Index { .. } => Err(PlanError::WrongObject {
                    message: format!("\"{}\" is an index", relation.name),
                    hint: None,
                }),
            },
        }
    }

    /// A scan of a stored relation or source.
    pub(crate) fn scan_relation(&mut self, relation: &Relation, alias: Option<&ast::TableAlias>) -> Result<Source> {
        let source = RelationSource::new(ScanTarget::Relation(relation.id), relation.arrow_schema());
        let types = relation
            .columns
            .iter()
            .map(|c| (c.name.clone(), c.sql_type.clone()))
            .collect();
        let origin = Some(relation.id);
        self.scan(
            Arc::new(source),
            &relation.name,
            Some(&relation.schema),
            types,
            origin,
            alias,
        )
    }

    /// A scan of anything with named columns.
    pub(crate) fn scan(
        &mut self,
        source: Arc<dyn datafusion::logical_expr::TableSource>,
        name: &str,
        schema: Option<&str>,
        columns: Vec<(String, SqlType)>,
        origin: Option<highwater_types::RelationId>,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Source> {
        let shown = alias.map_or_else(|| name.to_string(), |a| fold(&a.name));
        let qualifier = self.names.fresh(&shown);
        let plan = LogicalPlanBuilder::scan(qualifier.clone(), source, None)?.build()?;
        let columns = columns
            .into_iter()
            .enumerate()
            .map(|(i, (name, sql_type))| ScopeColumn {
                value: datafusion::logical_expr::Expr::Column(Column::new(Some(qualifier.clone()), &name)),
                name,
                sql_type,
                origin: origin.and_then(|id| Some((id, i16::try_from(i + 1).ok()?))),
            });
        let table = ScopeTable {
            relation: schema.map(|schema| (schema.to_string(), name.to_string())),
            alias: shown,
            schema: schema.filter(|_| alias.is_none()).map(str::to_string),
            columns: columns.collect(),
        };
        Ok(Source {
            plan,
            scope: Scope::of_table(with_column_names(table, alias)?),
        })
    }

    /// A view's query in its place. Its names are looked up as they were where it was made.
    pub(super) fn bind_view(
        &mut self,
        view: &Relation,
        query: &str,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Source> {
        if self.view_depth >= MAX_VIEW_DEPTH {
            return Err(PlanError::from(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("views are nested more than {MAX_VIEW_DEPTH} deep"),
            )));
        }
        let parsed = highwater_parser::parse_query(query).map_err(|error| PlanError::from(SqlError::from(error)))?;
        let outer = std::mem::take(&mut self.outer);
        let ctes = std::mem::take(&mut self.ctes);
        let settings = view.settings();
        let own = Written {
            search_path: settings.search_path,
            time_zone: settings.time_zone,
            reads: Some(view.depends_on.clone()),
        };
        let written = std::mem::replace(&mut self.written, own);
        self.view_depth += 1;
        let rows = self.bind_query(&parsed, &[]);
        self.view_depth -= 1;
        self.written = written;
        self.ctes = ctes;
        self.outer = outer;
        // Places in the view's text mean nothing in the statement.
        let rows = rows.map_err(PlanError::without_place)?;
        let columns = rows.columns.into_iter().enumerate().map(|(i, c)| ScopeColumn {
            name: view.columns.get(i).map_or(c.name, |declared| declared.name.clone()),
            value: datafusion::logical_expr::Expr::Column(c.column),
            sql_type: c.sql_type,
            origin: i16::try_from(i + 1).ok().map(|number| (view.id, number)),
        });
        let table = ScopeTable {
            relation: None,
            alias: alias.map_or_else(|| view.name.clone(), |a| fold(&a.name)),
            schema: Some(view.schema.clone()).filter(|_| alias.is_none()),
            columns: columns.collect(),
        };
        Ok(Source {
            plan: rows.plan,
            scope: Scope::of_table(with_column_names(table, alias)?),
        })
    }

    /// Both sides, as a comma makes it. The right side may look at the left.
    fn cross(&mut self, left: Source, right: Source) -> Result<Source> {
        let scope = left.scope.beside(right.scope)?;
        let join = datafusion::common::JoinType::Inner;
        let plan = self.dependent_join(left.plan, right.plan, join, None, false)?;
        Ok(Source { plan, scope })
    }
}

/// What an entry of FROM shows to LATERAL entries right of it.
pub(crate) fn outer_scope(source: &Source) -> OuterScope {
    OuterScope {
        scope: Arc::new(source.scope.clone()),
        schema: Arc::clone(source.plan.schema()),
    }
}

fn factor_alias(factor: &TableFactor) -> Option<&ast::TableAlias> {
    match factor {
        TableFactor::Table { alias, .. } => alias.as_ref(),
        _ => None,
    }
}

/// A derived table under its alias.
pub(crate) fn derived(rows: Rows, alias: Option<&ast::TableAlias>) -> Result<Source> {
    let columns = rows.columns.into_iter().map(|c| ScopeColumn {
        name: c.name,
        value: datafusion::logical_expr::Expr::Column(c.column),
        sql_type: c.sql_type,
        origin: c.origin,
    });
    let table = ScopeTable {
        relation: None,
        alias: alias.map(|a| fold(&a.name)).unwrap_or_default(),
        schema: None,
        columns: columns.collect(),
    };
    Ok(Source {
        plan: rows.plan,
        scope: Scope::of_table(with_column_names(table, alias)?),
    })
}

/// A join under one alias, which hides the names of its tables.
fn renamed(source: Source, alias: &ast::TableAlias) -> Result<Source> {
    let table = ScopeTable {
        relation: None,
        alias: fold(&alias.name),
        schema: None,
        columns: source.scope.columns,
    };
    Ok(Source {
        plan: source.plan,
        scope: Scope::of_table(with_column_names(table, Some(alias))?),
    })
}

/// The names that an alias gives to the first columns: `t (a, b)`.
pub(crate) fn with_column_names(mut table: ScopeTable, alias: Option<&ast::TableAlias>) -> Result<ScopeTable> {
    let names = alias.map_or(&[] as &[ast::TableAliasColumnDef], |a| &a.columns);
    if names.len() > table.columns.len() {
        return Err(PlanError::InvalidReference {
            message: format!(
                "table \"{}\" has {} columns available but {} columns specified",
                table.alias,
                table.columns.len(),
                names.len()
            ),
        });
    }
    for (column, name) in table.columns.iter_mut().zip(names) {
        column.name = fold(&name.name);
    }
    Ok(table)
}
