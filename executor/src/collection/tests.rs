//! Collections under insertions, retractions, merges and readers at older epochs.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use highwater_types::SqlState;
use highwater_types::script::{format_delta, parse_delta};

use super::*;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Int64, true),
        Field::new("v", DataType::Utf8, true),
    ]))
}

fn delta(text: &str) -> Delta {
    parse_delta(&schema(), text).expect("well formed")
}

fn contents(collection: &Collection, epoch: u64) -> String {
    let batches = collection.scan(Epoch(epoch), None).expect("readable");
    let whole = concat_batches(collection.schema(), &batches).expect("one schema");
    format_delta(&Delta::insert(whole))
}

fn apply(collection: &Collection, epoch: u64, text: &str) {
    collection.apply(0, Epoch(epoch), &delta(text)).expect("applies");
}

#[test]
fn every_epoch_shows_the_rows_it_had() {
    for key in [Some(vec![0]), None] {
        let rows = Collection::new(schema(), key, 1);
        apply(&rows, 1, "+1 1 a, +1 2 b");
        apply(&rows, 2, "-1 1 a, +1 1 c");
        apply(&rows, 4, "-1 2 b");
        assert_eq!(contents(&rows, 0), "");
        assert_eq!(contents(&rows, 1), "+1 1 a, +1 2 b");
        assert_eq!(contents(&rows, 3), "+1 1 c, +1 2 b");
        assert_eq!(contents(&rows, 4), "+1 1 c");
        assert_eq!(contents(&rows, u64::MAX), "+1 1 c");
        assert_eq!(rows.row_count(Epoch(1)), 2);
        assert_eq!(rows.row_count(Epoch::MAX), 1);
    }
}

#[test]
fn weights_are_numbers_of_rows() {
    let rows = Collection::new(schema(), None, 1);
    apply(&rows, 1, "+3 1 a, +1 null null");
    apply(&rows, 2, "-2 1 a, -1 null null");
    assert_eq!(contents(&rows, 1), "+1 1 a, +1 1 a, +1 1 a, +1 null null");
    assert_eq!(contents(&rows, 2), "+1 1 a");
}

#[test]
fn a_row_may_come_and_go_in_one_delta_whatever_the_order() {
    let rows = Collection::new(schema(), Some(vec![0]), 1);
    apply(&rows, 1, "+1 1 a");
    apply(&rows, 2, "-1 1 b, -1 1 a, +1 1 b, +1 1 c");
    assert_eq!(contents(&rows, 2), "+1 1 c");
}

#[test]
fn retracting_what_is_not_there_is_an_error() {
    let rows = Collection::new(schema(), Some(vec![0]), 1);
    apply(&rows, 1, "+1 1 a");
    let error = rows.apply(0, Epoch(2), &delta("-1 1 b")).expect_err("another value");
    assert!(matches!(error, ExecError::MissingRow { .. }), "{error}");
    assert!(rows.apply(0, Epoch(2), &delta("-2 1 a")).is_err());
}

#[test]
fn a_look_up_finds_the_version_of_its_epoch() {
    let rows = Collection::new(schema(), Some(vec![0]), 2);
    rows.apply(0, Epoch(1), &delta("+1 1 a")).expect("applies");
    rows.apply(1, Epoch(1), &delta("+1 2 b, +1 null n")).expect("applies");
    rows.apply(0, Epoch(2), &delta("-1 1 a, +1 1 c")).expect("applies");
    let keys: ArrayRef = Arc::new(Int64Array::from(vec![Some(2), Some(7), Some(1), None]));
    let at = |epoch| {
        let found = rows
            .lookup(Epoch(epoch), &[Arc::clone(&keys)])
            .expect("readable")
            .expect("has a key");
        let values = found.column(1).as_string::<i32>();
        values.iter().map(|v| v.unwrap_or("").to_string()).collect::<Vec<_>>()
    };
    assert_eq!(at(1), ["b", "a", "n"]);
    assert_eq!(at(2), ["b", "c", "n"]);
    assert_eq!(at(u64::MAX), ["b", "c", "n"]);
    assert_eq!(at(0), Vec::<String>::new());
}

#[test]
fn without_a_key_there_is_no_look_up() {
    let rows = Collection::new(schema(), None, 1);
    apply(&rows, 1, "+1 1 a");
    let key: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    assert!(rows.lookup(Epoch(1), &[key]).expect("readable").is_none());
}

