//! What an append to the write-ahead log costs, beside a plain file that is appended to and synced:
//! `cargo run --release -p highwater-storage --example wal_latency -- [folder] [appends]`. Run it under
//! `strace -f -e trace=pwrite64,sync_file_range,fdatasync,fsync` to see what reaches the device.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use highwater_storage::{Store, WalEntry};
use highwater_types::{Delta, Epoch, RelationId};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().unwrap_or_else(|| "wal-latency".to_string()));
    let appends: usize = args.next().map_or(Ok(1000), |n| n.parse())?;
    std::fs::create_dir_all(&folder)?;
    for rows in [1, 100, 10_000] {
        let appends = (appends / (1 + rows / 100)).max(10);
        let delta = Delta::insert(rows_of(rows)?);
        report(&format!("sled log, {rows} rows"), sled_log(&folder, appends, &delta)?)?;
        report(
            &format!("plain file, {rows} rows"),
            plain_file(&folder, appends, 300 + 40 * rows)?,
        )?;
    }
    replay_time(&folder, appends)
}

fn rows_of(count: usize) -> Result<RecordBatch, Box<dyn Error>> {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..count as i64));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..count).map(|i| format!("row number {i:12}")),
    ));
    Ok(RecordBatch::try_from_iter([("id", ids), ("text", texts)])?)
}

fn sled_log(folder: &std::path::Path, appends: usize, delta: &Delta) -> Result<Vec<Duration>, Box<dyn Error>> {
    let store = Store::open(&folder.join("store"))?;
    let mut times = Vec::with_capacity(appends);
    for _ in 0..appends {
        let entry = WalEntry {
            relation: RelationId::FIRST_USER,
            delta: delta.clone(),
        };
        let epoch = store.wal().last_epoch().next();
        let start = Instant::now();
        store.wal().append(Epoch(epoch.0), &[entry])?;
        times.push(start.elapsed());
    }
    Ok(times)
}

fn plain_file(folder: &std::path::Path, appends: usize, bytes: usize) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("plain"))?;
    let record = vec![7; bytes];
    let mut times = Vec::with_capacity(appends);
    for _ in 0..appends {
        let start = Instant::now();
        file.write_all(&record)?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    Ok(times)
}

fn replay_time(folder: &std::path::Path, appends: usize) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let store = Store::open(&folder.join("store"))?;
    let opened = start.elapsed();
    let mut rows = 0;
    for epoch in store.wal().replay() {
        rows += epoch?.1.iter().map(|e| e.delta.num_rows()).sum::<usize>();
    }
    let replayed = start.elapsed() - opened;
    let start = Instant::now();
    store.wal().compact()?;
    let compacted = start.elapsed();
    writeln!(
        std::io::stdout(),
        "open {opened:?}, replay of {rows} rows in {appends} or so appends {replayed:?}, compaction {compacted:?}, {} MB",
        store.size_bytes() >> 20
    )?;
    Ok(())
}

fn report(what: &str, mut times: Vec<Duration>) -> Result<(), Box<dyn Error>> {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let (half, most, worst) = (at(0.5), at(0.99), at(1.0));
    writeln!(
        std::io::stdout(),
        "{what:24} p50 {half:>10.1?}  p99 {most:>10.1?}  max {worst:>10.1?}"
    )?;
    Ok(())
}
