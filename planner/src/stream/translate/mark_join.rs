//! EXISTS and IN below OR: every left row, with whether it has a partner. Made of a semi and an anti join.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::logical_expr::lit;

use super::fused::Computed;
use super::join::{Condition, Sides};
use super::{Built, Translator};
use crate::error::Result;
use crate::stream::plan::JoinKind;

impl Translator<'_> {
    pub(super) fn mark_join(&mut self, sides: Sides) -> Result<Built> {
        let width = sides.left.width();
        let again = Sides {
            left: sides.left.clone(),
            right: sides.right.clone(),
            condition: Condition {
                keys: sides.condition.keys.clone(),
                null_equals_null: sides.condition.null_equals_null,
                filter: sides.condition.filter.clone(),
            },
            widths: sides.widths,
        };
        let key = sides.left.facts.key.clone();
        let with = self.marked(JoinKind::Semi, sides, true)?;
        let without = self.marked(JoinKind::Anti, again, false)?;
        let mut built = self.all_of(vec![with, without])?;
        // A row is in one of the two.
        built.facts.key = key.filter(|key| key.iter().all(|c| *c < width));
        let mut node = Arc::unwrap_or_clone(built.node);
        node.properties.key = built.facts.key.clone();
        built.node = Arc::new(node);
        Ok(built)
    }

    fn marked(&mut self, kind: JoinKind, sides: Sides, mark: bool) -> Result<Built> {
        let built = self.joined(kind, sides)?;
        let mut columns: Vec<Computed> = (0..built.width()).map(|c| Computed::pass(&built, c)).collect();
        columns.push(Computed {
            expr: lit(mark),
            field: Arc::new(Field::new("mark", DataType::Boolean, false)),
        });
        self.project(built, columns)
    }
}
