//! The log's promises, one a test. A crash is played by copying the folder as it stands while the store is open.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use highwater_types::script::{format_delta, parse_delta};
use highwater_types::{Delta, Epoch, RelationId, SqlError, SqlState};
use sled::Batch;

use super::WalEntry;
use super::record::RecordKey;
use crate::disk::{Disk, WRITTEN_PER_BYTE};
use crate::{StorageError, Store};

const T: RelationId = RelationId(16384);
const U: RelationId = RelationId(16385);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Utf8, true),
        Field::new("v", DataType::Int64, true),
    ]))
}

fn entry(relation: RelationId, text: &str) -> WalEntry {
    let delta = parse_delta(&schema(), text).expect("well formed");
    WalEntry { relation, delta }
}

/// The log as text: `epoch table changes`, a line an entry.
fn log_of(store: &Store) -> Vec<String> {
    let epochs = store.wal().replay().map(|r| r.expect("an undamaged log"));
    epochs
        .flat_map(|(epoch, entries)| entries.into_iter().map(move |e| (epoch, e)))
        .map(|(epoch, e)| format!("{epoch} {} {}", e.relation.0 - T.0, format_delta(&e.delta)))
        .collect()
}

/// What the log comes to, a line a table.
fn sum_of(store: &Store, relation: RelationId) -> String {
    let epochs = store.wal().replay().map(|r| r.expect("an undamaged log").1);
    let deltas: Vec<Delta> = epochs
        .flatten()
        .filter(|e| e.relation == relation)
        .map(|e| e.delta)
        .collect();
    let sum = Delta::concat(&schema(), &deltas).and_then(|d| d.consolidate());
    format_delta(&sum.expect("one schema"))
}

/// The folder as a killed process would leave it.
fn crashed_copy(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a temporary folder");
    copy_folder(dir, copy.path());
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for item in fs::read_dir(from).expect("a folder") {
        let item = item.expect("an item");
        if item.path().is_dir() {
            copy_folder(&item.path(), &to.join(item.file_name()));
        } else {
            fs::copy(item.path(), to.join(item.file_name())).expect("a copy");
        }
    }
}

fn open(dir: &Path) -> Store {
    Store::open(dir).expect("a store")
}

fn append(store: &Store, epoch: u64, entries: &[WalEntry]) {
    store.wal().append(Epoch(epoch), entries).expect("an append");
}

#[test]
fn what_was_appended_is_replayed_in_epoch_order_after_a_crash() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open(dir.path());
    append(&store, 5, &[entry(T, "+1 a 1, +2 b null"), entry(U, "+1 x 9")]);
    append(&store, 256, &[entry(T, "-1 a 1, +1 a 2")]);
    append(&store, 70_000, &[entry(U, "-1 x 9")]);
    let copy = crashed_copy(dir.path());
    let reopened = open(copy.path());
    let expected = [
        "5 0 +1 a 1, +2 b null",
        "5 1 +1 x 9",
        "256 0 -1 a 1, +1 a 2",
        "70000 1 -1 x 9",
    ];
    assert_eq!(log_of(&reopened), expected);
    assert_eq!(reopened.wal().last_epoch(), Epoch(70_000));
    append(&reopened, 70_001, &[entry(T, "+1 c 3")]);
    assert_eq!(log_of(&reopened).last().map(String::as_str), Some("70001 0 +1 c 3"));
}

#[test]
fn an_epoch_that_is_not_newer_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open(dir.path());
    append(&store, 5, &[entry(T, "+1 a 1")]);
    let again = store.wal().append(Epoch(5), &[entry(T, "+1 a 1")]);
    assert!(matches!(again, Err(StorageError::EpochOrder { .. })), "{again:?}");
}

#[test]
fn a_forgotten_table_is_not_replayed_but_what_comes_later_is() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open(dir.path());
    append(&store, 1, &[entry(T, "+1 a 1"), entry(U, "+1 x 1")]);
    append(&store, 2, &[entry(T, "+1 b 1")]);
    store.wal().forget(T).expect("a mark");
    append(&store, 3, &[entry(T, "+1 c 1")]);
    let reopened = open(crashed_copy(dir.path()).path());
    assert_eq!(log_of(&reopened), ["1 1 +1 x 1", "3 0 +1 c 1"]);
    reopened.wal().compact().expect("a compaction");
    assert_eq!(log_of(&reopened), ["3 0 +1 c 1", "3 1 +1 x 1"]);
}

