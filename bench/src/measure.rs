//! What a process has used, as Linux tells it: CPU seconds, and the greatest memory.

use std::fs;
use std::time::Instant;

use crate::Result;

/// What was used between two moments.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    /// By the clock on the wall.
    pub(crate) wall_s: f64,
    /// By all threads together, in user and system mode.
    pub(crate) cpu_s: f64,
}

/// The moment at which measuring began.
pub(crate) struct Meter {
    start: Instant,
    cpu_s: f64,
}

impl Meter {
    /// Begins. Threads that end before [`Meter::stop`] are not counted.
    pub(crate) fn start() -> Result<Meter> {
        Ok(Meter {
            cpu_s: cpu_seconds()?,
            start: Instant::now(),
        })
    }

    /// What has been used since.
    pub(crate) fn stop(&self) -> Result<Used> {
        Ok(Used {
            wall_s: self.start.elapsed().as_secs_f64(),
            cpu_s: cpu_seconds()? - self.cpu_s,
        })
    }
}

/// Of the threads that live, to the nanosecond.
fn cpu_seconds() -> Result<f64> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let used = text.split(' ').next().unwrap_or_default();
        nanoseconds += used.parse::<u64>()?;
    }
    Ok(nanoseconds as f64 / 1e9)
}

/// Makes the memory used now the greatest so far; answers how much it is, in megabytes.
pub(crate) fn reset_peak_memory() -> Result<u64> {
    fs::write("/proc/self/clear_refs", "5")?;
    status_mb("VmRSS:")
}

/// The most memory that was resident at a time since, in megabytes.
pub(crate) fn peak_memory_mb() -> Result<u64> {
    status_mb("VmHWM:")
}

fn status_mb(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes.ok_or("no such line in /proc/self/status")?.parse::<u64>()? / 1024)
}

/// The machine, in a line.
pub(crate) fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split(": ").nth(1)).unwrap_or("?").to_string()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok());
    format!(
        "{}, {cores} cores, {} GB",
        value("model name"),
        total.map_or(0, |kb| kb >> 20)
    )
}
