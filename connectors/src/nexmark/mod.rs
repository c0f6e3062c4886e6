//! `connector = 'nexmark'`: the Nexmark benchmark's auctions, from the `nexmark` crate.
//!
//! ```sql
//! CREATE SOURCE bid WITH (connector = 'nexmark', rate = '100000');
//! ```
//! `person`, `auction` and `bid` are a source each. Those with the same options are three views of one stream of
//! events, of which each round of fifty has one person, three auctions and forty-six bids: a bid's auction and
//! bidder are in the other two. Every event is made from its number alone, so reading one table never makes the
//! events of the others, and reading again from an offset (a position in the stream) is exact.
//!
//! | option | default | means |
//! |---|---|---|
//! | `table` | the source's name | `person`, `auction` or `bid` |
//! | `rate` | unlimited | events per second over all three tables, by the wall clock and in event time |
//! | `event_rate` | `rate`, or 10000 | events per second in event time |
//! | `count` | endless | events over all three tables, after which the source ends |
//! | `start` | 2015-07-15 00:00:00 | the first event's time; fixed, so that history can be read again |
//! | `seed` | 0 | other people and auctions; 0 gives the crate's own stream |
//! | `partitions` | 1 | shares the rounds are dealt out to |
//! | the crate's own | its own | `active_people`, `hot_auction_ratio`, `bid_proportion`, ... |
//!
//! RisingWave's names for the same are understood too (`nexmark.table.type`, `nexmark.event.num`, ...).
//! Memory: one batch. Speed: see `connectors/examples/source_rate.rs`.

mod events;
mod reader;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_types::SqlType;
use nexmark::config::NexmarkConfig;

use self::events::{Stream, Table};
use self::reader::NexmarkReader;
use crate::columns::ColumnPlan;
use crate::options::{Options, invalid, nearest};
use crate::pace::Pace;
use crate::{Clock, Connector, ConnectorError, Offset, PartitionId, PartitionReader, SourceSpec};

/// What `connector = '...'` calls it.
pub(crate) const NAME: &str = "nexmark";
const TABLES: [&str; 3] = ["person", "auction", "bid"];
/// 2015-07-15 00:00:00, where Nexmark has started since Apache Beam's version of it.
const DEFAULT_START_US: i64 = 1_436_918_400_000_000;
/// What the crate permutes positions by within an out-of-order group: a group must not be a multiple of it.
const ORDER_STRIDE: usize = 953;

/// A declared Nexmark source.
pub(crate) struct NexmarkConnector {
    stream: Arc<Stream>,
    columns: Arc<ColumnPlan>,
    clock: Arc<dyn Clock>,
    rate: Option<f64>,
    partitions: u64,
}

impl NexmarkConnector {
    pub(crate) fn try_new(spec: &SourceSpec, clock: Arc<dyn Clock>) -> Result<NexmarkConnector, ConnectorError> {
        check_format(spec)?;
        let options = Options::try_new(NAME, &without_prefix(&spec.options))?;
        let table = table(&options)?;
        let rate = options.number(&["rate"], 0.001..=1e9)?;
        let event_rate = options.number(&["event_rate", "first_event_rate"], 1..=1_000_000_000)?;
        let count = options.number(&["count", "event_num"], 0..=u64::MAX)?;
        let seed = options.number(&["seed"], 0..=1_000_000)?.unwrap_or(0);
        let partitions = options.number(&["partitions", "split_num"], 1..=1024)?.unwrap_or(1);
        let start_us = options
            .timestamp_us(&["start", "base_time"])?
            .unwrap_or(DEFAULT_START_US);
        if start_us < 0 {
            return Err(invalid("start".to_string(), start_us.to_string(), "A time after 1970."));
        }
        let mut config = crate_config(&options)?;
        options.finish()?;
        config.base_time = (start_us / 1000).unsigned_abs();
        let spacing = event_rate.unwrap_or_else(|| rate.map_or(10_000, |rate: f64| rate.ceil() as usize));
        config.first_rate = spacing;
        config.next_rate = spacing;
        let columns = ColumnPlan::try_new(NAME, spec, |name, sql_type| find_column(table, name, sql_type))?;
        Ok(NexmarkConnector {
            stream: Arc::new(Stream::new(table, config, seed, count)),
            columns: Arc::new(columns),
            clock,
            rate,
            partitions,
        })
    }
}

impl Connector for NexmarkConnector {
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
        Ok(Box::new(NexmarkReader::new(
            Arc::clone(&self.stream),
            Arc::clone(&self.columns),
            Pace::new(Arc::clone(&self.clock), from.0, rate),
            (partition.clone(), number, self.partitions),
            from.0..until.map_or(u64::MAX, |u| u.0),
        )))
    }
}