#[test]
fn a_truncate_and_the_inserts_of_its_transaction_are_one_append() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open(dir.path());
    append(&store, 1, &[entry(T, "+1 a 1")]);
    store
        .wal()
        .append_after_forgetting(Epoch(2), &[T], &[entry(T, "+1 b 1")])
        .expect("an append");
    assert_eq!(log_of(&open(crashed_copy(dir.path()).path())), ["2 0 +1 b 1"]);
}

#[test]
fn compaction_keeps_the_sum_and_the_last_epoch() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open(dir.path());
    for i in 0..50 {
        append(
            &store,
            10 + i,
            &[
                entry(T, &format!("+1 a {i}, -1 a {}", i as i64 - 1)),
                entry(U, "+1 x 1"),
            ],
        );
    }
    store.wal().compact().expect("a compaction");
    assert_eq!(log_of(&store), ["59 0 -1 a -1, +1 a 49", "59 1 +50 x 1"]);
    append(&store, 60, &[entry(T, "-1 a 49")]);
    let reopened = open(crashed_copy(dir.path()).path());
    assert_eq!(reopened.wal().last_epoch(), Epoch(60));
    assert_eq!(sum_of(&reopened, T), "-1 a -1");
    reopened.wal().compact().expect("a compaction");
    assert_eq!(log_of(&reopened), ["60 0 -1 a -1", "60 1 +50 x 1"]);
    assert_eq!(reopened.wal().last_epoch(), Epoch(60));
}

#[test]
fn a_table_that_was_forgotten_whole_keeps_its_last_epoch() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open(dir.path());
    append(&store, 7, &[entry(T, "+1 a 1")]);
    store.wal().forget(T).expect("a mark");
    store.wal().compact().expect("a compaction");
    assert!(log_of(&store).is_empty());
    assert_eq!(open(crashed_copy(dir.path()).path()).wal().last_epoch(), Epoch(7));
}

#[test]
fn a_crash_at_any_step_of_a_compaction_loses_nothing() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open(dir.path());
    for i in 0..20 {
        append(&store, 1 + i, &[entry(T, &format!("+1 a {i}, -1 a {}", i as i64 - 1))]);
    }
    let before = sum_of(&store, T);
    let cut = store.wal().rotate().expect("step 1");
    assert_eq!(sum_of(&open(crashed_copy(dir.path()).path()), T), before);
    append(&store, 50, &[entry(T, "+1 z 1")]);
    let after = sum_of(&store, T);
    let sums = {
        let writer = store.wal().writer();
        let records =
            super::replay::Records::new(Arc::clone(&store.wal().disk), &cut.old, &writer.schemas, &cut.applied);
        super::compact::sum(records).expect("step 2, reading")
    };
    let number = super::compact::next_number(&cut.old);
    let bytes = store.wal().write_base(number, cut.epoch, sums).expect("step 2");
    assert_eq!(sum_of(&open(crashed_copy(dir.path()).path()), T), after);
    store.wal().swap(&cut, number, bytes).expect("steps 3 and 4");
    let copy = crashed_copy(dir.path());
    let reopened = open(copy.path());
    assert_eq!(sum_of(&reopened, T), after);
    assert_eq!(log_of(&reopened).len(), 2, "a base and one append");
    append(&reopened, 51, &[entry(T, "-1 z 1")]);
    assert_eq!(sum_of(&reopened, T), before);
}

#[test]
fn a_large_batch_is_cut_into_parts_and_comes_back_whole() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open(dir.path());
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values((0..50_000).map(|i| format!("key {i}"))));
    let values: ArrayRef = Arc::new(Int64Array::from_iter((0..50_000).map(|i| (i % 7 != 0).then_some(i))));
    let batch = RecordBatch::try_new(schema(), vec![keys, values]).expect("two columns");
    let weights = Int64Array::from_iter_values((0..50_000).map(|i| 1 + i % 3));
    let delta = Delta::try_new(batch.clone(), Some(weights.clone())).expect("a weight a row");
    append(&store, 1, &[WalEntry { relation: T, delta }, entry(U, "+1 x 1")]);
    let reopened = open(crashed_copy(dir.path()).path());
    let (_, entries) = reopened.wal().replay().next().expect("an epoch").expect("undamaged");
    assert_eq!(entries[0].delta.batch(), &batch);
    assert_eq!(entries[0].delta.weights(), Some(&weights));
    assert!(entries[1].delta.weights().is_none());
    assert!(
        fs::read_dir(dir.path().join("sled/blobs"))
            .expect("a folder")
            .next()
            .is_none()
    );
}

