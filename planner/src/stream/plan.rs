//! [`StreamPlan`]: what a view's dataflow computes, as a tree of [`StreamNode`]s. The executor renders each node
//! to one operator of the same name. Operators work on column positions; whatever has to be computed for them
//! (a key that is an expression, an argument, a filter) is computed by a [`StreamOp::Fused`] node below.
//!
//! Columns carry no qualifier, and a column that is made anywhere in a plan has a name that no other column of the
//! plan has; a column that is only passed on keeps its name. So expressions name columns without ambiguity, also over
//! both sides of a join. No node has zero columns.

use std::sync::Arc;

use datafusion::common::DFSchemaRef;
use datafusion::logical_expr::{Expr, LogicalPlan};
use highwater_types::RelationId;

/// The plan of one view or sink.
#[derive(Debug, Clone)]
pub struct StreamPlan {
    /// The node whose output is the view.
    pub root: Arc<StreamNode>,
    /// The relations it reads, sorted, once each: tables, sources and materialized views.
    pub inputs: Vec<RelationId>,
}

impl StreamPlan {
    /// Whether its rows change by themselves as time passes.
    pub fn follows_clock(&self) -> bool {
        let mut open = vec![&self.root];
        while let Some(node) = open.pop() {
            if matches!(node.op, StreamOp::TemporalFilter(_)) {
                return true;
            }
            open.extend(&node.inputs);
        }
        false
    }
}

/// One operator, its inputs, and what is known about its output.
#[derive(Debug, Clone)]
pub struct StreamNode {
    /// What it does.
    pub op: StreamOp,
    /// Where its rows come from.
    pub inputs: Vec<Arc<StreamNode>>,
    /// Its output columns.
    pub schema: DFSchemaRef,
    /// What is known about its output and its state.
    pub properties: Properties,
}

/// What the planner knows about a node's output and state.
#[derive(Debug, Clone, Default)]
pub struct Properties {
    /// Columns by which output rows are unique, when known. An empty list means at most one row.
    pub key: Option<Vec<usize>>,
    /// Whether output rows are never retracted.
    pub append_only: bool,
    /// Per output column: the sources whose watermarks bound it. Values lower than the smallest of them, less the
    /// length of a window for its start, change no more. Empty: unbounded.
    pub watermarks: Vec<Vec<RelationId>>,
    /// What bounds the node's state.
    pub state: StateBound,
    /// When an operator may drop what it keeps of an input's rows (an aggregate has its [`Completion`] instead).
    pub release: Vec<Release>,
}

/// From when on rows of an input can change nothing any more: state kept for them may be dropped. The rows that
/// they led to stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Which input.
    pub input: usize,
    /// The column of that input: a timestamp in microseconds. Rows with NULL in it are never released.
    pub column: usize,
    /// A row is released at the end of the epoch in which the smallest watermark of `sources` reaches the column's
    /// value plus this many microseconds.
    pub after_us: i64,
    /// Whose watermarks.
    pub sources: Vec<RelationId>,
}

/// What keeps a node's state from growing for ever.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StateBound {
    /// It has none.
    #[default]
    Stateless,
    /// Released as these sources' watermarks pass.
    Watermark(Vec<RelationId>),
    /// Rows leave by themselves as time passes.
    Clock,
    /// Never more than this many rows (per partition, where there are partitions).
    Rows(u64),
    /// Grows with the number of distinct keys, or of rows: the text says which, and what would bound it.
    Unbounded(String),
}

/// What a node does.
#[derive(Debug, Clone)]
pub enum StreamOp {
    /// The changes of a relation: these columns of it, in this order.
    Input {
        /// Which relation.
        relation: RelationId,
        /// Which of its columns.
        columns: Vec<usize>,
    },
    /// Rows that never change, there from the first epoch on.
    Constant(arrow::array::RecordBatch),
    /// Stateless steps, run one after the other on each batch.
    Fused(Vec<Step>),
    /// Groups and aggregates. With no aggregates, it is DISTINCT.
    Aggregate(Aggregate),
    /// Joins two changing inputs.
    Join(Join),
    /// Keeps rows while the clock is between two times of their own.
    TemporalFilter(TemporalFilter),
    /// Joins each left row with the right side as of the row's own epoch; output is never revised.
    TemporalJoin(TemporalJoin),
    /// The first rows of each partition, in an order.
    TopN(TopN),
    /// Gathers rows into sessions, and appends the bounds of their session to them.
    Session(Session),
    /// All rows of all inputs. Columns agree by position.
    Union,
    /// Keeps its inputs' rows by partition, and for partitions touched in an epoch runs a batch plan over them.
    General(General),
    /// Holds rows back until the watermark reaches the value of a column, then emits them once.
    HoldUntil {
        /// The column (a window's end).
        column: usize,
        /// A row appears when the smallest watermark of `sources` reaches the column's value plus this many
        /// microseconds: 0 for a window's end.
        after_us: i64,
        /// Whose watermarks.
        sources: Vec<RelationId>,
    },
}

