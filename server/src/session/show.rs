//! Statements that answer rows without a query: SHOW, DESCRIBE, EXPLAIN.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use highwater_executor::ExecError;
use highwater_parser::{CreateView, ObjectKind, Statement};
use highwater_planner::OutputColumn;
use highwater_planner::catalog::{EmitMode, Relation, RelationKind};
use highwater_types::{SqlError, SqlType};

use super::execute::unsupported;
use super::{Outcome, Session};

impl Session {
    /// The columns of what a statement shows; `None` for a statement that shows nothing.
    pub(super) fn shown_columns(&self, statement: &Statement) -> Result<Option<Vec<OutputColumn>>, SqlError> {
        let names: Vec<&str> = match statement {
            Statement::ShowSetting(name) if name == "all" => vec!["name", "setting", "description"],
            Statement::ShowSetting(name) => return Ok(Some(vec![text_column(&self.settings.show(name)?.0)])),
            Statement::ShowObjects { .. } => vec!["schema", "name"],
            Statement::ShowCreate(_) => vec!["name", "definition"],
            Statement::Describe(_) => vec!["column", "type", "nullable", "default"],
            Statement::Explain { .. } => vec!["QUERY PLAN"],
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
                if like.is_some() {
                    return Err(unsupported(
                        "SHOW ... LIKE",
                        "Filter the rows of information_schema.tables.",
                    ));
                }
                ("SHOW", self.objects(*object, schema.as_ref().map(super::define::fold)))
            }
            Statement::ShowCreate(name) => {
                let relation = self.find(name)?;
                ("SHOW", vec![vec![relation.display_name(), relation.definition.clone()]])
            }
            Statement::Describe(name) => ("SHOW", described(self.find(name)?.as_ref())),
            Statement::Explain { analyze, statement, .. } => {
                if *analyze {
                    return Err(unsupported("EXPLAIN ANALYZE", "Use EXPLAIN."));
                }
                (
                    "EXPLAIN",
                    self.explain(statement)?.into_iter().map(|line| vec![line]).collect(),
                )
            }
            _ => ("SHOW", Vec::new()),
        };
        text_rows(columns, rows, tag)
    }

    fn objects(&self, kind: ObjectKind, schema: Option<String>) -> Vec<Vec<String>> {
        let world = self.world();
        if kind == ObjectKind::Schema {
            return world
                .catalog
                .schemas()
                .map(|s| vec![s.name.clone(), s.name.clone()])
                .collect();
        }
        world
            .catalog
            .relations()
            .filter(|r| is_kind(r, kind) && schema.as_ref().is_none_or(|s| *s == r.schema))
            .map(|r| vec![r.schema.clone(), r.name.clone()])
            .collect()
    }

    fn explain(&mut self, statement: &Statement) -> Result<Vec<String>, SqlError> {
        let context = self.plan_context();
        let plan = match statement {
            Statement::Query(query) => highwater_planner::plan_query(&context, query, &[])?.plan,
            Statement::Insert(insert) => highwater_planner::plan_insert(&context, insert, &[])?.source.plan,
            Statement::Update(update) => highwater_planner::plan_update(&context, update, &[])?.source.plan,
            Statement::Delete(delete) => highwater_planner::plan_delete(&context, delete, &[])?.source.plan,
            Statement::CreateView(create) if create.materialized => return self.explain_view(create),
            _ => {
                return Err(unsupported(
                    "EXPLAIN of this statement",
                    "Explain a query or a materialized view.",
                ));
            }
        };
        Ok(plan.display_indent().to_string().lines().map(str::to_string).collect())
    }

    fn explain_view(&mut self, create: &CreateView) -> Result<Vec<String>, SqlError> {
        let context = self.plan_context();
        let names: Vec<String> = create.columns.iter().map(super::define::fold).collect();
        let emit = if create.emit_on_window_close {
            EmitMode::OnWindowClose
        } else {
            EmitMode::Changes
        };
        let plan = highwater_planner::plan_view(&context, &create.query, &names, emit)?;
        let mut lines = vec!["Logical plan".to_string()];
        lines.extend(
            plan.logical
                .display_indent()
                .to_string()
                .lines()
                .map(|line| format!("  {line}")),
        );
        lines.push("Stream plan".to_string());
        let stream = highwater_planner::stream::explain_stream(&plan.stream, &context.catalog);
        lines.extend(stream.into_iter().map(|line| format!("  {line}")));
        Ok(lines)
    }
}

fn is_kind(relation: &Relation, kind: ObjectKind) -> bool {
    matches!(
        (kind, &relation.kind),
        (ObjectKind::Table, RelationKind::Table { .. })
            | (ObjectKind::Source, RelationKind::Source(_))
            | (ObjectKind::View, RelationKind::View { .. })
            | (ObjectKind::MaterializedView, RelationKind::MaterializedView { .. })
            | (ObjectKind::Index, RelationKind::Index { .. })
    )
}

fn described(relation: &Relation) -> Vec<Vec<String>> {
    let word = |yes: bool| if yes { "yes" } else { "no" }.to_string();
    relation
        .columns
        .iter()
        .map(|c| {
            vec![
                c.name.clone(),
                c.sql_type.to_string(),
                word(!c.not_null),
                c.default.clone().unwrap_or_default(),
            ]
        })
        .collect()
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
