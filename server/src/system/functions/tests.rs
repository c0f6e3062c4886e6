//! Functions over the catalog of the relations' tests, with the answers of a real PostgreSQL 15.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::prelude::{Expr, SessionContext};
use highwater_types::text::{TextSettings, TextWriter};

use super::*;

/// Calls a function with texts (`None` is NULL) and answers its text.
fn call(name: &str, args: &[Option<&str>]) -> Result<Option<String>, String> {
    let functions = session_functions(&Arc::new(CurrentView::new(Arc::new(crate::system::tests::view()))));
    let function = functions
        .scalar
        .get(name)
        .unwrap_or_else(|| panic!("there is no {name}"));
    let args = args
        .iter()
        .map(|a| Expr::Literal(ScalarValue::Utf8(a.map(str::to_string)), None))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("starts");
    let batches = runtime.block_on(async {
        let frame = SessionContext::new().read_empty()?.select(vec![function.call(args)])?;
        frame.collect().await
    });
    let batches = batches.map_err(|error| match error.find_root() {
        DataFusionError::External(inner) => inner.to_string(),
        other => other.to_string(),
    })?;
    let column = batches[0].column(0);
    if column.data_type() == &DataType::Null || column.is_null(0) {
        return Ok(None);
    }
    let schema = batches[0].schema();
    let settings = TextSettings::default();
    let writer = TextWriter::try_new(schema.field(0), column, &settings).map_err(|e| e.to_string())?;
    let mut text = Vec::new();
    writer.write(0, &mut text);
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

fn answer(name: &str, args: &[&str]) -> String {
    let args: Vec<_> = args.iter().map(|a| Some(*a)).collect();
    call(name, &args)
        .unwrap_or_else(|e| panic!("{name}: {e}"))
        .unwrap_or_else(|| "NULL".to_string())
}

#[test]
fn types_are_named_as_in_ddl() {
    for (args, expected) in [
        (["20", "-1"], "bigint"),
        (["1043", "24"], "character varying(20)"),
        (["1042", "-1"], "bpchar"),
        (["1042", "8"], "character(4)"),
        (["1700", "655366"], "numeric(10,2)"),
        (["1009", "-1"], "text[]"),
        (["1015", "14"], "character varying(10)[]"),
        (["18", "-1"], "\"char\""),
        (["1184", "-1"], "timestamp with time zone"),
        (["0", "-1"], "-"),
        (["99999", "-1"], "???"),
    ] {
        assert_eq!(answer("format_type", &args), expected);
    }
    assert_eq!(
        call("format_type", &[Some("1042"), None]),
        Ok(Some("character".to_string()))
    );
    assert_eq!(call("format_type", &[None, None]), Ok(None));
}

#[test]
fn names_become_oids_and_oids_names() {
    assert_eq!(answer("regclassin", &["users"]), "16384");
    assert_eq!(answer("regclassin", &["public.users"]), "16384");
    assert_eq!(answer("regclassin", &["s.\"Odd\""]), "16390");
    assert_eq!(answer("regclassin", &["pg_class"]), "1259");
    assert_eq!(
        call("regclassin", &[Some("nothing")]),
        Err("relation \"nothing\" does not exist".to_string())
    );
    assert_eq!(answer("to_regclass", &["nothing"]), "NULL");
    assert_eq!(answer("regclassout", &["16384"]), "users");
    assert_eq!(answer("regclassout", &["16390"]), "s.\"Odd\"");
    assert_eq!(answer("regclassout", &["1259"]), "pg_class");
    assert_eq!(answer("regclassout", &["77777"]), "77777");
    assert_eq!(answer("regtypeout", &["1043"]), "character varying");
    for (name, oid) in [
        ("integer", "23"),
        ("int4[]", "1007"),
        ("varchar(10)", "1043"),
        ("timestamp with time zone", "1184"),
        ("\"char\"", "18"),
        ("pg_catalog.oid", "26"),
        ("_text", "1009"),
        ("no_type", "NULL"),
    ] {
        assert_eq!(answer("to_regtype", &[name]), oid, "{name}");
    }
    assert_eq!(answer("regprocout", &["1242"]), "boolin");
    assert_eq!(answer("regnamespaceout", &["11"]), "pg_catalog");
    assert_eq!(answer("pg_get_userbyid", &["10"]), "highwater");
    assert_eq!(answer("pg_get_userbyid", &["99"]), "unknown (OID=99)");
}

#[test]
fn definitions_are_sql() {
    assert_eq!(
        answer("pg_get_indexdef", &["16385"]),
        "CREATE UNIQUE INDEX users_pkey ON public.users USING btree (id)"
    );
    assert_eq!(
        answer("pg_get_indexdef", &["16385", "0", "t"]),
        "CREATE UNIQUE INDEX users_pkey ON users USING btree (id)"
    );
    assert_eq!(answer("pg_get_indexdef", &["16385", "1", "t"]), "id");
    assert_eq!(answer("pg_get_constraintdef", &["16385", "t"]), "PRIMARY KEY (id)");
    assert_eq!(
        answer("pg_get_viewdef", &["16387"]),
        " SELECT plan, count(*) AS n FROM users GROUP BY plan;"
    );
    assert_eq!(answer("obj_description", &["16384", "pg_class"]), "people");
    assert_eq!(answer("col_description", &["16384", "2"]), "what they pay");
    assert_eq!(
        answer("obj_description", &["2200", "pg_namespace"]),
        "standard public schema"
    );
    assert_eq!(answer("pg_get_function_result", &["1242"]), "boolean");
    assert_eq!(answer("pg_get_function_arguments", &["1242"]), "cstring");
}

#[test]
fn a_session_knows_itself() {
    assert_eq!(answer("current_user", &[]), "highwater");
    assert_eq!(answer("current_schema", &[]), "public");
    assert_eq!(answer("current_schemas", &["t"]), "{pg_catalog,public}");
    assert_eq!(answer("current_schemas", &["f"]), "{public}");
    assert_eq!(answer("current_setting", &["timezone"]), "UTC");
    assert_eq!(answer("current_setting", &["no.such", "t"]), "NULL");
    assert_eq!(
        call("current_setting", &[Some("nosuch")]),
        Err("unrecognized configuration parameter \"nosuch\"".to_string())
    );
    assert_eq!(answer("pg_encoding_to_char", &["6"]), "UTF8");
    assert_eq!(answer("pg_table_is_visible", &["16384"]), "t");
    assert_eq!(answer("pg_table_is_visible", &["16390"]), "f");
    assert_eq!(answer("pg_table_is_visible", &["77777"]), "NULL");
    assert_eq!(answer("has_table_privilege", &["users", "SELECT"]), "t");
    assert_eq!(
        call("has_table_privilege", &[Some("nothing"), Some("SELECT")]),
        Err("relation \"nothing\" does not exist".to_string())
    );
    assert_eq!(answer("pg_table_size", &["16384"]), "0");
}

#[test]
fn a_wrong_number_of_arguments_is_refused_when_planned() {
    assert!(call("format_type", &[Some("1")]).is_err());
}
