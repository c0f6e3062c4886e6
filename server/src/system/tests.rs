//! The system relations over a small catalog, beside what a real PostgreSQL 15 has and says.

use std::sync::Arc;

use arrow::array::RecordBatch;
use highwater_planner::SystemRelations;
use highwater_planner::catalog::{Catalog, Column, ConnectorConfig, EmitMode, Relation, RelationKind, SchemaEntry};
use highwater_types::text::{TextSettings, TextWriter};
use highwater_types::{RelationId, SqlType};

use super::*;

fn column(name: &str, sql_type: SqlType) -> Column {
    Column {
        name: name.to_string(),
        sql_type,
        not_null: false,
        default: None,
        generated: None,
        include: None,
        comment: None,
    }
}

fn relation(id: u32, name: &str, kind: RelationKind, columns: Vec<Column>) -> Relation {
    Relation {
        id: RelationId(id),
        schema: "public".to_string(),
        name: name.to_string(),
        kind,
        columns,
        key: None,
        watermark: None,
        append_only: false,
        depends_on: Vec::new(),
        definition: String::new(),
        comment: None,
    }
}

/// A table with a primary key, a view and a materialized view on it, a source, and a table in another schema.
fn catalog() -> Catalog {
    let mut id = column("id", SqlType::Int8);
    id.not_null = true;
    let mut plan = column("plan", SqlType::Varchar(Some(20)));
    plan.default = Some("'free'".to_string());
    plan.comment = Some("what they pay".to_string());
    let price = column("price", SqlType::Numeric(Some((10, 2))));
    let table = RelationKind::Table {
        primary_key_name: Some("users_pkey".to_string()),
    };
    let mut users = relation(16384, "users", table, vec![id.clone(), plan.clone(), price]);
    users.key = Some(vec![0]);
    users.comment = Some("people".to_string());
    let index = RelationKind::Index {
        on: RelationId(16384),
        columns: vec![0],
        unique: true,
        primary: true,
    };
    let query = "SELECT plan, count(*) AS n FROM users GROUP BY plan".to_string();
    let view = RelationKind::View {
        query: query.clone(),
        settings: None,
    };
    let materialized = RelationKind::MaterializedView {
        query,
        settings: None,
        emit: EmitMode::Changes,
    };
    let outputs = || vec![column("plan", SqlType::Varchar(Some(20))), column("n", SqlType::Int8)];
    let mut v = relation(16386, "v", view, outputs());
    v.depends_on = vec![RelationId(16384)];
    let mut m = relation(16387, "m", materialized, outputs());
    m.depends_on = vec![RelationId(16384)];
    m.key = Some(vec![0]);
    let source = RelationKind::Source(ConnectorConfig {
        connector: "datagen".to_string(),
        ..ConnectorConfig::default()
    });
    let clicks = relation(16388, "clicks", source, vec![column("at", SqlType::Timestamptz)]);
    let mut odd = relation(
        16390,
        "Odd",
        RelationKind::Table { primary_key_name: None },
        vec![column("tags", SqlType::Array(Box::new(SqlType::Text)))],
    );
    odd.schema = "s".to_string();
    let schema = SchemaEntry {
        id: RelationId(16389),
        name: "s".to_string(),
        comment: None,
    };
    let mut catalog = Catalog::new().with_schema(schema);
    for relation in [
        users,
        relation(16385, "users_pkey", index, Vec::new()),
        v,
        m,
        clicks,
        odd,
    ] {
        catalog = catalog.with_relation(relation);
    }
    catalog
}

pub(super) fn view() -> SystemView {
    let mut session = SessionFacts::new("highwater", "highwater");
    session.settings = vec![Setting {
        name: "TimeZone".to_string(),
        shown: "UTC".to_string(),
        ..Setting::default()
    }];
    SystemView::new(Arc::new(catalog()), Arc::new(session), 0, Live::default)
}

/// The rows whose first listed column satisfies `keep`, columns parted by bars.
fn select(relation: &str, columns: &[&str], keep: impl Fn(&[String]) -> bool) -> Vec<String> {
    let (schema, name) = relation
        .split_once('.')
        .expect("relations are written with their schema");
    let batch = SystemTables::new()
        .rows(&view(), schema, name)
        .unwrap_or_else(|| panic!("there is no {relation}"))
        .unwrap_or_else(|error| panic!("{relation}: {error}"));
    rows(&batch, columns)
        .into_iter()
        .filter(|row| keep(row))
        .map(|row| row.join("|"))
        .collect()
}

