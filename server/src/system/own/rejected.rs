//! `highwater.late_rows` and `dead_letters`: what did not become part of any answer, newest first.

use super::{Own, display_name, own};
use crate::system::rows::{Moment, Rows};
use crate::system::view::SystemView;

pub(super) const OWN: &[Own] = &[
    own(
        "late_rows",
        "source text, row jsonb, event_time timestamptz, watermark timestamptz",
        late_rows,
    ),
    own(
        "dead_letters",
        "source text, partition text, offset int8, error text, payload text",
        dead_letters,
    ),
];

fn late_rows(view: &SystemView, rows: &mut Rows<'_>) {
    for late in &view.live().late_rows {
        rows.add()
            .set("source", display_name(view, late.source))
            .set("row", &late.row)
            .set("event_time", late.time_us.map(Moment))
            .set("watermark", late.watermark_us.map(Moment));
    }
}

fn dead_letters(view: &SystemView, rows: &mut Rows<'_>) {
    for letter in &view.live().dead_letters {
        rows.add()
            .set("source", display_name(view, letter.source))
            .set("partition", &letter.partition)
            .set("offset", letter.offset)
            .set("error", &letter.error)
            .set("payload", &letter.payload);
    }
}
