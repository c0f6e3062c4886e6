//! A small database in memory: statements are parsed, planned, and run by DataFusion.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::collect;
use highwater_parser::{CreateRelation, Parsed, Statement};
use highwater_types::text::{TextSettings, TextWriter};
use highwater_types::{RelationId, SqlError, SqlType};
use tokio::runtime::Runtime;

use crate::catalog::Catalog;
use crate::with_now;
use crate::{
    NoSystemRelations, OutputColumn, PlanContext, PlanError, PlanSettings, QueryPlan, RelationSource, ScanTarget,
    SessionFunctions, bind_query, completion_plan, plan_delete, plan_insert, plan_query, plan_update, session_state,
    table_from_ddl,
};

/// What is asked about a statement.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    /// Its rows.
    Run,
    /// Its parameters and columns.
    Describe,
    /// Its plan, before it is optimised.
    Bind,
}

pub(super) struct World {
    catalog: Catalog,
    rows: HashMap<RelationId, Vec<RecordBatch>>,
    runtime: Runtime,
}

impl World {
    /// The world after `setup.sql`.
    pub(super) fn new() -> World {
        let mut world = World {
            catalog: Catalog::new(),
            rows: HashMap::new(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .expect("a runtime starts"),
        };
        let setup = concat!(include_str!("scripts/setup.sql"), include_str!("scripts/ours.sql"));
        for statement in highwater_parser::parse(setup).expect("setup parses") {
            world
                .execute(&statement)
                .unwrap_or_else(|e| panic!("{}: {e:?}", statement.text));
        }
        world
    }

    fn context(&self) -> PlanContext {
        PlanContext {
            catalog: Arc::new(self.catalog.clone()),
            system: Arc::new(NoSystemRelations),
            settings: PlanSettings {
                database: "golden".to_string(),
                ..PlanSettings::default()
            },
            functions: Arc::new(SessionFunctions::default()),
            reads: None,
        }
    }

    fn execute(&mut self, parsed: &Parsed) -> Result<(), PlanError> {
        let ctx = self.context();
        match &parsed.statement {
            Statement::CreateRelation(create) => {
                let id = RelationId(
                    RelationId::FIRST_USER.0 + u32::try_from(self.catalog.relations().count()).expect("few"),
                );
                let relation = table_from_ddl(&ctx, create, id)?;
                self.catalog = self.catalog.with_relation(relation);
            }
            Statement::Insert(insert) => {
                let plan = plan_insert(&ctx, insert, &[])?;
                let batches = self.run(&plan.source.plan)?;
                self.rows.entry(plan.table).or_default().extend(batches);
            }
            other => panic!("{other:?} in setup"),
        }
        Ok(())
    }

    /// What a client would see.
    pub(super) fn answer(&mut self, sql: &str, how: How) -> String {
        let (how, sql) = match sql.strip_prefix("\\p\n") {
            Some(sql) => (How::Describe, sql),
            None => (how, sql),
        };
        let answer = highwater_parser::parse(sql).map_err(SqlError::from).and_then(|parsed| {
            let answer = match how {
                How::Run => self.select(&parsed[0]),
                How::Describe => self.describe(&parsed[0]),
                How::Bind => self.bind(&parsed[0]),
            };
            answer.map_err(|e| e.to_sql_error(sql))
        });
        answer.unwrap_or_else(|error| {
            let at = error.position.map(|p| format!(" at {p}")).unwrap_or_default();
            format!("error {}{at}: {}", error.state, error.message)
        })
    }

    fn describe(&self, parsed: &Parsed) -> Result<String, PlanError> {
        let ctx = self.context();
        let (params, columns) = match &parsed.statement {
            Statement::Query(query) => {
                let plan = plan_query(&ctx, query, &[])?;
                (plan.params, plan.columns)
            }
            Statement::Insert(insert) => {
                let plan = plan_insert(&ctx, insert, &[])?;
                (
                    plan.source.params,
                    plan.returning.map(|r| r.columns).unwrap_or_default(),
                )
            }
            Statement::Update(update) => {
                let plan = plan_update(&ctx, update, &[])?;
                (
                    plan.source.params,
                    plan.returning.map(|r| r.columns).unwrap_or_default(),
                )
            }
            Statement::Delete(delete) => {
                let plan = plan_delete(&ctx, delete, &[])?;
                (
                    plan.source.params,
                    plan.returning.map(|r| r.columns).unwrap_or_default(),
                )
            }
            other => panic!("{other:?} is not described"),
        };
        let params: Vec<String> = params.iter().map(type_name).collect();
        let mut out = format!("params: {}", params.join(", "));
        if !columns.is_empty() {
            out.push('\n');
            out.push_str(&header(&columns));
        }
        Ok(out)
    }

    fn bind(&self, parsed: &Parsed) -> Result<String, PlanError> {
        let Statement::Query(query) = &parsed.statement else {
            panic!("{} is no query", parsed.text);
        };
        let bound = bind_query(&self.context(), query)?;
        Ok(bound.plan.display_indent().to_string())
    }

    /// The relation that DDL makes.
    fn create(&self, create: &CreateRelation) -> Result<String, PlanError> {
        let relation = table_from_ddl(&self.context(), create, RelationId(20000))?;
        let mut lines = Vec::new();
        for column in &relation.columns {
            let mut line = format!("{} {}", column.name, column.sql_type);
            if column.not_null {
                line.push_str(" not null");
            }
            for (word, text) in [("default", &column.default), ("generated", &column.generated)] {
                if let Some(text) = text {
                    line.push_str(&format!(" {word} {text}"));
                }
            }
            lines.push(line);
        }
        if let Some(key) = &relation.key {
            lines.push(format!("key {key:?}"));
        }
        if let Some(watermark) = &relation.watermark {
            lines.push(format!("{watermark:?}"));
            let plan = completion_plan(&self.context(), &relation)?.expect("it has a watermark");
            lines.push(plan.display_indent().to_string());
        }
        Ok(lines.join("\n"))
    }

    /// The rows that a statement would write.
    fn written(&self, source: &QueryPlan) -> Result<String, PlanError> {
        let mut lines = vec![header(&source.columns)];
        for batch in &self.run(&source.plan)? {
            lines.extend(rows(batch, &source.columns));
        }
        Ok(lines.join("\n"))
    }

    fn select(&self, parsed: &Parsed) -> Result<String, PlanError> {
        let ctx = self.context();
        let query = match &parsed.statement {
            Statement::Query(query) => query,
            Statement::Insert(insert) => return self.written(&plan_insert(&ctx, insert, &[])?.source),
            Statement::Update(update) => return self.written(&plan_update(&ctx, update, &[])?.source),
            Statement::Delete(delete) => return self.written(&plan_delete(&ctx, delete, &[])?.source),
            Statement::CreateRelation(create) => return self.create(create),
            other => panic!("{other:?} is not run"),
        };
        let QueryPlan { plan, columns, .. } = plan_query(&self.context(), query, &[])?;
        let batches = self.run(&plan)?;
        let mut lines = vec![header(&columns)];
        for batch in &batches {
            lines.extend(rows(batch, &columns));
        }
        if columns.is_empty() {
            lines.remove(0);
            lines = batches.iter().flat_map(|b| vec![String::new(); b.num_rows()]).collect();
        }
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        Ok(lines.join("\n"))
    }

    fn run(&self, plan: &LogicalPlan) -> Result<Vec<RecordBatch>, PlanError> {
        let state = session_state("UTC");
        let plan = with_now(plan, 1_700_000_000_000_000)?
            .into_owned()
            .transform(|node| match node {
                LogicalPlan::TableScan(mut scan) => {
                    if let Some(source) = RelationSource::of(&scan.source) {
                        let rows = match &source.target {
                            ScanTarget::Relation(id) => self.rows.get(id).cloned().unwrap_or_default(),
                            ScanTarget::System { .. } | ScanTarget::Placeholder(_) => Vec::new(),
                        };
                        let table = MemTable::try_new(Arc::clone(&source.schema), vec![rows_as(&source.schema, rows)])?;
                        scan.source = provider_as_source(Arc::new(table));
                    }
                    Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
                }
                other => Ok(Transformed::no(other)),
            })?;
        let batches = self.runtime.block_on(async {
            let physical = state.query_planner().create_physical_plan(&plan.data, &state).await?;
            collect(physical, state.task_ctx()).await
        })?;
        Ok(batches)
    }
}

/// Batches with exactly a table's schema.
fn rows_as(schema: &arrow::datatypes::SchemaRef, batches: Vec<RecordBatch>) -> Vec<RecordBatch> {
    let same = |batch: RecordBatch| {
        RecordBatch::try_new(Arc::clone(schema), batch.columns().to_vec()).expect("a plan yields its table's types")
    };
    batches.into_iter().map(same).collect()
}

fn type_name(sql_type: &SqlType) -> String {
    match sql_type {
        SqlType::Numeric(_) => "numeric".to_string(),
        SqlType::Array(element) => format!("{}[]", type_name(element)),
        other => other.to_string(),
    }
}

fn header(columns: &[OutputColumn]) -> String {
    let named: Vec<String> = columns
        .iter()
        .map(|c| format!("{} {}", c.name, type_name(&c.sql_type)))
        .collect();
    named.join("|")
}

fn rows(batch: &RecordBatch, columns: &[OutputColumn]) -> Vec<String> {
    let settings = TextSettings::default();
    let schema = batch.schema();
    let texts: Vec<Vec<String>> = columns
        .iter()
        .zip(batch.columns())
        .zip(schema.fields())
        .map(|((column, array), field)| {
            let field = match column.sql_type.to_arrow() == *field.data_type() {
                true => column.sql_type.to_field(field.name()),
                false => Arc::clone(field),
            };
            let writer = TextWriter::try_new(&field, array, &settings).expect("the type can be written");
            let text = |row: usize| match array.is_null(row) {
                true => "NULL".to_string(),
                false => {
                    let mut out = Vec::new();
                    writer.write(row, &mut out);
                    String::from_utf8(out).expect("text is UTF-8")
                }
            };
            (0..batch.num_rows()).map(text).collect()
        })
        .collect();
    (0..batch.num_rows())
        .map(|row| {
            texts
                .iter()
                .map(|column| column[row].as_str())
                .collect::<Vec<_>>()
                .join("|")
        })
        .collect()
}
