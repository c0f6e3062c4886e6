//! Golden tests: every query of `golden/*.sql` is planned as a view, and its EXPLAIN compared with the lines that
//! start with `-->` below it. `HIGHWATER_UPDATE_GOLDEN=1` writes the files anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_types::{RelationId, SqlError, SqlType};

use super::{ViewPlan, explain_stream, plan_view};
use crate::catalog::{Catalog, Column, ConnectorConfig, EmitMode, Relation, RelationKind, WatermarkDecl};
use crate::context::{NoSystemRelations, PlanContext, PlanSettings};

const MARK: &str = "--> ";
const ON_CLOSE: &str = "EMIT ON WINDOW CLOSE";

#[test]
fn plans_are_as_written_beside_their_queries() {
    let ctx = context();
    let update = std::env::var_os("HIGHWATER_UPDATE_GOLDEN").is_some();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .expect("the folder of golden files is there")
        .map(|entry| entry.expect("the folder can be listed").path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a golden file can be read");
        let now = replanned(&ctx, &text);
        if update {
            std::fs::write(&file, &now).expect("a golden file can be written");
        } else if now != text {
            wrong.push(format!("{}:\n{}", file.display(), difference(&text, &now)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_view_and_its_batch_reference_have_the_same_columns() {
    let ctx = context();
    let mut planned = 0;
    for entry in std::fs::read_dir(folder()).expect("the folder of golden files is there") {
        let text = std::fs::read_to_string(entry.expect("listed").path()).expect("a golden file can be read");
        for query in queries(&text) {
            let Ok(view) = planned_view(&ctx, &query) else {
                continue;
            };
            planned += 1;
            let root = &view.stream.root;
            assert_eq!(root.schema.fields().len(), view.columns.len(), "{query}");
            for (at, column) in view.columns.iter().enumerate() {
                let batch = view.logical.schema().field(at);
                assert_eq!(
                    *batch.data_type(),
                    column.sql_type.to_arrow(),
                    "{query}: {}",
                    column.name
                );
                assert_eq!(
                    root.schema.field(at).data_type(),
                    batch.data_type(),
                    "{query}: {}",
                    column.name
                );
            }
        }
    }
    assert!(planned > 50, "only {planned} views were planned");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/stream/golden")
}

/// The file with the plans as they are now.
fn replanned(ctx: &PlanContext, text: &str) -> String {
    let mut out = String::new();
    let mut query = String::new();
    for line in text.lines().filter(|line| !line.starts_with(MARK.trim_end())) {
        out.push_str(line);
        out.push('\n');
        if line.starts_with("--") {
            continue;
        }
        query.push_str(line);
        query.push('\n');
        if line.trim_end().ends_with(';') {
            for line in answer(ctx, &query) {
                out.push_str(format!("{MARK}{line}").trim_end());
                out.push('\n');
            }
            query.clear();
        }
    }
    out
}

fn queries(text: &str) -> Vec<String> {
    let sql: Vec<&str> = text.lines().filter(|line| !line.starts_with("--")).collect();
    let sql = sql.join("\n");
    sql.split(";\n")
        .map(|q| q.trim().to_string())
        .filter(|q| !q.is_empty())
        .collect()
}

fn answer(ctx: &PlanContext, query: &str) -> Vec<String> {
    match planned_view(ctx, query) {
        Ok(view) => explain_stream(&view.stream, &ctx.catalog),
        Err(error) => {
            let mut lines = vec![format!("{}: {}", error.state, error.message)];
            lines.extend(error.hint.map(|hint| format!("hint: {hint}")));
            lines
        }
    }
}

fn planned_view(ctx: &PlanContext, query: &str) -> Result<ViewPlan, SqlError> {
    let query = query.trim().trim_end_matches(';').trim();
    let (query, emit) = match query.strip_suffix(ON_CLOSE) {
        Some(query) => (query, EmitMode::OnWindowClose),
        None => (query, EmitMode::Changes),
    };
    let query = highwater_parser::parse_query(query).map_err(SqlError::from)?;
    plan_view(ctx, &query, &[], emit).map_err(SqlError::from)
}

/// The first lines that differ.
fn difference(was: &str, is: &str) -> String {
    let (was, is): (Vec<&str>, Vec<&str>) = (was.lines().collect(), is.lines().collect());
    let first = was.iter().zip(&is).take_while(|(a, b)| a == b).count();
    let from = first.saturating_sub(3);
    let part = |lines: &[&str]| lines[from.min(lines.len())..lines.len().min(first + 8)].join("\n");
    format!("from line {}\nwas:\n{}\nis:\n{}", first + 1, part(&was), part(&is))
}

fn context() -> PlanContext {
    let mut ctx = PlanContext {
        catalog: Arc::new(base_catalog()),
        system: Arc::new(NoSystemRelations),
        settings: PlanSettings::default(),
        functions: Arc::default(),
        reads: None,
    };
    let views = [
        (
            "totals",
            "SELECT uid, sum(amount) AS total FROM orders GROUP BY uid",
            EmitMode::Changes,
        ),
        (
            "minutes",
            "SELECT window_start, window_end, auction, count(*) AS bids FROM TUMBLE(bid, date_time, INTERVAL '1 minute') \
             GROUP BY window_start, window_end, auction",
            EmitMode::Changes,
        ),
        (
            "closed_minutes",
            "SELECT window_start, window_end, auction, count(*) AS bids FROM TUMBLE(bid, date_time, INTERVAL '1 minute') \
             GROUP BY window_start, window_end, auction",
            EmitMode::OnWindowClose,
        ),
    ];
    for (at, (name, query, emit)) in views.into_iter().enumerate() {
        let parsed = highwater_parser::parse_query(query).expect("the view parses");
        let plan = plan_view(&ctx, &parsed, &[], emit).expect("the view can be planned");
        let relation = Relation {
            id: RelationId(17000 + at as u32),
            schema: "public".to_string(),
            name: name.to_string(),
            kind: RelationKind::MaterializedView {
                query: query.to_string(),
                settings: None,
                emit,
            },
            columns: plan.columns,
            key: plan.key,
            watermark: None,
            append_only: plan.append_only,
            depends_on: plan.depends_on,
            definition: String::new(),
            comment: None,
        };
        ctx.catalog = Arc::new(ctx.catalog.with_relation(relation));
    }
    ctx
}

fn base_catalog() -> Catalog {
    use SqlType::{Int8, Numeric, Text, Timestamp, Timestamptz};
    let source = || RelationKind::Source(ConnectorConfig::default());
    let table = || RelationKind::Table { primary_key_name: None };
    let relations = [
        relation("users", table(), &[("id", Int8), ("name", Text), ("plan", Text)]).with_key(&["id"]),
        relation(
            "orders",
            table(),
            &[
                ("id", Int8),
                ("uid", Int8),
                ("amount", Numeric(Some((10, 2)))),
                ("ts", Timestamptz),
            ],
        )
        .with_key(&["id"]),
        relation("events", table(), &[("id", Int8), ("kind", Text), ("ts", Timestamptz)]).with_watermark("ts"),
        relation("clicks", source(), &[("uid", Int8), ("url", Text), ("ts", Timestamptz)])
            .append_only()
            .with_watermark("ts"),
        relation("log", source(), &[("uid", Int8), ("line", Text), ("ts", Timestamptz)]).append_only(),
        relation(
            "bid",
            source(),
            &[
                ("auction", Int8),
                ("bidder", Int8),
                ("price", Int8),
                ("channel", Text),
                ("date_time", Timestamp),
            ],
        )
        .append_only()
        .with_watermark("date_time"),
        relation(
            "auction",
            source(),
            &[
                ("id", Int8),
                ("seller", Int8),
                ("category", Int8),
                ("reserve", Int8),
                ("date_time", Timestamp),
                ("expires", Timestamp),
            ],
        )
        .append_only()
        .with_watermark("date_time"),
        relation(
            "person",
            source(),
            &[
                ("id", Int8),
                ("name", Text),
                ("city", Text),
                ("state", Text),
                ("date_time", Timestamp),
            ],
        )
        .append_only()
        .with_watermark("date_time"),
    ];
    let mut catalog = Catalog::new();
    for (at, relation) in relations.into_iter().enumerate() {
        let id = RelationId(16384 + at as u32);
        catalog = catalog.with_relation(Relation { id, ..relation });
    }
    catalog
}

fn relation(name: &str, kind: RelationKind, columns: &[(&str, SqlType)]) -> Relation {
    let column = |(name, sql_type): &(&str, SqlType)| Column {
        name: name.to_string(),
        sql_type: sql_type.clone(),
        not_null: false,
        default: None,
        generated: None,
        include: None,
        comment: None,
    };
    Relation {
        id: RelationId(0),
        schema: "public".to_string(),
        name: name.to_string(),
        kind,
        columns: columns.iter().map(column).collect(),
        key: None,
        watermark: None,
        append_only: false,
        depends_on: Vec::new(),
        definition: String::new(),
        comment: None,
    }
}

impl Relation {
    fn with_key(mut self, names: &[&str]) -> Relation {
        let places = names.iter().map(|name| self.column_index(name).expect("a column"));
        let places: Vec<usize> = places.collect();
        for place in &places {
            self.columns[*place].not_null = true;
        }
        self.key = Some(places);
        self
    }

    fn append_only(mut self) -> Relation {
        self.append_only = true;
        self
    }

    fn with_watermark(mut self, name: &str) -> Relation {
        self.watermark = Some(WatermarkDecl {
            column: self.column_index(name).expect("a column"),
            expression: format!("{name} - INTERVAL '4 seconds'"),
            idle_timeout_us: None,
        });
        self
    }
}
