//! The Nexmark queries as materialized views over a fixed stream in memory.
//!
//! 1. The stream is made once, and written to a folder as Arrow files, a file a column (`stream.rs`).
//! 2. For each query and number of workers a process of its own takes the columns that the query reads into memory,
//!    plans the query (`view.rs`), and runs it on the executor's runtime epoch by epoch (`engine.rs`). A process of
//!    its own, so that its memory and its CPU seconds are the query's.
//! 3. For some queries that process then runs a loop written by hand for just that query over the same columns
//!    (`loops/`), and compares its changelog with the view's rows.
//!
//! The number of seconds is CPU time of all threads, which a busy machine does not falsify much; the rate is by the
//! clock on the wall.

mod child;
mod engine;
mod loops;
mod report;
mod stream;
mod view;

use std::path::Path;

use self::child::Outcome;
use self::stream::Shape;
use crate::measure::Meter;
use crate::{Result, option, print, say};

const DEFAULT_EVENTS: u64 = 10_000_000;
/// Events in an epoch. A loaded coordinator cuts up to half a million rows.
const DEFAULT_EPOCH_EVENTS: u64 = 200_000;

/// What is to be run.
struct Options {
    shape: Shape,
    queries: Vec<String>,
    workers: Vec<usize>,
}

/// Runs `nexmark`.
pub(crate) fn main(args: &[String]) -> Result<()> {
    let options = Options::try_new(args)?;
    match option(args, "--folder")? {
        None => run_all(&options),
        Some(folder) => child::run(
            Path::new(folder),
            options.shape,
            &options.queries[0],
            options.workers[0],
        ),
    }
}

impl Options {
    fn try_new(args: &[String]) -> Result<Options> {
        let shape = Shape {
            events: option(args, "--events")?.map_or(Ok(DEFAULT_EVENTS), str::parse)?,
            epoch_events: option(args, "--epoch-events")?.map_or(Ok(DEFAULT_EPOCH_EVENTS), str::parse)?,
        };
        shape.check()?;
        let queries = match option(args, "--queries")? {
            None => view::QUERIES.iter().map(|(name, _)| (*name).to_string()).collect(),
            Some(list) => list.split(',').map(str::to_string).collect(),
        };
        let workers = option(args, "--workers")?.unwrap_or("1,2");
        let workers: Vec<usize> = workers
            .split(',')
            .map(str::parse)
            .collect::<std::result::Result<_, _>>()?;
        Ok(Options {
            shape,
            queries,
            workers,
        })
    }
}

fn run_all(options: &Options) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("highwater-nexmark-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let done = run_in(&folder, options);
    std::fs::remove_dir_all(&folder)?;
    done
}

fn run_in(folder: &Path, options: &Options) -> Result<()> {
    let meter = Meter::start()?;
    stream::generate(folder, options.shape)?;
    let made = meter.stop()?;
    let mut outcomes: Vec<Outcome> = Vec::new();
    for query in &options.queries {
        for workers in &options.workers {
            say(&format!("{query} with {workers} worker(s)"));
            let outcome = child::start(folder, options.shape, query, *workers)?;
            if let Some(other) = outcomes.iter().find(|o| o.query == *query)
                && other.answer != outcome.answer
            {
                return Err(format!("{query} answers differently with {workers} workers").into());
            }
            outcomes.push(outcome);
        }
    }
    print(&report::markdown(options.shape, made, &outcomes));
    Ok(())
}
