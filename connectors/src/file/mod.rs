//! `connector = 'file'`: CSV, JSON lines and Parquet files of the server's machine.
//!
//! ```sql
//! CREATE SOURCE trips (id BIGINT, city TEXT, at TIMESTAMP)
//! WITH (connector = 'file', path = '/data/trips/*.csv', follow = 'true') FORMAT PLAIN ENCODE CSV (header = 'true');
//! ```
//! A partition is a file, under its path. Files are read once, or with `follow` for as long as the source lives:
//! appended lines as they are complete, and new files, which are looked for once a second.
//!
//! | option | default | means |
//! |---|---|---|
//! | `path` | | a file, a folder (its files), or a pattern with `*`, `?`, `[...]`, `**` |
//! | `follow` | false | also what is added later; CSV and JSON |
//! | ENCODE, or `format` | the path's extension | `CSV`, `JSON`, `PARQUET` |
//! | `header` | false | CSV: the first line names the columns, and finds them in any order |
//! | `delimiter`, `quote`, `escape`, `null` | `,` `"` the quote, empty | CSV, as in COPY |
//!
//! A record that cannot be read is a dead letter with its place and reason, and the rest goes on. JSON keys find
//! columns by name, if need be in another case; those without a column are passed over, columns without a key are NULL.

mod csv;
mod discover;
mod json;
mod json_scan;
mod lines;
mod parquet;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use highwater_types::SqlType;

use self::csv::CsvShape;
use self::discover::Files;
use self::json::JsonShape;
use self::parquet::ParquetShape;
use self::text::{Parser, TextReader};
use crate::columns::ColumnPlan;
use crate::options::Options;
use crate::{Clock, Connector, ConnectorError, Offset, PartitionId, PartitionReader, SourceSpec};

/// What `connector = '...'` calls it.
pub(crate) const NAME: &str = "file";
const ENCODINGS: [&str; 3] = ["CSV", "JSON", "PARQUET"];

/// A declared file source.
pub(crate) struct FileConnector {
    files: Files,
    columns: Arc<ColumnPlan>,
    encoding: Encoding,
    follow: bool,
}

/// How the bytes of a file become rows.
enum Encoding {
    Csv(Arc<CsvShape>),
    Json(Arc<JsonShape>),
    Parquet(Arc<ParquetShape>),
}

impl FileConnector {
    pub(crate) fn try_new(spec: &SourceSpec, clock: Arc<dyn Clock>) -> Result<FileConnector, ConnectorError> {
        let options = Options::try_new(NAME, &all_options(spec))?;
        let path = path(&options)?;
        let follow = options.flag(&["follow"])?.unwrap_or(false);
        let encode = encoding(spec, &options, &path)?;
        let mut names = Vec::new();
        let columns = ColumnPlan::try_new(NAME, spec, |name, _| {
            names.push(name.to_string());
            Ok(names.len() - 1)
        })?;
        let types = data_types(spec);
        let encoding = match encode {
            "CSV" => Encoding::Csv(Arc::new(CsvShape::try_new(&options, names, types)?)),
            "JSON" => Encoding::Json(Arc::new(JsonShape::new(names, types))),
            _ if follow => {
                return Err(ConnectorError::Format {
                    connector: NAME,
                    what: "Parquet with follow".to_string(),
                    expected: "A Parquet file cannot be appended to: leave follow out.",
                });
            }
            _ => Encoding::Parquet(Arc::new(ParquetShape::new(names, types))),
        };
        options.finish()?;
        let connector = FileConnector {
            files: Files::try_new(&path, follow, clock)?,
            columns: Arc::new(columns),
            encoding,
            follow,
        };
        connector.check_first_file()?;
        Ok(connector)
    }

    /// Finds columns that are not there when the source is made, not when it is first read.
    fn check_first_file(&self) -> Result<(), ConnectorError> {
        let Some(first) = self.files.found().first() else {
            return Ok(());
        };
        let path = Path::new(first.as_str());
        match &self.encoding {
            Encoding::Csv(shape) => shape.check(path),
            Encoding::Json(_) => Ok(()),
            Encoding::Parquet(shape) => shape.check(path),
        }
    }
}

