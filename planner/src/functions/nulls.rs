//! Functions that belong to no type: uuids, and counting NULLs.

use highwater_types::SqlType;

use super::function::{Call, Function, Takes};
use super::rows::{map_rows, map0};

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    vec![
        Function::new(
            "gen_random_uuid",
            &[],
            || SqlType::Uuid,
            |c| map0(c, || Ok(Some(uuid::Uuid::new_v4().into_bytes()))),
        )
        .volatile(),
        Function::new(
            "pg_typeof",
            &[Takes::Text, Takes::Any],
            || SqlType::Text,
            |c| c.args[0].to_column(c.rows),
        )
        .with_nulls(),
        Function::new(
            "timeofday",
            &[],
            || SqlType::Text,
            |c| {
                let zone = c.settings.time_zone;
                map0(c, || {
                    let now = chrono::Utc::now().with_timezone(&zone);
                    Ok(Some(now.format("%a %b %d %H:%M:%S%.6f %Y %Z").to_string()))
                })
            },
        )
        .volatile(),
        Function::new("num_nulls", &[Takes::Any], || SqlType::Int4, |c| count_nulls(c, true))
            .and_more(Takes::Any)
            .with_nulls(),
        Function::new(
            "num_nonnulls",
            &[Takes::Any],
            || SqlType::Int4,
            |c| count_nulls(c, false),
        )
        .and_more(Takes::Any)
        .with_nulls(),
    ]
}

fn count_nulls(call: &Call, nulls: bool) -> Result<arrow::array::ArrayRef, highwater_types::SqlError> {
    map_rows(call, |row| {
        let is_null = |a: &&super::function::Arg| a.is_null(row) == nulls;
        Ok(Some(call.args.iter().filter(is_null).count() as i32))
    })
}