fn rows(batch: &RecordBatch, columns: &[&str]) -> Vec<Vec<String>> {
    let settings = TextSettings::default();
    let schema = batch.schema();
    let indices: Vec<usize> = columns
        .iter()
        .map(|c| schema.index_of(c).expect("has the column"))
        .collect();
    (0..batch.num_rows())
        .map(|row| {
            indices
                .iter()
                .map(|i| {
                    let array = batch.column(*i);
                    if array.is_null(row) {
                        return "NULL".to_string();
                    }
                    let writer = TextWriter::try_new(schema.field(*i), array, &settings).expect("has a text form");
                    let mut text = Vec::new();
                    writer.write(row, &mut text);
                    String::from_utf8(text).expect("text is UTF-8")
                })
                .collect()
        })
        .collect()
}

fn ours(row: &[String]) -> bool {
    row[0].parse::<u32>().is_ok_and(|oid| oid >= 16384)
}

#[test]
fn every_relation_has_all_of_postgresqls_columns_in_order() {
    let system = SystemTables::new();
    let mut count = 0;
    for line in include_str!("data/columns_of_15.txt").lines() {
        let (name, columns) = line.split_once(' ').expect("a name, then columns");
        let (schema, name) = name.split_once('.').expect("a schema, then a name");
        let found = system
            .schema_of(schema, name)
            .unwrap_or_else(|| panic!("there is no {schema}.{name}"));
        let names: Vec<&str> = found.fields().iter().map(|f| f.name().as_str()).collect();
        assert_eq!(names.join(" "), columns, "{schema}.{name}");
        count += 1;
    }
    assert_eq!(count, POSTGRES.len());
}

#[test]
fn every_relation_can_be_read() {
    let (system, view) = (SystemTables::new(), view());
    for relation in relations() {
        let batch = system.rows(&view, relation.schema_name, relation.name).expect("exists");
        let batch = batch.unwrap_or_else(|error| panic!("{}: {error}", relation.name));
        assert_eq!(batch.schema(), relation.schema);
    }
    assert!(system.rows(&view, "pg_catalog", "nothing").is_none());
}

#[test]
fn every_table_fills_a_relation_that_exists() {
    for table in tables() {
        assert!(
            find(table.schema, table.name).is_some(),
            "{}.{}",
            table.schema,
            table.name
        );
    }
}

#[test]
fn oids_are_unique_and_below_those_of_users() {
    let mut oids: Vec<u32> = relations().map(|r| r.oid).collect();
    oids.sort_unstable();
    let count = oids.len();
    oids.dedup();
    assert_eq!(oids.len(), count);
    assert!(oids.last() < Some(&16384));
    assert_eq!(find("pg_catalog", "pg_class").map(|r| r.oid), Some(1259));
}

#[test]
fn relations_are_listed_by_kind() {
    assert_eq!(
        select(
            "pg_catalog.pg_class",
            &["oid", "relname", "relkind", "relnamespace", "relnatts", "relhasindex"],
            ours
        ),
        [
            "16384|users|r|2200|3|t",
            "16385|users_pkey|i|2200|1|f",
            "16386|v|v|2200|2|f",
            "16387|m|m|2200|2|f",
            "16388|clicks|r|2200|1|f",
            "16390|Odd|r|16389|1|f"
        ]
    );
}

#[test]
fn columns_have_postgresqls_types_and_modifiers() {
    assert_eq!(
        select(
            "pg_catalog.pg_attribute",
            &[
                "attrelid",
                "attname",
                "attnum",
                "atttypid",
                "atttypmod",
                "attlen",
                "attnotnull",
                "atthasdef",
                "attndims"
            ],
            |row| ["16384", "16385", "16390"].contains(&row[0].as_str())
        ),
        [
            "16384|id|1|20|-1|8|t|f|0",
            "16384|plan|2|1043|24|-1|f|t|0",
            "16384|price|3|1700|655366|-1|f|f|0",
            "16385|id|1|20|-1|8|f|f|0",
            "16390|tags|1|1009|-1|-1|f|f|1"
        ]
    );
    assert_eq!(
        select("pg_catalog.pg_attrdef", &["adrelid", "adnum", "adbin"], ours),
        ["16384|2|'free'::character varying"]
    );
}

