//! LOCK TABLE.

use crate::reader::{Read, Reader};
use crate::statement::{LockTable, Statement};

/// The modes under which others may still change rows.
const SHARED_MODES: [&str; 4] = [
    "ACCESS SHARE MODE",
    "ROW SHARE MODE",
    "ROW EXCLUSIVE MODE",
    "SHARE UPDATE EXCLUSIVE MODE",
];
/// The modes that keep them from it.
const EXCLUSIVE_MODES: [&str; 4] = [
    "ACCESS EXCLUSIVE MODE",
    "SHARE ROW EXCLUSIVE MODE",
    "EXCLUSIVE MODE",
    "SHARE MODE",
];

/// `LOCK [TABLE] [ONLY] name [, ...] [IN mode MODE] [NOWAIT]`.
pub(super) fn lock(r: &mut Reader<'_>) -> Read<Statement> {
    r.expect("LOCK")?;
    r.eat("TABLE");
    let names = r.list(|r| {
        r.eat("ONLY");
        r.name()
    })?;
    let mut excludes_writers = true;
    if r.eat("IN") {
        if r.eat_any(&SHARED_MODES).is_some() {
            excludes_writers = false;
        } else if r.eat_any(&EXCLUSIVE_MODES).is_none() {
            return r.unexpected();
        }
    }
    Ok(Statement::Lock(LockTable {
        names,
        excludes_writers,
        nowait: r.eat("NOWAIT"),
    }))
}
