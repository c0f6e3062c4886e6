//! CREATE TABLE and CREATE SOURCE, from a definition or from a query.

use std::sync::Arc;

use highwater_parser::{ColumnDef, CreateRelation};
use highwater_planner::catalog::{Relation, RelationKind};
use highwater_planner::{plan_query, table_from_ddl, view_columns};
use highwater_types::{SqlError, SqlState};
use sqlparser::ast;

use super::index::primary_key_index;
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
        let create = &with_default_columns(create)?;
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

/// A source that declares no columns has those that its connector brings, if the connector knows them.
fn with_default_columns(create: &CreateRelation) -> Result<CreateRelation, SqlError> {
    let mut filled = create.clone();
    let connector = create.options.get("connector").map(String::as_str).unwrap_or_default();
    if !create.columns.is_empty() || connector.is_empty() {
        return Ok(filled);
    }
    let mut options = create.options.clone();
    options.remove("connector");
    for (name, sql_type) in highwater_connectors::default_columns(connector, &options).unwrap_or_default() {
        filled.columns.push(ColumnDef {
            name: ast::Ident::new(name),
            data_type: highwater_parser::parse_data_type(&sql_type.to_string())?,
            not_null: false,
            default: None,
            generated: None,
        });
    }
    Ok(filled)
}
