//! What else clients send.

use super::*;

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
        let fetch = Statement::Fetch {
            r#move,
            count: expected,
            cursor: "c".to_string(),
            timeout: None,
        };
        assert_eq!(one(sql), fetch, "{sql}");
    }
    let Statement::Fetch { timeout, .. } = one("fetch 10 from c with (timeout = '2s')") else {
        panic!()
    };
    assert_eq!(timeout.as_deref(), Some("2s"));
    assert_eq!(error("fetch c with (wait = 1)").get(..5), Some("42601"));
    assert_eq!(one("close all"), Statement::CloseCursor(None));
}

#[test]
fn subscribe_in_all_its_forms() {
    let subscribe = |sql: &str| match one(sql) {
        Statement::Subscribe(subscribe) => subscribe,
        other => panic!("{other:?}"),
    };
    let plain = subscribe("subscribe to s.m");
    assert_eq!(plain.relation.to_string(), "s.m");
    assert_eq!(
        (plain.snapshot, plain.progress, plain.as_of, plain.up_to),
        (true, false, None, None)
    );
    let full = subscribe("SUBSCRIBE m WITH (SNAPSHOT = false, progress) AS OF 7 UP TO 9");
    assert_eq!(
        (full.snapshot, full.progress, full.as_of, full.up_to),
        (false, true, Some(7), Some(9))
    );
    let Statement::Copy(copy) = one("copy (subscribe m as of 7) to stdout") else {
        panic!()
    };
    assert!(matches!(copy.what, CopyWhat::Subscribe(subscribe) if subscribe.as_of == Some(7)));
    let Statement::DeclareCursor { query, .. } = one("declare c cursor for subscribe m") else {
        panic!()
    };
    assert!(matches!(query.statement, Statement::Subscribe(_)));
    assert_eq!(error("subscribe m with (all)").get(..5), Some("42601"));
    assert_eq!(error("subscribe (select 1)").get(..5), Some("0A000"));
    assert_eq!(error("subscribe m as of -1").get(..5), Some("42601"));
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
    let Statement::AlterObject(alter) = one("alter view if exists v rename to w") else {
        panic!()
    };
    assert_eq!(
        (alter.object, alter.if_exists, alter.action),
        (
            ObjectKind::View,
            true,
            highwater_parser::AlterAction::RenameTo("w".into())
        )
    );
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