#[test]
fn a_live_fault_is_the_answer_of_every_read() {
    let rows = Collection::new(schema(), Some(vec![0]), 2);
    apply(&rows, 1, "+1 1 a");
    let fault = Fault::new(SqlState::DIVISION_BY_ZERO, "division by zero");
    rows.apply_faults(0, Epoch(2), &[(fault.clone(), 1)]);
    rows.apply_faults(1, Epoch(3), &[(fault, -1)]);
    assert_eq!(contents(&rows, 1), "+1 1 a");
    assert_eq!(
        rows.scan(Epoch(2), None).expect_err("a fault").state,
        SqlState::DIVISION_BY_ZERO
    );
    let key: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    assert!(rows.lookup(Epoch(2), &[key]).is_err());
    assert_eq!(contents(&rows, 3), "+1 1 a");
    rows.retain_from(Epoch(3));
    assert_eq!(contents(&rows, 3), "+1 1 a");
}

#[test]
fn old_versions_are_merged_away_and_reads_of_them_refused() {
    let rows = Collection::new(schema(), Some(vec![0]), 1);
    apply(&rows, 1, "+1 1 v1");
    for epoch in 2..=2000_u64 {
        apply(&rows, epoch, &format!("-1 1 v{}, +1 1 v{epoch}", epoch - 1));
        rows.retain_from(Epoch(epoch - 1));
        assert_eq!(contents(&rows, epoch - 1), format!("+1 1 v{}", epoch - 1));
    }
    assert_eq!(
        rows.scan(Epoch(5), None).expect_err("merged away").state,
        SqlState::SERIALIZATION_FAILURE
    );
    assert!(rows.size_bytes() < 10_000, "{} bytes for one row", rows.size_bytes());
    let batches = rows.rows(Epoch(2000), None).expect("readable");
    assert_eq!(batches.iter().map(|b| b.num_rows()).sum::<usize>(), 1);
}

#[test]
fn equal_rows_in_great_number_come_and_go() {
    let rows = Collection::new(schema(), None, 1);
    apply(&rows, 1, "+100000 1 a");
    let many: Vec<&str> = std::iter::repeat_n("-1 1 a", 9000).collect();
    apply(&rows, 2, &many.join(", "));
    apply(&rows, 3, "-90999 1 a");
    assert_eq!(rows.row_count(Epoch(2)), 91_000);
    assert_eq!(contents(&rows, 3), "+1 1 a");
}

#[test]
fn appended_batches_are_handed_out_as_they_came() {
    let rows = Collection::new(schema(), Some(vec![0]), 1);
    let big = delta(&(0..5000).map(|i| format!("+1 {i} v")).collect::<Vec<_>>().join(", "));
    rows.apply(0, Epoch(1), &big).expect("applies");
    let batches = rows.scan(Epoch(1), Some(&[0])).expect("readable");
    let [only] = &batches[..] else {
        panic!("{} batches", batches.len())
    };
    let own = big.column(0).as_primitive::<Int64Type>().values().as_ptr();
    assert_eq!(
        only.column(0).as_primitive::<Int64Type>().values().as_ptr(),
        own,
        "no copy was made"
    );
    assert_eq!(rows.scan(Epoch(1), Some(&[])).expect("readable")[0].num_rows(), 5000);
}

/// Random changes against a plain map of rows to counts, read back at every epoch that is kept.
#[test]
fn random_changes_agree_with_a_multiset_at_every_epoch() {
    let mut seed = 7_u64;
    let mut random = move |below: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for key in [Some(vec![0]), None] {
        let is_keyed = key.is_some();
        let rows = Collection::new(schema(), key, 1);
        let mut now: HashMap<(i64, u64), i64> = HashMap::new();
        let mut history: Vec<HashMap<(i64, u64), i64>> = vec![now.clone()];
        let mut oldest = 0;
        for epoch in 1..=400_u64 {
            let mut changes = Vec::new();
            for _ in 0..random(30) {
                let at = (random(50) as i64, random(3));
                let present: Vec<(i64, u64)> = now
                    .iter()
                    .filter(|((k, _), n)| *k == at.0 && **n > 0)
                    .map(|(r, _)| *r)
                    .collect();
                match present.first() {
                    Some(row) if is_keyed || random(2) == 0 => {
                        *now.entry(*row).or_default() -= 1;
                        changes.push(format!("-1 {} v{}", row.0, row.1));
                    }
                    _ => {
                        let count = if is_keyed { 1 } else { 1 + random(3) as i64 };
                        *now.entry(at).or_default() += count;
                        changes.push(format!("+{count} {} v{}", at.0, at.1));
                    }
                }
            }
            apply(&rows, epoch, &changes.join(", "));
            now.retain(|_, n| *n != 0);
            history.push(now.clone());
            if random(10) == 0 {
                oldest = oldest.max(epoch.saturating_sub(random(20)));
                rows.retain_from(Epoch(oldest));
            }
            let read = oldest + random(epoch - oldest + 1);
            let mut expected: Vec<String> = Vec::new();
            for ((k, v), n) in &history[read as usize] {
                expected.extend((0..*n).map(|_| format!("+1 {k} v{v}")));
            }
            expected.sort();
            let mut found: Vec<String> = contents(&rows, read)
                .split(", ")
                .filter(|s| !s.is_empty())
                .map(String::from)
                .collect();
            found.sort();
            assert_eq!(found, expected, "epoch {read} after {epoch}");
            if is_keyed {
                let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..50));
                let found = rows.lookup(Epoch(read), &[keys]).expect("readable").expect("keyed");
                assert_eq!(found.num_rows(), expected.len());
            }
        }
    }
}

