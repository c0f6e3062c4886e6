//! Every sqllogictest file in every mode, and the rules the files keep.
//!
//! Arguments are those of any test binary: `cargo test --workspace --test suites join` runs what has `join` in its
//! name. The suites that PostgreSQL must answer alike also run on a real one: that of
//! `HIGHWATER_POSTGRES='host=... user=...'`, or one that is started here where PostgreSQL is installed, as it must be
//! with `CI=true`. `HIGHWATER_SUITES=write` writes what Highwater answers into the files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use highwater_sqllogictest::{
    Mode, Suite, Target, Viewed, read_floors, run_file, suites, unasserted_states, write_results,
};
use highwater_tests::Postgres;
use sqllogictest::harness::{Arguments, Failed, Trial, run};
use tokio_postgres::Config;

/// The suites that PostgreSQL answers too.
const SHARED_WITH_POSTGRES: [&str; 9] = [
    "aggregate",
    "join",
    "pg_compat",
    "select",
    "set",
    "subquery",
    "top_n",
    "types",
    "union",
];

/// How the queries of each suite ran in view-first mode.
type Tally = Arc<Mutex<BTreeMap<String, Viewed>>>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let suites = suites().expect("the folder of suites can be read");
    let floors = read_floors().expect("the floors can be read");
    let tally = Tally::default();
    let (postgres, _server) = postgres(&arguments);
    let mut trials = vec![states(suites.clone())];
    for suite in &suites {
        trials.push(rules(suite));
        for file in &suite.files {
            trials.extend(trials_of(suite, file, &tally, postgres.as_ref()));
        }
    }
    let all = arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.list;
    let conclusion = run(&arguments, trials);
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    let below = report(&tally, &floors);
    if conclusion.has_failed() || (all && below) {
        return ExitCode::from(101);
    }
    ExitCode::SUCCESS
}

/// The PostgreSQL whose answers count, and its server where it is our own.
fn postgres(arguments: &Arguments) -> (Option<Config>, Option<Postgres>) {
    if let Ok(named) = std::env::var("HIGHWATER_POSTGRES") {
        let config = named.parse().expect("HIGHWATER_POSTGRES says how to connect");
        return (Some(config), None);
    }
    if arguments.list {
        return (None, None);
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let server = runtime.block_on(Postgres::start());
    if server.is_none() {
        eprintln!("left out: PostgreSQL is not installed, so nothing is compared with it");
    }
    (server.as_ref().map(Postgres::config), server)
}

/// Prints how the queries of each suite ran; answers whether one is below its floor.
fn report(tally: &BTreeMap<String, Viewed>, floors: &BTreeMap<String, usize>) -> bool {
    let mut below = false;
    for (suite, viewed) in tally {
        println!(
            "{suite}: {} queries as views declared before the rows, {} after, {} refused, {} no view",
            viewed.before_rows, viewed.after_rows, viewed.refused, viewed.no_view
        );
    }
    for (suite, floor) in floors {
        let as_views = tally.get(suite).copied().unwrap_or_default().as_views();
        if tally.contains_key(suite) && as_views < *floor {
            println!("{suite}: {as_views} queries ran as views, at least {floor} should");
            below = true;
        }
    }
    for suite in tally.keys().filter(|suite| !floors.contains_key(*suite)) {
        println!("{suite}: floors.txt does not say how many queries must run as views");
        below = true;
    }
    below
}

fn states(suites: Vec<Suite>) -> Trial {
    Trial::test("every SQLSTATE is asserted", move || {
        none_of(unasserted_states(&suites)?)
    })
}

fn rules(suite: &Suite) -> Trial {
    let suite = suite.clone();
    Trial::test(format!("{} rules", suite.name), move || none_of(suite.broken_rules()?))
}

fn none_of(complaints: Vec<String>) -> Result<(), Failed> {
    if complaints.is_empty() {
        return Ok(());
    }
    Err(Failed::from(complaints.join("\n")))
}

fn trials_of(suite: &Suite, file: &Path, tally: &Tally, postgres: Option<&Config>) -> Vec<Trial> {
    let stem = file
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let name = format!("{}/{stem}", suite.name);
    if std::env::var("HIGHWATER_SUITES").is_ok_and(|what| what == "write") {
        let file = file.to_path_buf();
        return vec![Trial::test(format!("{name} write"), move || in_runtime(write(file)))];
    }
    let mut trials: Vec<Trial> = Mode::ALL
        .into_iter()
        .map(|mode| {
            let (file, suite, tally) = (file.to_path_buf(), suite.name.clone(), Arc::clone(tally));
            Trial::test(format!("{name} {mode}"), move || {
                in_runtime(on_highwater(file, mode, suite, tally))
            })
        })
        .collect();
    if let (true, Some(postgres)) = (SHARED_WITH_POSTGRES.contains(&suite.name.as_str()), postgres) {
        let (file, postgres) = (file.to_path_buf(), postgres.clone());
        trials.push(Trial::test(format!("{name} postgresql"), move || {
            in_runtime(on_postgres(file, postgres))
        }));
    }
    trials
}

fn in_runtime(test: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(test)
}

async fn on_highwater(file: PathBuf, mode: Mode, suite: String, tally: Tally) -> Result<(), Failed> {
    let mut target = Target::highwater().await;
    let result = run_file(&file, mode, &mut target).await;
    target.close().await?;
    let viewed = result?;
    if mode == Mode::ViewFirst {
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        *tally.entry(suite).or_default() += viewed;
    }
    Ok(())
}

async fn on_postgres(file: PathBuf, postgres: Config) -> Result<(), Failed> {
    let mut target = Target::postgres(&postgres).await?;
    let result = run_file(&file, Mode::Plain, &mut target).await;
    target.close().await?;
    Ok(result.map(drop)?)
}

async fn write(file: PathBuf) -> Result<(), Failed> {
    let target = Target::highwater().await;
    let result = write_results(&file, &target).await;
    target.close().await?;
    Ok(result?)
}
