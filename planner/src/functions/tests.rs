//! Every line of `cases/*.txt`, whose answers are PostgreSQL's own, bound and run here.

use std::sync::Arc;

use datafusion::physical_plan::collect;
use highwater_types::text::{TextSettings, TextWriter, datetime::zone::named_zone};
use highwater_types::{SqlError, SqlType};

use crate::catalog::Catalog;
use crate::{NoSystemRelations, PlanContext, PlanError, PlanSettings, SessionFunctions, plan_query, session_state};

fn context(time_zone: &str) -> PlanContext {
    PlanContext {
        catalog: Arc::new(Catalog::new()),
        system: Arc::new(NoSystemRelations),
        settings: PlanSettings {
            search_path: vec!["public".to_string()],
            time_zone: time_zone.to_string(),
            user: "test".to_string(),
            database: "test".to_string(),
        },
        functions: Arc::new(SessionFunctions::default()),
        reads: None,
    }
}

fn answer(sql: &str, time_zone: &str) -> Result<String, SqlError> {
    let query = highwater_parser::parse_query(sql)?;
    let plan = plan_query(&context(time_zone), &query, &[])?;
    let state = session_state(time_zone);
    let now = crate::with_now(&plan.plan, 1_700_000_000_000_000)?;
    let batches = futures::executor::block_on(async {
        let physical = state.query_planner().create_physical_plan(&now, &state).await?;
        collect(physical, state.task_ctx()).await
    })
    .map_err(|error| SqlError::from(PlanError::from(error)))?;
    let settings = TextSettings {
        time_zone: named_zone(time_zone).expect("a zone"),
        ..TextSettings::default()
    };
    let batch = batches.iter().find(|b| b.num_rows() > 0).expect("one row");
    let column = batch.column(0);
    if column.is_null(0) {
        return Ok("<null>".to_string());
    }
    assert_eq!(
        SqlType::of_field(batch.schema().field(0)).to_arrow() == *column.data_type(),
        plan.columns[0].sql_type.to_arrow() == *column.data_type(),
        "{sql}: {} as {}",
        plan.columns[0].sql_type,
        column.data_type()
    );
    let field = match plan.columns[0].sql_type.to_arrow() == *column.data_type() {
        true => plan.columns[0].sql_type.to_field("c"),
        false => Arc::new(batch.schema().field(0).clone()),
    };
    let mut text = Vec::new();
    TextWriter::try_new(&field, column.as_ref(), &settings)?.write(0, &mut text);
    Ok(String::from_utf8(text).expect("text is UTF-8").replace('\n', "\\n"))
}

fn check(cases: &str) {
    let mut time_zone = "UTC".to_string();
    let mut differences = Vec::new();
    let mut count = 0;
    for line in cases.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        if let Some(zone) = line.strip_prefix("set timezone = ") {
            time_zone = zone.to_string();
            continue;
        }
        let (expression, expected) = line.rsplit_once(" => ").expect("expression => answer");
        let found = answer(&format!("SELECT {expression}"), &time_zone)
            .unwrap_or_else(|error| format!("!{} {}", error.state, error.message));
        count += 1;
        if found != expected {
            differences.push(format!("{expression}\n  wants {expected}\n  found {found}"));
        }
    }
    let differ = differences.len();
    assert!(differ == 0, "{differ} of {count} differ:\n{}", differences.join("\n"));
}

macro_rules! cases {
    ($($name:ident: $file:literal;)*) => {$(
        #[test]
        fn $name() {
            check(include_str!(concat!("cases/", $file, ".txt")));
        }
    )*};
}

cases! {
    operators_answer_as_in_postgresql: "operators";
    casts_answer_as_in_postgresql: "casts";
    aggregates_answer_as_in_postgresql: "aggregates";
    json_answers_as_in_postgresql: "json";
    dates_answer_as_in_postgresql: "dates";
    numbers_answer_as_in_postgresql: "math";
    texts_answer_as_in_postgresql: "strings";
    arrays_answer_as_in_postgresql: "arrays";
    formats_answer_as_in_postgresql: "formats";
}
