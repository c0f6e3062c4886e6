//! How text is cut into statements, and what is said of text that is none.

use super::*;

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
    assert_eq!(error("copy t from '/etc/passwd'").get(..5), Some("0A000"));
    assert_eq!(error("create index i on t (lower(a))").get(..5), Some("0A000"));
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
