//! Tables, sources and views.

use super::*;

#[test]
fn create_source_keeps_everything_that_was_said() {
    let Statement::CreateRelation(source) = one(
        "CREATE SOURCE IF NOT EXISTS s.clicks (uid BIGINT, url VARCHAR(10), ts TIMESTAMPTZ NOT NULL,
           day DATE AS (ts::date),
           WATERMARK FOR ts AS ts - INTERVAL '5 seconds' IDLE TIMEOUT INTERVAL '10 seconds')
         INCLUDE KEY AS k INCLUDE HEADER 'trace' AS h
         WITH (connector = 'kafka', properties.bootstrap.server = 'h:9092', Rate = 5, strict = true, follow)
         FORMAT PLAIN ENCODE JSON (a = 'b')",
    ) else {
        panic!()
    };
    assert!(source.source && source.if_not_exists);
    assert_eq!(source.name.to_string(), "s.clicks");
    let columns: Vec<_> = source
        .columns
        .iter()
        .map(|c| {
            format!(
                "{} {} {} {:?}",
                c.name,
                c.data_type,
                c.not_null,
                c.generated.as_ref().map(ToString::to_string)
            )
        })
        .collect();
    assert_eq!(
        columns,
        [
            "uid BIGINT false None",
            "url VARCHAR(10) false None",
            "ts TIMESTAMPTZ true None",
            "day DATE false Some(\"ts::DATE\")"
        ]
    );
    let watermark = source.watermark.expect("was declared");
    assert_eq!(watermark.column.value, "ts");
    assert_eq!(watermark.expression.to_string(), "ts - INTERVAL '5 seconds'");
    assert_eq!(
        watermark.idle_timeout.map(|e| e.to_string()).as_deref(),
        Some("INTERVAL '10 seconds'")
    );
    let options: Vec<_> = source.options.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(
        options,
        [
            "connector=kafka",
            "follow=true",
            "properties.bootstrap.server=h:9092",
            "rate=5",
            "strict=true"
        ]
    );
    assert_eq!((source.format.as_str(), source.encode.as_str()), ("PLAIN", "JSON"));
    assert_eq!(source.encode_options.get("a").map(String::as_str), Some("b"));
    let includes: Vec<_> = source
        .includes
        .iter()
        .map(|i| format!("{} {:?} {}", i.what, i.header, i.column))
        .collect();
    assert_eq!(includes, ["KEY None k", "HEADER Some(\"trace\") h"]);
}

#[test]
fn create_table_takes_keys_defaults_and_storage_parameters() {
    let Statement::CreateRelation(table) = one(
        "create table pgbench_accounts(aid int not null, bid int default 1 + 2, filler char(84) default 'x' not null,
           constraint pk primary key (aid, bid), unique (filler), check (aid > 0)) with (fillfactor=100)",
    ) else {
        panic!()
    };
    let key = table.primary_key.expect("was declared");
    assert_eq!(key.name.map(|n| n.value).as_deref(), Some("pk"));
    assert_eq!(key.columns.iter().map(fold).collect::<Vec<_>>(), ["aid", "bid"]);
    assert!(table.columns[1].not_null);
    assert!(table.options.is_empty());
    assert_eq!(table.unsupported, ["unique (filler)", "check (aid > 0)"]);
    let Statement::CreateRelation(table) = one("CREATE TABLE l (id int primary key, a int references b) APPEND ONLY")
    else {
        panic!()
    };
    assert!(table.append_only && table.primary_key.is_some());
    assert_eq!(table.unsupported, ["references b"]);
    assert_eq!(
        error("create table t (a int primary key, b int primary key)"),
        "42P16 multiple primary keys for table \"t\" are not allowed @42"
    );
}

#[test]
fn a_table_can_be_made_from_a_query() {
    for (sql, query) in [
        ("create table t as select 1 as a", "SELECT 1 AS a"),
        (
            "create table t (b) as select 1",
            "SELECT * FROM (SELECT 1) AS \"?\" (b)",
        ),
        ("select 1 as a into t", "SELECT 1 AS a"),
        (
            "create temp table if not exists t with (fillfactor=10) as values (1)",
            "VALUES (1)",
        ),
    ] {
        let Statement::CreateTableAs { name, query: q, .. } = one(sql) else {
            panic!("{sql}")
        };
        assert_eq!((name.to_string().as_str(), q.to_string().as_str()), ("t", query));
    }
}

#[test]
fn a_views_query_is_kept_as_written_without_emit() {
    let Statement::CreateView(view) = one(
        "CREATE MATERIALIZED VIEW m (a, b) WITH (background = true) AS SELECT x,  count(*) FROM t GROUP BY x EMIT ON WINDOW CLOSE;",
    ) else {
        panic!()
    };
    assert!(view.materialized && view.emit_on_window_close);
    assert_eq!(view.query_text, "SELECT x,  count(*) FROM t GROUP BY x");
    assert_eq!(view.columns.len(), 2);
    let Statement::CreateView(view) = one("create or replace view v as select * from t emit changes") else {
        panic!()
    };
    assert!(!view.materialized && view.or_replace && !view.emit_on_window_close);
    assert_eq!(view.query_text, "select * from t");
    let Statement::Explain { statement, .. } =
        one("explain create materialized view m as select 1 emit on window close")
    else {
        panic!()
    };
    assert!(matches!(*statement, Statement::CreateView(v) if v.emit_on_window_close));
    let Statement::ExplainView(name) = one("explain materialized view s.m") else {
        panic!()
    };
    assert_eq!(name.to_string(), "s.m");
    assert_eq!(
        error("create table t (a int) emit changes"),
        "42601 syntax error at or near \"EMIT\" @24"
    );
}
