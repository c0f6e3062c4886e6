//! Statements in, what was understood out.

mod commands;
mod definitions;
mod texts;
mod windows;

use highwater_parser::{
    CopyFormat, CopyWhat, FetchCount, ObjectKind, Parsed, Statement, WindowInput, asof_condition, fold, parse,
    window_call,
};
use sqlparser::ast::{Expr, SetExpr, TableFactor};

fn one(sql: &str) -> Statement {
    let mut all = parse(sql).unwrap_or_else(|e| panic!("{sql}: {e} at {:?}", e.position()));
    assert_eq!(all.len(), 1, "{sql}");
    all.remove(0).statement
}

fn error(sql: &str) -> String {
    match parse(sql) {
        Ok(parsed) => panic!("{sql} was parsed: {parsed:?}"),
        Err(e) => {
            let sql_error = highwater_types::SqlError::from(e);
            let position = sql_error.position.map_or(String::new(), |p| format!(" @{p}"));
            format!("{} {}{position}", sql_error.state, sql_error.message)
        }
    }
}

fn factor(sql: &str) -> TableFactor {
    let Statement::Query(query) = one(sql) else {
        panic!("{sql}")
    };
    let SetExpr::Select(select) = *query.body else {
        panic!("{sql}")
    };
    select.from[0].relation.clone()
}

fn window(sql: &str) -> String {
    let factor = factor(sql);
    let call = window_call(&factor).expect("is a window").expect("is a good one");
    let input = match call.input {
        WindowInput::Relation(name) => name.to_string(),
        WindowInput::Query(query) => format!("({query})"),
    };
    let alias = call.input_alias.map_or(String::new(), |a| format!(" as {a}"));
    let list = |exprs: &[&sqlparser::ast::Expr]| exprs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!(
        "{:?} of {input}{alias} by [{}] on {} with {}",
        call.function,
        list(&call.partition_by),
        call.time,
        list(&call.intervals)
    )
}
