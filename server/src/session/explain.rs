//! EXPLAIN: a statement's plan, and a materialized view's three: the logical plan, the stream plan with what is known
//! of each node, and the dataflow that workers run.

use highwater_executor::explain_dataflow;
use highwater_parser::{CreateView, Statement};
use highwater_planner::catalog::{EmitMode, RelationKind};
use highwater_planner::{PlanContext, ViewPlan, plan_view};
use highwater_types::{SqlError, SqlState};
use sqlparser::ast;

use super::Session;
use super::ddl::fold;
use super::execute::unsupported;

impl Session {
    /// The lines of EXPLAIN.
    pub(super) fn explain(&mut self, statement: &Statement) -> Result<Vec<String>, SqlError> {
        let context = self.plan_context();
        let plan = match statement {
            Statement::Query(query) => highwater_planner::plan_query(&context, query, &[])?,
            Statement::Insert(insert) => highwater_planner::plan_insert(&context, insert, &[])?.source,
            Statement::Update(update) => highwater_planner::plan_update(&context, update, &[])?.source,
            Statement::Delete(delete) => highwater_planner::plan_delete(&context, delete, &[])?.source,
            Statement::CreateTableAs { query, .. } => highwater_planner::plan_query(&context, query, &[])?,
            Statement::CreateView(create) if create.materialized => return self.explain_new_view(&context, create),
            _ => {
                return Err(unsupported(
                    "EXPLAIN of this statement",
                    "Explain a query, a change of rows, or a materialized view.",
                ));
            }
        };
        let mut lines = lines_of(&plan.plan.display_indent());
        let by_key = self.direct_plan(&plan).and_then(|direct| direct.reads());
        if let Some(relation) = by_key.and_then(|id| context.catalog.relation(id)) {
            lines.push(format!("Short cut: the row of {} by its key", relation.display_name()));
        }
        Ok(lines)
    }

    fn explain_new_view(&self, context: &PlanContext, create: &CreateView) -> Result<Vec<String>, SqlError> {
        let names: Vec<String> = create.columns.iter().map(fold).collect();
        let emit = if create.emit_on_window_close {
            EmitMode::OnWindowClose
        } else {
            EmitMode::Changes
        };
        let plan = plan_view(context, &create.query, &names, emit)?;
        self.explain_view_plan(context, &plan)
    }

    /// The lines of EXPLAIN MATERIALIZED VIEW.
    pub(super) fn explain_existing_view(&self, name: &ast::ObjectName) -> Result<Vec<String>, SqlError> {
        let (context, plan) = self.plan_existing_view(name)?;
        self.explain_view_plan(&context, &plan)
    }

    /// The plan of a materialized view, and what it is planned against.
    pub(super) fn plan_existing_view(&self, name: &ast::ObjectName) -> Result<(PlanContext, ViewPlan), SqlError> {
        let view = self.find(name)?;
        let RelationKind::MaterializedView { query, emit, .. } = &view.kind else {
            let message = format!("\"{}\" is not a materialized view", view.display_name());
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        };
        let query = highwater_parser::parse_query(query)?;
        let names: Vec<String> = view.columns.iter().map(|c| c.name.clone()).collect();
        let context = super::context_for(&self.world().catalog, &view);
        let plan = plan_view(&context, &query, &names, *emit)?;
        Ok((context, plan))
    }

    fn explain_view_plan(&self, context: &PlanContext, plan: &ViewPlan) -> Result<Vec<String>, SqlError> {
        let catalog = &context.catalog;
        let name_of = |id| match catalog.relation(id) {
            Some(relation) => relation.display_name(),
            None => format!("relation {id}"),
        };
        let workers = self.database.workers();
        let mut lines = Vec::new();
        section(&mut lines, "Logical plan", lines_of(&plan.logical.display_indent()));
        section(
            &mut lines,
            "Stream plan",
            highwater_planner::stream::explain_stream(&plan.stream, catalog),
        );
        section(
            &mut lines,
            &format!("Dataflow, on each of {workers} workers"),
            explain_dataflow(&plan.stream, &context.settings.time_zone, &name_of)?,
        );
        Ok(lines)
    }
}

fn section(lines: &mut Vec<String>, title: &str, body: Vec<String>) {
    lines.push(title.to_string());
    lines.extend(body.into_iter().map(|line| format!("  {line}")));
}

fn lines_of(plan: &impl std::fmt::Display) -> Vec<String> {
    plan.to_string().lines().map(str::to_string).collect()
}