#[test]
fn readers_see_whole_epochs_while_a_writer_writes() {
    let rows = Collection::new(schema(), Some(vec![0]), 1);
    apply(
        &rows,
        1,
        &(0..100).map(|i| format!("+1 {i} v1")).collect::<Vec<_>>().join(", "),
    );
    let closed = Arc::new(AtomicU64::new(1));
    let reader = {
        let (rows, closed) = (Arc::clone(&rows), Arc::clone(&closed));
        std::thread::spawn(move || {
            loop {
                let epoch = closed.load(Ordering::Acquire);
                let batches = rows.scan(Epoch(epoch), None).expect("kept");
                let value = format!("v{epoch}");
                let mut count = 0;
                for batch in &batches {
                    let values = batch.column(1).as_string::<i32>();
                    assert!(
                        values.iter().all(|v| v == Some(value.as_str())),
                        "a mix of epochs at {epoch}"
                    );
                    count += values.len();
                }
                assert_eq!(count, 100);
                if epoch == 200 {
                    return;
                }
            }
        })
    };
    for epoch in 2..=200_u64 {
        let changes: Vec<String> = (0..100)
            .map(|i| format!("-1 {i} v{}, +1 {i} v{epoch}", epoch - 1))
            .collect();
        apply(&rows, epoch, &changes.join(", "));
        closed.store(epoch, Ordering::Release);
    }
    reader.join().expect("the reader saw no mix");
}

#[test]
fn a_refused_delta_changes_nothing() {
    for key in [Some(vec![0]), None] {
        let rows = Collection::new(schema(), key, 1);
        apply(&rows, 1, "+1 1 a, +1 2 b");
        let refused = delta("-1 1 a, +1 1 c, +1 3 d, -1 2 x");
        let error = rows.apply(0, Epoch(2), &refused).expect_err("2 x is not there");
        assert!(matches!(error, ExecError::MissingRow { .. }), "{error}");
        assert_eq!(contents(&rows, 2), "+1 1 a, +1 2 b");
        assert_eq!(contents(&rows, u64::MAX), "+1 1 a, +1 2 b");
        apply(&rows, 3, "-1 1 a, +1 1 c, -1 2 b");
        assert_eq!(contents(&rows, 3), "+1 1 c");
    }
}

#[test]
fn what_comes_and_goes_in_a_delta_makes_up_for_what_is_not_stored() {
    let rows = Collection::new(schema(), None, 1);
    apply(&rows, 1, "+1 1 a");
    apply(&rows, 2, "+2 1 a, -2 1 a, +1 1 b, -1 1 b, +1 2 c");
    assert_eq!(contents(&rows, 2), "+1 1 a, +1 2 c");
    let refused = delta("+1 1 a, -3 1 a");
    assert!(rows.apply(0, Epoch(3), &refused).is_err(), "there are two");
    assert_eq!(contents(&rows, 3), "+1 1 a, +1 2 c");
}