/// A source that has a table's name, and says nothing else, is one of that table.
pub(crate) fn add_table(source: &str, options: &mut BTreeMap<String, String>) {
    let says_table = |name: &String| name == "table" || name.ends_with("table.type") || name.ends_with("table_type");
    if TABLES.contains(&source) && !options.keys().any(says_table) {
        options.insert("table".to_string(), source.to_string());
    }
}

/// The columns of the table that the options name.
pub(crate) fn default_columns(options: &BTreeMap<String, String>) -> Result<Vec<(String, SqlType)>, ConnectorError> {
    let options = Options::try_new(NAME, &without_prefix(options))?;
    let columns = table(&options)?.columns().iter();
    Ok(columns.map(|(name, t)| ((*name).to_string(), t.clone())).collect())
}

fn table(options: &Options) -> Result<Table, ConnectorError> {
    match options.word(&["table", "table_type"], &TABLES)? {
        Some("person") => Ok(Table::Person),
        Some("auction") => Ok(Table::Auction),
        Some(_) => Ok(Table::Bid),
        None => Err(ConnectorError::MissingOption {
            connector: NAME,
            option: "table",
            hint: "Write table = 'person', 'auction' or 'bid', or call the source so.",
        }),
    }
}

/// The crate's own options, under its own names.
fn crate_config(options: &Options) -> Result<NexmarkConfig, ConnectorError> {
    let mut config = NexmarkConfig::default();
    let numbers: [(&str, &mut usize); 14] = [
        ("active_people", &mut config.active_people),
        ("in_flight_auctions", &mut config.in_flight_auctions),
        ("out_of_order_group_size", &mut config.out_of_order_group_size),
        ("avg_person_byte_size", &mut config.avg_person_byte_size),
        ("avg_auction_byte_size", &mut config.avg_auction_byte_size),
        ("avg_bid_byte_size", &mut config.avg_bid_byte_size),
        ("hot_seller_ratio", &mut config.hot_seller_ratio),
        ("hot_auction_ratio", &mut config.hot_auction_ratio),
        ("hot_bidder_ratio", &mut config.hot_bidder_ratio),
        ("hot_channel_ratio", &mut config.hot_channel_ratio),
        ("num_categories", &mut config.num_categories),
        ("person_proportion", &mut config.person_proportion),
        ("auction_proportion", &mut config.auction_proportion),
        ("bid_proportion", &mut config.bid_proportion),
    ];
    for (name, place) in numbers {
        if let Some(number) = options.number(&[name], 1..=1_000_000)? {
            *place = number;
        }
    }
    if config.out_of_order_group_size % ORDER_STRIDE == 0 {
        let value = config.out_of_order_group_size.to_string();
        return Err(invalid(
            "out_of_order_group_size".to_string(),
            value,
            "Not a multiple of 953.",
        ));
    }
    Ok(config)
}

/// RisingWave writes `nexmark.` before every option.
fn without_prefix(options: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let bare = |name: &String| name.strip_prefix("nexmark.").unwrap_or(name).to_string();
    options
        .iter()
        .map(|(name, value)| (bare(name), value.clone()))
        .collect()
}

fn check_format(spec: &SourceSpec) -> Result<(), ConnectorError> {
    let is_plain =
        (spec.format.is_empty() || spec.format == "PLAIN") && (spec.encode.is_empty() || spec.encode == "NATIVE");
    if is_plain {
        return Ok(());
    }
    Err(ConnectorError::Format {
        connector: NAME,
        what: format!("FORMAT {} ENCODE {}", spec.format, spec.encode),
        expected: "It makes rows, so leave FORMAT and ENCODE out.",
    })
}

fn find_column(table: Table, name: &str, sql_type: &SqlType) -> Result<usize, ConnectorError> {
    let columns = table.columns();
    let Some(index) = columns.iter().position(|(known, _)| *known == name) else {
        return Err(ConnectorError::UnknownColumn {
            connector: NAME,
            table: Some(table.name()),
            column: name.to_string(),
            nearest: nearest(name, columns.iter().map(|(known, _)| *known)),
        });
    };
    let native = &columns[index].1;
    let fits = match native {
        SqlType::Int8 => matches!(
            sql_type,
            SqlType::Int8 | SqlType::Int4 | SqlType::Numeric(None) | SqlType::Float8
        ),
        SqlType::Timestamp => matches!(sql_type, SqlType::Timestamp | SqlType::Timestamptz),
        _ => matches!(sql_type, SqlType::Text | SqlType::Varchar(None)),
    };
    if fits {
        return Ok(index);
    }
    Err(ConnectorError::ColumnType {
        column: name.to_string(),
        declared: sql_type.clone(),
        expected: format!("Declare it as {native}, or leave all columns out."),
    })
}
