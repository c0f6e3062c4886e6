//! File sources through the connector's own interface, on files in a temporary folder.

mod followed;
mod parquet_files;
mod records;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, TimestampMillisecondArray};
use highwater_types::{SqlError, SqlState, SqlType};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

use crate::testing::{Seen, column, connect, lines, read_all, refusal, spec};
use crate::{
    Connector, DeadLetter, Include, Offset, PartitionId, PartitionReader, ReadStep, SourceBatch, SourceSpec,
    default_columns,
};

struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PartitionId {
        fs::write(self.path(name), text).expect("a file");
        self.partition(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().append(true).open(self.path(name)).expect("a file");
        file.write_all(text.as_bytes()).expect("appended");
    }

    fn partition(&self, name: &str) -> PartitionId {
        PartitionId::new(&self.path(name).display().to_string())
    }

    /// A source of the columns `id bigint, name text` from this path.
    fn source(&self, path: &str, options: &str) -> SourceSpec {
        let columns = [("id", SqlType::Int8), ("name", SqlType::Text)];
        spec(
            "file",
            &columns,
            &format!("path = {}{options}", self.path(path).display()),
        )
    }
}

fn all(spec: &SourceSpec) -> Seen {
    let (mut connector, _) = connect(spec);
    let partition = connector.partitions().expect("found").remove(0);
    read_all(connector.as_ref(), &partition, 0, None, 100)
}

fn reasons(seen: &Seen) -> Vec<String> {
    seen.dead
        .iter()
        .map(|d| format!("{}: {} | {}", d.offset, d.reason, d.payload))
        .collect()
}

fn parquet_file(folder: &Folder) -> PartitionId {
    let ids: ArrayRef = Arc::new(Int32Array::from_iter((0..1000).map(|i| (i % 10 != 3).then_some(i))));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values((0..1000).map(|i| format!("{i}"))));
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(0..1000));
    let batch = RecordBatch::try_from_iter([("Id", ids), ("name", names), ("at", times)]).expect("three columns");
    let file = File::create(folder.path("a.parquet")).expect("a file");
    let groups = WriterProperties::builder()
        .set_max_row_group_row_count(Some(300))
        .build();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(groups)).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    folder.partition("a.parquet")
}

#[test]
fn mistakes_in_a_declaration_are_named() {
    let folder = Folder::new();
    folder.write("a.csv", "id,nmae\n1,a\n");
    parquet_file(&folder);
    let told = |spec: &SourceSpec| {
        let error = SqlError::from(refusal(spec));
        (
            error.state,
            format!("{} {}", error.message, error.hint.unwrap_or_default()),
        )
    };
    let (state, text) = told(&folder.source("a.csv", ", header = true"));
    assert_eq!(state, SqlState::UNDEFINED_COLUMN);
    assert!(
        text.ends_with("has no column \"name\" Did you mean \"nmae\"?"),
        "{text}"
    );
    assert_eq!(told(&folder.source("b.csv", "")).0, SqlState::UNDEFINED_FILE);
    assert!(
        told(&folder.source("a.csv", ", folow = true"))
            .1
            .contains("Did you mean \"follow\"?")
    );
    assert!(told(&folder.source("a.txt", "")).1.contains("needs option \"format\""));
    assert!(
        told(&folder.source("a.parquet", ", follow = true"))
            .1
            .contains("leave follow out")
    );
    assert!(
        told(&folder.source("a.parquet", ", header = true"))
            .1
            .contains("has no option \"header\"")
    );
    let mut avro = folder.source("a.csv", "");
    avro.encode = "AVRO".to_string();
    assert_eq!(told(&avro).0, SqlState::FEATURE_NOT_SUPPORTED);
    fs::write(folder.path("b.parquet"), "no such thing").expect("a file");
    assert_eq!(told(&folder.source("b.parquet", "")).0, SqlState::DATA_CORRUPTED);
}

/// The next rows of a reader that has some.
fn next_rows(reader: &mut dyn PartitionReader) -> SourceBatch {
    match reader.read(100).expect("readable") {
        ReadStep::Rows(batch) => batch,
        other => panic!("rows are there, not {other:?}"),
    }
}
