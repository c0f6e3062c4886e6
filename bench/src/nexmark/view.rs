//! The queries, from `bench/nexmark`, and their plans.

use std::sync::Arc;

use highwater_parser::{Statement, parse, parse_query};
use highwater_planner::catalog::{Catalog, EmitMode, Relation};
use highwater_planner::stream::plan::{StreamNode, StreamOp};
use highwater_planner::{
    NoSystemRelations, PlanContext, PlanSettings, SessionFunctions, ViewPlan, plan_view, table_from_ddl,
};
use highwater_types::RelationId;

use crate::Result;

const SOURCES: &str = include_str!("../../nexmark/sources.sql");

/// By name. q13 joins a table besides, which is no part of the stream.
pub(super) const QUERIES: [(&str, &str); 22] = [
    ("q0", include_str!("../../nexmark/q0.sql")),
    ("q1", include_str!("../../nexmark/q1.sql")),
    ("q2", include_str!("../../nexmark/q2.sql")),
    ("q3", include_str!("../../nexmark/q3.sql")),
    ("q4", include_str!("../../nexmark/q4.sql")),
    ("q5", include_str!("../../nexmark/q5.sql")),
    ("q6", include_str!("../../nexmark/q6.sql")),
    ("q7", include_str!("../../nexmark/q7.sql")),
    ("q8", include_str!("../../nexmark/q8.sql")),
    ("q9", include_str!("../../nexmark/q9.sql")),
    ("q10", include_str!("../../nexmark/q10.sql")),
    ("q11", include_str!("../../nexmark/q11.sql")),
    ("q12", include_str!("../../nexmark/q12.sql")),
    ("q14", include_str!("../../nexmark/q14.sql")),
    ("q15", include_str!("../../nexmark/q15.sql")),
    ("q16", include_str!("../../nexmark/q16.sql")),
    ("q17", include_str!("../../nexmark/q17.sql")),
    ("q18", include_str!("../../nexmark/q18.sql")),
    ("q19", include_str!("../../nexmark/q19.sql")),
    ("q20", include_str!("../../nexmark/q20.sql")),
    ("q21", include_str!("../../nexmark/q21.sql")),
    ("q22", include_str!("../../nexmark/q22.sql")),
];

/// The relations of `sources.sql`.
pub(super) fn relations() -> Result<Vec<Relation>> {
    let mut context = context(Catalog::new());
    let mut relations = Vec::new();
    for (at, parsed) in parse(SOURCES)?.iter().enumerate() {
        let Statement::CreateRelation(create) = &parsed.statement else {
            return Err(format!("not a CREATE SOURCE: {}", parsed.text).into());
        };
        let id = RelationId(RelationId::FIRST_USER.0 + u32::try_from(at)?);
        let relation = table_from_ddl(&context, create, id)?;
        context.catalog = Arc::new(context.catalog.with_relation(relation.clone()));
        relations.push(relation);
    }
    Ok(relations)
}

/// Plans a query as a materialized view over these relations.
pub(super) fn plan(query: &str, relations: &[Relation]) -> Result<ViewPlan> {
    let found = QUERIES.iter().find(|(name, _)| *name == query);
    let (_, sql) = found.ok_or_else(|| format!("there is no query {query}"))?;
    let catalog = relations.iter().fold(Catalog::new(), |catalog, relation| {
        catalog.with_relation(relation.clone())
    });
    let sql = sql.trim().trim_end_matches(';');
    let parsed = parse_query(sql)?;
    Ok(plan_view(&context(catalog), &parsed, &[], EmitMode::Changes)?)
}

/// The columns of a relation that a plan reads.
pub(super) fn columns_read(plan: &ViewPlan, relation: RelationId) -> Vec<usize> {
    fn collect(node: &StreamNode, relation: RelationId, found: &mut Vec<usize>) {
        if let StreamOp::Input { relation: id, columns } = &node.op
            && *id == relation
        {
            found.extend(columns);
        }
        node.inputs.iter().for_each(|input| collect(input, relation, found));
    }
    let mut found = Vec::new();
    collect(&plan.stream.root, relation, &mut found);
    found.sort_unstable();
    found.dedup();
    found
}

fn context(catalog: Catalog) -> PlanContext {
    PlanContext {
        catalog: Arc::new(catalog),
        system: Arc::new(NoSystemRelations),
        settings: PlanSettings::default(),
        functions: Arc::new(SessionFunctions::default()),
        reads: None,
    }
}
