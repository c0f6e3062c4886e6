//! Who and where the session is: `current_user`, `current_schemas`, `version`, `current_setting`.

use std::borrow::Cow;

use highwater_types::{SqlError, SqlState};

use super::{Args, Function, Returns, changing, strict};
use crate::system::name::{explicit_path, search_path};
use crate::system::rows::{Cell, IntoCell, List, Moment};
use crate::system::view::SystemView;

pub(super) const FUNCTIONS: &[Function] = &[
    strict("current_user", (0, 0), Returns::Name, |v, _| Ok((&v.user).into_cell())),
    strict("current_role", (0, 0), Returns::Name, |v, _| Ok((&v.user).into_cell())),
    strict("user", (0, 0), Returns::Name, |v, _| Ok((&v.user).into_cell())),
    strict("session_user", (0, 0), Returns::Name, |v, _| {
        Ok((&v.session_user).into_cell())
    }),
    strict("getpgusername", (0, 0), Returns::Name, |v, _| Ok((&v.user).into_cell())),
    strict("current_database", (0, 0), Returns::Name, |v, _| {
        Ok((&v.database).into_cell())
    }),
    strict("current_catalog", (0, 0), Returns::Name, |v, _| {
        Ok((&v.database).into_cell())
    }),
    strict("current_schema", (0, 0), Returns::Name, |v, _| {
        Ok(explicit_path(v).into_iter().next().into_cell())
    }),
    strict("current_schemas", (1, 1), Returns::NameArray, schemas),
    changing("current_setting", (1, 2), Returns::Text, setting),
    changing("version", (0, 0), Returns::Text, version),
    strict("pg_backend_pid", (0, 0), Returns::Int4, |v, _| Ok(v.pid.into_cell())),
    strict("pg_is_in_recovery", (0, 0), Returns::Bool, |_, _| Ok(false.into_cell())),
    strict("pg_is_wal_replay_paused", (0, 0), Returns::Bool, |_, _| {
        Ok(false.into_cell())
    }),
    strict("pg_postmaster_start_time", (0, 0), Returns::Timestamptz, |v, _| {
        Ok(Moment(v.started_us).into_cell())
    }),
    strict("pg_conf_load_time", (0, 0), Returns::Timestamptz, |v, _| {
        Ok(Moment(v.started_us).into_cell())
    }),
    strict("pg_my_temp_schema", (0, 0), Returns::Oid, |_, _| Ok(0u32.into_cell())),
    strict("pg_is_other_temp_schema", (1, 1), Returns::Bool, |_, _| {
        Ok(false.into_cell())
    }),
    strict("pg_encoding_to_char", (1, 1), Returns::Name, encoding_name),
    strict("pg_char_to_encoding", (1, 1), Returns::Int4, encoding_number),
    strict("pg_client_encoding", (0, 0), Returns::Name, |_, _| {
        Ok("UTF8".into_cell())
    }),
    strict("getdatabaseencoding", (0, 0), Returns::Name, |_, _| {
        Ok("UTF8".into_cell())
    }),
    strict("pg_tablespace_location", (1, 1), Returns::Text, |_, _| {
        Ok("".into_cell())
    }),
    strict("pg_relation_is_publishable", (1, 1), Returns::Bool, |_, _| {
        Ok(false.into_cell())
    }),
    strict("pg_stat_get_numscans", (1, 1), Returns::Int8, |_, _| Ok(0.into_cell())),
    changing("pg_stat_get_live_tuples", (1, 1), Returns::Int8, live_rows),
    strict("pg_stat_get_dead_tuples", (1, 1), Returns::Int8, |_, _| {
        Ok(0.into_cell())
    }),
    strict("pg_relation_filenode", (1, 1), Returns::Oid, |_, a| {
        Ok(a.oid(0).into_cell())
    }),
    strict("pg_jit_available", (0, 0), Returns::Bool, |_, _| Ok(false.into_cell())),
    // An epoch is the nearest thing to a transaction's number, and grows like one.
    changing("txid_current", (0, 0), Returns::Int8, |v, _| {
        Ok(v.live().epochs.closed.into_cell())
    }),
    strict("inet_server_addr", (0, 0), Returns::Text, |_, _| Ok(None)),
    changing("inet_server_port", (0, 0), Returns::Int4, |v, _| {
        Ok(v.setting("port").and_then(|s| s.shown.as_str().into_cell()))
    }),
    changing("inet_client_addr", (0, 0), Returns::Text, |v, _| {
        Ok(own(v).and_then(|s| s.client_addr.clone()).into_cell())
    }),
    changing("inet_client_port", (0, 0), Returns::Int4, |v, _| {
        Ok(own(v).and_then(|s| s.client_port).into_cell())
    }),
    // Nothing ever takes one of these locks.
    strict("pg_advisory_unlock_all", (0, 0), Returns::Void, |_, _| Ok(None)),
];

fn own(view: &SystemView) -> Option<&crate::system::view::SessionInfo> {
    view.live().sessions.iter().find(|s| s.pid == view.pid)
}

/// The search path as it is; the argument says whether implied schemas are shown.
fn schemas(view: &SystemView, args: &Args<'_>) -> Result<Cell, SqlError> {
    let path = if args.is_true(0) {
        search_path(view)
    } else {
        explicit_path(view)
    };
    Ok(List(path).into_cell())
}

fn setting(view: &SystemView, args: &Args<'_>) -> Result<Cell, SqlError> {
    let name = args.text(0);
    match view.setting(name) {
        Some(setting) => Ok((&setting.shown).into_cell()),
        None if args.len() > 1 && args.is_true(1) => Ok(None),
        None => Err(SqlError::new(
            SqlState::UNDEFINED_OBJECT,
            format!("unrecognized configuration parameter \"{name}\""),
        )),
    }
}

fn version(view: &SystemView, _args: &Args<'_>) -> Result<Cell, SqlError> {
    let version = view.setting("server_version").map_or("15", |s| s.shown.as_str());
    let text = format!(
        "PostgreSQL {version} on {}-{}, compiled by rustc, 64-bit",
        std::env::consts::ARCH,
        std::env::consts::OS
    );
    Ok(text.into_cell())
}

/// PostgreSQL's number for UTF8.
const UTF8: i64 = 6;

fn encoding_name(_view: &SystemView, args: &Args<'_>) -> Result<Cell, SqlError> {
    let name = match args.number(0) {
        Some(0) => "SQL_ASCII",
        Some(UTF8) => "UTF8",
        _ => "",
    };
    Ok(Some(Cow::Borrowed(name)))
}

fn encoding_number(_view: &SystemView, args: &Args<'_>) -> Result<Cell, SqlError> {
    let plain: String = args.text(0).chars().filter(char::is_ascii_alphanumeric).collect();
    let number = match plain.to_ascii_lowercase().as_str() {
        "utf8" | "unicode" => UTF8,
        "sqlascii" => 0,
        _ => -1,
    };
    Ok(number.into_cell())
}

fn live_rows(view: &SystemView, args: &Args<'_>) -> Result<Cell, SqlError> {
    let size = args
        .oid(0)
        .and_then(|oid| view.live().sizes.get(&highwater_types::RelationId(oid)));
    Ok(size.map_or(0, |s| s.row_count).into_cell())
}
