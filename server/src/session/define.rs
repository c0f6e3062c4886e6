//! DDL: what exists. Each statement plans against the newest catalog while it holds the DDL lock, makes the object
//! exist, and takes effect at once; a transaction block around it does not take it back.

use std::sync::Arc;

use highwater_parser::{ColumnDef, CreateIndex, CreateRelation, CreateView, DropObjects, ObjectKind};
use highwater_planner::catalog::{Catalog, EmitMode, Relation, RelationKind, SYSTEM_SCHEMA, SchemaEntry};
use highwater_planner::{plan_inline_view, plan_view, table_from_ddl};
use highwater_types::{RelationId, SqlError, SqlState};
use sqlparser::ast;

use super::Session;
use crate::database::NewRelation;

impl Session {
    pub(super) async fn create_relation(&mut self, create: &CreateRelation, text: &str) -> Result<(), SqlError> {
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

    pub(super) async fn create_view(&mut self, create: &CreateView, text: &str) -> Result<(), SqlError> {
        let database = Arc::clone(&self.database);
        let _ddl = database.ddl.lock().await;
        let (schema, name) = self.target(&create.name)?;
        let replaced = if create.or_replace {
            self.world().catalog.find(&schema, &name).cloned()
        } else {
            None
        };
        if replaced.is_none() && self.exists_already(&schema, &name, create.if_not_exists)? {
            return Ok(());
        }
        let (relation, new) = self.plan_new_view(create, schema, name, text)?;
        match replaced {
            None => self.database.create(new, Vec::new()).await,
            Some(old) => self.replace_view(&old, relation, create).await,
        }
    }

    fn plan_new_view(
        &mut self,
        create: &CreateView,
        schema: String,
        name: String,
        text: &str,
    ) -> Result<(Arc<Relation>, NewRelation), SqlError> {
        let context = self.plan_context();
        let names: Vec<String> = create.columns.iter().map(fold).collect();
        let query = create.query_text.clone();
        let id = self.database.next_id();
        let relation = Relation {
            id,
            schema,
            name,
            kind: RelationKind::View { query: query.clone() },
            columns: Vec::new(),
            key: None,
            watermark: None,
            append_only: false,
            depends_on: Vec::new(),
            definition: text.to_string(),
            comment: None,
        };
        if !create.materialized {
            if create.emit_on_window_close {
                return Err(
                    SqlError::new(SqlState::SYNTAX_ERROR, "EMIT ON WINDOW CLOSE needs a materialized view")
                        .with_hint("Write CREATE MATERIALIZED VIEW."),
                );
            }
            let (columns, depends_on) = plan_inline_view(&context, &create.query, &names)?;
            let relation = Arc::new(Relation {
                columns,
                depends_on,
                ..relation
            });
            return Ok((Arc::clone(&relation), NewRelation::Inline { relation }));
        }
        refuse_options(create)?;
        let emit = if create.emit_on_window_close {
            EmitMode::OnWindowClose
        } else {
            EmitMode::Changes
        };
        let plan = plan_view(&context, &create.query, &names, emit)?;
        plan.notices.iter().for_each(|notice| self.notice(notice));
        let relation = Arc::new(Relation {
            kind: RelationKind::MaterializedView { query, emit },
            columns: plan.columns.clone(),
            key: plan.key.clone(),
            append_only: plan.append_only,
            depends_on: plan.depends_on.clone(),
            ..relation
        });
        Ok((
            Arc::clone(&relation),
            NewRelation::View {
                relation,
                plan: Arc::new(plan),
            },
        ))
    }

    /// OR REPLACE of an inline view that nothing else must notice: same columns, perhaps more at the end.
    async fn replace_view(&mut self, old: &Relation, new: Arc<Relation>, create: &CreateView) -> Result<(), SqlError> {
        let is_inline = matches!(old.kind, RelationKind::View { .. });
        if create.materialized || !is_inline {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "CREATE OR REPLACE MATERIALIZED VIEW is not supported yet",
            )
            .with_hint("Drop the view and create it again."));
        }
        let same = old
            .columns
            .iter()
            .zip(&new.columns)
            .all(|(a, b)| a.name == b.name && a.sql_type == b.sql_type);
        if !same || new.columns.len() < old.columns.len() {
            return Err(SqlError::new(
                SqlState::INVALID_TABLE_DEFINITION,
                "cannot drop or change columns of a view",
            ));
        }
        if self.world().catalog.dependents(old.id).any(|d| d.is_stored()) {
            return Err(dependents_error(old, &self.world().catalog));
        }
        let replaced = Relation {
            id: old.id,
            ..new.as_ref().clone()
        };
        self.database.publish(self.world().catalog.with_relation(replaced))
    }

    pub(super) async fn create_index(&mut self, create: &CreateIndex, text: &str) -> Result<(), SqlError> {
        let database = Arc::clone(&self.database);
        let _ddl = database.ddl.lock().await;
        if create.unique {
            return Err(
                SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "UNIQUE indexes are not supported yet")
                    .with_hint("Declare a PRIMARY KEY on the table."),
            );
        }
        let on = self.find(&create.on)?;
        let mut columns = Vec::new();
        for column in &create.columns {
            columns.push(on.column_index(&fold(column)).ok_or_else(|| {
                SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{}\" does not exist", fold(column)),
                )
            })?);
        }
        let default_name = || {
            let names: Vec<&str> = columns.iter().map(|c| on.columns[*c].name.as_str()).collect();
            format!("{}_{}_idx", on.name, names.join("_"))
        };
        let name = create.name.as_ref().map_or_else(default_name, fold);
        if self.exists_already(&on.schema, &name, create.if_not_exists)? {
            return Ok(());
        }
        let index = index_relation(&on, self.database.next_id(), name, columns, false, text);
        self.database
            .create(
                NewRelation::Inline {
                    relation: Arc::new(index),
                },
                Vec::new(),
            )
            .await
    }

    pub(super) async fn create_schema(&mut self, name: &ast::Ident, if_not_exists: bool) -> Result<(), SqlError> {
        let database = Arc::clone(&self.database);
        let _ddl = database.ddl.lock().await;
        let name = fold(name);
        let reserved = name == SYSTEM_SCHEMA || name == "information_schema";
        if name.starts_with("pg_") {
            return Err(
                SqlError::new(SqlState("42939"), format!("unacceptable schema name \"{name}\""))
                    .with_detail("The prefix \"pg_\" is reserved for system schemas."),
            );
        }
        if reserved || self.world().catalog.schema(&name).is_some() {
            let message = format!("schema \"{name}\" already exists");
            if if_not_exists {
                self.notice(&format!("{message}, skipping"));
                return Ok(());
            }
            return Err(SqlError::new(SqlState::DUPLICATE_SCHEMA, message));
        }
        let entry = SchemaEntry {
            id: self.database.next_id(),
            name,
            comment: None,
        };
        self.database.publish(self.world().catalog.with_schema(entry))
    }

    pub(super) async fn drop_objects(&mut self, drop: &DropObjects) -> Result<(), SqlError> {
        let database = Arc::clone(&self.database);
        let _ddl = database.ddl.lock().await;
        if drop.object == ObjectKind::Schema {
            return self.drop_schemas(drop).await;
        }
        let mut wanted = Vec::new();
        for name in &drop.names {
            match self.find_to_drop(drop.object, name) {
                Ok(relation) => wanted.push(relation),
                Err(error) if drop.if_exists && error.state == SqlState::UNDEFINED_TABLE => {
                    self.notice(&format!("{} \"{name}\" does not exist, skipping", word(drop.object)));
                }
                Err(error) => return Err(error),
            }
        }
        self.drop_relations(wanted, drop.cascade).await
    }

    async fn drop_relations(&mut self, wanted: Vec<Arc<Relation>>, cascade: bool) -> Result<(), SqlError> {
        let catalog = Arc::clone(&self.world().catalog);
        let ids: Vec<RelationId> = wanted.iter().map(|r| r.id).collect();
        let all = with_dependents(&catalog, &ids);
        let others: Vec<&RelationId> = all.iter().filter(|id| !ids.contains(id)).collect();
        if !others.is_empty() && !cascade {
            let blocked = wanted
                .iter()
                .find(|r| catalog.dependents(r.id).any(|d| !ids.contains(&d.id)));
            let first = blocked.or(wanted.first());
            return Err(first.map_or_else(
                || SqlError::new(SqlState::INTERNAL_ERROR, "nothing to drop"),
                |relation| dependents_error(relation, &catalog),
            ));
        }
        for id in others {
            if let Some(relation) = catalog.relation(*id) {
                self.notice(&format!(
                    "drop cascades to {} {}",
                    kind_word(relation),
                    relation.display_name()
                ));
            }
        }
        self.database.remove(all).await
    }

    async fn drop_schemas(&mut self, drop: &DropObjects) -> Result<(), SqlError> {
        for name in &drop.names {
            let name = name
                .0
                .last()
                .map(|part| part.to_string().trim_matches('"').to_string())
                .unwrap_or_default();
            let catalog = Arc::clone(&self.world().catalog);
            if catalog.schema(&name).is_none() {
                if drop.if_exists {
                    self.notice(&format!("schema \"{name}\" does not exist, skipping"));
                    continue;
                }
                return Err(SqlError::new(
                    SqlState::INVALID_SCHEMA_NAME,
                    format!("schema \"{name}\" does not exist"),
                ));
            }
            let inside: Vec<Arc<Relation>> = catalog
                .relations()
                .filter(|r| r.schema == name && !matches!(r.kind, RelationKind::Index { .. }))
                .cloned()
                .collect();
            if !inside.is_empty() && !drop.cascade {
                return Err(SqlError::new(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    format!("cannot drop schema {name} because other objects depend on it"),
                )
                .with_hint("Use DROP ... CASCADE to drop the dependent objects too."));
            }
            if !inside.is_empty() {
                self.drop_relations(inside, true).await?;
            }
            self.database.publish(self.world().catalog.without_schema(&name))?;
        }
        Ok(())
    }

    pub(super) async fn comment_on(
        &mut self,
        object: ObjectKind,
        name: &ast::ObjectName,
        comment: Option<String>,
    ) -> Result<(), SqlError> {
        let database = Arc::clone(&self.database);
        let _ddl = database.ddl.lock().await;
        let catalog = Arc::clone(&self.world().catalog);
        let next = match object {
            ObjectKind::Schema => {
                let (_, name) = self.target(name)?;
                let schema = catalog.schema(&name).ok_or_else(|| {
                    SqlError::new(
                        SqlState::INVALID_SCHEMA_NAME,
                        format!("schema \"{name}\" does not exist"),
                    )
                })?;
                catalog.with_schema(SchemaEntry {
                    comment,
                    ..schema.as_ref().clone()
                })
            }
            ObjectKind::Column => {
                let mut parts = name.0.clone();
                let column = parts
                    .pop()
                    .map(|part| part.to_string().trim_matches('"').to_string())
                    .unwrap_or_default();
                let mut relation = self.find(&ast::ObjectName(parts))?.as_ref().clone();
                let index = relation.column_index(&column).ok_or_else(|| {
                    SqlError::new(
                        SqlState::UNDEFINED_COLUMN,
                        format!("column \"{column}\" does not exist"),
                    )
                })?;
                relation.columns[index].comment = comment;
                catalog.with_relation(relation)
            }
            ObjectKind::Database | ObjectKind::Function | ObjectKind::Sink => return Ok(()),
            ObjectKind::Table
            | ObjectKind::Source
            | ObjectKind::View
            | ObjectKind::MaterializedView
            | ObjectKind::Index => {
                let relation = self.find(name)?;
                catalog.with_relation(Relation {
                    comment,
                    ..relation.as_ref().clone()
                })
            }
        };
        self.database.publish(next)
    }

    /// ALTER TABLE: adding a primary key to a table without rows, as pgbench does; the rest is refused by name.
    pub(super) async fn alter_table(&mut self, alter: &ast::AlterTable) -> Result<(), SqlError> {
        let database = Arc::clone(&self.database);
        let _ddl = database.ddl.lock().await;
        let table = self.find(&alter.name)?;
        for operation in &alter.operations {
            match operation {
                ast::AlterTableOperation::OwnerTo { .. } => {}
                ast::AlterTableOperation::AddConstraint {
                    constraint: ast::TableConstraint::PrimaryKey(key),
                    ..
                } => {
                    let mut columns = Vec::new();
                    for column in &key.columns {
                        let name = column.column.expr.to_string().trim_matches('"').to_string();
                        columns.push(table.column_index(&name).ok_or_else(|| {
                            SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist"))
                        })?);
                    }
                    self.add_primary_key(&table, columns, key.name.as_ref().map(fold))
                        .await?;
                }
                other => {
                    return Err(SqlError::new(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        format!("ALTER TABLE ... {other} is not supported yet"),
                    )
                    .with_hint("Create a new table and INSERT ... SELECT into it."));
                }
            }
        }
        Ok(())
    }

    /// Finds the relation that a name stands for.
    pub(super) fn find(&self, name: &ast::ObjectName) -> Result<Arc<Relation>, SqlError> {
        let parts: Vec<String> = name.0.iter().map(fold_part).collect();
        let world = self.world();
        let found = match parts.as_slice() {
            [name] => world.catalog.resolve(&self.plan_settings().search_path, name),
            [schema, name] | [_, schema, name] => world.catalog.find(schema, name),
            _ => None,
        };
        found.cloned().ok_or_else(|| {
            SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("relation \"{}\" does not exist", parts.join(".")),
            )
        })
    }

    fn find_to_drop(&self, kind: ObjectKind, name: &ast::ObjectName) -> Result<Arc<Relation>, SqlError> {
        let relation = self.find(name).map_err(|mut error| {
            error.message = error.message.replacen("relation", word(kind), 1);
            error
        })?;
        let fits = match (kind, &relation.kind) {
            (ObjectKind::Table, RelationKind::Table { .. })
            | (ObjectKind::Source, RelationKind::Source(_))
            | (ObjectKind::View, RelationKind::View { .. })
            | (ObjectKind::MaterializedView, RelationKind::MaterializedView { .. }) => true,
            (ObjectKind::Index, RelationKind::Index { primary, .. }) => !primary,
            _ => false,
        };
        if fits {
            return Ok(relation);
        }
        let (name, is) = (relation.display_name(), kind_word(&relation));
        Err(SqlError::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!("\"{name}\" is not a {}", word(kind)),
        )
        .with_hint(format!("Use DROP {} to remove a {is}.", is.to_uppercase())))
    }

    /// Where a new object goes: its schema, which must exist, and its name.
    fn target(&self, name: &ast::ObjectName) -> Result<(String, String), SqlError> {
        let parts: Vec<String> = name.0.iter().map(fold_part).collect();
        let (schema, name) = match parts.as_slice() {
            [name] => (self.creation_schema()?, name.clone()),
            [schema, name] | [_, schema, name] => (schema.clone(), name.clone()),
            _ => {
                return Err(SqlError::new(
                    SqlState::INVALID_NAME,
                    "an object's name has one to three parts",
                ));
            }
        };
        if self.world().catalog.schema(&schema).is_none() {
            return Err(SqlError::new(
                SqlState::INVALID_SCHEMA_NAME,
                format!("schema \"{schema}\" does not exist"),
            ));
        }
        Ok((schema, name))
    }

    fn creation_schema(&self) -> Result<String, SqlError> {
        let world = self.world();
        let path = self.plan_settings().search_path;
        path.into_iter()
            .find(|schema| world.catalog.schema(schema).is_some())
            .ok_or_else(|| {
                SqlError::new(
                    SqlState::INVALID_SCHEMA_NAME,
                    "no schema has been selected to create in",
                )
            })
    }

    fn exists_already(&mut self, schema: &str, name: &str, if_not_exists: bool) -> Result<bool, SqlError> {
        if self.world().catalog.find(schema, name).is_none() {
            return Ok(false);
        }
        let message = format!("relation \"{name}\" already exists");
        if !if_not_exists {
            return Err(SqlError::new(SqlState::DUPLICATE_TABLE, message));
        }
        self.notice(&format!("{message}, skipping"));
        Ok(true)
    }

    async fn add_primary_key(
        &mut self,
        table: &Relation,
        key: Vec<usize>,
        name: Option<String>,
    ) -> Result<(), SqlError> {
        if table.key.is_some() {
            let message = format!("multiple primary keys for table \"{}\" are not allowed", table.name);
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        if self.world().catalog.dependents(table.id).next().is_some() {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!(
                    "a primary key cannot be added to \"{}\" while views read it",
                    table.display_name()
                ),
            )
            .with_hint("Drop the views, add the key, and create them again."));
        }
        let name = name.unwrap_or_else(|| format!("{}_pkey", table.name));
        let mut keyed = table.clone();
        keyed.kind = RelationKind::Table {
            primary_key_name: Some(name),
        };
        for column in &key {
            keyed.columns[*column].not_null = true;
        }
        keyed.key = Some(key);
        let keyed = Arc::new(keyed);
        let index = primary_key_index(&keyed, self.database.next_id());
        let new = NewRelation::table(&self.plan_context(), &keyed)?;
        self.database.create(new, index.into_iter().collect()).await
    }
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

