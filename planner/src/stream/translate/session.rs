//! SESSION: an operator that keeps the rows of sessions which are not complete.

use std::sync::Arc;

use super::window::with_bound_fields;
use super::{Built, Translator, schema_of};
use crate::error::Result;
use crate::session_window::SessionNode;
use crate::stream::plan::{Session, SessionCompletion, StateBound, StreamOp};

impl Translator<'_> {
    pub(super) fn session(&mut self, node: &SessionNode) -> Result<Built> {
        let built = self.window_input(&node.input)?;
        let session = node.session()?;
        let family = self.fresh_family();
        let time = built.facts.bounds[session.time_column].as_ref();
        // A session takes the times before its end, and ends anywhere.
        let end = time.map(|time| time.window_end(1, 0, family));
        if end.is_none() {
            self.note_unbounded(&built);
        }
        let complete = end.as_ref().map(|end| SessionCompletion {
            after_us: end.after_us,
            sources: end.sources.clone(),
        });
        let state = match &complete {
            Some(complete) => StateBound::Watermark(complete.sources.clone()),
            None => StateBound::Unbounded(
                "grows with the rows it reads; a watermark on the time column would bound it".to_string(),
            ),
        };
        // Rows come again with other bounds, however old they are, as long as their session is open.
        let mut facts = built.facts.within_partitions(&session.partition);
        facts.bounds.extend([None, end]);
        let schema = schema_of(with_bound_fields(&built, session.time_column))?;
        let op = StreamOp::Session(Session { complete, ..session });
        let built = Built::new(op, vec![Arc::clone(&built.node)], schema, facts).with_state(state, Vec::new());
        self.with_unique_bound_names(built)
    }
}
