//! The plan nodes that DataFusion does not have: [`WindowNode`] (TUMBLE, HOP and CUMULATE in FROM) and [`ProcTimeNode`]
//! (the right side of `FOR SYSTEM_TIME AS OF PROCTIME()`).

use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::common::{Column, DFSchema, DFSchemaRef, DataFusionError, Result, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use crate::stream::plan::{WindowAssign, WindowKind};

/// The name of the column with a window's first instant.
pub const WINDOW_START: &str = "window_start";
/// The name of the column with the instant after a window's last.
pub const WINDOW_END: &str = "window_end";

/// A copy of each input row for each window it falls into. Output: the input's columns, then `window_start` and
/// `window_end`, of the time column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowNode {
    /// Where rows come from.
    pub input: Arc<LogicalPlan>,
    /// The time column, by name; [`WindowNode::assign`] gives its position.
    pub time: Column,
    /// Which windows. Its `time_column` is the position of `time` in the input.
    pub assign: WindowAssign,
    /// The two columns it adds.
    pub bounds: [Column; 2],
    schema: DFSchemaRef,
}

impl WindowNode {
    /// Windows over `time`, a column of `input`. `kind`, size, slide and offset are taken from `assign`; the time
    /// column's position is worked out here. The bounds get the names given.
    pub fn try_new(
        input: Arc<LogicalPlan>,
        time: Column,
        assign: WindowAssign,
        bounds: [Column; 2],
    ) -> Result<WindowNode> {
        let time_column = input.schema().index_of_column(&time)?;
        let schema = with_bounds(input.schema(), &time, &bounds)?;
        Ok(WindowNode {
            input,
            time,
            assign: WindowAssign { time_column, ..assign },
            bounds,
            schema,
        })
    }
}

impl Hash for WindowNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.assign.hash(state);
        self.bounds.hash(state);
    }
}

impl PartialOrd for WindowNode {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (&self.assign, &self.bounds).partial_cmp(&(&other.assign, &other.bounds))
    }
}

impl UserDefinedLogicalNodeCore for WindowNode {
    fn name(&self) -> &str {
        "Window"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![Expr::Column(self.time.clone())]
    }

    /// A filter on the window's bounds stays above; one on the input's columns may go below.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.bounds.iter().map(|c| c.name.clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WindowAssign {
            kind,
            size_us,
            slide_us,
            offset_us,
            ..
        } = &self.assign;
        match kind {
            WindowKind::Tumble => write!(f, "Window: tumble({}, size={size_us}us", self.time)?,
            WindowKind::Hop => write!(f, "Window: hop({}, slide={slide_us}us, size={size_us}us", self.time)?,
            WindowKind::Cumulate => write!(f, "Window: cumulate({}, step={slide_us}us, size={size_us}us", self.time)?,
        }
        if *offset_us != 0 {
            write!(f, ", offset={offset_us}us")?;
        }
        write!(f, ")")
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let time = match exprs.into_iter().next() {
            Some(Expr::Column(column)) => column,
            other => {
                return Err(DataFusionError::Internal(format!(
                    "a window's time is a column, not {other:?}"
                )));
            }
        };
        let input = only_input(inputs)?;
        WindowNode::try_new(Arc::new(input), time, self.assign.clone(), self.bounds.clone())
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let width = self.input.schema().fields().len();
        let mut needed: Vec<usize> = output_columns.iter().copied().filter(|i| *i < width).collect();
        needed.push(self.assign.time_column);
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}

/// Marks the right side of a join as of arrival. Its rows are its input's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub struct ProcTimeNode {
    /// The table or view joined to.
    pub input: Arc<LogicalPlan>,
}

impl UserDefinedLogicalNodeCore for ProcTimeNode {
    fn name(&self) -> &str {
        "ProcTime"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        HashSet::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcTime")
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        Ok(ProcTimeNode {
            input: Arc::new(only_input(inputs)?),
        })
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }
}

/// The input's columns, then a window's bounds, of the time column's type.
pub(crate) fn with_bounds(input: &DFSchema, time: &Column, bounds: &[Column; 2]) -> Result<DFSchemaRef> {
    let time = Arc::clone(&input.fields()[input.index_of_column(time)?]);
    let mut fields: Vec<(Option<TableReference>, _)> = input.iter().map(|(q, f)| (q.cloned(), Arc::clone(f))).collect();
    for bound in bounds {
        let field = time.as_ref().clone().with_name(&bound.name).with_nullable(true);
        fields.push((bound.relation.clone(), Arc::new(field)));
    }
    Ok(Arc::new(DFSchema::new_with_metadata(fields, input.metadata().clone())?))
}

pub(crate) fn only_input(inputs: Vec<LogicalPlan>) -> Result<LogicalPlan> {
    let count = inputs.len();
    match <[LogicalPlan; 1]>::try_from(inputs) {
        Ok([input]) => Ok(input),
        Err(_) => Err(DataFusionError::Internal(format!("one input expected, not {count}"))),
    }
}
