//! CREATE VIEW and CREATE MATERIALIZED VIEW.

use std::sync::Arc;

use highwater_parser::CreateView;
use highwater_planner::catalog::{EmitMode, Relation, RelationKind};
use highwater_planner::{plan_inline_view, plan_view};
use highwater_types::{SqlError, SqlState};

use super::name::fold;
use crate::database::NewRelation;
use crate::session::Session;

impl Session {
    pub(in crate::session) async fn create_view(&mut self, create: &CreateView, text: &str) -> Result<(), SqlError> {
        let database = Arc::clone(&self.database);
        let _ddl = database.ddl.lock().await;
        let (schema, name) = self.target(&create.name)?;
        let replaced = if create.or_replace {
            self.world().catalog.find(&schema, &name).cloned()
        } else {
            None
        };
        if replaced.is_none() && self.exists_already(&schema, &name, create.if_not_exists)? {
            return Ok(());
        }
        let (relation, new) = self.plan_new_view(create, schema, name, text)?;
        match replaced {
            None => self.database.create(new, Vec::new()).await,
            Some(old) if create.materialized => self.replace_materialized_view(&old, new).await,
            Some(old) => self.replace_inline_view(&old, &relation),
        }
    }

    fn plan_new_view(
        &mut self,
        create: &CreateView,
        schema: String,
        name: String,
        text: &str,
    ) -> Result<(Arc<Relation>, NewRelation), SqlError> {
        let context = self.plan_context();
        let names: Vec<String> = create.columns.iter().map(fold).collect();
        let query = create.query_text.clone();
        let id = self.database.next_id();
        let relation = Relation {
            id,
            schema,
            name,
            kind: RelationKind::View {
                query: query.clone(),
                settings: Some(context.settings.clone()),
            },
            columns: Vec::new(),
            key: None,
            watermark: None,
            append_only: false,
            depends_on: Vec::new(),
            definition: text.to_string(),
            comment: None,
        };
        if !create.materialized {
            if create.emit_on_window_close {
                return Err(
                    SqlError::new(SqlState::SYNTAX_ERROR, "EMIT ON WINDOW CLOSE needs a materialized view")
                        .with_hint("Write CREATE MATERIALIZED VIEW."),
                );
            }
            let (columns, depends_on) = plan_inline_view(&context, &create.query, &names)?;
            let relation = Arc::new(Relation {
                columns,
                depends_on,
                ..relation
            });
            return Ok((Arc::clone(&relation), NewRelation::Inline { relation }));
        }
        refuse_options(create)?;
        let emit = if create.emit_on_window_close {
            EmitMode::OnWindowClose
        } else {
            EmitMode::Changes
        };
        let plan = plan_view(&context, &create.query, &names, emit)?;
        self.tell_unbounded(&plan.notices)?;
        let relation = Arc::new(Relation {
            kind: RelationKind::MaterializedView {
                query,
                settings: Some(context.settings.clone()),
                emit,
            },
            columns: plan.columns.clone(),
            key: plan.key.clone(),
            append_only: plan.append_only,
            depends_on: plan.depends_on.clone(),
            ..relation
        });
        Ok((
            Arc::clone(&relation),
            NewRelation::View {
                relation,
                plan: Arc::new(plan),
            },
        ))
    }

    /// Tells the client which nodes have unbounded state, or refuses it where the session asks for that.
    fn tell_unbounded(&mut self, verdicts: &[String]) -> Result<(), SqlError> {
        if verdicts.is_empty() || !self.settings.is_on("require_bounded_state") {
            verdicts.iter().for_each(|verdict| self.notice(verdict));
            return Ok(());
        }
        let error = SqlError::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            "the state of the view is not bounded",
        );
        Err(error
            .with_detail(verdicts.join("\n"))
            .with_hint("Bound it as the detail says, or SET require_bounded_state = off."))
    }
}

fn refuse_options(create: &CreateView) -> Result<(), SqlError> {
    match create.options.keys().next() {
        None => Ok(()),
        Some(option) => Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("option \"{option}\" of a materialized view is not supported yet"),
        )
        .with_hint("Leave out WITH (...).")),
    }
}
