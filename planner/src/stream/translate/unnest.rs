//! Set-returning functions: lists, computed below, whose elements a stateless step makes rows of.

use datafusion::logical_expr::Unnest;

use super::fused::fuse;
use super::{Built, Translator, schema_of};
use crate::error::{PlanError, Result};
use crate::stream::plan::Step;

impl Translator<'_> {
    pub(super) fn unnest(&mut self, unnest: &Unnest) -> Result<Built> {
        let width = unnest.input.schema().fields().len();
        if !unnest.struct_type_columns.is_empty() || unnest.schema.fields().len() != width {
            return Err(PlanError::internal("what is unnested must be lists, each once"));
        }
        let input = self.node(&unnest.input)?;
        let input = self.keep_columns(input, &(0..width).collect::<Vec<_>>())?;
        let lists: Vec<usize> = unnest.list_type_columns.iter().map(|(list, _)| *list).collect();
        let mut fields = input.schema().fields().to_vec();
        for list in &lists {
            fields[*list] = self.fresh_field(&unnest.schema.fields()[*list]);
        }
        let kept: Vec<Option<usize>> = (0..width).map(|at| (!lists.contains(&at)).then_some(at)).collect();
        let mut facts = input.facts.project(&kept);
        facts.key = None;
        let schema = schema_of(fields)?;
        Ok(fuse(input, Step::Unnest(lists, schema.clone()), schema, facts))
    }
}
