//! One query with one number of workers, in a process of its own, and how it tells its result to the process that
//! started it: a line of words.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::path::Path;
use std::process::{Command, Stdio};

use arrow::datatypes::SchemaRef;
use highwater_types::{Delta, RowKeys};

use super::stream::{Shape, load};
use super::{engine, loops, view};
use crate::measure::{Meter, Used, peak_memory_mb, reset_peak_memory};
use crate::{Result, print, say};

/// Rows as one number: the sum of their hashes, each as often as it is there. A changelog has the same answer as the
/// rows that it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Answer {
    pub(super) row_count: i64,
    checksum: u64,
}

/// How a query did.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) query: String,
    pub(super) workers: usize,
    /// Reading the stream's columns into memory.
    pub(super) load: Used,
    pub(super) used: Used,
    /// What the stream's columns take.
    pub(super) stream_mb: u64,
    pub(super) peak_mb: u64,
    pub(super) answer: Answer,
    /// The loop beside it.
    pub(super) by_hand: Option<Used>,
}

/// Runs a query in this process and tells the result.
pub(super) fn run(folder: &Path, shape: Shape, query: &str, workers: usize) -> Result<()> {
    let relations = view::relations()?;
    let plan = view::plan(query, &relations)?;
    let meter = Meter::start()?;
    let mut inputs = Vec::new();
    for relation in relations.iter().filter(|r| plan.stream.inputs.contains(&r.id)) {
        let columns = view::columns_read(&plan, relation.id);
        inputs.push(load(folder, shape, relation, &columns)?);
    }
    let load = meter.stop()?;
    let stream_mb = reset_peak_memory()?;
    let ran = engine::run(&plan, &inputs, workers)?;
    let peak_mb = peak_memory_mb()?;
    let schema = engine::schema(&plan);
    let answer = answer(&schema, ran.rows.iter().cloned().map(Delta::insert))?;
    let mut by_hand = None;
    // The view's rows are kept until then: a loop that got their memory would not have it zeroed by the kernel first, as
    // the view had.
    if workers == 1
        && let Some(run) = loops::of(query)
    {
        let meter = Meter::start()?;
        let changelog = run(&inputs)?;
        by_hand = Some(meter.stop()?);
        let expected = self::answer(&schema, changelog.into_iter())?;
        if expected != answer {
            return Err(format!("{query}: the view has {answer:?}, the loop {expected:?}").into());
        }
    }
    let mut words = vec![load, ran.used];
    words.extend(by_hand);
    let used: Vec<String> = words.iter().map(|u| format!("{} {}", u.wall_s, u.cpu_s)).collect();
    print(&format!(
        "{stream_mb} {peak_mb} {} {} {}",
        answer.row_count,
        answer.checksum,
        used.join(" ")
    ));
    Ok(())
}

/// Runs a query in a process of its own.
pub(super) fn start(folder: &Path, shape: Shape, query: &str, workers: usize) -> Result<Outcome> {
    let output = Command::new(std::env::current_exe()?)
        .arg("nexmark")
        .args(["--folder".as_ref(), folder.as_os_str()])
        .args(["--events", &shape.events.to_string()])
        .args(["--epoch-events", &shape.epoch_events.to_string()])
        .args(["--queries", query, "--workers", &workers.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        return Err(format!("{query} with {workers} worker(s) failed").into());
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let [stream_mb, peak_mb, row_count, checksum, times @ ..] = words.as_slice() else {
        return Err(format!("{query} answered {text:?}").into());
    };
    let times: Vec<f64> = times.iter().map(|t| t.parse()).collect::<std::result::Result<_, _>>()?;
    let mut used = times.chunks_exact(2).map(|pair| Used {
        wall_s: pair[0],
        cpu_s: pair[1],
    });
    let outcome = Outcome {
        query: query.to_string(),
        workers,
        stream_mb: stream_mb.parse()?,
        peak_mb: peak_mb.parse()?,
        answer: Answer {
            row_count: row_count.parse()?,
            checksum: checksum.parse()?,
        },
        load: used.next().unwrap_or_default(),
        used: used.next().unwrap_or_default(),
        by_hand: used.next(),
    };
    let rate = shape.events as f64 / outcome.used.wall_s;
    say(&format!("  {rate:.0} events/s, {:.2} CPU s", outcome.used.cpu_s));
    Ok(outcome)
}

fn answer(schema: &SchemaRef, changes: impl Iterator<Item = Delta>) -> Result<Answer> {
    let keys = RowKeys::try_new(schema)?;
    let mut answer = Answer::default();
    for delta in changes {
        let rows = keys.encode(delta.batch().columns())?;
        for row in 0..delta.num_rows() {
            let mut hasher = DefaultHasher::new();
            hasher.write(rows.row(row).data());
            let weight = delta.weight(row);
            answer.row_count += weight;
            answer.checksum = answer
                .checksum
                .wrapping_add(hasher.finish().wrapping_mul(weight as u64));
        }
    }
    Ok(answer)
}
