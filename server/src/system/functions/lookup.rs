//! Between names and OIDs: `format_type`, `to_regclass`, what the reg* types read and print, and what is visible.

use std::borrow::Cow;

use highwater_types::{SqlError, SqlState};

use super::{Args, Function, Returns, strict};
use crate::system::name::{self, quote, regclass_text, schema_name, schema_oid};
use crate::system::rows::{Cell, IntoCell};
use crate::system::view::SystemView;
use crate::system::{data, types};

pub(super) const FUNCTIONS: &[Function] = &[
    super::lenient("format_type", (2, 2), Returns::Text, format_type),
    strict("pg_get_userbyid", (1, 1), Returns::Name, user_by_id),
    strict("to_regclass", (1, 1), Returns::Regclass, |v, a| {
        Ok(relation_oid(v, a.text(0)).into_cell())
    }),
    strict("to_regtype", (1, 1), Returns::Regtype, |_, a| {
        Ok(type_oid(a.text(0)).into_cell())
    }),
    strict("to_regproc", (1, 1), Returns::Regproc, |_, a| {
        Ok(function_oid(a.text(0)).into_cell())
    }),
    strict("to_regnamespace", (1, 1), Returns::Regnamespace, |v, a| {
        Ok(namespace_oid(v, a.text(0)).into_cell())
    }),
    strict("to_regrole", (1, 1), Returns::Regrole, |v, a| {
        Ok(role_oid(v, a.text(0)).into_cell())
    }),
    strict("regclassin", (1, 1), Returns::Regclass, |v, a| {
        found(a, relation_oid(v, a.text(0)), SqlState::UNDEFINED_TABLE, "relation")
    }),
    strict("regtypein", (1, 1), Returns::Regtype, |_, a| {
        found(a, type_oid(a.text(0)), SqlState::UNDEFINED_OBJECT, "type")
    }),
    strict("regprocin", (1, 1), Returns::Regproc, |_, a| {
        found(a, function_oid(a.text(0)), SqlState::UNDEFINED_FUNCTION, "function")
    }),
    strict("regnamespacein", (1, 1), Returns::Regnamespace, |v, a| {
        found(a, namespace_oid(v, a.text(0)), SqlState::INVALID_SCHEMA_NAME, "schema")
    }),
    strict("regrolein", (1, 1), Returns::Regrole, |v, a| {
        found(a, role_oid(v, a.text(0)), SqlState::UNDEFINED_OBJECT, "role")
    }),
    strict("regclassout", (1, 1), Returns::Text, |v, a| {
        Ok(printed(a, |oid| Some(regclass_text(v, oid))))
    }),
    strict("regtypeout", (1, 1), Returns::Text, |_, a| Ok(printed(a, type_text))),
    strict("regprocout", (1, 1), Returns::Text, |_, a| {
        Ok(printed(a, function_text))
    }),
    strict("regnamespaceout", (1, 1), Returns::Text, |v, a| {
        Ok(printed(a, |oid| schema_name(v, oid).map(|n| quote(&n))))
    }),
    strict("regroleout", (1, 1), Returns::Text, |v, a| {
        Ok(printed(a, |oid| role_name(v, oid).map(quote)))
    }),
    strict("pg_table_is_visible", (1, 1), Returns::Bool, table_is_visible),
    strict("pg_type_is_visible", (1, 1), Returns::Bool, |_, a| {
        Ok(exists(a, |oid| types::by_oid(oid).is_some()))
    }),
    strict("pg_function_is_visible", (1, 1), Returns::Bool, |_, a| {
        Ok(exists(a, |oid| data::row_of("pg_proc", oid).is_some()))
    }),
    strict("pg_opclass_is_visible", (1, 1), Returns::Bool, |_, a| {
        Ok(exists(a, |oid| data::row_of("pg_opclass", oid).is_some()))
    }),
    strict("pg_opfamily_is_visible", (1, 1), Returns::Bool, |_, a| {
        Ok(exists(a, |oid| data::row_of("pg_opfamily", oid).is_some()))
    }),
    strict("pg_collation_is_visible", (1, 1), Returns::Bool, |_, a| {
        Ok(exists(a, |oid| data::row_of("pg_collation", oid).is_some()))
    }),
    // There are none of these: nothing has the number that is asked for.
    strict("pg_operator_is_visible", (1, 1), Returns::Bool, |_, _| Ok(None)),
    strict("pg_conversion_is_visible", (1, 1), Returns::Bool, |_, _| Ok(None)),
    strict("pg_statistics_obj_is_visible", (1, 1), Returns::Bool, |_, _| Ok(None)),
    strict("pg_ts_config_is_visible", (1, 1), Returns::Bool, |_, _| Ok(None)),
    strict("pg_ts_dict_is_visible", (1, 1), Returns::Bool, |_, _| Ok(None)),
    strict("pg_ts_parser_is_visible", (1, 1), Returns::Bool, |_, _| Ok(None)),
    strict("pg_ts_template_is_visible", (1, 1), Returns::Bool, |_, _| Ok(None)),
];

