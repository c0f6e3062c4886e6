//! ALTER ... RENAME TO, SET SCHEMA, OWNER TO and SWAP WITH. Whatever is kept as text follows (`planner/src/rename.rs`); views go on
//! being kept current meanwhile, since dataflows know relations by their OIDs.

use std::sync::Arc;

use highwater_parser::{AlterAction, AlterObject, ObjectKind};
use highwater_planner::catalog::{Catalog, DEFAULT_SCHEMA, Relation, RelationKind, SchemaEntry};
use highwater_planner::with_texts_following;
use highwater_types::{SqlError, SqlState};
use sqlparser::ast;

use super::name::{fold, fold_part, is_kind, word};
use super::schema::check_new_schema;
use crate::session::Session;

impl Session {
    pub(in crate::session) async fn alter_object(&mut self, alter: &AlterObject) -> Result<(), SqlError> {
        let database = Arc::clone(&self.database);
        let _ddl = database.ddl.lock().await;
        let Some(next) = self.altered(alter)? else {
            return Ok(());
        };
        let followed = with_texts_following(&self.plan_context(), next)?;
        self.commitment.keep(database.rename(followed)).await
    }

    /// The catalog with the change; `None` when there is nothing to change.
    fn altered(&mut self, alter: &AlterObject) -> Result<Option<Catalog>, SqlError> {
        if alter.object == ObjectKind::Schema {
            return self.altered_schema(alter);
        }
        let Some(relation) = self.find_to_alter(alter)? else {
            return Ok(None);
        };
        let catalog = Arc::clone(&self.world().catalog);
        match &alter.action {
            AlterAction::OwnerTo(role) => {
                check_has_owner(&relation)?;
                self.check_role(role.as_ref()).map(|()| None)
            }
            AlterAction::RenameTo(name) => {
                let name = fold(name);
                if catalog.find(&relation.schema, &name).is_some() {
                    let message = format!("relation \"{name}\" already exists");
                    return Err(SqlError::new(SqlState::DUPLICATE_TABLE, message));
                }
                Ok(Some(renamed(&catalog, &relation, name)))
            }
            AlterAction::SetSchema(schema) => moved(&catalog, &relation, &fold(schema)),
            AlterAction::SwapWith(name) => {
                let other = self.find(name)?;
                check_kind(&other, alter.object)?;
                Ok((other.id != relation.id).then(|| swapped(&catalog, &relation, &other)))
            }
        }
    }

    fn find_to_alter(&mut self, alter: &AlterObject) -> Result<Option<Arc<Relation>>, SqlError> {
        let relation = match self.find(&alter.name) {
            Err(error) if alter.if_exists && error.state == SqlState::UNDEFINED_TABLE => {
                self.notice(&format!("{}, skipping", error.message));
                return Ok(None);
            }
            found => found?,
        };
        // ALTER TABLE is good for all of them; to rename them, ALTER INDEX as well.
        let is_free = match alter.object {
            ObjectKind::Index => matches!(alter.action, AlterAction::RenameTo(_)),
            object => object == ObjectKind::Table,
        };
        if !is_free {
            check_kind(&relation, alter.object)?;
        }
        Ok(Some(relation))
    }

    fn altered_schema(&self, alter: &AlterObject) -> Result<Option<Catalog>, SqlError> {
        let catalog = Arc::clone(&self.world().catalog);
        let old = alter.name.0.last().map(fold_part).unwrap_or_default();
        let schema = found_schema(&catalog, &old)?;
        let new = match &alter.action {
            AlterAction::RenameTo(name) => fold(name),
            AlterAction::OwnerTo(role) => return self.check_role(role.as_ref()).map(|()| None),
            AlterAction::SetSchema(_) | AlterAction::SwapWith(_) => {
                let message = "a schema has a name and an owner, and nothing else to alter";
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
            }
        };
        check_new_schema(&catalog, &new)?;
        if old == DEFAULT_SCHEMA {
            let message = format!("another name for the schema \"{DEFAULT_SCHEMA}\" is not supported yet");
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                .with_hint("Create a schema, and move the tables there with SET SCHEMA."));
        }
        let entry = SchemaEntry {
            name: new.clone(),
            ..schema.clone()
        };
        let mut next = catalog.without_schema(&old).with_schema(entry);
        for relation in catalog.relations().filter(|r| r.schema == old) {
            next = next.with_relation(Relation {
                schema: new.clone(),
                ..relation.as_ref().clone()
            });
        }
        Ok(Some(next))
    }

    /// That there is a role of this name. Objects have no owners: any that exists may be given.
    pub(super) fn check_role(&self, role: Option<&ast::Ident>) -> Result<(), SqlError> {
        let Some(role) = role.map(fold) else { return Ok(()) };
        if self.roles().contains(&role) {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::UNDEFINED_OBJECT,
            format!("role \"{role}\" does not exist"),
        ))
    }
}

