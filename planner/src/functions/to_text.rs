//! Values of any type as text, for functions that take any.

use arrow::array::Array;
use arrow::datatypes::DataType;
use highwater_types::SqlError;
use highwater_types::text::{TextSettings, TextWriter};

use super::function::Arg;

/// Writes an argument's values as text.
pub(crate) struct ToText<'a> {
    arg: &'a Arg,
    writer: TextWriter<'a>,
}

/// One for each argument.
pub(crate) fn any_texts<'a>(args: &'a [Arg], settings: &'a TextSettings) -> Result<Vec<ToText<'a>>, SqlError> {
    args.iter()
        .map(|arg| {
            Ok(ToText {
                arg,
                writer: TextWriter::try_new(&arg.field, arg.array.as_ref(), settings)?,
            })
        })
        .collect()
}

impl ToText<'_> {
    /// The text of a row's value; `None` for NULL.
    pub(crate) fn text(&self, row: usize) -> Option<String> {
        if self.arg.array.data_type() == &DataType::Null || self.arg.array.is_null(self.arg.at(row)) {
            return None;
        }
        let mut text = Vec::new();
        self.writer.write(self.arg.at(row), &mut text);
        Some(String::from_utf8_lossy(&text).into_owned())
    }
}
