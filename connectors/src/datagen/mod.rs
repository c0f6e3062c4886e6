//! `connector = 'datagen'`: made-up rows, a generator a column.
//!
//! ```sql
//! CREATE SOURCE orders (id BIGINT, customer INT, item TEXT, price NUMERIC(8,2), ts TIMESTAMP)
//! WITH (connector = 'datagen', rows_per_second = '1000', fields.id.kind = 'sequence', fields.id.start = '1',
//!       fields.customer.min = '1', fields.customer.max = '50', fields.item.values = 'tea,salt,rice',
//!       fields.ts.max_past = '5 seconds');
//! ```
//! A value depends on the seed, the column's name and the row's number, on nothing else: so reading again from an
//! offset, which is a row's number, is exact, and adding a column changes no other.
//!
//! | option | default | means |
//! |---|---|---|
//! | `rows` | endless | rows over all partitions, after which the source ends |
//! | `rows_per_second` | unlimited | over all partitions |
//! | `seed` | 0 | other values |
//! | `partitions` | 1 | partition p has the rows whose number leaves p when divided by this |
//! | `start_time` | 2015-07-15 00:00:00 | the first row's time; a row a millisecond when there is no rate |
//! | `fields.<column>.<option>` | | see `field.rs` |
//!
//! Flink's names for the same (`rows-per-second`, `number-of-rows`, `fields.x.max-past`) and RisingWave's
//! (`datagen.rows.per.second`, `datagen.split.num`) are understood too. Memory: one batch.

mod field;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::field::{Field, RowTime};
use crate::columns::ColumnPlan;
use crate::options::Options;
use crate::pace::Pace;
use crate::{
    Clock, Connector, ConnectorError, Offset, PartitionId, PartitionReader, ReadStep, SourceBatch, SourceSpec,
};

/// What `connector = '...'` calls it.
pub(crate) const NAME: &str = "datagen";
/// 2015-07-15 00:00:00: fixed, so that rows can be made again.
const DEFAULT_START_US: i64 = 1_436_918_400_000_000;
/// Between two rows' times when there is no rate.
const DEFAULT_STEP_US: f64 = 1000.0;

/// A declared datagen source.
pub(crate) struct DatagenConnector {
    plan: Arc<Plan>,
    clock: Arc<dyn Clock>,
    rate: Option<f64>,
    partitions: u64,
}

/// What every reader shares.
struct Plan {
    fields: Vec<Field>,
    columns: ColumnPlan,
    rows: u64,
}

impl DatagenConnector {
    pub(crate) fn try_new(spec: &SourceSpec, clock: Arc<dyn Clock>) -> Result<DatagenConnector, ConnectorError> {
        check_format(spec)?;
        let options = Options::try_new(NAME, &without_prefix(&spec.options))?;
        let rows = options.number(&["rows", "number_of_rows", "count"], 0..=u64::MAX)?;
        let rate = options.number(&["rows_per_second", "rate"], 0.001..=1e9)?;
        let seed = options.number(&["seed"], 0..=u64::MAX)?.unwrap_or(0);
        let partitions = options.number(&["partitions", "split_num"], 1..=1024)?.unwrap_or(1);
        let start_us = options
            .timestamp_us(&["start_time", "start"])?
            .unwrap_or(DEFAULT_START_US);
        let time = RowTime {
            start_us,
            step_us: rate.map_or(DEFAULT_STEP_US, |rate: f64| 1e6 / rate),
        };
        let mut fields = Vec::new();
        let columns = ColumnPlan::try_new(NAME, spec, |name, sql_type| {
            fields.push(Field::try_new(&options, name, sql_type, seed, time)?);
            Ok(fields.len() - 1)
        })?;
        options.finish()?;
        let ends = fields.iter().filter_map(Field::row_limit);
        let rows = ends.fold(rows.unwrap_or(u64::MAX), u64::min);
        Ok(DatagenConnector {
            plan: Arc::new(Plan { fields, columns, rows }),
            clock,
            rate,
            partitions,
        })
    }
}

impl Connector for DatagenConnector {
    fn partitions(&mut self) -> Result<Vec<PartitionId>, ConnectorError> {
        Ok((0..self.partitions).map(|p| PartitionId::new(&p.to_string())).collect())
    }

    fn may_grow(&self) -> bool {
        false
    }

    fn starts_anywhere(&self) -> bool {
        true
    }

    fn open(
        &self,
        partition: &PartitionId,
        from: Offset,
        until: Option<Offset>,
    ) -> Result<Box<dyn PartitionReader>, ConnectorError> {
        let number = partition.as_str().parse::<u64>().ok().filter(|p| *p < self.partitions);
        let Some(number) = number else {
            return Err(ConnectorError::UnknownPartition {
                connector: NAME,
                partition: partition.to_string(),
            });
        };
        let rate = self.rate.filter(|_| until.is_none());
        // The first row of this partition from the offset on.
        let ahead = (number + self.partitions - from.0 % self.partitions) % self.partitions;
        Ok(Box::new(DatagenReader {
            pace: Pace::new(Arc::clone(&self.clock), from.0, rate),
            partition: partition.clone(),
            next: from.0.saturating_add(ahead),
            end: self.plan.rows.min(until.map_or(u64::MAX, |u| u.0)),
            step: self.partitions,
            plan: Arc::clone(&self.plan),
        }))
    }
}

struct DatagenReader {
    plan: Arc<Plan>,
    pace: Pace,
    partition: PartitionId,
    next: u64,
    end: u64,
    step: u64,
}

impl PartitionReader for DatagenReader {
    fn read(&mut self, max_rows: usize) -> Result<ReadStep, ConnectorError> {
        if self.next >= self.end {
            return Ok(ReadStep::End);
        }
        let end = self.end.min(self.pace.due());
        let due = end.saturating_sub(self.next).div_ceil(self.step);
        let count = due.min(max_rows as u64);
        if count == 0 {
            return Ok(ReadStep::Idle);
        }
        let rows: Vec<u64> = (0..count).map(|i| self.next + i * self.step).collect();
        let fields = self.plan.fields.iter().map(|field| field.column(&rows));
        let data = fields.collect::<Result<Vec<_>, _>>()?;
        let offsets: Vec<Offset> = rows.into_iter().map(Offset).collect();
        let batch = self.plan.columns.batch(&data, &self.partition, &offsets)?;
        self.next = self.next.saturating_add(count * self.step);
        Ok(ReadStep::Rows(SourceBatch {
            batch,
            offsets,
            next: Offset(self.next),
            dead: Vec::new(),
        }))
    }

    fn end(&self) -> Option<Offset> {
        let end = self.end.min(self.pace.due());
        (end != u64::MAX).then_some(Offset(end))
    }
}

/// RisingWave writes `datagen.` before its options.
fn without_prefix(options: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let bare = |name: &String| name.strip_prefix("datagen.").unwrap_or(name).to_string();
    options
        .iter()
        .map(|(name, value)| (bare(name), value.clone()))
        .collect()
}

fn check_format(spec: &SourceSpec) -> Result<(), ConnectorError> {
    let is_plain = spec.format.is_empty() || spec.format == "PLAIN";
    // RisingWave's own examples say ENCODE JSON of a generator, with nothing to encode.
    if is_plain && matches!(spec.encode.as_str(), "" | "NATIVE" | "JSON") && spec.encode_options.is_empty() {
        return Ok(());
    }
    Err(ConnectorError::Format {
        connector: NAME,
        what: format!("FORMAT {} ENCODE {}", spec.format, spec.encode),
        expected: "It makes rows, so leave FORMAT and ENCODE out.",
    })
}