impl StreamOp {
    /// What the operator is called.
    pub fn name(&self) -> &'static str {
        match self {
            StreamOp::Input { .. } => "Input",
            StreamOp::Constant(_) => "Constant",
            StreamOp::Fused(_) => "Fused",
            StreamOp::Aggregate(_) => "Aggregate",
            StreamOp::Join(_) => "Join",
            StreamOp::TemporalFilter(_) => "TemporalFilter",
            StreamOp::TemporalJoin(_) => "TemporalJoin",
            StreamOp::TopN(_) => "TopN",
            StreamOp::Session(_) => "Session",
            StreamOp::Union => "Union",
            StreamOp::General(_) => "General",
            StreamOp::HoldUntil { .. } => "HoldUntil",
        }
    }
}

/// A stateless step. Expressions are over the output of the step before (for the first, of the node's input).
#[derive(Debug, Clone)]
pub enum Step {
    /// Keeps the rows where the expression is true.
    Filter(Expr),
    /// Computes the output columns. The schema is theirs.
    Project(Vec<Expr>, DFSchemaRef),
    /// Appends `window_start` and `window_end`, of the time column's type, a copy of the row for each window it falls
    /// into. The step's input has no columns of these names.
    Window(WindowAssign),
    /// Puts elements in the place of the lists in these columns, a copy of the row for each. Several lists run side by
    /// side, and a shorter one goes on with NULL; a row without elements goes. The schema is the output's.
    Unnest(Vec<usize>, DFSchemaRef),
}

/// Assigns rows to windows by a time column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub struct WindowAssign {
    /// Which kind.
    pub kind: WindowKind,
    /// Position of the time column: `timestamp` or `timestamptz`, in microseconds.
    pub time_column: usize,
    /// Length of a window, in microseconds; of the longest one.
    pub size_us: i64,
    /// From one window's start to the next, in microseconds; equals the size for TUMBLE. For CUMULATE, from one
    /// window's end to the next.
    pub slide_us: i64,
    /// Where windows start, in microseconds since 1970.
    pub offset_us: i64,
}

/// The kinds of window that need no state to assign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Hash)]
pub enum WindowKind {
    /// Every row in one window. A NULL time gives NULL bounds.
    Tumble,
    /// Overlapping windows. A row with a NULL time is in none.
    Hop,
    /// Windows that start where those of the whole size do, and end a slide apart up to that. A row with a NULL time
    /// is in none.
    Cumulate,
}

/// GROUP BY.
#[derive(Debug, Clone)]
pub struct Aggregate {
    /// Input columns of the group key; output columns come first, in this order.
    /// Empty: one group, which answers one row even over no input.
    pub group: Vec<usize>,
    /// The aggregates; their output columns follow.
    pub calls: Vec<AggregateCall>,
    /// Position in `group` of a column bounded by watermarks such that a group is complete once they reach its
    /// value: the end of a window. State of complete groups is released; their rows stay. A NULL is never complete.
    pub complete: Option<Completion>,
    /// Whether the input never retracts, so that the cheap accumulators do.
    pub append_only_input: bool,
}

/// When a group is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// Position in the group key.
    pub group_column: usize,
    /// The group is complete when the smallest watermark of `sources` reaches the column's value plus this many
    /// microseconds: 0 for a `window_end`, the window's size for a `window_start`, 1 for the time column itself.
    pub after_us: i64,
    /// Whose watermarks.
    pub sources: Vec<RelationId>,
    /// How far apart that column's values are at least, in microseconds: a window's length or slide; 1 for times.
    pub grid_us: i64,
    /// Positions in the group key of the columns that are a fixed time apart from that column, itself among them: the
    /// start and the end of one window. Sorted.
    pub window: Vec<usize>,
    /// Whether rows appear only then (EMIT ON WINDOW CLOSE) or from the start.
    pub emit_on_close: bool,
}

/// One aggregate.
#[derive(Debug, Clone)]
pub struct AggregateCall {
    /// Which one.
    pub kind: AggregateKind,
    /// Input columns of its arguments.
    pub args: Vec<usize>,
    /// Counts each distinct argument once.
    pub distinct: bool,
    /// Input column (boolean) that says which rows take part.
    pub filter: Option<usize>,
    /// The output field's type is this.
    pub output: arrow::datatypes::FieldRef,
}

/// The aggregates that have an accumulator of their own. Others go to the general operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateKind {
    /// Rows whose argument is not NULL; with no argument, all rows.
    Count,
    /// Sum, NULL over no value.
    Sum,
    /// Average, NULL over no value.
    Avg,
    /// Least value.
    Min,
    /// Greatest value.
    Max,
    /// Whether all are true.
    BoolAnd,
    /// Whether any is true.
    BoolOr,
}

