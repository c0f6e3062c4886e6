//! Nexmark sources through the connector's own interface. The goldens are the crate's first events: if they change,
//! everything measured before was measured on other data.

use std::collections::HashSet;

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use highwater_types::{SqlError, SqlState, SqlType};

use crate::testing::{column, connect, read_all, refusal, spec};
use crate::{Include, Offset, PartitionId, ReadStep, SourceSpec, default_columns};

/// A source with all columns of its table.
fn table(options: &str) -> SourceSpec {
    let mut spec = spec("nexmark", &[], options);
    let columns = default_columns("nexmark", &spec.options)
        .expect("a table is named")
        .expect("it has columns");
    spec.columns = columns.into_iter().map(|(name, t)| column(&name, t, None)).collect();
    spec
}

fn rows(options: &str) -> Vec<String> {
    let (connector, _) = connect(&table(options));
    let seen = read_all(connector.as_ref(), &PartitionId::new("0"), 0, None, 1000);
    assert!(seen.ended);
    seen.rows
}

/// One bigint column of all rows.
fn numbers(options: &str, name: &str) -> Vec<i64> {
    let (connector, _) = connect(&table(options));
    let mut reader = connector
        .open(&PartitionId::new("0"), Offset(0), None)
        .expect("a partition");
    let mut values = Vec::new();
    while let ReadStep::Rows(batch) = reader.read(1000).expect("rows") {
        let column = batch.batch.column_by_name(name).expect("a column");
        values.extend(column.as_primitive::<Int64Type>().values());
    }
    values
}

#[test]
fn the_first_events_of_each_table_are_these() {
    let first = |options: &str, count: usize| rows(options)[..count].join("\n");
    let cut = |text: String| {
        text.lines()
            .map(|l| l.chars().take(110).collect::<String>())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        cut(first("table = person, count = 60", 2)),
        include_lines(include_str!("golden/person.txt"))
    );
    assert_eq!(
        cut(first("table = auction, count = 60", 3)),
        include_lines(include_str!("golden/auction.txt"))
    );
    assert_eq!(
        cut(first("table = bid, count = 60", 4)),
        include_lines(include_str!("golden/bid.txt"))
    );
    assert_eq!(
        cut(first("table = bid, count = 60, seed = 7", 4)),
        include_lines(include_str!("golden/bid-7.txt"))
    );
}

fn include_lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn a_round_has_one_person_three_auctions_and_forty_six_bids() {
    assert_eq!(rows("table = person, count = 1000").len(), 20);
    assert_eq!(rows("table = auction, count = 1000").len(), 60);
    assert_eq!(rows("table = bid, count = 1000").len(), 920);
}

#[test]
fn every_bid_and_auction_refers_to_somebody_with_any_seed() {
    for seed in [0, 1, 99] {
        let end = 5_000;
        // A bid may be ahead of its auction by a few; so look further for those.
        let further = end + 50 * 20;
        let people: HashSet<i64> = numbers(&format!("table = person, count = {further}, seed = {seed}"), "id")
            .into_iter()
            .collect();
        let auctions: HashSet<i64> = numbers(&format!("table = auction, count = {further}, seed = {seed}"), "id")
            .into_iter()
            .collect();
        let bids = format!("table = bid, count = {end}, seed = {seed}");
        assert!(
            numbers(&bids, "auction").iter().all(|id| auctions.contains(id)),
            "seed {seed}"
        );
        assert!(
            numbers(&bids, "bidder").iter().all(|id| people.contains(id)),
            "seed {seed}"
        );
        let sellers = numbers(&format!("table = auction, count = {end}, seed = {seed}"), "seller");
        assert!(sellers.iter().all(|id| people.contains(id)), "seed {seed}");
        assert_eq!(
            numbers(&format!("table = person, count = 101, seed = {seed}"), "id"),
            [1000, 1001, 1002]
        );
    }
}

#[test]
fn reading_again_from_an_offset_gives_the_same_rows() {
    for options in [
        "table = bid, count = 500, seed = 3",
        "table = bid, count = 500, out_of_order_group_size = 20",
    ] {
        let (connector, _) = connect(&table(options));
        let partition = PartitionId::new("0");
        let all = read_all(connector.as_ref(), &partition, 0, None, 7);
        for from in [0, 1, 4, 5, 49, 50, 51, 123, 499, 500] {
            let rest = read_all(connector.as_ref(), &partition, from, None, 100);
            let expected = all.rows.iter().filter(|line| offset_of(line) >= from);
            assert!(rest.rows.iter().eq(expected), "from {from}");
        }
        let part = read_all(connector.as_ref(), &partition, 60, Some(110), 100);
        assert!(part.ended);
        assert!(
            part.rows
                .iter()
                .eq(all.rows.iter().filter(|line| (60..110).contains(&offset_of(line))))
        );
    }
}

fn offset_of(line: &str) -> u64 {
    line.split(':').next().and_then(|o| o.parse().ok()).expect("an offset")
}