fn format_type(_view: &SystemView, args: &Args<'_>) -> Result<Cell, SqlError> {
    let typmod = args.number(1).and_then(|n| i32::try_from(n).ok());
    Ok(args.oid(0).and_then(|oid| types::format_type(oid, typmod).into_cell()))
}

fn user_by_id(view: &SystemView, args: &Args<'_>) -> Result<Cell, SqlError> {
    let name = args.oid(0).and_then(|oid| role_name(view, oid));
    Ok(name
        .map_or_else(|| format!("unknown (OID={})", args.text(0)), str::to_string)
        .into_cell())
}

fn role_name(view: &SystemView, oid: u32) -> Option<&str> {
    view.roles.iter().find(|r| r.oid == oid).map(|r| r.name.as_str())
}

/// A number stands for itself.
fn number(text: &str) -> Option<u32> {
    match text.trim() {
        "-" => Some(0),
        other => other.parse().ok(),
    }
}

fn relation_oid(view: &SystemView, text: &str) -> Option<u32> {
    number(text).or_else(|| name::relation(view, text).map(|r| r.oid()))
}

fn type_oid(text: &str) -> Option<u32> {
    number(text).or_else(|| types::oid_of_name(text))
}

/// A function by its name alone.
fn function_oid(text: &str) -> Option<u32> {
    let named = || match name::split(text)?.as_slice() {
        [name] => data::first_where("pg_proc", 1, name),
        [schema, name] if schema == "pg_catalog" => data::first_where("pg_proc", 1, name),
        _ => None,
    };
    number(text).or_else(named)
}

fn namespace_oid(view: &SystemView, text: &str) -> Option<u32> {
    let named = || match name::split(text)?.as_slice() {
        [name] => schema_oid(view, name),
        _ => None,
    };
    number(text).or_else(named)
}

fn role_oid(view: &SystemView, text: &str) -> Option<u32> {
    let named = || match name::split(text)?.as_slice() {
        [name] => view.roles.iter().find(|r| r.name == *name).map(|r| r.oid),
        _ => None,
    };
    number(text).or_else(named)
}

fn found(args: &Args<'_>, oid: Option<u32>, state: SqlState, kind: &str) -> Result<Cell, SqlError> {
    match oid {
        Some(oid) => Ok(oid.into_cell()),
        None => Err(SqlError::new(
            state,
            format!("{kind} \"{}\" does not exist", args.text(0)),
        )),
    }
}

/// What an OID prints as: its name, a dash for zero, the number when it is nothing's.
fn printed(args: &Args<'_>, name: impl Fn(u32) -> Option<String>) -> Cell {
    let oid = args.oid(0)?;
    if oid == 0 {
        return Some(Cow::Borrowed("-"));
    }
    name(oid).unwrap_or_else(|| oid.to_string()).into_cell()
}

fn type_text(oid: u32) -> Option<String> {
    types::by_oid(oid).map(|_| types::format_type(oid, None))
}

/// A function's name, with its schema when there are others of the name.
fn function_text(oid: u32) -> Option<String> {
    let name = *data::row_of("pg_proc", oid)?.get(1)?;
    match data::count_where("pg_proc", 1, name) {
        1 => Some(quote(name)),
        _ => Some(format!("pg_catalog.{}", quote(name))),
    }
}

fn table_is_visible(view: &SystemView, args: &Args<'_>) -> Result<Cell, SqlError> {
    let named = args.oid(0).and_then(|oid| name::by_oid(view, oid));
    Ok(named.and_then(|named| name::is_visible(view, &named).into_cell()))
}

/// True for what exists, as all of it is in `pg_catalog`; NULL for what does not.
fn exists(args: &Args<'_>, test: impl Fn(u32) -> bool) -> Cell {
    args.oid(0).filter(|oid| test(*oid)).and_then(|_| true.into_cell())
}
