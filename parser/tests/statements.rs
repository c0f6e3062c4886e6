//! Statements in, what was understood out.

use highwater_parser::{
    CopyFormat, FetchCount, ObjectKind, Parsed, Statement, WindowInput, asof_condition, fold, parse, window_call,
};
use sqlparser::ast::{Expr, SetExpr, TableFactor};

fn one(sql: &str) -> Statement {
    let mut all = parse(sql).unwrap_or_else(|e| panic!("{sql}: {e} at {:?}", e.position()));
    assert_eq!(all.len(), 1, "{sql}");
    all.remove(0).statement
}

fn error(sql: &str) -> String {
    match parse(sql) {
        Ok(parsed) => panic!("{sql} was parsed: {parsed:?}"),
        Err(e) => {
            let sql_error = highwater_types::SqlError::from(e);
            let position = sql_error.position.map_or(String::new(), |p| format!(" @{p}"));
            format!("{} {}{position}", sql_error.state, sql_error.message)
        }
    }
}

fn factor(sql: &str) -> TableFactor {
    let Statement::Query(query) = one(sql) else {
        panic!("{sql}")
    };
    let SetExpr::Select(select) = *query.body else {
        panic!("{sql}")
    };
    select.from[0].relation.clone()
}

fn window(sql: &str) -> String {
    let factor = factor(sql);
    let call = window_call(&factor).expect("is a window").expect("is a good one");
    let input = match call.input {
        WindowInput::Relation(name) => name.to_string(),
        WindowInput::Query(query) => format!("({query})"),
    };
    let alias = call.input_alias.map_or(String::new(), |a| format!(" as {a}"));
    let list = |exprs: &[&sqlparser::ast::Expr]| exprs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!(
        "{:?} of {input}{alias} by [{}] on {} with {}",
        call.function,
        list(&call.partition_by),
        call.time,
        list(&call.intervals)
    )
}

#[test]
fn statements_are_cut_at_semicolons_and_empty_ones_dropped() {
    let parsed = parse(";; select 1 ;\n-- nothing\n; SELECT 'a;b' /* ; */ ;").expect("parses");
    let texts: Vec<_> = parsed
        .iter()
        .map(|Parsed { text, offset, .. }| (text.as_str(), *offset))
        .collect();
    assert_eq!(texts, [("select 1", 3), ("SELECT 'a;b'", 27)]);
    assert_eq!(parse("").expect("parses"), []);
    assert_eq!(parse(" -- only a comment").expect("parses"), []);
}

#[test]
fn offsets_and_positions_count_characters_not_bytes() {
    let parsed = parse("select 'héé'; select 2").expect("parses");
    assert_eq!((parsed[1].offset, parsed[1].text.as_str()), (14, "select 2"));
    assert_eq!(
        error("select 'héé' ; selec 2"),
        "42601 syntax error at or near \"selec\" @16"
    );
}

#[test]
fn syntax_errors_read_and_point_as_postgresqls_do() {
    for (sql, expected) in [
        ("selec 1", "42601 syntax error at or near \"selec\" @1"),
        ("select 1 from t where", "42601 syntax error at end of input @22"),
        ("select 1 from t where;", "42601 syntax error at or near \";\" @22"),
        (
            "select * from (select * from (select a b c from t) x) y",
            "42601 syntax error at or near \"c\" @42",
        ),
        ("select 1; selec", "42601 syntax error at or near \"selec\" @11"),
        (
            "select * from (select a b c from t) x",
            "42601 syntax error at or near \"c\" @27",
        ),
        ("select 1 foo bar", "42601 syntax error at or near \"bar\" @14"),
        (
            "create table select (a int)",
            "42601 syntax error at or near \"select\" @14",
        ),
        ("create table t (a int,)", "42601 syntax error at or near \")\" @23"),
        ("select 'abc", "42601 unterminated quoted string at or near \"'abc\" @8"),
        (
            "select \"abc",
            "42601 unterminated quoted identifier at or near \"\"abc\" @8",
        ),
        (
            "select 1 /* abc",
            "42601 unterminated /* comment at or near \"/* abc\" @10",
        ),
        ("insert into t values (1", "42601 syntax error at end of input @24"),
        ("drop table", "42601 syntax error at end of input @11"),
        ("commit foo", "42601 syntax error at or near \"foo\" @8"),
    ] {
        assert_eq!(error(sql), expected, "{sql}");
    }
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    assert_eq!(
        error("CREATE FUNCTION f() RETURNS int AS 'x'"),
        "0A000 CREATE FUNCTION is not supported @1"
    );
    assert_eq!(error("create role x"), "0A000 CREATE ROLE is not supported @1");
    assert_eq!(error("SUBSCRIBE TO m"), "0A000 SUBSCRIBE is not supported @1");
    assert_eq!(error("copy t from '/etc/passwd'").get(..5), Some("0A000"));
    assert_eq!(error("create index i on t (lower(a))").get(..5), Some("0A000"));
}