#[test]
fn many_equal_rows_that_stand_apart_in_a_delta_all_go() {
    let rows = Collection::new(schema(), None, 1);
    let texts = |weight: i64, count: usize| -> String {
        let row = |at: usize| format!("{weight:+} {} x", at % 3);
        (0..count).map(row).collect::<Vec<_>>().join(", ")
    };
    apply(&rows, 1, &texts(1, 20_000));
    apply(&rows, 2, &format!("+1 9 y, {}", texts(-1, 19_998)));
    assert_eq!(contents(&rows, 2), "+1 0 x, +1 1 x, +1 9 y");
    assert_eq!(rows.row_count(Epoch(1)), 20_000);
    assert!(rows.apply(0, Epoch(3), &delta(&texts(-1, 9000))).is_err());
    assert_eq!(rows.row_count(Epoch::MAX), 3);
}

#[test]
fn who_reads_the_newest_rows_sees_every_row_once() {
    const CHANGES: u64 = 3000;
    for key in [Some(vec![0]), None] {
        let has_key = key.is_some();
        let rows = Collection::new(schema(), key, 1);
        apply(&rows, 1, "+1 1 v1");
        let reader = std::thread::spawn({
            let rows = Arc::clone(&rows);
            move || {
                let wanted: ArrayRef = Arc::new(Int64Array::from(vec![1]));
                loop {
                    let found = match has_key {
                        true => rows
                            .lookup(Epoch::MAX, &[Arc::clone(&wanted)])
                            .expect("readable")
                            .expect("a key"),
                        false => {
                            let batches = rows.scan(Epoch::MAX, None).expect("readable");
                            concat_batches(rows.schema(), &batches).expect("one schema")
                        }
                    };
                    assert_eq!(found.num_rows(), 1, "there is always one row");
                    if found.column(1).as_string::<i32>().value(0) == format!("v{CHANGES}") {
                        return;
                    }
                }
            }
        });
        for epoch in 2..=CHANGES {
            apply(&rows, epoch, &format!("-1 1 v{}, +1 1 v{epoch}", epoch - 1));
        }
        reader.join().expect("the reader saw one row at all times");
    }
}

/// What changed from one epoch to another, as text: `epoch: delta; ...`.
fn changes(collection: &Collection, from: u64, to: u64) -> String {
    let changes = collection.changes(Epoch(from), Epoch(to)).expect("kept");
    let texts: Vec<String> = changes
        .iter()
        .map(|(epoch, delta)| format!("{}: {}", epoch.0, format_delta(delta)))
        .collect();
    texts.join("; ")
}

#[test]
fn changes_are_those_of_each_epoch() {
    for key in [Some(vec![0]), None] {
        let rows = Collection::new(schema(), key, 2);
        apply(&rows, 1, "+1 1 a, +1 2 b");
        apply(&rows, 2, "-1 1 a, +1 1 c");
        rows.apply(1, Epoch(2), &delta("+1 3 d")).expect("applies");
        apply(&rows, 4, "-1 2 b");
        rows.apply(1, Epoch(5), &delta("-1 3 d, +1 3 d")).expect("applies");
        let all = "1: +1 1 a, +1 2 b; 2: -1 1 a, +1 1 c, +1 3 d; 4: -1 2 b";
        assert_eq!(changes(&rows, 0, 5), all);
        assert_eq!(changes(&rows, 1, 3), "2: -1 1 a, +1 1 c, +1 3 d");
        assert_eq!(changes(&rows, 2, 3), "");
    }
}

#[test]
fn what_comes_and_goes_in_one_epoch_is_no_change() {
    let rows = Collection::new(schema(), None, 1);
    apply(&rows, 1, "+2 1 a");
    apply(&rows, 2, "+1 9 x");
    apply(&rows, 2, "-1 9 x, -1 1 a");
    assert_eq!(changes(&rows, 0, 2), "1: +2 1 a; 2: -1 1 a");
}

#[test]
fn changes_outlive_merges_as_long_as_they_are_held() {
    let rows = Collection::new(schema(), Some(vec![0]), 1);
    let mut expected = Vec::new();
    for epoch in 1..=200u64 {
        let change = match epoch {
            1 => "+1 0 v1".to_string(),
            _ => format!("-1 0 v{}, +1 0 v{epoch}", epoch - 1),
        };
        apply(&rows, epoch, &change);
        if epoch == 100 {
            rows.retain_from(Epoch(90));
        }
        if epoch > 90 {
            expected.push(format!("{epoch}: {}", format_delta(&delta(&change))));
        }
    }
    assert_eq!(changes(&rows, 90, 200), expected.join("; "));
    let error = rows.changes(Epoch(89), Epoch(200)).expect_err("no longer kept");
    assert!(matches!(error, ExecError::Expired { .. }), "{error}");
}