impl Connector for FileConnector {
    fn partitions(&mut self) -> Result<Vec<PartitionId>, ConnectorError> {
        self.files.refresh()?;
        Ok(self.files.found().to_vec())
    }

    fn may_grow(&self) -> bool {
        self.follow
    }

    fn open(
        &self,
        partition: &PartitionId,
        from: Offset,
        until: Option<Offset>,
    ) -> Result<Box<dyn PartitionReader>, ConnectorError> {
        let parser: Box<dyn Parser> = match &self.encoding {
            Encoding::Csv(shape) => Box::new(csv::CsvParser::new(Arc::clone(shape), Path::new(partition.as_str()))),
            Encoding::Json(shape) => Box::new(json::JsonParser::new(Arc::clone(shape))),
            Encoding::Parquet(shape) => {
                let reader = shape.open(Arc::clone(&self.columns), partition, from, until)?;
                return Ok(Box::new(reader));
            }
        };
        let follow = self.follow && until.is_none();
        let reader = TextReader::open(
            parser,
            Arc::clone(&self.columns),
            partition.clone(),
            from.0,
            until,
            follow,
        )?;
        Ok(Box::new(reader))
    }
}

/// The columns that a Parquet file brings by itself; `None` when the source is not of such files.
pub(crate) fn default_columns(
    options: &BTreeMap<String, String>,
) -> Result<Option<Vec<(String, SqlType)>>, ConnectorError> {
    let Some(path) = options.get("path") else {
        return Ok(None);
    };
    let named = options.get("format").map(|format| format.to_ascii_uppercase());
    if named.as_deref().or_else(|| extension(path)) != Some("PARQUET") {
        return Ok(None);
    }
    match discover::find(path)?.first() {
        Some(first) => parquet::columns_of(Path::new(first)).map(Some),
        None => Err(ConnectorError::NoFile { path: path.clone() }),
    }
}

/// Options of WITH and those after ENCODE: which is which is for nobody to remember.
fn all_options(spec: &SourceSpec) -> BTreeMap<String, String> {
    let mut options = spec.options.clone();
    options.extend(spec.encode_options.clone());
    options
}

fn path(options: &Options) -> Result<String, ConnectorError> {
    options.text(&["path"])?.ok_or(ConnectorError::MissingOption {
        connector: NAME,
        option: "path",
        hint: "Write path = '/folder/*.csv'.",
    })
}

fn encoding(spec: &SourceSpec, options: &Options, path: &str) -> Result<&'static str, ConnectorError> {
    let refused = |expected| ConnectorError::Format {
        connector: NAME,
        what: format!("FORMAT {} ENCODE {}", spec.format, spec.encode),
        expected,
    };
    if !spec.format.is_empty() && spec.format != "PLAIN" {
        return Err(refused("It reads FORMAT PLAIN."));
    }
    let option = options.word(&["format"], &ENCODINGS)?;
    if !spec.encode.is_empty() {
        let known = ENCODINGS.into_iter().find(|word| *word == spec.encode);
        return known.ok_or_else(|| refused("It reads ENCODE CSV, JSON and PARQUET."));
    }
    option.or_else(|| extension(path)).ok_or(ConnectorError::MissingOption {
        connector: NAME,
        option: "format",
        hint: "The path does not tell it: write FORMAT PLAIN ENCODE CSV, JSON or PARQUET.",
    })
}

fn extension(path: &str) -> Option<&'static str> {
    match Path::new(path).extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "csv" => Some("CSV"),
        "json" | "jsonl" | "ndjson" => Some("JSON"),
        "parquet" => Some("PARQUET"),
        _ => None,
    }
}

fn data_types(spec: &SourceSpec) -> Vec<SqlType> {
    let data = spec.columns.iter().filter(|c| c.include.is_none());
    data.map(|c| c.sql_type.clone()).collect()
}