#[test]
fn both_spellings_of_a_window_are_one() {
    let tumble = "Tumble of clicks by [] on ts with INTERVAL '1' MINUTE";
    assert_eq!(window("select * from tumble(clicks, ts, interval '1' minute)"), tumble);
    assert_eq!(
        window("select * from TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) as t"),
        tumble
    );
    assert_eq!(
        window(
            "select * from TABLE(TUMBLE(DATA => TABLE clicks, TIMECOL => DESCRIPTOR(ts), SIZE => INTERVAL '1' MINUTE))"
        ),
        tumble
    );
}

#[test]
fn windows_read_subqueries_aliases_and_partitions() {
    assert_eq!(
        window("select * from HOP((select * from a where x in (1, 2)) as b, b.ts, interval '1 s', interval '5 s')"),
        "Hop of (SELECT * FROM a WHERE x IN (1, 2)) as b by [] on b.ts with INTERVAL '1 s', INTERVAL '5 s'"
    );
    assert_eq!(
        window("select * from HOP((select * from a), ts, interval '1 s', interval '5 s', interval '2 s') w"),
        "Hop of (SELECT * FROM a) by [] on ts with INTERVAL '1 s', INTERVAL '5 s', INTERVAL '2 s'"
    );
    assert_eq!(
        window("select * from SESSION(s.clicks c PARTITION BY uid, url, ts, interval '10 minutes')"),
        "Session of s.clicks as c by [uid, url] on ts with INTERVAL '10 minutes'"
    );
    assert_eq!(
        window("select * from TABLE(SESSION(TABLE clicks PARTITION BY uid, DESCRIPTOR(ts), interval '10 minutes'))"),
        "Session of clicks by [uid] on ts with INTERVAL '10 minutes'"
    );
    assert_eq!(
        window("select * from tumble(tumble_source, ts, interval '1 minute', interval '5 s')"),
        "Tumble of tumble_source by [] on ts with INTERVAL '1 minute', INTERVAL '5 s'"
    );
}

#[test]
fn a_window_with_wrong_arguments_says_how_it_is_called() {
    let wrong = factor("select * from hop(clicks, ts, interval '1 s')");
    let error = window_call(&wrong).expect("is a window").expect_err("one is missing");
    assert_eq!(error.to_string(), "wrong arguments for HOP");
    assert!(window_call(&factor("select * from generate_series(1, 2)")).is_none());
    assert!(window_call(&factor("select * from hop")).is_none());
}

#[test]
fn joins_as_of_a_time_are_told_apart() {
    let sql = "select * from orders o left join users for system_time as of proctime() as u on o.uid = u.id";
    assert!(format!("{:?}", one(sql)).contains("ForSystemTimeAsOf"));
    let sql = "select * from t asof left join q on t.sym = q.sym and t.ts >= q.ts where t.x = 1";
    let Statement::Query(query) = one(sql) else { panic!() };
    let SetExpr::Select(select) = *query.body else { panic!() };
    let join = &select.from[0].joins[0];
    let sqlparser::ast::JoinOperator::Left(constraint) = &join.join_operator else {
        panic!("{:?}", join.join_operator)
    };
    let condition = asof_condition(constraint).expect("is an ASOF join");
    assert_eq!(condition.to_string(), "t.sym = q.sym AND t.ts >= q.ts");
}

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

