//! COPY TO STDOUT: a CopyData message a row, in text, CSV or binary, streamed as any other result.

use highwater_parser::CopyFormat;
use highwater_types::SqlError;
use highwater_types::text::TextSettings;
use pgwire::messages::copy::{CopyDone, CopyOutResponse};

use super::copy_binary::SIGNATURE;
use super::copy_rows::one_byte;
use super::encode::{Format, RowWriter, put_length};
use super::error::Stop;
use super::link::Link;
use super::rows::Rows;

/// Rows on their way out.
pub(super) struct CopyOut {
    rows: Rows,
    format: CopyFormat,
    /// What goes before the first row, in the same message: clients take the first to hold a row, or the end.
    opening: Vec<u8>,
}

/// How values are set apart from each other.
enum Layout {
    Text {
        delimiter: u8,
        null: Vec<u8>,
    },
    Csv {
        delimiter: u8,
        null: Vec<u8>,
        quote: u8,
        escape: u8,
    },
    Binary,
}

impl CopyOut {
    pub(super) fn new(rows: Rows, format: CopyFormat) -> CopyOut {
        let opening = match format {
            CopyFormat::Binary => [&SIGNATURE[..], &[0; 8]].concat(),
            CopyFormat::Text { .. } | CopyFormat::Csv { .. } => Vec::new(),
        };
        CopyOut { rows, format, opening }
    }

    /// Sends all; answers the command tag.
    pub(super) async fn send(mut self, link: &mut Link, settings: &TextSettings) -> Result<String, Stop> {
        let (layout, header) = layout_of(&self.format)?;
        let width = self.rows.columns().len();
        let format = match layout {
            Layout::Text { .. } | Layout::Csv { .. } => Format::Text,
            Layout::Binary => Format::Binary,
        };
        let response = CopyOutResponse::new(format.code() as i8, width as i16, vec![format.code(); width]);
        link.writer.put(&response);
        if header {
            self.put_header(link, &layout)?;
        }
        let formats = vec![format; width];
        let mut count = 0;
        while self.rows.load(link, None).await? {
            count += self.put_rows(link, &layout, &formats, settings)?;
            if link.writer.is_full() {
                link.flush().await?;
            }
        }
        if matches!(layout, Layout::Binary) {
            put_data(link.writer.buffer(), |out| {
                out.append(&mut self.opening);
                out.extend_from_slice(&(-1i16).to_be_bytes());
                Ok(())
            })?;
        }
        link.writer.put(&CopyDone::new());
        Ok(self.rows.tag(count))
    }

    fn put_header(&self, link: &mut Link, layout: &Layout) -> Result<(), SqlError> {
        put_data(link.writer.buffer(), |out| {
            for (index, column) in self.rows.columns().iter().enumerate() {
                layout.put_text(index, false, column.name.as_bytes(), out);
            }
            out.push(b'\n');
            Ok(())
        })
    }

    /// Puts rows of the loaded batch until the buffer is full.
    fn put_rows(
        &mut self,
        link: &mut Link,
        layout: &Layout,
        formats: &[Format],
        settings: &TextSettings,
    ) -> Result<u64, SqlError> {
        let room = link.writer.room();
        let out = link.writer.buffer();
        let full = out.len() + room;
        let (columns, first, end) = self.rows.loaded();
        let writer = RowWriter::try_new(columns, formats, settings)?;
        let mut row = first;
        let mut value = Vec::new();
        while row < end && out.len() < full {
            put_data(out, |out| {
                out.append(&mut self.opening);
                match layout {
                    Layout::Binary => writer.put_fields(row, out),
                    Layout::Text { .. } | Layout::Csv { .. } => {
                        put_line(layout, &writer, formats.len(), row, &mut value, out)
                    }
                }
            })?;
            row += 1;
        }
        self.rows.advance_to(row);
        Ok((row - first) as u64)
    }
}

fn layout_of(format: &CopyFormat) -> Result<(Layout, bool), SqlError> {
    Ok(match format {
        CopyFormat::Text {
            delimiter,
            null,
            header,
        } => {
            let delimiter = one_byte("delimiter", *delimiter)?;
            (
                Layout::Text {
                    delimiter,
                    null: null.as_bytes().to_vec(),
                },
                *header,
            )
        }
        CopyFormat::Csv {
            delimiter,
            null,
            header,
            quote,
            escape,
        } => {
            let layout = Layout::Csv {
                delimiter: one_byte("delimiter", *delimiter)?,
                null: null.as_bytes().to_vec(),
                quote: one_byte("quote", *quote)?,
                escape: one_byte("escape", *escape)?,
            };
            (layout, *header)
        }
        CopyFormat::Binary => (Layout::Binary, false),
    })
}

/// Puts a CopyData message; nothing of it when its content fails.
fn put_data(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>) -> Result<(), SqlError>) -> Result<(), SqlError> {
    let start = out.len();
    out.extend_from_slice(b"d\0\0\0\0");
    let put = content(out).and_then(|()| {
        let length = out.len() - start - 1;
        put_length(out, start + 1, length)
    });
    if put.is_err() {
        out.truncate(start);
    }
    put
}

fn put_line(
    layout: &Layout,
    writer: &RowWriter<'_>,
    width: usize,
    row: usize,
    value: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    for column in 0..width {
        value.clear();
        let is_null = writer.is_null(column, row);
        if !is_null {
            writer.put_value(column, row, value)?;
        }
        layout.put_text(column, is_null, value, out);
    }
    out.push(b'\n');
    Ok(())
}

impl Layout {
    fn put_text(&self, column: usize, is_null: bool, value: &[u8], out: &mut Vec<u8>) {
        match self {
            Layout::Text { delimiter, null } => {
                if column > 0 {
                    out.push(*delimiter);
                }
                if is_null {
                    out.extend_from_slice(null)
                } else {
                    escape_text(value, *delimiter, out)
                }
            }
            Layout::Csv {
                delimiter,
                null,
                quote,
                escape,
            } => {
                if column > 0 {
                    out.push(*delimiter);
                }
                if is_null {
                    out.extend_from_slice(null);
                } else if must_quote(value, *delimiter, *quote, null) {
                    out.push(*quote);
                    for byte in value {
                        if byte == quote || byte == escape {
                            out.push(*escape);
                        }
                        out.push(*byte);
                    }
                    out.push(*quote);
                } else {
                    out.extend_from_slice(value);
                }
            }
            Layout::Binary => {}
        }
    }
}

/// A value that would read as NULL, as the end of the data, or as more than one value.
fn must_quote(value: &[u8], delimiter: u8, quote: u8, null: &[u8]) -> bool {
    value == null
        || value == br"\."
        || value
            .iter()
            .any(|b| *b == delimiter || *b == quote || *b == b'\n' || *b == b'\r')
}

fn escape_text(value: &[u8], delimiter: u8, out: &mut Vec<u8>) {
    for byte in value {
        let escaped = match *byte {
            b'\\' => b'\\',
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0b => b'v',
            other if other == delimiter => other,
            other => {
                out.push(other);
                continue;
            }
        };
        out.push(b'\\');
        out.push(escaped);
    }
}