#[test]
fn partitions_share_the_events_out() {
    let (mut connector, _) = connect(&table("table = auction, count = 1010, partitions = 3"));
    let partitions = connector.partitions().expect("fixed");
    assert_eq!(partitions.len(), 3);
    let mut shared: Vec<String> = Vec::new();
    for partition in &partitions {
        shared.extend(read_all(connector.as_ref(), partition, 0, None, 9).rows);
    }
    shared.sort_by_key(|line| offset_of(line));
    assert_eq!(shared, rows("table = auction, count = 1010"));
    assert!(connector.open(&PartitionId::new("3"), Offset(0), None).is_err());
}

#[test]
fn a_rate_is_kept_by_the_clock_and_sets_event_time() {
    let (connector, clock) = connect(&table("table = bid, rate = 1000"));
    let mut reader = connector
        .open(&PartitionId::new("0"), Offset(0), None)
        .expect("a partition");
    assert!(matches!(reader.read(100).expect("nothing yet"), ReadStep::Idle));
    clock.advance_us(60_000);
    let ReadStep::Rows(batch) = reader.read(100).expect("rows") else {
        panic!("61 events are due")
    };
    // 61 events: one round of 46 bids, then one of which 7 are.
    assert_eq!(batch.batch.num_rows(), 46 + 7);
    let times = batch
        .batch
        .column_by_name("date_time")
        .expect("a time")
        .as_primitive::<TimestampMicrosecondType>();
    assert_eq!(times.value(times.len() - 1) - times.value(0), 56_000);
    assert!(matches!(reader.read(100).expect("nothing more"), ReadStep::Idle));
    // History is read at full speed.
    assert_eq!(
        read_all(connector.as_ref(), &PartitionId::new("0"), 0, Some(500), 100)
            .rows
            .len(),
        460
    );
}

#[test]
fn out_of_order_events_are_the_same_events() {
    let mut jumbled: Vec<String> = rows("table = bid, count = 1000, out_of_order_group_size = 100");
    let mut ordered = rows("table = bid, count = 1000");
    let bare = |lines: &mut Vec<String>| {
        lines
            .iter_mut()
            .for_each(|l| *l = l.split_once(": ").expect("an offset").1.to_string())
    };
    bare(&mut jumbled);
    bare(&mut ordered);
    assert_ne!(jumbled, ordered);
    jumbled.sort();
    ordered.sort();
    assert_eq!(jumbled, ordered);
}

#[test]
fn columns_may_be_chosen_and_of_other_types() {
    let mut spec = spec(
        "nexmark",
        &[("price", SqlType::Numeric(None)), ("date_time", SqlType::Timestamptz)],
        "nexmark.table.type = Bid, nexmark.event.num = 6",
    );
    spec.columns.push(column("o", SqlType::Int8, Some(Include::Offset)));
    spec.columns.push(column("p", SqlType::Text, Some(Include::Partition)));
    let (connector, _) = connect(&spec);
    let seen = read_all(connector.as_ref(), &PartitionId::new("0"), 0, None, 10);
    assert_eq!(seen.rows.len(), 2);
    assert!(seen.rows[0].ends_with("2015-07-15T00:00:00 4 0"), "{}", seen.rows[0]);
}

#[test]
fn mistakes_in_a_declaration_are_named() {
    let message = |spec: &SourceSpec| {
        let error = SqlError::from(refusal(spec));
        (error.state, error.message, error.hint.unwrap_or_default())
    };
    let (state, text, hint) = message(&spec("nexmark", &[("price", SqlType::Int8)], "table = bids"));
    assert_eq!(
        (state, text.as_str()),
        (
            SqlState::INVALID_PARAMETER_VALUE,
            "invalid value for option \"table\": \"bids\""
        )
    );
    assert!(hint.starts_with("Did you mean \"bid\"?"), "{hint}");
    let (_, text, hint) = message(&spec("nexmark", &[("pryce", SqlType::Int8)], "table = bid"));
    assert_eq!(text, "connector nexmark has no column \"pryce\" in table bid");
    assert_eq!(hint, "Did you mean \"price\"?");
    let (_, text, hint) = message(&spec("nexmark", &[("price", SqlType::Int8)], "table = bid, coutn = 5"));
    assert_eq!(
        (text.as_str(), hint.as_str()),
        ("connector nexmark has no option \"coutn\"", "Did you mean \"count\"?")
    );
    let (state, ..) = message(&spec("nexmark", &[("price", SqlType::Bool)], "table = bid"));
    assert_eq!(state, SqlState::DATATYPE_MISMATCH);
    let (_, _, hint) = message(&spec("nexmark", &[("price", SqlType::Int8)], ""));
    assert_eq!(
        hint,
        "Write table = 'person', 'auction' or 'bid', or call the source so."
    );
    let mut keyed = spec("nexmark", &[("price", SqlType::Int8)], "table = bid");
    keyed.columns.push(column("k", SqlType::Text, Some(Include::Key)));
    assert_eq!(message(&keyed).0, SqlState::FEATURE_NOT_SUPPORTED);
    let (_, text, hint) = message(&spec("nexmrak", &[], ""));
    assert_eq!(
        (text.as_str(), hint.as_str()),
        ("unknown connector \"nexmrak\"", "Did you mean \"nexmark\"?")
    );
}