#[test]
fn settings_in_all_their_forms() {
    for (sql, name, values, local) in [
        ("SET extra_float_digits = 3", "extra_float_digits", vec!["3"], false),
        ("set session timezone to 'UTC'", "timezone", vec!["UTC"], false),
        (
            "SET LOCAL search_path TO a, \"B\", C",
            "search_path",
            vec!["a", "B", "c"],
            true,
        ),
        (
            "SET TIME ZONE 'Europe/Berlin'",
            "timezone",
            vec!["Europe/Berlin"],
            false,
        ),
        (
            "SET TIME ZONE INTERVAL '+00:00' HOUR TO MINUTE",
            "timezone",
            vec!["<+00>-00"],
            false,
        ),
        (
            "SET TIME ZONE INTERVAL '-05:30' HOUR TO MINUTE",
            "timezone",
            vec!["<-05:30>+05:30"],
            false,
        ),
        ("set time zone -3", "timezone", vec!["<-03>+03"], false),
        ("SET TIME ZONE LOCAL", "timezone", vec![], false),
        ("SET NAMES 'utf8'", "client_encoding", vec!["utf8"], false),
        ("SET DateStyle = ISO, DMY", "datestyle", vec!["iso", "dmy"], false),
        ("SET statement_timeout TO DEFAULT", "statement_timeout", vec![], false),
        ("SET a.b = on", "a.b", vec!["on"], false),
        ("SET TRANSACTION READ ONLY", "transaction", vec!["READ ONLY"], false),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
            "session characteristics",
            vec!["ISOLATION LEVEL READ UNCOMMITTED"],
            false,
        ),
        ("SET statement_timeout = -1", "statement_timeout", vec!["-1"], false),
    ] {
        let expected = Statement::Set {
            name: name.to_string(),
            values: values.into_iter().map(str::to_string).collect(),
            local,
        };
        assert_eq!(one(sql), expected, "{sql}");
    }
    assert_eq!(one("RESET ALL"), Statement::Reset(None));
    assert_eq!(one("RESET TimeZone"), Statement::Reset(Some("timezone".into())));
    assert_eq!(one("discard all"), Statement::Discard("ALL".into()));
}

