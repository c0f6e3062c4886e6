//! JSON lines: an object a record. An object is read in one pass over its text: values of declared columns are handed
//! on as parts of it, the rest is checked and passed over.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use highwater_types::SqlType;
use highwater_types::text::json::{Json, check_json};

use super::json_scan::Scan;
use super::lines::Quotes;
use super::text::{Parser, Row};
use crate::ConnectorError;

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
    /// The keys of the last record, in order, and their columns: records of one file are mostly alike.
    keys: Vec<(String, Option<usize>)>,
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
        JsonParser {
            shape,
            keys: Vec::new(),
        }
    }

    /// The column of the record's `number`th key.
    fn place(&mut self, number: usize, key: &str) -> Option<usize> {
        if let Some((known, place)) = self.keys.get(number)
            && known == key
        {
            return *place;
        }
        let place = self.shape.place(key);
        self.keys.truncate(number);
        self.keys.push((key.to_string(), place));
        place
    }

    /// Takes an object's values into the row; `None` when it is none.
    fn object(&mut self, record: &str, row: &mut Row<'_>) -> Option<()> {
        let mut scan = Scan::new(record);
        scan.expect(b'{')?;
        let mut number = 0;
        while !scan.eat(b'}') {
            if number > 0 {
                scan.expect(b',')?;
            }
            let key = scan.string()?;
            let place = match plain_string(record, &key) {
                Some(part) => self.place(number, &record[part]),
                None => self.place(number, &unescaped(&record[key])?),
            };
            number += 1;
            scan.expect(b':')?;
            let value = scan.value()?;
            if let Some(column) = place {
                set(row, column, &self.shape.types[column], record, value)?;
            }
        }
        scan.at_end().then_some(())
    }
}

impl Parser for JsonParser {
    fn quotes(&self) -> Option<Quotes> {
        None
    }

    fn types(&self) -> &[SqlType] {
        &self.shape.types
    }

    fn begin(&mut self) -> Result<bool, ConnectorError> {
        Ok(false)
    }

    fn parse(&mut self, record: &str, row: &mut Row<'_>) -> Result<(), String> {
        self.object(record, row).ok_or_else(|| match check_json(record) {
            Ok(()) => match Json::parse(record) {
                Ok(_) => "the record is not a JSON object".to_string(),
                Err(error) => error.message,
            },
            Err(error) => format!("{}: {}", error.message, error.detail.unwrap_or_default()),
        })
    }
}

/// Sets a column to the text from which its type reads this value.
fn set(row: &mut Row<'_>, column: usize, sql_type: &SqlType, record: &str, value: Range<usize>) -> Option<()> {
    let text = &record[value.clone()];
    match (text.as_bytes()[0], sql_type) {
        (b'n', _) => row.set_null(column),
        (b'"', SqlType::Json | SqlType::Jsonb) => row.set_part(column, value),
        (b'"', _) => match plain_string(record, &value) {
            Some(part) => row.set_part(column, part),
            None => row.set(column, &unescaped(text)?),
        },
        (b'[', SqlType::Array(element)) => match Json::parse(text).ok()? {
            Json::Array(items) => row.set(column, &array_text(&items, element)),
            _ => row.set_part(column, value),
        },
        _ => row.set_part(column, value),
    }
    Some(())
}

/// The part between a string's quotes, when there are no escapes in it.
fn plain_string(record: &str, quoted: &Range<usize>) -> Option<Range<usize>> {
    let inside = quoted.start + 1..quoted.end - 1;
    memchr::memchr(b'\\', record[inside.clone()].as_bytes())
        .is_none()
        .then_some(inside)
}

/// A string without its quotes and escapes; `None` when it is none, or no text can hold it.
fn unescaped(quoted: &str) -> Option<String> {
    match Json::parse(quoted) {
        Ok(Json::String(text)) => Some(text),
        _ => None,
    }
}

/// An array as PostgreSQL writes it.
fn array_text(items: &[Json], element: &SqlType) -> String {
    let quoted = |text: String| format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""));
    let words: Vec<String> = items
        .iter()
        .map(|item| match (item, element) {
            (Json::Null, _) => "NULL".to_string(),
            (_, SqlType::Json | SqlType::Jsonb) => quoted(item.to_string()),
            (Json::String(text), _) => quoted(text.clone()),
            // The literal of an array in an array is one of all its dimensions.
            (Json::Array(inner), _) => array_text(inner, element),
            (Json::Bool(_) | Json::Number(_) | Json::Object(_), _) => quoted(item.to_string()),
        })
        .collect();
    format!("{{{}}}", words.join(","))
}
