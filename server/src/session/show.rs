//! Statements that answer rows without a query: SHOW and DESCRIBE here, EXPLAIN in `explain.rs`, SUBSCRIBE in
//! `subscribe.rs`.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::like;
use arrow::datatypes::Schema;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use highwater_executor::ExecError;
use highwater_parser::{ObjectKind, Statement};
use highwater_planner::OutputColumn;
use highwater_planner::catalog::Relation;
use highwater_types::{SqlError, SqlType};

use super::ddl::{fold, is_kind};
use super::execute::unsupported;
use super::{Outcome, SUBSCRIBE_TAG, Session};

impl Session {
    /// The columns of what a statement shows; `None` for a statement that shows nothing.
    pub(super) fn shown_columns(&self, statement: &Statement) -> Result<Option<Vec<OutputColumn>>, SqlError> {
        let names: Vec<&str> = match statement {
            Statement::ShowSetting(name) if name == "all" => vec!["name", "setting", "description"],
            Statement::ShowSetting(name) => return Ok(Some(vec![text_column(&self.settings.show(name)?.0)])),
            Statement::ShowObjects { .. } => vec!["schema", "name"],
            Statement::ShowCreate(_) => vec!["name", "definition"],
            Statement::Describe(_) => vec!["column", "type", "nullable", "default", "key", "extra"],
            Statement::Explain { .. } | Statement::ExplainView(_) | Statement::ExplainWatermark(_) => {
                vec!["QUERY PLAN"]
            }
            Statement::Subscribe(subscribe) => return Ok(Some(self.subscription_columns(subscribe)?)),
            _ => return Ok(None),
        };
        Ok(Some(names.into_iter().map(text_column).collect()))
    }

    /// What a statement shows.
    pub(super) async fn shown_rows(
        &mut self,
        statement: &Statement,
        columns: Arc<[OutputColumn]>,
    ) -> Result<Outcome, SqlError> {
        let (tag, rows) = match statement {
            Statement::Subscribe(subscribe) => {
                let stream = self.subscribe(subscribe)?.into_stream();
                let tag = SUBSCRIBE_TAG;
                return Ok(Outcome::Rows { columns, stream, tag });
            }
            Statement::ShowSetting(name) if name == "all" => {
                let all = self.settings.all().into_iter();
                (
                    "SHOW",
                    all.map(|row| vec![row.name, row.shown, row.description.to_string()])
                        .collect(),
                )
            }
            Statement::ShowSetting(name) => ("SHOW", vec![vec![self.settings.show(name)?.1]]),
            Statement::ShowObjects { object, schema, like } => {
                let rows = self.objects(*object, schema.as_ref().map(fold));
                ("SHOW", named_like(rows, like.as_deref())?)
            }
            Statement::ShowCreate(name) => {
                let relation = self.find(name)?;
                ("SHOW", vec![vec![relation.display_name(), relation.definition.clone()]])
            }
            Statement::Describe(name) => ("SHOW", described(self.find(name)?.as_ref())),
            Statement::Explain { analyze: true, .. } => {
                return Err(unsupported("EXPLAIN ANALYZE", "Use EXPLAIN."));
            }
            Statement::Explain { statement, .. } => ("EXPLAIN", one_column(self.explain(statement)?)),
            Statement::ExplainView(name) => ("EXPLAIN", one_column(self.explain_existing_view(name)?)),
            Statement::ExplainWatermark(name) => ("EXPLAIN", one_column(self.explain_watermark(name)?)),
            _ => ("SHOW", Vec::new()),
        };
        text_rows(columns, rows, tag)
    }

    /// Schema and name of all objects of a kind.
    fn objects(&self, kind: ObjectKind, schema: Option<String>) -> Vec<Vec<String>> {
        let world = self.world();
        match kind {
            ObjectKind::Schema => {
                let schemas = world.catalog.schemas();
                return schemas.map(|s| vec![s.name.clone(), s.name.clone()]).collect();
            }
            ObjectKind::Database => return vec![vec![String::new(), self.database.name().to_string()]],
            ObjectKind::Table
            | ObjectKind::Source
            | ObjectKind::Sink
            | ObjectKind::View
            | ObjectKind::MaterializedView
            | ObjectKind::Index
            | ObjectKind::Column
            | ObjectKind::Function => {}
        }
        world
            .catalog
            .relations()
            .filter(|r| is_kind(r, kind) && schema.as_ref().is_none_or(|s| *s == r.schema))
            .map(|r| vec![r.schema.clone(), r.name.clone()])
            .collect()
    }
}

/// The rows whose name is LIKE a pattern.
fn named_like(rows: Vec<Vec<String>>, pattern: Option<&str>) -> Result<Vec<Vec<String>>, SqlError> {
    let Some(pattern) = pattern else { return Ok(rows) };
    let names: StringArray = rows.iter().map(|row| row.last()).collect();
    let fits = like(&names, &StringArray::new_scalar(pattern)).map_err(ExecError::from)?;
    let fitting = rows.into_iter().zip(&fits).filter(|(_, fits)| *fits == Some(true));
    Ok(fitting.map(|(row, _)| row).collect())
}

fn one_column(lines: Vec<String>) -> Vec<Vec<String>> {
    lines.into_iter().map(|line| vec![line]).collect()
}

fn described(relation: &Relation) -> Vec<Vec<String>> {
    let word = |yes: bool| if yes { "yes" } else { "no" }.to_string();
    let columns = relation.columns.iter().enumerate();
    columns
        .map(|(at, c)| {
            vec![
                c.name.clone(),
                c.sql_type.to_string(),
                word(!c.not_null),
                c.default.clone().unwrap_or_default(),
                key_part(relation, at),
                extra(relation, at),
            ]
        })
        .collect()
}

/// A column's part in the key: `primary` for a table's, `unique` for one that a view's rows are known to have, with
/// its place in a key of several columns.
fn key_part(relation: &Relation, column: usize) -> String {
    let Some(key) = &relation.key else {
        return String::new();
    };
    let Some(place) = key.iter().position(|k| *k == column) else {
        return String::new();
    };
    let word = if is_kind(relation, ObjectKind::Table) {
        "primary"
    } else {
        "unique"
    };
    match key.len() {
        1 => word.to_string(),
        count => format!("{word} {} of {count}", place + 1),
    }
}

/// What else there is to a column.
fn extra(relation: &Relation, column: usize) -> String {
    let mut parts = Vec::new();
    if let Some(expression) = &relation.columns[column].generated {
        parts.push(format!("generated as ({expression})"));
    }
    if let Some(watermark) = relation.watermark.as_ref().filter(|w| w.column == column) {
        parts.push(format!("watermark as {}", watermark.expression));
    }
    parts.join(", ")
}

fn text_column(name: &str) -> OutputColumn {
    OutputColumn {
        name: name.to_string(),
        sql_type: SqlType::Text,
        origin: None,
    }
}

fn text_rows(columns: Arc<[OutputColumn]>, rows: Vec<Vec<String>>, tag: &'static str) -> Result<Outcome, SqlError> {
    let fields: Vec<_> = columns.iter().map(|c| c.sql_type.to_field(&c.name)).collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays: Vec<ArrayRef> = (0..columns.len())
        .map(|c| Arc::new(rows.iter().map(|row| row.get(c)).collect::<StringArray>()) as ArrayRef)
        .collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(ExecError::from)?;
    let stream = Box::pin(RecordBatchStreamAdapter::new(
        schema,
        futures::stream::iter([Ok(batch)]),
    ));
    Ok(Outcome::Rows { columns, stream, tag })
}
