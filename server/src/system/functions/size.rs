//! How large things are: `pg_table_size` and its kin.

use highwater_types::{RelationId, SqlError, SqlState};

use super::{Args, Function, Returns, changing, strict};
use crate::system::rows::{Cell, IntoCell};
use crate::system::view::SystemView;

pub(super) const FUNCTIONS: &[Function] = &[
    changing("pg_relation_size", (1, 2), Returns::Int8, relation_size),
    changing("pg_table_size", (1, 1), Returns::Int8, relation_size),
    changing("pg_total_relation_size", (1, 1), Returns::Int8, relation_size),
    // Keys are found through the table's own rows; an index takes no room of its own.
    strict("pg_indexes_size", (1, 1), Returns::Int8, |_, _| Ok(0.into_cell())),
    changing("pg_database_size", (1, 1), Returns::Int8, database_size),
    changing("pg_tablespace_size", (1, 1), Returns::Int8, database_size),
];

fn relation_size(view: &SystemView, args: &Args<'_>) -> Result<Cell, SqlError> {
    let Some(named) = args.relation(view, 0) else {
        if args.oid(0).is_some() {
            return Ok(None);
        }
        return Err(SqlError::new(
            SqlState::UNDEFINED_TABLE,
            format!("relation \"{}\" does not exist", args.text(0)),
        ));
    };
    let size = view.live().sizes.get(&RelationId(named.oid()));
    Ok(size.map_or(0, |s| s.bytes).into_cell())
}

fn database_size(view: &SystemView, _args: &Args<'_>) -> Result<Cell, SqlError> {
    Ok(view.live().sizes.values().map(|s| s.bytes).sum::<u64>().into_cell())
}
