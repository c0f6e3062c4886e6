//! What objects are, as SQL text: `pg_get_indexdef`, `pg_get_viewdef`, `pg_get_expr`; and their comments.

use highwater_planner::catalog::RelationKind;
use highwater_types::{RelationId, SqlError};

use super::{Args, Function, Returns, strict};
use crate::system::name::{Named, quote, regclass_text};
use crate::system::pg::index::{self, Index};
use crate::system::pg::view_definition;
use crate::system::rows::{Cell, IntoCell};
use crate::system::view::SystemView;
use crate::system::{data, types};

pub(super) const FUNCTIONS: &[Function] = &[
    // Expressions are kept as text, not as trees.
    strict("pg_get_expr", (2, 3), Returns::Text, |_, a| Ok(a.text(0).into_cell())),
    strict("pg_get_indexdef", (1, 3), Returns::Text, index_definition),
    strict("pg_get_constraintdef", (1, 2), Returns::Text, constraint_definition),
    strict("pg_get_viewdef", (1, 2), Returns::Text, view_query),
    strict("pg_get_ruledef", (1, 2), Returns::Text, rule_definition),
    strict("pg_get_function_arguments", (1, 1), Returns::Text, |_, a| {
        Ok(function_arguments(a))
    }),
    strict("pg_get_function_identity_arguments", (1, 1), Returns::Text, |_, a| {
        Ok(function_arguments(a))
    }),
    strict("pg_get_function_result", (1, 1), Returns::Text, |_, a| {
        Ok(function_result(a))
    }),
    // There are no functions in SQL, triggers, partitions, statistics objects or sequences.
    strict("pg_get_functiondef", (1, 1), Returns::Text, |_, _| Ok(None)),
    strict("pg_get_function_sqlbody", (1, 1), Returns::Text, |_, _| Ok(None)),
    strict("pg_get_function_arg_default", (2, 2), Returns::Text, |_, _| Ok(None)),
    strict("pg_get_triggerdef", (1, 2), Returns::Text, |_, _| Ok(None)),
    strict("pg_get_partkeydef", (1, 1), Returns::Text, |_, _| Ok(None)),
    strict("pg_get_partition_constraintdef", (1, 1), Returns::Text, |_, _| Ok(None)),
    strict("pg_get_statisticsobjdef", (1, 1), Returns::Text, |_, _| Ok(None)),
    strict("pg_get_statisticsobjdef_columns", (1, 1), Returns::Text, |_, _| {
        Ok(None)
    }),
    strict(
        "pg_get_statisticsobjdef_expressions",
        (1, 1),
        Returns::TextArray,
        |_, _| Ok(None),
    ),
    strict("pg_get_serial_sequence", (2, 2), Returns::Text, |_, _| Ok(None)),
    strict("obj_description", (1, 2), Returns::Text, object_comment),
    strict("col_description", (2, 2), Returns::Text, column_comment),
    strict("shobj_description", (2, 2), Returns::Text, |_, _| Ok(None)),
    strict("acldefault", (2, 2), Returns::TextArray, |_, _| Ok(None)),
];

fn index_of(view: &SystemView, args: &Args<'_>) -> Option<Index> {
    let relation = view.catalog.relation(RelationId(args.oid(0)?))?;
    index::of(&view.catalog, relation)
}

/// The statement, or one column of it.
fn index_definition(view: &SystemView, args: &Args<'_>) -> Result<Cell, SqlError> {
    let Some(index) = index_of(view, args) else {
        return Ok(None);
    };
    let column = args.number(1).unwrap_or(0);
    if column > 0 {
        let names = index.column_names();
        let name = usize::try_from(column - 1).ok().and_then(|i| names.get(i).cloned());
        return Ok(name.unwrap_or_default().into_cell());
    }
    let on = match args.is_true(2) {
        true => regclass_text(view, index.on.id.0),
        false => format!("{}.{}", quote(&index.on.schema), quote(&index.on.name)),
    };
    Ok(index.definition(&on).into_cell())
}

/// A primary key's constraint has its index's number.
fn constraint_definition(view: &SystemView, args: &Args<'_>) -> Result<Cell, SqlError> {
    let key = index_of(view, args).filter(|index| index.primary);
    Ok(key.and_then(|key| format!("PRIMARY KEY ({})", key.column_names().join(", ")).into_cell()))
}

fn query_of(view: &SystemView, args: &Args<'_>) -> Option<String> {
    let Some(Named::User(relation)) = args.relation(view, 0) else {
        return None;
    };
    match &relation.kind {
        RelationKind::View { query, .. } | RelationKind::MaterializedView { query, .. } => Some(view_definition(query)),
        RelationKind::Table { .. } | RelationKind::Source(_) | RelationKind::Index { .. } => None,
    }
}