#[test]
fn a_table_may_change_its_columns() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open(dir.path());
    append(&store, 1, &[entry(T, "+1 a 1"), entry(U, "+1 x 1")]);
    let wider = Arc::new(Schema::new(vec![Field::new("k", DataType::Utf8, false)]));
    let delta = parse_delta(&wider, "+1 only").expect("well formed");
    append(&store, 2, &[WalEntry { relation: T, delta }]);
    let reopened = open(crashed_copy(dir.path()).path());
    assert_eq!(log_of(&reopened), ["1 0 +1 a 1", "1 1 +1 x 1", "2 0 +1 only"]);
    reopened.wal().compact().expect("a compaction");
    assert_eq!(log_of(&reopened), ["2 0 +1 a 1", "2 0 +1 only", "2 1 +1 x 1"]);
}

/// Changes the stored log behind its back.
fn tamper(dir: &Path, change: impl FnOnce(&sled::Tree)) {
    let disk = Disk::open(dir).expect("a database");
    let tree = disk.tree("log-1").expect("the log");
    change(&tree);
    disk.sync().expect("a sync");
}

fn three_epochs(dir: &Path) {
    let store = open(dir);
    for epoch in 1..=3 {
        append(&store, epoch, &[entry(T, "+1 a 1"), entry(U, "+1 x 1")]);
    }
}

fn first_error(dir: &Path) -> SqlError {
    let store = open(dir);
    let error = store.wal().replay().find_map(Result::err);
    error.expect("a damaged log").into()
}

#[test]
fn a_flipped_bit_is_named_as_damage() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    three_epochs(dir.path());
    let key = RecordKey {
        epoch: Epoch(2),
        relation: U,
        entry: 1,
    };
    tamper(dir.path(), |log| {
        let mut value = log.get(key.part(0)).expect("readable").expect("there").to_vec();
        let middle = value.len() / 2;
        value[middle] ^= 1;
        log.insert(key.part(0), value).expect("a write");
    });
    let error = first_error(dir.path());
    assert_eq!(error.state, SqlState::DATA_CORRUPTED);
    assert!(
        error.message.contains("log record of table 16385 in epoch 2"),
        "{error}"
    );
    assert!(error.message.contains("checksum"), "{error}");
}

#[test]
fn a_lost_epoch_and_a_lost_record_are_noticed() {
    let lose = |keys: &[RecordKey]| {
        let dir = tempfile::tempdir().expect("a temporary folder");
        three_epochs(dir.path());
        tamper(dir.path(), |log| {
            let mut batch = Batch::default();
            keys.iter().for_each(|key| batch.remove(&key.part(0)));
            log.apply_batch(batch).expect("a write");
        });
        first_error(dir.path()).message
    };
    let t = RecordKey {
        epoch: Epoch(2),
        relation: T,
        entry: 0,
    };
    let u = RecordKey {
        epoch: Epoch(2),
        relation: U,
        entry: 1,
    };
    assert!(lose(&[t, u]).contains("epoch 3 is append 3, where append 2 should be"));
    assert!(lose(&[u]).contains("1 records of epoch 2 are gone"));
    let last = RecordKey {
        epoch: Epoch(3),
        relation: U,
        entry: 1,
    };
    assert!(lose(&[last]).contains("1 records of epoch 3 are gone"));
}

#[test]
fn a_record_of_a_newer_version_is_refused_by_its_version() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    three_epochs(dir.path());
    let key = RecordKey {
        epoch: Epoch(2),
        relation: T,
        entry: 0,
    };
    tamper(dir.path(), |log| {
        let mut value = log.get(key.part(0)).expect("readable").expect("there").to_vec();
        value[0] = 9;
        log.insert(key.part(0), value).expect("a write");
    });
    assert!(first_error(dir.path()).message.contains("format version 9"));
}

/// What is asked for before an append must be enough, or the device fills up under it.
#[test]
fn an_append_writes_no_more_than_room_was_asked_for() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(dir.path()).expect("a store");
    let mut state = 1_u64;
    let mut noise = || {
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            format!("{state:016x}")
        };
        (0..8).map(next).collect::<String>()
    };
    for (round, rows) in [40, 4000, 40_000].into_iter().enumerate() {
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|_| noise())));
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        let batch = RecordBatch::try_new(schema(), vec![texts, numbers]).expect("two columns");
        let entry = WalEntry {
            relation: T,
            delta: Delta::insert(batch),
        };
        let before = store.size_bytes();
        let given = entry.size_bytes();
        store
            .wal()
            .append(Epoch(round as u64 + 1), &[entry])
            .expect("an append");
        let written = store.size_bytes() - before;
        println!("{rows} rows: {given} bytes, {written} written");
        // Room is given in segments of sled's.
        assert!(
            written <= given * WRITTEN_PER_BYTE + (1 << 20),
            "{rows} rows: {given} became {written}"
        );
    }
}
