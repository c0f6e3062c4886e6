//! The incremental-equals-batch oracle: see `highwater_tests::oracle`.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `HIGHWATER_ORACLE_CASES` | how many cases | 60 |
//! | `HIGHWATER_ORACLE_SEED` | the first case's seed; the others count up from it | 1 |
//! | `HIGHWATER_ORACLE_LANES` | how many cases run at a time | 2 |
//! | `HIGHWATER_ORACLE_SHRUNK` | how many failing cases are made smaller | 2 |
//!
//! A failure prints its case's seed, and a script of SQL that shows it. The same seed alone repeats it:
//!
//! ```text
//! HIGHWATER_ORACLE_SEED=4711 HIGHWATER_ORACLE_CASES=1 cargo test --workspace --test oracle
//! HIGHWATER_ORACLE_SEED=$RANDOM HIGHWATER_ORACLE_CASES=10000 cargo test --release --workspace --test oracle -- --nocapture
//! ```

#[path = "oracle/found.rs"]
mod found;

use highwater_tests::oracle::Plan;
use highwater_tests::oracle::coverage::Coverage;

/// So many cases must have an accepted view with each construct, at least; a statistic over fewer says little.
const CASES_PER_CONSTRUCT: u64 = 60;
/// How many views of a hundred may be refused.
const MOST_REFUSED_PERCENT: usize = 5;

/// What views are made of. Each must be generated and accepted.
const CONSTRUCTS: &[&str] = &[
    "projection",
    "filter",
    "scalar function",
    "CASE",
    "coalesce",
    "nullif",
    "IS DISTINCT FROM",
    "table",
    "view on view",
    "view over history",
    "subquery in FROM",
    "UNION ALL",
    "inner join",
    "left join",
    "right join",
    "full join",
    "self join",
    "join of more than two",
    "join on several keys",
    "join on expressions",
    "join on IS NOT DISTINCT FROM",
    "join with a residual condition",
    "interval join",
    "join FOR SYSTEM_TIME AS OF PROCTIME()",
    "GROUP BY",
    "GROUP BY an expression",
    "aggregates of all rows",
    "count",
    "count(DISTINCT)",
    "sum",
    "avg",
    "min",
    "max",
    "bool_and",
    "bool_or",
    "string_agg",
    "min_by",
    "median",
    "FILTER",
    "HAVING",
    "DISTINCT",
    "ORDER BY ... LIMIT",
    "OFFSET",
    "row_number",
    "rank",
    "dense_rank",
    "other window function",
    "TUMBLE",
    "HOP",
    "window in the standard's spelling",
    "window with an offset",
    "window with a watermark",
    "window without a watermark",
    "aggregates of windows",
    "rows of windows",
    "top-N of windows",
    "join of windows",
    "outer join of windows",
    "view over closed windows",
    "watermark through a view",
    "SESSION",
    "WITH RECURSIVE",
    "temporal filter",
    "EMIT ON WINDOW CLOSE",
    "IN (subquery)",
    "NOT IN (subquery)",
    "EXISTS",
    "NOT EXISTS",
    "scalar subquery",
    "correlated scalar subquery",
    "fault: division by zero",
    "fault: bad cast",
    "fault below an aggregate",
];

#[test]
fn every_view_equals_its_query_run_as_a_batch_after_every_epoch() {
    let plan = Plan {
        cases: variable("HIGHWATER_ORACLE_CASES", CASES_PER_CONSTRUCT),
        seed: variable("HIGHWATER_ORACLE_SEED", 1),
        lanes: variable("HIGHWATER_ORACLE_LANES", 2) as usize,
        shrunk: variable("HIGHWATER_ORACLE_SHRUNK", 2) as usize,
    };
    println!("{} cases from seed {}", plan.cases, plan.seed);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let report = runtime.block_on(plan.run());
    println!("{}", report.coverage);
    assert!(
        report.failures.is_empty(),
        "{} cases failed:\n\n{}",
        report.failures.len(),
        report.failures.join("\n")
    );
    check_coverage(&report.coverage, (plan.cases / CASES_PER_CONSTRUCT) as usize);
}

fn check_coverage(coverage: &Coverage, least_accepted: usize) {
    let missing: Vec<&&str> = CONSTRUCTS
        .iter()
        .filter(|construct| coverage.accepted_with(construct) < least_accepted)
        .collect();
    assert!(missing.is_empty(), "accepted too seldom: {missing:?}");
    let refused = coverage.refused_percent();
    assert!(refused <= MOST_REFUSED_PERCENT, "{refused} % of the views were refused");
}

fn variable(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => default,
    }
}