#[test]
fn transactions_in_all_their_forms() {
    let begin = |modes: &[&str], start| Statement::Begin {
        start,
        modes: modes.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(one("BEGIN"), begin(&[], false));
    assert_eq!(one("begin work read write"), begin(&["READ WRITE"], false));
    assert_eq!(
        one("START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY DEFERRABLE"),
        begin(&["ISOLATION LEVEL SERIALIZABLE", "READ ONLY", "DEFERRABLE"], true)
    );
    assert_eq!(one("end transaction"), Statement::Commit);
    assert_eq!(one("ABORT"), Statement::Rollback);
    assert_eq!(one("SAVEPOINT \"_pg3_1\""), Statement::Savepoint("_pg3_1".into()));
    assert_eq!(one("release savepoint A"), Statement::Release("a".into()));
    assert_eq!(one("ROLLBACK TO SAVEPOINT a"), Statement::RollbackTo("a".into()));
}

#[test]
fn cursors_in_all_their_forms() {
    let Statement::DeclareCursor { name, hold, query } =
        one("declare \"SQL_CUR1\" no scroll cursor with hold for select 1, 2")
    else {
        panic!()
    };
    assert_eq!(
        (name.as_str(), hold, query.text.as_str(), query.offset),
        ("SQL_CUR1", true, "select 1, 2", 50)
    );
    for (sql, expected, r#move) in [
        ("fetch c", FetchCount::Forward(1), false),
        ("fetch 3 in c", FetchCount::Forward(3), false),
        ("FETCH FORWARD 100 FROM c", FetchCount::Forward(100), false),
        ("fetch all c", FetchCount::All, false),
        ("fetch forward all in c", FetchCount::All, false),
        ("move forward 2 c", FetchCount::Forward(2), true),
        ("MOVE NEXT FROM c", FetchCount::Forward(1), true),
        ("fetch backward 2 from c", FetchCount::Backward, false),
        ("fetch -1 from c", FetchCount::Backward, false),
        ("fetch absolute 3 c", FetchCount::Backward, false),
        ("fetch relative 1 c", FetchCount::Forward(1), false),
    ] {
        let cursor = "c".to_string();
        let count = expected;
        assert_eq!(one(sql), Statement::Fetch { r#move, count, cursor }, "{sql}");
    }
    assert_eq!(one("close all"), Statement::CloseCursor(None));
}

#[test]
fn copy_in_all_its_forms() {
    let format = |sql: &str| match one(sql) {
        Statement::Copy(copy) => copy.format,
        other => panic!("{other:?}"),
    };
    let text = CopyFormat::Text {
        delimiter: '\t',
        null: "\\N".into(),
        header: false,
    };
    let csv = |header| CopyFormat::Csv {
        delimiter: ',',
        null: String::new(),
        header,
        quote: '"',
        escape: '"',
    };
    assert_eq!(format("copy t from stdin"), text);
    assert_eq!(format("copy t (a, b) from stdin with (freeze on)"), text);
    assert_eq!(format("COPY t FROM STDIN WITH DELIMITER AS E'\\t' NULL AS '\\N'"), text);
    assert_eq!(format("COPY t TO STDOUT csv header"), csv(true));
    assert_eq!(format("COPY t TO STDOUT WITH (FORMAT 'csv', HEADER false)"), csv(false));
    assert_eq!(format("copy (select 1) to stdout (format binary)"), CopyFormat::Binary);
    assert_eq!(format("copy t from stdin binary"), CopyFormat::Binary);
    assert_eq!(format("copy binary t to stdout"), CopyFormat::Binary);
    assert_eq!(
        format("copy t from stdin (format csv, delimiter ';', quote '''', null 'NULL', encoding 'utf-8')"),
        CopyFormat::Csv {
            delimiter: ';',
            null: "NULL".into(),
            header: false,
            quote: '\'',
            escape: '\''
        }
    );
    assert_eq!(
        error("copy t from stdin (foo 1)"),
        "42601 option \"foo\" not recognized @20"
    );
    assert_eq!(
        error("copy t from stdin (format xml)"),
        "22023 COPY format \"xml\" not recognized"
    );
    assert_eq!(
        error("copy t from stdin (delimiter 'ab')"),
        "0A000 COPY delimiter must be a single one-byte character"
    );
    assert_eq!(
        error("copy (select 1) from stdin"),
        "42601 syntax error at or near \"from\" @17"
    );
}

#[test]
fn objects_are_dropped_commented_and_shown() {
    let Statement::Drop(drop) = one("DROP MATERIALIZED VIEW IF EXISTS a, s.b CASCADE") else {
        panic!()
    };
    assert_eq!(
        (drop.object, drop.names.len(), drop.if_exists, drop.cascade),
        (ObjectKind::MaterializedView, 2, true, true)
    );
    let Statement::Comment { object, name, comment } = one("comment on column s.t.c is $dbt$it's$dbt$") else {
        panic!()
    };
    assert_eq!(
        (object, name.to_string(), comment.as_deref()),
        (ObjectKind::Column, "s.t.c".into(), Some("it's"))
    );
    assert!(matches!(
        one("comment on table t is null"),
        Statement::Comment { comment: None, .. }
    ));
    assert_eq!(
        one("show transaction isolation level"),
        Statement::ShowSetting("transaction_isolation".into())
    );
    assert_eq!(one("SHOW TimeZone"), Statement::ShowSetting("timezone".into()));
    assert_eq!(one("show all"), Statement::ShowSetting("all".into()));
    assert!(matches!(
        one("show materialized views from public like 'a%'"),
        Statement::ShowObjects {
            object: ObjectKind::MaterializedView,
            schema: Some(_),
            like: Some(_)
        }
    ));
    assert!(matches!(one("show create table t"), Statement::ShowCreate(_)));
    assert!(matches!(one("show columns from t"), Statement::Describe(_)));
    assert!(matches!(one("describe t"), Statement::Describe(_)));
}

#[test]
fn the_rest_of_what_clients_send() {
    assert_eq!(
        one("vacuum analyze pgbench_branches"),
        Statement::Nothing("VACUUM".into())
    );
    assert_eq!(one("analyze"), Statement::Nothing("ANALYZE".into()));
    let lock = one("lock table a, b in access exclusive mode");
    assert!(matches!(lock, Statement::Lock(lock) if lock.names.len() == 2 && lock.excludes_writers && !lock.nowait));
    assert_eq!(
        one("grant select on table t to public"),
        Statement::Nothing("GRANT".into())
    );
    assert_eq!(one("LISTEN Chan"), Statement::Listen("chan".into()));
    assert_eq!(one("UNLISTEN *"), Statement::Unlisten(None));
    assert_eq!(
        one("notify c, 'x'"),
        Statement::Notify {
            channel: "c".into(),
            payload: "x".into()
        }
    );
    let Statement::Truncate(names) = one("truncate table a, b, c, d") else {
        panic!()
    };
    assert_eq!(names.len(), 4);
    assert!(matches!(
        one("alter table pgbench_branches add primary key (bid)"),
        Statement::AlterTable(_)
    ));
    assert!(matches!(one("alter view v rename to w"), Statement::AlterTable(_)));
    let Statement::Prepare { name, types, statement } = one("PREPARE p(int, numeric(10,2)) AS SELECT $1 + $2") else {
        panic!()
    };
    assert_eq!(
        (name.as_str(), types.len(), statement.text.as_str()),
        ("p", 2, "SELECT $1 + $2")
    );
    assert!(matches!(one("execute p(1, 'a')"), Statement::Execute { params, .. } if params.len() == 2));
    assert_eq!(one("deallocate all"), Statement::Deallocate(None));
    assert!(matches!(
        one("insert into t values (1, default) on conflict (a) do update set b = excluded.b returning *"),
        Statement::Insert(_)
    ));
    assert!(
        matches!(one("with x as (select 1) insert into t select * from x"), Statement::Insert(i) if i.source.as_ref().is_some_and(|s| s.with.is_some()))
    );
    assert!(matches!(
        one("update t set a = 1 from u where t.id = u.id returning a"),
        Statement::Update(_)
    ));
    assert!(matches!(
        one("delete from t using u where t.id = u.id"),
        Statement::Delete(_)
    ));
    let Statement::Explain { analyze, options, .. } = one("explain (analyze, format json, verbose off) select 1")
    else {
        panic!()
    };
    assert!(analyze);
    assert_eq!(options.get("verbose").map(String::as_str), Some("off"));
}

#[test]
fn strings_that_a_line_break_parts_are_one() {
    assert_eq!(one("select 'a'\n'b'"), one("select 'ab'"));
    assert_eq!(error("select 'a' 'b'"), "42601 syntax error at or near \"'b'\" @12");
}

#[test]
fn words_that_are_only_sometimes_special_stay_names() {
    for sql in [
        "select position, floor, trim, substring, overlay from t",
        "select convert, lambda, path, point, box from t",
        "select interval from t",
        "select interval '1 day', interval '1' day, interval(3) '1 day', x::interval from t",
        "select t at time zone 'utc' from changes",
        "select * from a before, b at",
        "select floor(1.5), trim(both ' ' from x), position('a' in b), substring(a from 1 for 2), cast(a as int)",
        "select \"substring\"('a', 1)",
        "select extract(epoch from ts), overlay(a placing b from 1)",
        "select array(select 1), array[1,2], (array[1,2])[1], exists (select 1)",
        "select a is not null, b notnull, not c from t",
        "select 'f'::\"char\", 'x'::pg_catalog.regclass, a operator(pg_catalog.~) '^x' collate pg_catalog.default",
    ] {
        one(sql);
    }
}

#[test]
fn is_distinct_from_binds_more_tightly_than_and_and_or() {
    for (distinct, operator) in [("IS DISTINCT FROM", "OR"), ("IS NOT DISTINCT FROM", "AND")] {
        let Statement::Query(query) = one(&format!("SELECT 1 WHERE a {distinct} b + 1 {operator} c {distinct} d"))
        else {
            panic!("a query")
        };
        let SetExpr::Select(select) = *query.body else {
            panic!("a select")
        };
        let Some(Expr::BinaryOp { left, op, right }) = select.selection else {
            panic!("two conditions")
        };
        assert_eq!(op.to_string(), operator);
        assert_eq!(left.to_string(), format!("a {distinct} b + 1"));
        assert_eq!(right.to_string(), format!("c {distinct} d"));
    }
}

#[test]
fn deep_statements_are_refused_and_long_ones_are_not() {
    let nested = format!("select {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert_eq!(error(&nested).get(..5), Some("54001"));
    let unary = format!("select {}1", "- ".repeat(100_000));
    assert_eq!(error(&unary).get(..5), Some("54001"));
    let nots = format!("select {} true", "not ".repeat(100_000));
    assert_eq!(error(&nots).get(..5), Some("54001"));
    let chain = format!("select 1{}", " + 1".repeat(100_000));
    assert_eq!(error(&chain).get(..5), Some("54001"));
    let arrays = format!("select 1::int{}", "[]".repeat(100_000));
    assert_eq!(error(&arrays).get(..5), Some("54001"));
    let unions = format!("select 1{}", " union select 1".repeat(50_000));
    assert_eq!(error(&unions).get(..5), Some("54001"));
    let rows = format!("insert into t values {}(1, 2 + 3)", "(1, 2 + 3), ".repeat(100_000));
    assert!(parse(&rows).is_ok());
    let ors = format!("select * from t where a = 1{}", " or a = 2".repeat(400));
    assert!(parse(&ors).is_ok());
}

#[test]
fn a_mistake_under_many_calls_is_found_at_once() {
    for open in [
        "f(",
        "cast(",
        "floor(",
        "trim(",
        "interval(",
        "coalesce(",
        "case when ",
        "tumble((select ",
        "(select * from ",
    ] {
        let sql = format!("select {} 1 1 1", open.repeat(100));
        assert!(parse(&sql).is_err(), "{open}");
    }
}

#[test]
fn places_in_a_statement_are_counted_from_the_start_of_the_string() {
    let sql = "select 1;\n  select 'é',\n nosuch";
    let parsed = parse(sql).expect("well formed");
    let second = &parsed[1];
    assert_eq!((second.line, second.column), (2, 3));
    assert_eq!(second.position_of(2, 10), 20);
    assert_eq!(second.position_of(3, 2), 26);
}
