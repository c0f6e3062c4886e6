//! What the moment of the call decides, or the value's type alone: random uuids, the wall clock's time, the name of a type.

use highwater_types::SqlType;

use super::function::{Function, Takes};
use super::rows::map0;

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
    ]
}
