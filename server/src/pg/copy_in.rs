//! COPY FROM STDIN: reads CopyData messages, cut anywhere, into rows, and pushes them to the session a block at a
//! time. Memory is bounded by one message, one block, and the longest row that is allowed.

use arrow::array::RecordBatch;
use highwater_parser::CopyFormat;
use highwater_types::text::TextSettings;
use highwater_types::{SqlError, SqlState};
use pgwire::messages::copy::CopyInResponse;

use super::connection::{Connection, out_of_place};
use super::copy_binary::BinaryReader;
use super::copy_csv::CsvReader;
use super::copy_rows::Block;
use super::copy_text::TextReader;
use super::error::Stop;
use super::frame::Request;
use crate::session::CopyIn;

/// A row may be this long.
pub(super) const MAX_ROW_BYTES: usize = 256 * 1024 * 1024;

/// Makes rows from bytes.
enum CopyReader {
    Text(TextReader),
    Csv(CsvReader),
    Binary(BinaryReader),
}

impl CopyReader {
    fn try_new(copy: &CopyIn, settings: TextSettings) -> Result<CopyReader, SqlError> {
        let block = || Block::new(copy.relation(), copy.columns.clone(), settings.clone());
        Ok(match &copy.format {
            CopyFormat::Text {
                delimiter,
                null,
                header,
            } => CopyReader::Text(TextReader::try_new(block(), *delimiter, null, *header)?),
            CopyFormat::Csv {
                delimiter,
                null,
                header,
                quote,
                escape,
            } => CopyReader::Csv(CsvReader::try_new(
                block(),
                [*delimiter, *quote, *escape],
                null,
                *header,
            )?),
            CopyFormat::Binary => {
                CopyReader::Binary(BinaryReader::new(copy.relation(), copy.columns.clone(), settings))
            }
        })
    }

    /// Takes bytes in. After each call, [`CopyReader::full_block`] must be asked until it has no more.
    fn push(&mut self, bytes: &[u8]) -> Result<(), SqlError> {
        match self {
            CopyReader::Text(reader) => reader.push(bytes),
            CopyReader::Csv(reader) => reader.push(bytes),
            CopyReader::Binary(reader) => reader.push(bytes),
        }
    }

    /// A block of rows, if there are enough.
    fn full_block(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        match self {
            CopyReader::Text(reader) => reader.full_block(),
            CopyReader::Csv(reader) => reader.full_block(),
            CopyReader::Binary(reader) => reader.full_block(),
        }
    }

    /// The rows that are left at the end.
    fn finish(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        match self {
            CopyReader::Text(reader) => reader.finish(),
            CopyReader::Csv(reader) => reader.finish(),
            CopyReader::Binary(reader) => reader.finish(),
        }
    }
}

impl Connection {
    /// Receives a copy to its end; answers the command tag. An error drops the copy, which discards its rows.
    pub(super) async fn copy_in(&mut self, mut copy: CopyIn) -> Result<String, Stop> {
        let code = i16::from(copy.format == CopyFormat::Binary);
        let columns = copy.columns.len();
        let mut reader = CopyReader::try_new(&copy, self.session.text_settings())?;
        let response = CopyInResponse::new(code as i8, columns as i16, vec![code; columns]);
        self.link.writer.put(&response);
        self.link.flush().await?;
        loop {
            let frame = self.next_copy_frame().await?;
            let tag = frame.tag;
            match frame.decode()?? {
                Request::CopyData(bytes) => {
                    reader.push(&bytes)?;
                    while let Some(batch) = reader.full_block()? {
                        self.link.run(copy.write(batch)).await?;
                    }
                }
                Request::CopyDone => break,
                Request::CopyFail(reason) => {
                    return Err(Stop::Error(SqlError::new(
                        SqlState::QUERY_CANCELED,
                        format!("COPY from stdin failed: {reason}"),
                    )));
                }
                // Drivers send these ahead; they mean nothing until the copy has ended.
                Request::Flush | Request::Sync => {}
                Request::Terminate => return Err(Stop::Gone),
                Request::Query(_)
                | Request::Parse(_)
                | Request::Bind(_)
                | Request::Describe(_)
                | Request::Execute(_)
                | Request::Close(_)
                | Request::FunctionCall => return Err(out_of_place(tag)),
            }
        }
        if let Some(batch) = reader.finish()? {
            self.link.run(copy.write(batch)).await?;
        }
        let rows = self.link.run(self.session.finish_copy(copy)).await?;
        self.send_notices();
        Ok(format!("COPY {rows}"))
    }
}
