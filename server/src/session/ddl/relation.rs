//! CREATE TABLE and CREATE SOURCE, from a definition or from a query.

use std::sync::Arc;

use highwater_parser::{ColumnDef, CreateRelation};
use highwater_planner::catalog::{Relation, RelationKind};
use highwater_planner::{plan_query, table_from_ddl, view_columns};
use highwater_types::{SqlError, SqlState};
use sqlparser::ast;

use super::index::primary_key_index;
use super::name::fold_part;
use crate::database::NewRelation;
use crate::session::Session;

impl Session {
    /// CREATE TABLE ... AS, SELECT INTO. Answers how many rows it has; `None` when there was such a table already.
    pub(in crate::session) async fn create_table_as(
        &mut self,
        name: &ast::ObjectName,
        if_not_exists: bool,
        query: &ast::Query,
    ) -> Result<Option<usize>, SqlError> {
        let database = Arc::clone(&self.database);
        let _ddl = database.ddl.lock().await;
        let (schema, name) = self.target(name)?;
        if self.exists_already(&schema, &name, if_not_exists)? {
            return Ok(None);
        }
        let context = self.plan_context();
        let plan = plan_query(&context, query, &[])?;
        if !plan.params.is_empty() {
            return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, "there is no parameter $1"));
        }
        let columns = view_columns(&plan.columns, &[])?;
        // The rows come first: a query that fails leaves no table behind.
        let rows = self.collect(&plan.plan, &Vec::new(), &[]).await?;
        let mut table = Relation {
            id: self.database.next_id(),
            schema,
            name,
            kind: RelationKind::Table { primary_key_name: None },
            columns,
            key: None,
            watermark: None,
            append_only: false,
            depends_on: Vec::new(),
            definition: String::new(),
            comment: None,
        };
        table.definition = definition_of(&table);
        let table = Arc::new(table);
        self.database
            .create(NewRelation::table(&context, &table)?, Vec::new())
            .await?;
        self.insert_copied(&table, &rows).map(Some)
    }

    pub(in crate::session) async fn create_relation(
        &mut self,
        create: &CreateRelation,
        text: &str,
    ) -> Result<(), SqlError> {
        let database = Arc::clone(&self.database);
        let _ddl = database.ddl.lock().await;
        let (schema, name) = self.target(&create.name)?;
        if self.exists_already(&schema, &name, create.if_not_exists)? {
            return Ok(());
        }
        let context = self.plan_context();
        let create = &with_default_columns(create).await?;
        let mut relation = table_from_ddl(&context, create, self.database.next_id())?;
        relation.definition = text.to_string();
        let relation = Arc::new(relation);
        let index = primary_key_index(&relation, self.database.next_id());
        let new = match &relation.kind {
            RelationKind::Source(_) => NewRelation::source(&context, &relation)?,
            RelationKind::Table { .. }
            | RelationKind::View { .. }
            | RelationKind::MaterializedView { .. }
            | RelationKind::Index { .. } => NewRelation::table(&context, &relation)?,
        };
        self.database.create(new, index.into_iter().collect()).await
    }
}

/// How CREATE TABLE would declare it.
fn definition_of(table: &Relation) -> String {
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|c| format!("{} {}", ast::Ident::with_quote('"', &c.name), c.sql_type))
        .collect();
    format!("CREATE TABLE {} ({})", table.display_name(), columns.join(", "))
}

/// A source that declares no columns, or only such as are computed, has those that its connector brings. Files are
/// looked at for that, without keeping others waiting.
async fn with_default_columns(create: &CreateRelation) -> Result<CreateRelation, SqlError> {
    let mut filled = create.clone();
    let connector = create.options.get("connector").cloned().unwrap_or_default();
    if !create.source {
        return Ok(filled);
    }
    let source = create.name.0.last().map(fold_part).unwrap_or_default();
    highwater_connectors::add_implied_options(&connector, &source, &mut filled.options);
    if create.columns.iter().any(|column| column.generated.is_none()) {
        return Ok(filled);
    }
    let mut options = filled.options.clone();
    options.remove("connector");
    if !create.encode.is_empty() {
        options.insert("format".to_string(), create.encode.clone());
    }
    let known = tokio::task::spawn_blocking(move || highwater_connectors::default_columns(&connector, &options)).await;
    let known = known.map_err(|error| SqlError::new(SqlState::INTERNAL_ERROR, error.to_string()))??;
    let mut columns = Vec::new();
    for (name, sql_type) in known.unwrap_or_default() {
        columns.push(ColumnDef {
            name: ast::Ident::with_quote('"', name),
            data_type: highwater_parser::parse_data_type(&sql_type.to_string())?,
            not_null: false,
            default: None,
            generated: None,
        });
    }
    filled.columns.splice(0..0, columns);
    Ok(filled)
}