/// The command tag of ALTER.
pub(in crate::session) fn alter_words(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Source => "ALTER SOURCE",
        ObjectKind::Sink => "ALTER SINK",
        ObjectKind::View => "ALTER VIEW",
        ObjectKind::MaterializedView => "ALTER MATERIALIZED VIEW",
        ObjectKind::Index => "ALTER INDEX",
        ObjectKind::Schema => "ALTER SCHEMA",
        ObjectKind::Database => "ALTER DATABASE",
        ObjectKind::Function => "ALTER FUNCTION",
        ObjectKind::Table | ObjectKind::Column => "ALTER TABLE",
    }
}

/// A relation under another name. The constraint of a primary key is called as its index is.
fn renamed(catalog: &Catalog, relation: &Relation, name: String) -> Catalog {
    let renamed = Relation {
        name: name.clone(),
        ..relation.clone()
    };
    let next = catalog.with_relation(renamed);
    let RelationKind::Index { on, primary: true, .. } = relation.kind else {
        return next;
    };
    let Some(table) = catalog.relation(on) else { return next };
    next.with_relation(Relation {
        kind: RelationKind::Table {
            primary_key_name: Some(name),
        },
        ..table.as_ref().clone()
    })
}

/// A relation, and its indexes with it, in another schema; `None` when it is there.
fn moved(catalog: &Catalog, relation: &Relation, schema: &str) -> Result<Option<Catalog>, SqlError> {
    if let RelationKind::Index { .. } = relation.kind {
        let message = format!("cannot move index \"{}\" to another schema", relation.name);
        return Err(
            SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).with_hint("It moves with what it indexes: move that.")
        );
    }
    found_schema(catalog, schema)?;
    if relation.schema == schema {
        return Ok(None);
    }
    let mut next = catalog.clone();
    for moving in catalog.indexes_on(relation.id).map(Arc::as_ref).chain([relation]) {
        if catalog.find(schema, &moving.name).is_some() {
            let message = format!("relation \"{}\" already exists in schema \"{schema}\"", moving.name);
            return Err(SqlError::new(SqlState::DUPLICATE_TABLE, message));
        }
        next = next.with_relation(Relation {
            schema: schema.to_string(),
            ..moving.clone()
        });
    }
    Ok(Some(next))
}

/// Two relations, each with the other's name and schema. Whoever reads them goes on reading the same one.
fn swapped(catalog: &Catalog, one: &Relation, other: &Relation) -> Catalog {
    let under_name_of = |relation: &Relation, name: &Relation| Relation {
        schema: name.schema.clone(),
        name: name.name.clone(),
        ..relation.clone()
    };
    let mut next = catalog
        .without_relation(one.id)
        .with_relation(under_name_of(other, one))
        .with_relation(under_name_of(one, other));
    for (relation, home) in [(one, other), (other, one)] {
        for index in catalog.indexes_on(relation.id) {
            next = next.with_relation(Relation {
                schema: home.schema.clone(),
                ..index.as_ref().clone()
            });
        }
    }
    next
}

fn check_kind(relation: &Relation, kind: ObjectKind) -> Result<(), SqlError> {
    if is_kind(relation, kind) {
        return Ok(());
    }
    let article = if kind == ObjectKind::Index { "an" } else { "a" };
    let message = format!("\"{}\" is not {article} {}", relation.name, word(kind));
    Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
}

fn found_schema<'c>(catalog: &'c Catalog, name: &str) -> Result<&'c SchemaEntry, SqlError> {
    catalog.schema(name).map(Arc::as_ref).ok_or_else(|| {
        SqlError::new(
            SqlState::INVALID_SCHEMA_NAME,
            format!("schema \"{name}\" does not exist"),
        )
    })
}

fn check_has_owner(relation: &Relation) -> Result<(), SqlError> {
    match relation.kind {
        RelationKind::Index { .. } => Err(SqlError::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!("cannot change owner of index \"{}\"", relation.name),
        )
        .with_hint("Change the ownership of the index's table, instead.")),
        RelationKind::Table { .. }
        | RelationKind::Source(_)
        | RelationKind::View { .. }
        | RelationKind::MaterializedView { .. } => Ok(()),
    }
}