/// The index that stands for a table's primary key.
fn primary_key_index(table: &Relation, next: RelationId) -> Option<Relation> {
    let RelationKind::Table {
        primary_key_name: Some(name),
    } = &table.kind
    else {
        return None;
    };
    let id = RelationId(next.0.max(table.id.0 + 1));
    Some(index_relation(table, id, name.clone(), table.key.clone()?, true, ""))
}

fn index_relation(
    on: &Relation,
    id: RelationId,
    name: String,
    columns: Vec<usize>,
    primary: bool,
    definition: &str,
) -> Relation {
    Relation {
        id,
        schema: on.schema.clone(),
        name,
        columns: columns.iter().map(|c| on.columns[*c].clone()).collect(),
        kind: RelationKind::Index {
            on: on.id,
            columns,
            unique: primary,
            primary,
        },
        key: None,
        watermark: None,
        append_only: false,
        depends_on: vec![on.id],
        definition: definition.to_string(),
        comment: None,
    }
}

/// These relations and all that read them, dependents first.
fn with_dependents(catalog: &Catalog, ids: &[RelationId]) -> Vec<RelationId> {
    let mut all = Vec::new();
    fn visit(catalog: &Catalog, id: RelationId, all: &mut Vec<RelationId>) {
        if all.contains(&id) {
            return;
        }
        for dependent in catalog.dependents(id) {
            visit(catalog, dependent.id, all);
        }
        all.push(id);
    }
    ids.iter().for_each(|id| visit(catalog, *id, &mut all));
    all
}

