//! TUMBLE, HOP and CUMULATE: a stateless step. Also what these share with SESSION: the names of a window's bounds.

use std::sync::Arc;

use super::fused::{Computed, fuse};
use super::{Built, Translator, schema_of};
use crate::error::Result;
use crate::stream::plan::{Step, WindowKind};
use crate::window::{WINDOW_END, WINDOW_START, WindowNode};
use arrow::datatypes::FieldRef;
use datafusion::logical_expr::LogicalPlan;

impl Translator<'_> {
    pub(super) fn window_assignment(&mut self, window: &WindowNode) -> Result<Built> {
        let built = self.window_input(&window.input)?;
        let width = built.width();
        let assign = window.assign.clone();
        let mut facts = built.facts.clone();
        let family = self.fresh_family();
        let end = facts.bounds[assign.time_column]
            .as_ref()
            .map(|time| time.window_end(assign.slide_us, assign.offset_us, family));
        if end.is_none() {
            self.note_unbounded(&built);
        }
        let mut start = end.as_ref().map(|end| end.earlier(assign.size_us));
        if let (WindowKind::Cumulate, Some(start)) = (assign.kind, &mut start) {
            // Windows with one start have many ends, up to the last.
            start.family = None;
            start.grid_us = assign.size_us;
            start.grid_offset_us = assign.offset_us.rem_euclid(assign.size_us);
        }
        facts.bounds.extend([start, end]);
        // Which of a row's windows a copy stands for.
        let place = match assign.kind {
            WindowKind::Tumble => None,
            WindowKind::Hop => Some(width),
            WindowKind::Cumulate => Some(width + 1),
        };
        if let Some(key) = &mut facts.key {
            key.extend(place);
        }
        let schema = schema_of(with_bound_fields(&built, assign.time_column))?;
        let built = fuse(built, Step::Window(assign), schema, facts);
        self.with_unique_bound_names(built)
    }

    /// What is windowed: only the logical node's columns, so that the bounds come right after them, and none of them
    /// called as those.
    pub(super) fn window_input(&mut self, input: &LogicalPlan) -> Result<Built> {
        self.windows += 1;
        let built = self.node(input)?;
        let columns: Vec<usize> = (0..input.schema().fields().len()).collect();
        let built = self.keep_columns(built, &columns)?;
        self.without_bound_names(built)
    }

    /// Remembers whose rows are windowed by a column that no watermark bounds.
    pub(super) fn note_unbounded(&mut self, built: &Built) {
        self.unbounded_windows.extend(sources_below(built));
    }

    /// The step makes columns called window_start and window_end; its input may not have them yet.
    fn without_bound_names(&mut self, built: Built) -> Result<Built> {
        if !(0..built.width()).any(|c| is_bound_name(built.field(c).name())) {
            return Ok(built);
        }
        let columns = (0..built.width())
            .map(|c| {
                let mut pass = Computed::pass(&built, c);
                if is_bound_name(pass.field.name()) {
                    let name = self.fresh_name(&format!("inner_{}", pass.field.name()));
                    pass.field = Arc::new(pass.field.as_ref().clone().with_name(name));
                }
                pass
            })
            .collect();
        self.project_renaming(built, columns)
    }

    /// The first windows of a plan keep the names of their bounds; further ones get others.
    pub(super) fn with_unique_bound_names(&mut self, built: Built) -> Result<Built> {
        let start = built.width() - 2;
        let names = [self.fresh_name(WINDOW_START), self.fresh_name(WINDOW_END)];
        if names == [WINDOW_START, WINDOW_END] {
            return Ok(built);
        }
        let columns = (0..built.width())
            .map(|c| {
                let mut pass = Computed::pass(&built, c);
                if c >= start {
                    pass.field = Arc::new(pass.field.as_ref().clone().with_name(&names[c - start]));
                }
                pass
            })
            .collect();
        self.project_renaming(built, columns)
    }

    /// All columns of `built`, some under other names; the names are unique already.
    fn project_renaming(&mut self, built: Built, columns: Vec<Computed>) -> Result<Built> {
        let facts = built.facts.clone();
        let schema = schema_of(columns.iter().map(|c| Arc::clone(&c.field)).collect())?;
        let step = Step::Project(columns.into_iter().map(|c| c.expr).collect(), Arc::clone(&schema));
        Ok(fuse(built, step, schema, facts))
    }
}

/// The columns of what is windowed, then the bounds, of the time column's type.
pub(super) fn with_bound_fields(built: &Built, time_column: usize) -> Vec<FieldRef> {
    let mut fields = built.schema().fields().to_vec();
    let time = built.field(time_column).as_ref();
    for name in [WINDOW_START, WINDOW_END] {
        fields.push(Arc::new(time.clone().with_name(name).with_nullable(true)));
    }
    fields
}

fn is_bound_name(name: &str) -> bool {
    name == WINDOW_START || name == WINDOW_END
}

fn sources_below(built: &Built) -> Vec<highwater_types::RelationId> {
    let mut found = Vec::new();
    let mut open = vec![&built.node];
    while let Some(node) = open.pop() {
        if let crate::stream::plan::StreamOp::Input { relation, .. } = &node.op {
            found.push(*relation);
        }
        open.extend(&node.inputs);
    }
    found
}
