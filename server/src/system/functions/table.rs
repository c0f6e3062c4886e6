//! Functions in FROM that answer system relations: `pg_show_all_settings()`, `pg_get_keywords()`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::MemTable;
use highwater_types::text::{TextSettings, parse_column};
use highwater_types::{SqlError, SqlType};

use super::external;
use crate::system::view::CurrentView;
use crate::system::{data, find, make, tables};

/// Functions, and the relation of `pg_catalog` whose rows each answers.
const RELATIONS: &[(&str, &str)] = &[
    ("pg_show_all_settings", "pg_settings"),
    ("pg_timezone_names", "pg_timezone_names"),
    ("pg_available_extensions", "pg_available_extensions"),
    ("pg_available_extension_versions", "pg_available_extension_versions"),
    ("pg_cursor", "pg_cursors"),
    ("pg_prepared_statement", "pg_prepared_statements"),
    ("pg_lock_status", "pg_locks"),
];

/// What a function answers.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Relation(&'static str),
    Keywords,
    Channels,
}

#[derive(Debug)]
struct Function {
    answer: Answer,
    view: Arc<CurrentView>,
}

/// All of them.
pub(super) fn functions(view: &Arc<CurrentView>) -> HashMap<String, Arc<dyn TableFunctionImpl>> {
    let relations = RELATIONS
        .iter()
        .map(|(name, relation)| (*name, Answer::Relation(relation)));
    relations
        .chain([
            ("pg_get_keywords", Answer::Keywords),
            ("pg_listening_channels", Answer::Channels),
        ])
        .map(|(name, answer)| {
            let view = Arc::clone(view);
            let function: Arc<dyn TableFunctionImpl> = Arc::new(Function { answer, view });
            (name.to_string(), function)
        })
        .collect()
}

impl TableFunctionImpl for Function {
    fn call_with_args(&self, _args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let batch = self.rows().map_err(external)?;
        Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))
    }
}

impl Function {
    fn rows(&self) -> Result<RecordBatch, SqlError> {
        match self.answer {
            Answer::Relation(name) => {
                let relation = find("pg_catalog", name).expect("relations.tsv has PostgreSQL's relations");
                let table = tables().find(|t| t.schema == "pg_catalog" && t.name == name);
                make(&self.view.get(), relation, table)
            }
            Answer::Keywords => {
                let lines: Vec<Vec<&str>> = data::KEYWORDS
                    .lines()
                    .skip(1)
                    .map(|l| l.split('\t').collect())
                    .collect();
                let column = |i: usize| lines.iter().map(move |l| l.get(i).copied()).collect();
                texts(&[
                    ("word", SqlType::Text, column(0)),
                    ("catcode", SqlType::Char, column(1)),
                    ("barelabel", SqlType::Bool, column(2)),
                    ("catdesc", SqlType::Text, column(3)),
                    ("baredesc", SqlType::Text, column(4)),
                ])
            }
            Answer::Channels => {
                let view = self.view.get();
                let channels = view.channels.iter().map(|c| Some(c.as_str())).collect();
                texts(&[("pg_listening_channels", SqlType::Text, channels)])
            }
        }
    }
}

fn texts(columns: &[(&str, SqlType, Vec<Option<&str>>)]) -> Result<RecordBatch, SqlError> {
    let settings = TextSettings::default();
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, sql_type, _)| sql_type.to_field(name))
        .collect();
    let arrays = columns
        .iter()
        .map(|(_, sql_type, values)| parse_column(sql_type, &mut values.iter().copied(), &settings))
        .collect::<Result<Vec<_>, SqlError>>()?;
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(|error| SqlError::new(highwater_types::SqlState::INTERNAL_ERROR, error.to_string()))
}
