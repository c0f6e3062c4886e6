//! Statements over the row of one key, or over rows of their own: answered without a planner. See [`DirectPlan`].

use std::borrow::Cow;

use arrow::array::RecordBatch;
use highwater_executor::batch::{CollectionProvider, DirectPlan};
use highwater_planner::{QueryPlan, instant, with_now_as_parameter};
use highwater_types::{Epoch, RelationId, SqlError, SqlState, SqlType};

use super::Session;
use super::read::Params;

impl Session {
    /// The short cut for a plan, if it has one.
    pub(super) fn direct_plan(&self, plan: &QueryPlan) -> Option<DirectPlan> {
        let mut params: Vec<_> = plan.params.iter().map(|sql_type| sql_type.to_arrow()).collect();
        // The transaction's instant is a parameter behind the statement's own.
        let asked = with_now_as_parameter(&plan.plan, params.len() + 1).ok()?;
        if matches!(asked, Cow::Owned(_)) {
            params.push(SqlType::Timestamptz.to_arrow());
        }
        let world = self.world();
        let key_of = |id: RelationId| world.collections.get(&id)?.key().map(<[usize]>::to_vec);
        DirectPlan::of(&asked, &params, key_of, &self.session_state())
    }

    /// The rows of a statement that has a short cut; `None` when its plan must be run. Tables in `changed` are read
    /// at their newest rows.
    pub(super) fn run_direct(
        &mut self,
        direct: Option<&DirectPlan>,
        params: &Params,
        changed: &[RelationId],
    ) -> Result<Option<RecordBatch>, SqlError> {
        let Some(direct) = direct else { return Ok(None) };
        if direct.parameter_count() == params.len() {
            return direct.run(params, |id| self.provider(id, changed));
        }
        let mut with_now = params.clone();
        with_now.push(instant(self.transaction().started_us()));
        direct.run(&with_now, |id| self.provider(id, changed))
    }

    /// What a statement sees of a stored relation.
    pub(super) fn provider(&mut self, id: RelationId, changed: &[RelationId]) -> Result<CollectionProvider, SqlError> {
        if let Some(failure) = self.database.status().failure(id) {
            return Err(failure);
        }
        let Some(collection) = self.world().collections.get(&id).cloned() else {
            let message = format!("the relation with OID {id} was dropped meanwhile");
            return Err(SqlError::new(SqlState::UNDEFINED_TABLE, message));
        };
        self.transaction().reach(collection.oldest());
        self.transaction().note_read(id);
        let epoch = match changed.contains(&id) {
            true => {
                self.transaction().note_newest();
                Epoch::MAX
            }
            false => self.transaction().read_epoch(id),
        };
        let changes = self.transaction().changes_of(id)?;
        Ok(CollectionProvider::new(collection, epoch, changes))
    }
}
