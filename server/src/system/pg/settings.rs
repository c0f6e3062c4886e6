//! `pg_settings`, `pg_timezone_names` and `pg_file_settings`' neighbours: what SHOW tells, as rows.

use super::PG_CATALOG;
use crate::system::Table;
use crate::system::rows::{List, Rows};
use crate::system::view::SystemView;

pub(super) const TABLES: &[Table] = &[
    Table::of_view(PG_CATALOG, "pg_settings", settings),
    Table::of_view(PG_CATALOG, "pg_timezone_names", zones),
];

fn settings(view: &SystemView, rows: &mut Rows<'_>) {
    for setting in view.settings.iter() {
        let words = setting.enum_values.clone().map(List);
        rows.add()
            .set("name", &setting.name)
            .set("setting", &setting.value)
            .set("unit", &setting.unit)
            .set("category", "Client Connection Defaults")
            .set("short_desc", &setting.description)
            .set("context", &setting.context)
            .set("vartype", &setting.vartype)
            .set("source", &setting.source)
            .set("enumvals", words)
            .set("boot_val", &setting.boot_value)
            .set("reset_val", &setting.reset_value)
            .set("pending_restart", false);
    }
}

fn zones(view: &SystemView, rows: &mut Rows<'_>) {
    use chrono::{Offset, TimeZone};
    let now = chrono::DateTime::from_timestamp_micros(view.now_us)
        .unwrap_or_default()
        .naive_utc();
    for zone in chrono_tz::TZ_VARIANTS {
        let offset = zone.offset_from_utc_datetime(&now);
        let seconds = offset.fix().local_minus_utc();
        let standard = chrono_tz::OffsetComponents::dst_offset(&offset).num_seconds() == 0;
        rows.add()
            .set("name", zone.name())
            .set("abbrev", offset.to_string())
            .set("utc_offset", format!("{seconds} seconds"))
            .set("is_dst", !standard);
    }
}
