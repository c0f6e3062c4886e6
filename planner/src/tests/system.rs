//! What psql asks of the catalog, for `\d` and its family and for tab completion, plans against PostgreSQL's own
//! catalog columns. `catalog_queries.sql` was recorded from psql 15 against PostgreSQL 15.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::catalog::{MemTable, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Signature, SimpleScalarUDF, TypeSignature, Volatility};
use highwater_parser::Statement;
use highwater_types::SqlType;

use crate::bind::type_by_name;
use crate::catalog::Catalog;
use crate::{PlanContext, PlanSettings, SessionFunctions, SystemRelations, plan_query};

/// The columns of PostgreSQL's catalog.
#[derive(Debug)]
struct RecordedCatalog(HashMap<String, SchemaRef>);

impl RecordedCatalog {
    fn new() -> RecordedCatalog {
        let relation = |line: &str| {
            let (name, columns) = line.split_once('|').expect("a name and columns");
            let fields: Vec<_> = columns
                .split(',')
                .map(|column| {
                    let (name, sql_type) = column.split_once(' ').expect("a name and a type");
                    column_type(sql_type).to_field(name)
                })
                .collect();
            (name.to_string(), Arc::new(Schema::new(fields)))
        };
        RecordedCatalog(include_str!("scripts/pg_catalog.txt").lines().map(relation).collect())
    }
}

fn column_type(name: &str) -> SqlType {
    match name.strip_prefix('_') {
        Some(element) => SqlType::Array(Box::new(column_type(element))),
        None if name == "char" => SqlType::Char,
        None => type_by_name(name).unwrap_or(SqlType::Text),
    }
}

impl SystemRelations for RecordedCatalog {
    fn schema_of(&self, schema: &str, name: &str) -> Option<SchemaRef> {
        self.0.get(&format!("{schema}.{name}")).cloned()
    }
}

/// The functions of the catalog, which the server has; here they only have types.
fn functions() -> SessionFunctions {
    let text = "pg_get_userbyid obj_description format_type pg_get_expr pg_get_indexdef pg_get_constraintdef \
        col_description shobj_description pg_get_viewdef pg_get_ruledef pg_encoding_to_char pg_get_functiondef \
        pg_get_function_result pg_get_function_arguments pg_get_function_sqlbody pg_get_triggerdef regclassout \
        regtypeout regprocout regroleout regnamespaceout pg_get_statisticsobjdef_columns pg_get_partkeydef \
        pg_tablespace_location pg_get_partition_constraintdef pg_size_pretty array_to_string quote_ident \
        pg_describe_object pg_options_to_table current_setting substring getdatabaseencoding format quote_literal";
    let boolean = "pg_table_is_visible pg_function_is_visible pg_type_is_visible pg_operator_is_visible \
        pg_collation_is_visible pg_conversion_is_visible pg_opclass_is_visible pg_opfamily_is_visible \
        pg_ts_config_is_visible pg_ts_dict_is_visible pg_ts_parser_is_visible pg_ts_template_is_visible \
        pg_relation_is_publishable pg_statistics_obj_is_visible has_database_privilege pg_is_other_temp_schema";
    let bigint = "pg_table_size pg_total_relation_size pg_relation_size pg_database_size pg_tablespace_size";
    let oid = "pg_char_to_encoding regclassin regtypein regprocin regrolein regnamespacein";
    let mut scalar = HashMap::new();
    let mut add = |names: &str, data_type: DataType| {
        for name in names.split_whitespace() {
            scalar.insert(name.to_string(), Arc::new(stub(name, data_type.clone())));
        }
    };
    add(text, DataType::Utf8);
    add(boolean, DataType::Boolean);
    add(bigint, DataType::Int64);
    add(oid, DataType::UInt32);
    add("current_schemas", SqlType::Array(Box::new(SqlType::Name)).to_arrow());
    add(
        "pg_partition_ancestors",
        SqlType::Array(Box::new(SqlType::Regclass)).to_arrow(),
    );
    SessionFunctions {
        scalar,
        table: HashMap::from([(
            "pg_timezone_names".to_string(),
            Arc::new(TimeZoneNames) as Arc<dyn TableFunctionImpl>,
        )]),
    }
}

/// A function that is a table.
#[derive(Debug)]
struct TimeZoneNames;

impl TableFunctionImpl for TimeZoneNames {
    fn call_with_args(&self, _args: TableFunctionArgs<'_, '_>) -> datafusion::common::Result<Arc<dyn TableProvider>> {
        let schema = Schema::new(vec![SqlType::Text.to_field("name"), SqlType::Text.to_field("abbrev")]);
        Ok(Arc::new(MemTable::try_new(Arc::new(schema), vec![vec![]])?))
    }
}

fn stub(name: &str, data_type: DataType) -> ScalarUDF {
    let signature = Signature::one_of(
        vec![TypeSignature::VariadicAny, TypeSignature::Nullary],
        Volatility::Volatile,
    );
    let fun = Arc::new(|args: &[ColumnarValue]| Ok(args[0].clone()));
    ScalarUDF::new_from_impl(SimpleScalarUDF::new_with_signature(name, signature, data_type, fun))
}

#[test]
fn what_psql_asks_of_the_catalog_plans() {
    let ctx = PlanContext {
        catalog: Arc::new(Catalog::new()),
        system: Arc::new(RecordedCatalog::new()),
        settings: PlanSettings {
            database: "golden".to_string(),
            ..PlanSettings::default()
        },
        functions: Arc::new(functions()),
        reads: None,
    };
    let mut refused = Vec::new();
    for text in include_str!("scripts/catalog_queries.sql").trim().split("\n\n") {
        let outcome = match highwater_parser::parse(text) {
            Err(error) => Err(format!("{error} at {:?}", error.position())),
            Ok(parsed) => parsed.iter().try_for_each(|statement| match &statement.statement {
                Statement::Query(query) => match plan_query(&ctx, query, &[]) {
                    Ok(_) => Ok(()),
                    Err(error) => {
                        let error = error.to_sql_error(text);
                        let at = error.position.unwrap_or(1) - 1;
                        let near: String = text.chars().skip(at).take(60).collect();
                        Err(format!("{} {}  near: {near}", error.state, error.message))
                    }
                },
                other => Err(format!("{other:?} is no query")),
            }),
        };
        if let Err(message) = outcome {
            refused.push(format!("{message}\n{text}\n"));
        }
    }
    assert!(
        refused.is_empty(),
        "{} queries are refused\n\n{}",
        refused.len(),
        refused.join("\n")
    );
}
