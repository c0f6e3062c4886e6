//! The server as its clients meet it: how soon an INSERT is visible, how fast rows are read by key, what an empty
//! server takes, what many views do to others. Each server is the real binary, in a process and a folder of its own;
//! PostgreSQL, where it is installed, does the same beside it in the same run.
//!
//! An INSERT is visible in every view when it returns, so its latency is the time to its answer. Transactions are sent
//! at fixed moments, whether or not those before are answered, and the time counts from the moment at which one was
//! due: a server that falls behind cannot look good.

mod bounded;
mod insert;
mod reads;
mod server;
mod start;
mod updates;
mod views;

use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::measure::machine;
use crate::{Result, option, print};

/// What is measured unless told otherwise, in this order; `bounded` takes many minutes.
const PARTS: &str = "start,insert,reads,updates,views";

/// How it is measured.
struct Plan {
    /// The server's binary.
    binary: PathBuf,
    /// How long each figure is measured.
    seconds: u64,
    /// Events of the stream over which state must not grow, and how many come a second.
    events: u64,
    rate: u64,
}

/// Measures what the arguments ask for.
pub(crate) fn main(args: &[String]) -> Result<()> {
    let plan = Plan {
        binary: match option(args, "--server")? {
            Some(path) => path.into(),
            None => std::env::current_exe()?.with_file_name("highwater"),
        },
        seconds: option(args, "--seconds")?.unwrap_or("10").parse()?,
        events: option(args, "--events")?.unwrap_or("100000000").parse()?,
        rate: option(args, "--rate")?.unwrap_or("200000").parse()?,
    };
    if !plan.binary.is_file() {
        return Err(format!(
            "there is no server at {}; build it, or give --server",
            plan.binary.display()
        )
        .into());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    print(&format!("Machine: {}. {}\n", machine(), sync_time()?));
    for part in option(args, "--only")?.unwrap_or(PARTS).split(',') {
        runtime.block_on(async {
            match part {
                "start" => start::measure(&plan).await,
                "insert" => insert::measure(&plan).await,
                "reads" => reads::measure(&plan).await,
                "updates" => updates::measure(&plan).await,
                "views" => views::measure(&plan).await,
                "bounded" => bounded::measure(&plan).await,
                other => Err(format!("there is no part {other}; there are {PARTS} and bounded").into()),
            }
        })?;
    }
    Ok(())
}

/// How long the disk takes to make a page durable: no COMMIT can be faster.
fn sync_time() -> Result<String> {
    let mut file = tempfile::tempfile()?;
    file.write_all(&[0; 1 << 20])?;
    file.sync_all()?;
    let mut times = Vec::new();
    for page in 0..100 {
        let begun = Instant::now();
        file.write_all_at(&[1; 4096], page * 4096)?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    Ok(format!(
        "The disk makes a page durable in {} (p99 {}).",
        ms(percentile(&mut times, 50)),
        ms(percentile(&mut times, 99))
    ))
}

/// The time that so many of a hundred do not exceed.
fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let at = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(at).copied().unwrap_or_default()
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}