/// PostgreSQL answers the text for what is no view, too.
fn view_query(view: &SystemView, args: &Args<'_>) -> Result<Cell, SqlError> {
    Ok(query_of(view, args)
        .unwrap_or_else(|| "Not a view".to_string())
        .into_cell())
}

fn rule_definition(view: &SystemView, args: &Args<'_>) -> Result<Cell, SqlError> {
    let name = args.oid(0).map(|oid| regclass_text(view, oid)).unwrap_or_default();
    let rule = query_of(view, args)
        .map(|query| format!("CREATE RULE \"_RETURN\" AS\n    ON SELECT TO {name} DO INSTEAD {query}"));
    Ok(rule.into_cell())
}

/// Fields of `pg_proc.tsv`.
const RETURNS_SET: usize = 7;
const RESULT_TYPE: usize = 12;
const INPUT_TYPES: usize = 13;
const ALL_TYPES: usize = 14;
const MODES: usize = 15;
const NAMES: usize = 16;

fn items(field: &str, separator: char) -> Vec<&str> {
    match field {
        "\\N" | "" => Vec::new(),
        list => list.trim_matches(['{', '}']).split(separator).collect(),
    }
}

fn type_name(oid: &str) -> String {
    types::format_type(oid.parse().unwrap_or(0), None)
}

/// The modes, names and types of all arguments, results among them.
fn arguments<'a>(row: &[&'a str]) -> Vec<(&'a str, &'a str, &'a str)> {
    let all = items(row[ALL_TYPES], ',');
    let types = if all.is_empty() {
        items(row[INPUT_TYPES], ' ')
    } else {
        all
    };
    let (modes, names) = (items(row[MODES], ','), items(row[NAMES], ','));
    let at = |list: &[&'a str], i: usize, default: &'a str| list.get(i).copied().unwrap_or(default);
    types
        .iter()
        .enumerate()
        .map(|(i, t)| (at(&modes, i, "i"), at(&names, i, "").trim_matches('"'), *t))
        .collect()
}

fn function_arguments(args: &Args<'_>) -> Cell {
    let row = data::row_of("pg_proc", args.oid(0)?)?;
    let texts: Vec<String> = arguments(&row)
        .into_iter()
        .filter(|(mode, ..)| *mode != "t")
        .map(|(mode, name, type_oid)| {
            let mode = match mode {
                "o" => "OUT ",
                "b" => "INOUT ",
                "v" => "VARIADIC ",
                _ => "",
            };
            let name = if name.is_empty() {
                String::new()
            } else {
                format!("{} ", quote(name))
            };
            format!("{mode}{name}{}", type_name(type_oid))
        })
        .collect();
    texts.join(", ").into_cell()
}

fn function_result(args: &Args<'_>) -> Cell {
    let row = data::row_of("pg_proc", args.oid(0)?)?;
    let columns: Vec<String> = arguments(&row)
        .into_iter()
        .filter(|(mode, ..)| *mode == "t")
        .map(|(_, name, type_oid)| format!("{} {}", quote(name), type_name(type_oid)))
        .collect();
    if !columns.is_empty() {
        return format!("TABLE({})", columns.join(", ")).into_cell();
    }
    let set = if row[RETURNS_SET] == "t" { "SETOF " } else { "" };
    format!("{set}{}", type_name(row[RESULT_TYPE])).into_cell()
}

/// The second argument names the catalog; without it any object of this number will do.
fn object_comment(view: &SystemView, args: &Args<'_>) -> Result<Cell, SqlError> {
    let Some(oid) = args.oid(0) else {
        return Ok(None);
    };
    let catalog = if args.len() > 1 { args.text(1) } else { "" };
    let relation = view
        .catalog
        .relation(RelationId(oid))
        .filter(|_| matches!(catalog, "" | "pg_class"));
    let schema = view
        .catalog
        .schemas()
        .find(|s| s.id.0 == oid && matches!(catalog, "" | "pg_namespace"));
    let comment = relation.and_then(|r| r.comment.clone()).or_else(|| match schema {
        Some(s) if s.name == "public" && s.comment.is_none() => Some("standard public schema".to_string()),
        Some(s) => s.comment.clone(),
        None => None,
    });
    Ok(comment.into_cell())
}

fn column_comment(view: &SystemView, args: &Args<'_>) -> Result<Cell, SqlError> {
    let relation = args.oid(0).and_then(|oid| view.catalog.relation(RelationId(oid)));
    let number = args
        .number(1)
        .and_then(|n| usize::try_from(n).ok())
        .and_then(|n| n.checked_sub(1));
    let column = relation.zip(number).and_then(|(r, n)| r.columns.get(n));
    Ok(column.and_then(|c| c.comment.clone()).into_cell())
}
