//! `has_*_privilege`: everyone may do everything to what exists.

use highwater_types::{SqlError, SqlState};

use super::{Args, Function, Returns, strict};
use crate::system::name::{Named, by_oid, schema_oid};
use crate::system::rows::{Cell, IntoCell};
use crate::system::view::SystemView;

pub(super) const FUNCTIONS: &[Function] = &[
    strict("has_table_privilege", (2, 3), Returns::Bool, |v, a| {
        relation(v, a, a.len() - 2)
    }),
    strict("has_any_column_privilege", (2, 3), Returns::Bool, |v, a| {
        relation(v, a, a.len() - 2)
    }),
    strict("has_column_privilege", (3, 4), Returns::Bool, column),
    strict("has_sequence_privilege", (2, 3), Returns::Bool, |v, a| {
        relation(v, a, a.len() - 2)
    }),
    strict("has_schema_privilege", (2, 3), Returns::Bool, schema),
    strict("has_database_privilege", (2, 3), Returns::Bool, database),
    strict("has_function_privilege", (2, 3), Returns::Bool, |_, _| {
        Ok(true.into_cell())
    }),
    strict("has_language_privilege", (2, 3), Returns::Bool, |_, _| {
        Ok(true.into_cell())
    }),
    strict("has_type_privilege", (2, 3), Returns::Bool, |_, _| Ok(true.into_cell())),
    strict("has_tablespace_privilege", (2, 3), Returns::Bool, |_, _| {
        Ok(true.into_cell())
    }),
    strict("has_parameter_privilege", (2, 3), Returns::Bool, |_, _| {
        Ok(true.into_cell())
    }),
    strict("has_foreign_data_wrapper_privilege", (2, 3), Returns::Bool, |_, _| {
        Ok(true.into_cell())
    }),
    strict("has_server_privilege", (2, 3), Returns::Bool, |_, _| {
        Ok(true.into_cell())
    }),
    strict("pg_has_role", (2, 3), Returns::Bool, |_, _| Ok(true.into_cell())),
    strict("row_security_active", (1, 1), Returns::Bool, |_, _| {
        Ok(false.into_cell())
    }),
];

/// The relation that an argument means: NULL for a number that is nothing's, an error for a name.
fn named(view: &SystemView, args: &Args<'_>, index: usize) -> Result<Option<Named>, SqlError> {
    if let Some(oid) = args.oid(index) {
        return Ok(by_oid(view, oid));
    }
    match args.relation(view, index) {
        Some(named) => Ok(Some(named)),
        None => Err(SqlError::new(
            SqlState::UNDEFINED_TABLE,
            format!("relation \"{}\" does not exist", args.text(index)),
        )),
    }
}

fn relation(view: &SystemView, args: &Args<'_>, index: usize) -> Result<Cell, SqlError> {
    Ok(named(view, args, index)?.and_then(|_| true.into_cell()))
}

fn column(view: &SystemView, args: &Args<'_>) -> Result<Cell, SqlError> {
    let index = args.len() - 2;
    let Some(relation) = named(view, args, index - 1)? else {
        return Ok(None);
    };
    let (count, found) = match &relation {
        Named::User(r) => (r.columns.len(), r.column_index(args.text(index)).is_some()),
        Named::System(r) => (r.columns.len(), r.columns.iter().any(|c| c.name == args.text(index))),
    };
    if let Some(number) = args.number(index) {
        let exists = usize::try_from(number).is_ok_and(|n| (1..=count).contains(&n));
        return Ok(exists.then_some(true).and_then(IntoCell::into_cell));
    }
    if !found {
        let message = format!(
            "column \"{}\" of relation \"{}\" does not exist",
            args.text(index),
            relation.name()
        );
        return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
    }
    Ok(true.into_cell())
}

fn schema(view: &SystemView, args: &Args<'_>) -> Result<Cell, SqlError> {
    let index = args.len() - 2;
    let name = args.text(index);
    if args.oid(index).is_none() && schema_oid(view, name).is_none() {
        return Err(SqlError::new(
            SqlState::INVALID_SCHEMA_NAME,
            format!("schema \"{name}\" does not exist"),
        ));
    }
    Ok(true.into_cell())
}

fn database(view: &SystemView, args: &Args<'_>) -> Result<Cell, SqlError> {
    let index = args.len() - 2;
    let name = args.text(index);
    if args.oid(index).is_none() && name != view.database {
        return Err(SqlError::new(
            SqlState::INVALID_CATALOG_NAME,
            format!("database \"{name}\" does not exist"),
        ));
    }
    Ok(true.into_cell())
}
