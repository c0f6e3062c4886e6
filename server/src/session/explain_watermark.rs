//! EXPLAIN WATERMARK: why a materialized view shows nothing yet. Says of each source and table that it comes from how
//! far its watermark is and what holds it back, and of each window which is the next to close, and what that waits for.

use std::collections::BTreeSet;

use highwater_planner::catalog::{Catalog, Relation, RelationKind};
use highwater_planner::stream::{PlanWindow, WindowEnds, plan_windows};
use highwater_types::text::datetime::write_timestamptz;
use highwater_types::{RelationId, SqlError, Watermark};
use sqlparser::ast;

use super::Session;
use crate::coordinator::{Activity, PartitionStatus, SourceStatus, Status};

/// What the lines are made from.
struct Report<'a> {
    session: &'a Session,
    catalog: &'a Catalog,
    status: Status,
    lines: Vec<String>,
}

impl Session {
    /// The lines of EXPLAIN WATERMARK.
    ///
    /// # Errors
    /// `42P01` and `42809` for what is no materialized view.
    pub(super) fn explain_watermark(&self, name: &ast::ObjectName) -> Result<Vec<String>, SqlError> {
        let (_, plan) = self.plan_existing_view(name)?;
        let world = self.world();
        let mut report = Report {
            session: self,
            catalog: &world.catalog,
            status: self.database.status().snapshot(),
            lines: Vec::new(),
        };
        for id in origins(&world.catalog, &plan.stream.inputs) {
            if let Some(relation) = world.catalog.relation(id) {
                report.origin(relation);
            }
        }
        let windows = plan_windows(&plan.stream);
        windows.iter().for_each(|window| report.window(window));
        Ok(report.lines)
    }
}

impl Report<'_> {
    /// A source or table: its watermark, its late rows, and its partitions.
    fn origin(&mut self, relation: &Relation) {
        let what = match relation.kind {
            RelationKind::Source(_) => "Source",
            _ => "Table",
        };
        let name = relation.display_name();
        if relation.watermark.is_none() {
            self.lines.push(format!("{what} {name}: declares no watermark"));
            return;
        }
        let Some(known) = self.status.sources.get(&relation.id).cloned() else {
            self.lines.push(format!("{what} {name}: not read yet"));
            return;
        };
        let watermark = self.reached(known.summary.watermark);
        let late = match known.summary.late_row_count {
            0 => "no row late".to_string(),
            1 => "1 row late".to_string(),
            count => format!("{count} rows late"),
        };
        self.lines.push(format!("{what} {name}: {watermark}, {late}"));
        if let Some(error) = &known.summary.error {
            self.lines.push(format!("  does not work: {error}"));
        }
        let holder = holder(&known);
        for (partition, state) in &known.partitions {
            let holds = match holder == Some(state.watermark) && state.activity == Activity::Active {
                true => ", holds the watermark of all",
                false => "",
            };
            let reached = self.reached(state.watermark);
            let activity = match state.activity {
                Activity::Active => "active",
                Activity::Idle => "idle, and not waited for",
                Activity::Ended => "at its end, and not waited for",
            };
            self.lines
                .push(format!("  Partition {partition}: {reached}, {activity}{holds}"));
        }
    }

    /// A window of the view: when the next one closes.
    fn window(&mut self, window: &PlanWindow) {
        let text = &window.text;
        if window.sources.is_empty() {
            let line = format!("Window {text}: never closes, for no watermark bounds its time");
            return self.lines.push(line);
        }
        let watermarks = window.sources.iter().map(|id| {
            let known = self.status.sources.get(id);
            (known.map_or(Watermark::NONE, |known| known.summary.watermark), *id)
        });
        let Some((watermark, slowest)) = watermarks.min() else {
            return;
        };
        let slowest = match self.catalog.relation(slowest) {
            Some(relation) => relation.display_name(),
            None => format!("relation {slowest}"),
        };
        let line = match (watermark, window.ends) {
            (Watermark::NONE, _) => format!("Window {text}: none closes before {slowest} has a watermark"),
            (Watermark::END, _) => format!("Window {text}: all are closed"),
            (_, WindowEnds::AfterRows(_)) => {
                format!("Window {text}: a session closes when the watermark of {slowest} reaches its end")
            }
            (watermark, ends) => match ends.next(watermark.0) {
                Some(end) => format!(
                    "Window {text}: the next to close ends at {}; waits for the watermark of {slowest}",
                    self.moment(end)
                ),
                None => format!("Window {text}: none is left to close"),
            },
        };
        self.lines.push(line);
    }

    fn reached(&self, watermark: Watermark) -> String {
        match watermark {
            Watermark::NONE => "no watermark yet".to_string(),
            Watermark::END => "watermark at the end: no row can come".to_string(),
            Watermark(us) => format!("watermark {}", self.moment(us)),
        }
    }

    fn moment(&self, us: i64) -> String {
        let mut text = Vec::new();
        write_timestamptz(us, self.session.settings.text_settings().time_zone, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// The watermark of the partitions that hold the source's: the smallest of those that are waited for.
fn holder(source: &SourceStatus) -> Option<Watermark> {
    let waited_for = |state: &&PartitionStatus| state.activity == Activity::Active;
    source
        .partitions
        .values()
        .filter(waited_for)
        .map(|state| state.watermark)
        .min()
}

/// The sources and tables that relations come from, through views.
fn origins(catalog: &Catalog, relations: &[RelationId]) -> BTreeSet<RelationId> {
    let mut open = relations.to_vec();
    let (mut seen, mut origins) = (BTreeSet::new(), BTreeSet::new());
    while let Some(id) = open.pop() {
        let Some(relation) = catalog.relation(id).filter(|_| seen.insert(id)) else {
            continue;
        };
        match relation.kind {
            RelationKind::Table { .. } | RelationKind::Source(_) => {
                origins.insert(id);
            }
            _ => open.extend(&relation.depends_on),
        }
    }
    origins
}
