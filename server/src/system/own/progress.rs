//! `highwater.source_lag`, `watermarks`, `state`, `checkpoints`, `epochs` and `sessions`.

use super::{Own, display_name, own};
use crate::system::rows::{Moment, Rows};
use crate::system::view::SystemView;

pub(super) const OWN: &[Own] = &[
    own(
        "source_lag",
        "source text, partition text, committed int8, position int8, end int8, lag int8, lag_ms int8",
        source_lag,
    ),
    own(
        "watermarks",
        "source text, watermark timestamptz, lag_ms int8",
        watermarks,
    ),
    own("state", "view text, operator text, rows int8, bytes int8", state),
    own(
        "checkpoints",
        "epoch int8, finished_at timestamptz, bytes int8, files int8",
        |_, _| {},
    ),
    own(
        "epochs",
        "closed int8, cut int8, in_flight bool, closed_count int8, closed_at timestamptz",
        epochs,
    ),
    own(
        "sessions",
        "pid int4, user_name name, database name, application_name text, client text, state text, query text, \
         connected_at timestamptz, query_started_at timestamptz",
        sessions,
    ),
];

fn source_lag(view: &SystemView, rows: &mut Rows<'_>) {
    for (id, source) in &view.live().sources {
        for partition in &source.partitions {
            let lag = partition
                .end
                .zip(partition.position)
                .map(|(end, position)| end.saturating_sub(position));
            rows.add()
                .set("source", display_name(view, *id))
                .set("partition", &partition.partition)
                .set("committed", partition.committed)
                .set("position", partition.position)
                .set("end", partition.end)
                .set("lag", lag)
                .set("lag_ms", partition.lag_ms);
        }
    }
}

fn watermarks(view: &SystemView, rows: &mut Rows<'_>) {
    for (id, source) in &view.live().sources {
        let declared = view.catalog.relation(*id).is_some_and(|r| r.watermark.is_some());
        if declared {
            // Nothing is behind once all has come.
            let moment = source.watermark_us.filter(|us| *us != i64::MAX);
            let lag_ms = moment.map(|us| view.now_us.saturating_sub(us) / 1000);
            rows.add()
                .set("source", display_name(view, *id))
                .set("watermark", source.watermark_us.map(Moment))
                .set("lag_ms", lag_ms);
        }
    }
}

fn state(view: &SystemView, rows: &mut Rows<'_>) {
    for state in &view.live().state {
        rows.add()
            .set("view", display_name(view, state.view))
            .set("operator", &state.operator)
            .set("rows", state.row_count)
            .set("bytes", state.bytes);
    }
}

fn epochs(view: &SystemView, rows: &mut Rows<'_>) {
    let epochs = view.live().epochs;
    // An epoch is a time in microseconds; before the first one it is zero.
    let closed_at = i64::try_from(epochs.closed).ok().filter(|us| *us > 0).map(Moment);
    rows.add()
        .set("closed", epochs.closed)
        .set("cut", epochs.cut)
        .set("in_flight", epochs.cut != epochs.closed)
        .set("closed_count", epochs.closed_count)
        .set("closed_at", closed_at);
}

fn sessions(view: &SystemView, rows: &mut Rows<'_>) {
    for session in &view.live().sessions {
        let client = session.client_addr.as_ref().map(|addr| match session.client_port {
            Some(port) => format!("{addr}:{port}"),
            None => addr.clone(),
        });
        rows.add()
            .set("pid", session.pid)
            .set("user_name", &session.user)
            .set("database", &session.database)
            .set("application_name", &session.application_name)
            .set("client", client)
            .set("state", &session.state)
            .set("query", &session.query)
            .set("connected_at", Moment(session.started_us))
            .set("query_started_at", session.query_us.map(Moment));
    }
}
