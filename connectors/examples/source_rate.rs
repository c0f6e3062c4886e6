//! How fast a source is read, alone on one thread:
//! `cargo run --release -p highwater-connectors --example source_rate -- connector rows [key=value ...]`, for
//! instance `nexmark 5000000 table=bid`. Columns are the connector's own, or `name:bigint`-like arguments.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::time::Instant;

use highwater_connectors::{ReadStep, SourceColumn, SourceSpec, connect, default_columns};
use highwater_types::SqlType;

const READ_ROWS: usize = 8192;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let connector = args.next().ok_or("which connector?")?;
    let wanted: usize = args.next().ok_or("how many rows?")?.parse()?;
    let (options, columns): (Vec<String>, Vec<String>) = args.partition(|arg| arg.contains('='));
    let options: BTreeMap<String, String> = options
        .iter()
        .filter_map(|option| option.split_once('='))
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect();
    let declared = columns.iter().filter_map(|c| c.split_once(':'));
    let declared: Vec<(String, SqlType)> = declared.map(|(name, t)| (name.to_string(), sql_type(t))).collect();
    let columns = if declared.is_empty() {
        default_columns(&connector, &options)?.ok_or("which columns?")?
    } else {
        declared
    };
    let columns = columns.into_iter().map(|(name, sql_type)| SourceColumn {
        name,
        sql_type,
        include: None,
    });
    let spec = SourceSpec {
        connector,
        columns: columns.collect(),
        options,
        ..SourceSpec::default()
    };

    let mut source = connect(&spec)?;
    let (mut rows, mut bytes, mut dead) = (0, 0, 0);
    let start = Instant::now();
    for partition in source.partitions()? {
        let mut reader = source.open(&partition, Default::default(), None)?;
        while rows < wanted {
            match reader.read(READ_ROWS)? {
                ReadStep::Rows(batch) => {
                    rows += batch.batch.num_rows();
                    bytes += batch.batch.get_array_memory_size();
                    dead += batch.dead.len();
                }
                ReadStep::Idle => {}
                ReadStep::End => break,
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let rate = rows as f64 / seconds;
    writeln!(
        std::io::stdout(),
        "{rows} rows, {dead} dead letters, {} MB in {seconds:.2} s: {rate:.0} rows/s",
        bytes >> 20
    )?;
    Ok(())
}

fn sql_type(name: &str) -> SqlType {
    match name {
        "bigint" => SqlType::Int8,
        "int" => SqlType::Int4,
        "float8" => SqlType::Float8,
        "numeric" => SqlType::Numeric(None),
        "timestamp" => SqlType::Timestamp,
        "boolean" => SqlType::Bool,
        _ => SqlType::Text,
    }
}
