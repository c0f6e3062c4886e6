//! [`SessionNode`]: SESSION in FROM, the plan node.

use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::common::{Column, DFSchemaRef, DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use crate::stream::plan::Session;
use crate::window::{only_input, with_bounds};

/// Each input row with the bounds of its session. Output: the input's columns, then `window_start` and `window_end`, of
/// the time column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionNode {
    /// Where rows come from.
    pub input: Arc<LogicalPlan>,
    /// The time column.
    pub time: Column,
    /// The columns of the partition.
    pub partition: Vec<Column>,
    /// Rows whose times lie less than this many microseconds apart are in one session.
    pub gap_us: i64,
    /// The two columns it adds.
    pub bounds: [Column; 2],
    schema: DFSchemaRef,
}

impl SessionNode {
    /// Sessions of rows by `time` in each partition, all columns of `input`. The bounds get the names given.
    ///
    /// # Errors
    /// When the input has no such time column.
    pub fn try_new(
        input: Arc<LogicalPlan>,
        time: Column,
        partition: Vec<Column>,
        gap_us: i64,
        bounds: [Column; 2],
    ) -> Result<SessionNode> {
        let schema = with_bounds(input.schema(), &time, &bounds)?;
        Ok(SessionNode {
            input,
            time,
            partition,
            gap_us,
            bounds,
            schema,
        })
    }

    /// The same by places of columns in the input, complete at no time.
    ///
    /// # Errors
    /// When the input has not these columns.
    pub fn session(&self) -> Result<Session> {
        let place = |column: &Column| self.input.schema().index_of_column(column);
        Ok(Session {
            partition: self.partition.iter().map(place).collect::<Result<_>>()?,
            time_column: place(&self.time)?,
            gap_us: self.gap_us,
            complete: None,
        })
    }

    fn kept(&self) -> (&Column, &[Column], i64, &[Column; 2]) {
        (&self.time, &self.partition, self.gap_us, &self.bounds)
    }
}

impl Hash for SessionNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.kept().hash(state);
    }
}

impl PartialOrd for SessionNode {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.kept().partial_cmp(&other.kept())
    }
}

impl UserDefinedLogicalNodeCore for SessionNode {
    fn name(&self) -> &str {
        "Session"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let columns = std::iter::once(&self.time).chain(&self.partition);
        columns.cloned().map(Expr::Column).collect()
    }

    /// A row that is filtered out may part a session: only filters on whole partitions go below.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        let is_partition = |column: &Column| self.partition.contains(column);
        let others = self.schema.columns().into_iter().filter(|column| !is_partition(column));
        others.map(|column| column.name).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session: {} gap={}us", self.time, self.gap_us)?;
        for (at, column) in self.partition.iter().enumerate() {
            write!(f, "{}{column}", if at == 0 { " partition by " } else { ", " })?;
        }
        Ok(())
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let columns = exprs.into_iter().map(|expr| match expr {
            Expr::Column(column) => Ok(column),
            other => Err(DataFusionError::Internal(format!(
                "a session goes by columns, not by {other:?}"
            ))),
        });
        let mut columns = columns.collect::<Result<Vec<_>>>()?.into_iter();
        let time = columns.next();
        let time = time.ok_or_else(|| DataFusionError::Internal("a session has a time column".to_string()))?;
        let input = Arc::new(only_input(inputs)?);
        SessionNode::try_new(input, time, columns.collect(), self.gap_us, self.bounds.clone())
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let width = self.input.schema().fields().len();
        let session = self.session().ok()?;
        let mut needed: Vec<usize> = output_columns.iter().copied().filter(|i| *i < width).collect();
        needed.push(session.time_column);
        needed.extend(session.partition);
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}