fn dependents_error(relation: &Relation, catalog: &Catalog) -> SqlError {
    let (kind, name) = (kind_word(relation), relation.display_name());
    let details: Vec<String> = catalog
        .dependents(relation.id)
        .map(|d| format!("{} {} depends on {kind} {name}", kind_word(d), d.display_name()))
        .collect();
    SqlError::new(
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
        format!("cannot drop {kind} {name} because other objects depend on it"),
    )
    .with_detail(details.join("\n"))
    .with_hint("Use DROP ... CASCADE to drop the dependent objects too.")
}

fn refuse_options(create: &CreateView) -> Result<(), SqlError> {
    match create.options.keys().next() {
        None => Ok(()),
        Some(option) => Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("option \"{option}\" of a materialized view is not supported yet"),
        )
        .with_hint("Leave out WITH (...).")),
    }
}

fn kind_word(relation: &Relation) -> &'static str {
    match relation.kind {
        RelationKind::Table { .. } => "table",
        RelationKind::Source(_) => "source",
        RelationKind::View { .. } => "view",
        RelationKind::MaterializedView { .. } => "materialized view",
        RelationKind::Index { .. } => "index",
    }
}

fn word(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Table => "table",
        ObjectKind::Source => "source",
        ObjectKind::Sink => "sink",
        ObjectKind::View => "view",
        ObjectKind::MaterializedView => "materialized view",
        ObjectKind::Index => "index",
        ObjectKind::Schema => "schema",
        ObjectKind::Column => "column",
        ObjectKind::Database => "database",
        ObjectKind::Function => "function",
    }
}

/// DROP's command tag.
pub(super) fn drop_tag(kind: ObjectKind) -> String {
    format!("DROP {}", word(kind).to_uppercase())
}

/// An identifier as PostgreSQL folds it: lower case unless quoted.
pub(super) fn fold(ident: &ast::Ident) -> String {
    if ident.quote_style.is_some() {
        ident.value.clone()
    } else {
        ident.value.to_lowercase()
    }
}

fn fold_part(part: &ast::ObjectNamePart) -> String {
    match part.as_ident() {
        Some(ident) => fold(ident),
        None => part.to_string(),
    }
}
