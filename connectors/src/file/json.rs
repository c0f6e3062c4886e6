//! JSON lines: an object a record.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use highwater_types::SqlType;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::lines::Quotes;
use super::text::{Parser, Row};

/// What was declared.
#[derive(Debug)]
pub(super) struct JsonShape {
    types: Vec<SqlType>,
    /// Columns by name, and by name in lower case where that is another.
    places: HashMap<String, usize>,
}

/// Reads the records of one file.
#[derive(Debug)]
pub(super) struct JsonParser {
    shape: Arc<JsonShape>,
}

impl JsonShape {
    pub(super) fn new(names: Vec<String>, types: Vec<SqlType>) -> JsonShape {
        let mut places: HashMap<String, usize> = HashMap::new();
        for (index, name) in names.iter().enumerate() {
            places.entry(name.to_ascii_lowercase()).or_insert(index);
        }
        places.extend(names.into_iter().enumerate().map(|(index, name)| (name, index)));
        JsonShape { types, places }
    }

    fn place(&self, key: &str) -> Option<usize> {
        let exact = self.places.get(key);
        exact.or_else(|| self.places.get(&key.to_ascii_lowercase())).copied()
    }
}

impl JsonParser {
    pub(super) fn new(shape: Arc<JsonShape>) -> JsonParser {
        JsonParser { shape }
    }
}

impl Parser for JsonParser {
    fn quotes(&self) -> Option<Quotes> {
        None
    }

    fn types(&self) -> &[SqlType] {
        &self.shape.types
    }

    fn is_header(&self, _offset: u64) -> bool {
        false
    }

    fn parse(&mut self, record: &str, row: &mut Row<'_>) -> Result<(), String> {
        let mut source = serde_json::Deserializer::from_str(record);
        let object = Object {
            shape: &self.shape,
            row,
        };
        object
            .deserialize(&mut source)
            .and_then(|()| source.end())
            .map_err(|error| format!("invalid JSON: {error}"))
    }
}

/// Takes an object's values into a row as they are read; keys without a column are passed over unread.
struct Object<'a, 'b> {
    shape: &'a JsonShape,
    row: &'a mut Row<'b>,
}

impl<'de> DeserializeSeed<'de> for Object<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let Some(column) = self.shape.place(&key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            match map.next_value::<Value>()? {
                Value::Null => self.row.set_null(column),
                Value::String(text) if !is_json(&self.shape.types[column]) => self.row.set(column, &text),
                value => self.row.set(column, &text_of(&value, &self.shape.types[column])),
            }
        }
        Ok(())
    }
}

fn is_json(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Json | SqlType::Jsonb)
}

/// The text from which a type reads this value.
fn text_of(value: &Value, sql_type: &SqlType) -> String {
    match (value, sql_type) {
        (Value::Array(items), SqlType::Array(element)) => array_text(items, element),
        (Value::String(text), other) if !is_json(other) => text.clone(),
        _ => value.to_string(),
    }
}

/// An array as PostgreSQL writes it.
fn array_text(items: &[Value], element: &SqlType) -> String {
    let quoted = |text: String| format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""));
    let words: Vec<String> = items
        .iter()
        .map(|item| match item {
            Value::Null => "NULL".to_string(),
            // The literal of an array in an array is one of all its dimensions.
            Value::Array(inner) if !is_json(element) => array_text(inner, element),
            _ => quoted(text_of(item, element)),
        })
        .collect();
    format!("{{{}}}", words.join(","))
}
