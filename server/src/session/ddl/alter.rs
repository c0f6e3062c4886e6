//! ALTER TABLE: a primary key added later, as pgbench does; the rest is refused by name.

use std::sync::Arc;

use highwater_planner::catalog::{Relation, RelationKind};
use highwater_types::{SqlError, SqlState};
use sqlparser::ast;
use tokio::sync::OwnedMutexGuard;

use super::index::primary_key_index;
use super::name::fold;
use crate::session::Session;

impl Session {
    /// ALTER TABLE: adding a primary key to a table without rows, as pgbench does; the rest is refused by name.
    pub(in crate::session) async fn alter_table(&mut self, alter: &ast::AlterTable) -> Result<(), SqlError> {
        let database = Arc::clone(&self.database);
        let turn = Arc::new(Arc::clone(&database.ddl).lock_owned().await);
        let table = self.find(&alter.name)?;
        for operation in &alter.operations {
            match operation {
                ast::AlterTableOperation::OwnerTo { new_owner } => {
                    let role = match new_owner {
                        ast::Owner::Ident(role) => Some(role),
                        ast::Owner::CurrentRole | ast::Owner::CurrentUser | ast::Owner::SessionUser => None,
                    };
                    self.check_role(role)?;
                }
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
                    let name = key.name.as_ref().map(fold);
                    self.add_primary_key(Arc::clone(&turn), &table, columns, name).await?;
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

    async fn add_primary_key(
        &mut self,
        turn: Arc<OwnedMutexGuard<()>>,
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
        let replaced = self.database.replace_table(turn, keyed, index.into_iter().collect());
        self.commitment.keep(replaced).await
    }
}
