//! The one [`SessionState`] that plans, optimises and runs everything: PostgreSQL's function library over our types,
//! and DataFusion's analyzer, optimizer and physical planner with the options below.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;

use crate::rules::{ForgetEquivalences, ForgetKeys, NumericCasts, PushDownFilter};
use crate::{functions, now};

/// States are kept by time zone, up to this many zones.
const KEPT_STATE_COUNT: usize = 64;

static STATES: LazyLock<Mutex<HashMap<String, Arc<SessionState>>>> = LazyLock::new(Mutex::default);

/// The state for sessions in a time zone.
pub fn session_state(time_zone: &str) -> SessionState {
    shared_session_state(time_zone).as_ref().clone()
}

/// The state shared by reference, for callers that only look: it holds hundreds of functions by name.
pub fn shared_session_state(time_zone: &str) -> Arc<SessionState> {
    let mut states = STATES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(state) = states.get(time_zone) {
        return Arc::clone(state);
    }
    let state = Arc::new(build(time_zone));
    if states.len() < KEPT_STATE_COUNT {
        states.insert(time_zone.to_string(), Arc::clone(&state));
    }
    state
}

fn build(time_zone: &str) -> SessionState {
    let mut config = SessionConfig::new().with_target_partitions(1);
    let options = config.options_mut();
    options.execution.time_zone = Some(time_zone.to_string());
    // Expressions know less about NULLs once they are compiled; DataFusion takes the difference for a defect.
    options.execution.skip_physical_aggregate_schema_check = true;
    // The binder has resolved every name; a second round of renaming or re-typing would only hide defects.
    options.optimizer.skip_failed_rules = false;
    options.optimizer.enable_physical_uncorrelated_scalar_subquery = false;
    // It takes least and greatest values itself, and NaN for neither.
    options.optimizer.enable_topk_aggregation = false;
    let mut rules = Optimizer::new().rules;
    // It computes `sum(x)` as a sum of sums, which has another type here than `sum(x)`.
    rules.retain(|rule| rule.name() != "single_distinct_aggregation_to_group_by");
    let push_down_filter: Arc<dyn OptimizerRule + Send + Sync> = Arc::new(PushDownFilter::default());
    let same_name = rules.iter_mut().filter(|rule| rule.name() == push_down_filter.name());
    same_name.for_each(|rule| *rule = Arc::clone(&push_down_filter));
    let mut physical_rules = PhysicalOptimizer::new().rules;
    // They find columns by name: in a join of columns with one name, a filter of one becomes a filter of the other. The
    // logical plan's filters and projections have been pushed down before.
    physical_rules.retain(|rule| !rule.name().starts_with("FilterPushdown") && rule.name() != "ProjectionPushdown");
    // It takes a constant for one distinct value also where there is no row.
    physical_rules.retain(|rule| rule.name() != "aggregate_statistics");
    physical_rules.insert(0, Arc::new(ForgetEquivalences));
    rules.insert(0, Arc::new(ForgetKeys::Begin));
    rules.push(Arc::new(ForgetKeys::End));
    let mut builder = SessionStateBuilder::new_with_default_features()
        .with_config(config)
        .with_analyzer_rule(Arc::new(NumericCasts))
        .with_optimizer_rules(rules)
        .with_physical_optimizer_rules(physical_rules);
    builder
        .scalar_functions()
        .get_or_insert_default()
        .extend(functions::all_scalar().into_iter().chain(now::functions()));
    builder
        .aggregate_functions()
        .get_or_insert_default()
        .extend(functions::all_aggregate());
    builder.build()
}