#[test]
fn a_primary_key_is_an_index_and_a_constraint() {
    assert_eq!(
        select(
            "pg_catalog.pg_index",
            &[
                "indexrelid",
                "indrelid",
                "indisunique",
                "indisprimary",
                "indkey",
                "indclass"
            ],
            ours
        ),
        ["16385|16384|t|t|1|3124"]
    );
    assert_eq!(
        select(
            "pg_catalog.pg_constraint",
            &["oid", "conname", "contype", "conrelid", "conindid", "conkey"],
            ours
        ),
        ["16385|users_pkey|p|16384|16385|{1}"]
    );
    assert_eq!(
        select("pg_catalog.pg_indexes", &["indexname", "indexdef"], |_| true),
        ["users_pkey|CREATE UNIQUE INDEX users_pkey ON public.users USING btree (id)"]
    );
    assert_eq!(
        select(
            "information_schema.key_column_usage",
            &["constraint_name", "column_name", "ordinal_position"],
            |_| true
        ),
        ["users_pkey|id|1"]
    );
}

#[test]
fn comments_and_dependencies_are_kept_as_postgresql_keeps_them() {
    assert_eq!(
        select(
            "pg_catalog.pg_description",
            &["objoid", "classoid", "objsubid", "description"],
            |_| true
        ),
        [
            "2200|2615|0|standard public schema",
            "16384|1259|0|people",
            "16384|1259|2|what they pay"
        ]
    );
    assert_eq!(
        select(
            "pg_catalog.pg_depend",
            &["classid", "objid", "refobjid", "deptype"],
            |row| row[1] == "16387"
        ),
        ["2618|16387|16387|i", "2618|16387|16384|n"]
    );
    assert_eq!(
        select("pg_catalog.pg_rewrite", &["oid", "rulename", "ev_class"], |_| true),
        ["16386|_RETURN|16386", "16387|_RETURN|16387"]
    );
}

#[test]
fn information_schema_lists_materialized_views_unless_metabase_asks() {
    let public = |row: &[String]| row[0] == "public";
    let columns = ["table_schema", "table_name", "table_type", "is_insertable_into"];
    assert_eq!(
        select("information_schema.tables", &columns, public),
        [
            "public|users|BASE TABLE|YES",
            "public|v|VIEW|NO",
            "public|m|MATERIALIZED VIEW|NO",
            "public|clicks|BASE TABLE|NO"
        ]
    );
    let mut session = SessionFacts::new("highwater", "highwater");
    session.settings = vec![Setting {
        name: "application_name".to_string(),
        shown: "Metabase v0.50".to_string(),
        ..Setting::default()
    }];
    let metabase = SystemView::new(Arc::new(catalog()), Arc::new(session), 0, Live::default);
    let batch = SystemTables::new()
        .rows(&metabase, "information_schema", "tables")
        .expect("exists")
        .expect("is made");
    let names: Vec<_> = rows(&batch, &["table_schema", "table_name"])
        .into_iter()
        .filter(|r| public(r))
        .collect();
    assert!(names.iter().all(|row| row[1] != "m"), "{names:?}");
}

#[test]
fn information_schema_describes_columns() {
    let columns = [
        "table_schema",
        "column_name",
        "column_default",
        "is_nullable",
        "data_type",
        "character_maximum_length",
        "numeric_precision",
        "numeric_scale",
        "udt_name",
    ];
    let rows = select("information_schema.columns", &columns, |row| {
        row[0] == "public" || row[0] == "s"
    });
    assert_eq!(
        rows[..3],
        [
            "public|id|NULL|NO|bigint|NULL|64|0|int8",
            "public|plan|'free'::character varying|YES|character varying|20|NULL|NULL|varchar",
            "public|price|NULL|YES|numeric|NULL|10|2|numeric"
        ]
    );
    assert_eq!(
        rows.last().map(String::as_str),
        Some("s|tags|NULL|YES|ARRAY|NULL|NULL|NULL|_text")
    );
}

#[test]
fn the_schema_highwater_shows_what_is_ours() {
    assert_eq!(
        select("highwater.sources", &["name", "connector", "options"], |_| true),
        ["clicks|datagen|{}"]
    );
    assert_eq!(
        select("highwater.views", &["name", "key", "emit", "depends_on"], |_| true),
        ["m|{plan}|changes|{users}"]
    );
}

#[test]
fn rows_of_the_catalog_are_kept_until_it_changes() {
    let (system, view) = (SystemTables::new(), view());
    let read = |view: &SystemView| {
        system
            .rows(view, "pg_catalog", "pg_attribute")
            .expect("exists")
            .expect("is made")
    };
    let (first, again) = (read(&view), read(&view));
    assert!(Arc::ptr_eq(first.column(0), again.column(0)));
    let session = Arc::clone(&view.session);
    let next = Arc::new(view.catalog.without_relation(RelationId(16390)));
    let changed = read(&SystemView::new(next, session, 0, Live::default));
    assert_eq!(changed.num_rows(), first.num_rows() - 1);
}
