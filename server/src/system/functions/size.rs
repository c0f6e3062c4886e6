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
    strict("pg_size_pretty", (1, 1), Returns::Text, |_, args| {
        Ok(pretty(args.text(0)).into_cell())
    }),
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

/// A number of bytes as people read it, rounded as PostgreSQL rounds it.
fn pretty(bytes: &str) -> String {
    /// A unit is used for less than this many of it.
    const LIMIT: i128 = 10 * 1024;
    // A numeric may have a fraction, which counts for nothing but in bytes.
    let whole = bytes.split('.').next().and_then(|digits| digits.parse::<i128>().ok());
    let Some(mut size) = whole else {
        return bytes.to_string();
    };
    if size.abs() < LIMIT {
        return format!("{bytes} bytes");
    }
    // Half units, to round at the end.
    size /= 512;
    let mut units = ["kB", "MB", "GB", "TB", "PB"].into_iter().peekable();
    while let Some(unit) = units.next() {
        if size.abs() < 2 * LIMIT - 1 || units.peek().is_none() {
            let rounded = (size + i128::from(size >= 0)) / 2;
            return format!("{rounded} {unit}");
        }
        size /= 1024;
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_as_postgres_rounds_them() {
        for (bytes, shown) in [
            ("0", "0 bytes"),
            ("10239", "10239 bytes"),
            ("10240", "10 kB"),
            ("-10240", "-10 kB"),
            ("10485247", "10239 kB"),
            ("10485248", "10 MB"),
            ("1234567890123", "1150 GB"),
            ("9223372036854775807", "8192 PB"),
            ("1.5", "1.5 bytes"),
        ] {
            assert_eq!(pretty(bytes), shown, "{bytes}");
        }
    }
}
