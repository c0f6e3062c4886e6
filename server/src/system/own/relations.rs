//! `highwater.sources`, `sinks` and `views`.

use highwater_planner::catalog::{ConnectorConfig, EmitMode, RelationKind};

use super::{Own, display_name, own};
use crate::system::rows::{List, Moment, Rows};
use crate::system::view::SystemView;

pub(super) const OWN: &[Own] = &[
    own(
        "sources",
        "id oid, schema name, name name, connector text, format text, encode text, options jsonb, state text, \
         rows int8, late_rows int8, dead_letters int8, watermark timestamptz, error text",
        sources,
    ),
    own(
        "sinks",
        "id oid, schema name, name name, connector text, format text, encode text, options jsonb, state text, \
         error text",
        |_, _| {},
    ),
    own(
        "views",
        "id oid, schema name, name name, state text, error text, key _text, append_only bool, emit text, \
         rows int8, bytes int8, depends_on _text",
        views,
    ),
];

fn sources(view: &SystemView, rows: &mut Rows<'_>) {
    for relation in view.catalog.relations() {
        let config: &ConnectorConfig = match &relation.kind {
            RelationKind::Source(config) => config,
            RelationKind::Table { .. }
            | RelationKind::View { .. }
            | RelationKind::MaterializedView { .. }
            | RelationKind::Index { .. } => continue,
        };
        let info = view.live().sources.get(&relation.id).cloned().unwrap_or_default();
        let text = |text: &str| (!text.is_empty()).then(|| text.to_string());
        rows.add()
            .set("id", relation.id)
            .set("schema", &relation.schema)
            .set("name", &relation.name)
            .set("connector", &config.connector)
            .set("format", text(&config.format))
            .set("encode", text(&config.encode))
            .set("options", serde_json::json!(config.options).to_string())
            .set("state", text(&info.state))
            .set("rows", info.row_count)
            .set("late_rows", info.late_row_count)
            .set("dead_letters", info.dead_letter_count)
            .set("watermark", info.watermark_us.map(Moment))
            .set("error", &info.error);
    }
}

fn views(view: &SystemView, rows: &mut Rows<'_>) {
    for relation in view.catalog.relations() {
        let RelationKind::MaterializedView { emit, .. } = &relation.kind else {
            continue;
        };
        let info = view.live().views.get(&relation.id).cloned().unwrap_or_default();
        let size = view.live().sizes.get(&relation.id);
        let column = |i: &usize| relation.columns.get(*i).map(|c| c.name.clone());
        let key = relation
            .key
            .as_ref()
            .map(|key| List(key.iter().filter_map(column).collect()));
        let inputs = relation.depends_on.iter().map(|id| display_name(view, *id)).collect();
        rows.add()
            .set("id", relation.id)
            .set("schema", &relation.schema)
            .set("name", &relation.name)
            .set("state", (!info.state.is_empty()).then(|| info.state.clone()))
            .set("error", &info.error)
            .set("key", key)
            .set("append_only", relation.append_only)
            .set(
                "emit",
                match emit {
                    EmitMode::Changes => "changes",
                    EmitMode::OnWindowClose => "on window close",
                },
            )
            .set("rows", size.map(|s| s.row_count))
            .set("bytes", size.map(|s| s.bytes))
            .set("depends_on", List(inputs));
    }
}