/// A join of two changing inputs. Output columns: the left's, then the right's (for semi and anti, the left's).
#[derive(Debug, Clone)]
pub struct Join {
    /// Which kind.
    pub kind: JoinKind,
    /// Pairs of columns that must be equal. Empty: every row meets every row.
    pub keys: Vec<(usize, usize)>,
    /// Whether NULL keys are equal to each other (IS NOT DISTINCT FROM).
    pub null_equals_null: bool,
    /// What else must hold, over the columns of both sides.
    pub filter: Option<Expr>,
    /// Whether the rows that may meet all come in one epoch and stay, so that an outer or anti join which shows rows
    /// without a partner at the end of the epoch, and not before, never takes one back.
    pub meets_within_epoch: bool,
}

/// The kinds of join that are maintained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JoinKind {
    /// Pairs.
    Inner,
    /// Pairs, and left rows without a partner.
    Left,
    /// Pairs, and right rows without a partner.
    Right,
    /// Pairs, and rows of both sides without a partner.
    Full,
    /// Left rows with a partner.
    Semi,
    /// Left rows without one.
    Anti,
}

/// A join as of arrival: `FOR SYSTEM_TIME AS OF PROCTIME()`.
#[derive(Debug, Clone)]
pub struct TemporalJoin {
    /// Whether left rows without a partner are kept.
    pub left_outer: bool,
    /// Pairs of columns that must be equal.
    pub keys: Vec<(usize, usize)>,
    /// What else must hold, over the columns of both sides.
    pub filter: Option<Expr>,
}

/// ORDER BY ... LIMIT, per partition; also row_number() and rank() with a filter on it.
#[derive(Debug, Clone)]
pub struct TopN {
    /// Columns of the partition. Empty: one partition.
    pub partition: Vec<usize>,
    /// The order. Where it leaves rows equal, `row_number()` goes on by all input columns from the first on, each
    /// ascending with NULLs first, so that the answer is determined.
    pub order: Vec<SortKey>,
    /// How rows are numbered.
    pub rank: RankKind,
    /// Keeps rows whose number is greater than this.
    pub offset: u64,
    /// Keeps at most this many numbers after the offset; `None` keeps all.
    pub limit: Option<u64>,
    /// Whether the number is appended to the output as a bigint column.
    pub emit_rank: bool,
}

/// One column of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortKey {
    /// Which column.
    pub column: usize,
    /// Greatest first.
    pub descending: bool,
    /// Where NULLs go.
    pub nulls_first: bool,
}

/// How rows of a partition are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RankKind {
    /// 1, 2, 3: ties are broken.
    RowNumber,
    /// 1, 1, 3.
    Rank,
    /// 1, 1, 2.
    DenseRank,
}

/// `WHERE ts > now() - INTERVAL '1 day'`: a row is there from the latest of its times that begin it, until the earliest
/// of those that end it, by the epoch's time. A row with NULL for one of them never is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemporalFilter {
    /// What limits rows.
    pub bounds: Vec<TimeBound>,
}

/// One limit of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeBound {
    /// Position of the time column: in microseconds.
    pub column: usize,
    /// Which limit.
    pub limit: Limit,
    /// The limit is so many microseconds after the column's value.
    pub after_us: i64,
}

/// What a time limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The row is there from then on.
    Begin,
    /// The row is there before.
    End,
}

/// SESSION windows. Output columns: the input's, then `window_start` (the time of the session's first row) and
/// `window_end` (that of its last, and the gap), of the time column's type. A row with a NULL time is in no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Columns of the partition: each has sessions of its own. Empty: one partition.
    pub partition: Vec<usize>,
    /// Position of the time column: `timestamp` or `timestamptz`, in microseconds.
    pub time_column: usize,
    /// Rows whose times lie less than this many microseconds apart are in one session.
    pub gap_us: i64,
    /// When a session is complete, and its rows need not be kept; `None`: never.
    pub complete: Option<SessionCompletion>,
}

/// When a session is complete: when the smallest watermark of `sources` reaches its end plus `after_us`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionCompletion {
    /// Microseconds after the session's end.
    pub after_us: i64,
    /// Whose watermarks.
    pub sources: Vec<RelationId>,
}

/// The general operator: right for anything that a batch plan can compute partition by partition.
#[derive(Debug, Clone)]
pub struct General {
    /// Columns of the input that part it. Rows of different partitions never meet in `plan`.
    /// Empty: one partition, as where there are several inputs.
    pub partition: Vec<usize>,
    /// The batch plan. It scans a table for each input, [`General::input_name`], with its columns; run over the rows of
    /// any set of whole partitions it answers the output rows of just those partitions, whose key stands in
    /// the output columns `output_partition`. It has the node's columns, by position. With an empty partition its
    /// answer over no rows at all is there from the first epoch on.
    pub plan: LogicalPlan,
    /// The partition's columns in the output.
    pub output_partition: Vec<usize>,
}

impl General {
    /// The name of the table that stands for an input of the operator in its plan.
    pub fn input_name(input: usize) -> String {
        format!("highwater_general_input_{input}")
    }
}
