//! [`SourceSpec`]: a CREATE SOURCE as far as its connector is concerned.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use highwater_types::SqlType;

/// What was declared.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SourceSpec {
    /// The `connector` option.
    pub connector: String,
    /// The columns that the connector fills, in order: all but generated ones.
    pub columns: Vec<SourceColumn>,
    /// All options of `WITH (...)` but `connector`, keys in lower case.
    pub options: BTreeMap<String, String>,
    /// The word after FORMAT, upper case; empty when none was given.
    pub format: String,
    /// The word after ENCODE, upper case; empty when none was given.
    pub encode: String,
    /// The options in parentheses after ENCODE, keys in lower case.
    pub encode_options: BTreeMap<String, String>,
}

/// A column that a connector fills.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub sql_type: SqlType,
    /// For an INCLUDE column, what goes in.
    pub include: Option<Include>,
}

/// What `INCLUDE ... AS` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Include {
    /// The record's key.
    Key,
    /// The partition it came from.
    Partition,
    /// Its offset in the partition.
    Offset,
    /// The time the connector gives it.
    Timestamp,
    /// One header's value.
    Header(String),
}

impl Include {
    /// The word after INCLUDE.
    pub fn word(&self) -> &'static str {
        match self {
            Include::Key => "KEY",
            Include::Partition => "PARTITION",
            Include::Offset => "OFFSET",
            Include::Timestamp => "TIMESTAMP",
            Include::Header(_) => "HEADER",
        }
    }
}

impl SourceSpec {
    /// The declared columns as Arrow fields.
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<Arc<Field>> = self.columns.iter().map(|c| c.sql_type.to_field(&c.name)).collect();
        Arc::new(Schema::new(fields))
    }
}
