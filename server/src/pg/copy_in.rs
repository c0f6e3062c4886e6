//! COPY FROM STDIN: reads CopyData messages, cut anywhere, into rows, and pushes them to the session a block at a
//! time. Memory is bounded by one message, one block, and the longest row that is allowed.

use std::sync::Arc;

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
use super::decode::input_settings;
use super::error::Stop;
use super::frame::Request;
use crate::session::{CopyIn, OutputColumn};

/// A row may be this long.
pub(super) const MAX_ROW_BYTES: usize = 256 * 1024 * 1024;

/// Makes rows from bytes.
enum CopyReader {
    Text(TextReader),
    Csv(CsvReader),
    Binary(BinaryReader),
}

impl CopyReader {
    fn try_new(
        relation: &str,
        columns: &Arc<[OutputColumn]>,
        format: &CopyFormat,
        settings: TextSettings,
    ) -> Result<CopyReader, SqlError> {
        let block = || Block::new(relation, Arc::clone(columns), settings.clone());
        Ok(match format {
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
            CopyFormat::Binary => CopyReader::Binary(BinaryReader::new(relation, Arc::clone(columns), settings)),
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
        let mut reader = CopyReader::try_new(
            copy.relation(),
            &copy.columns,
            &copy.format,
            input_settings(&self.session),
        )?;
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

#[cfg(test)]
mod tests {
    use arrow::compute::concat_batches;
    use highwater_types::SqlType;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::super::copy_rows::schema_of;
    use super::*;

    fn columns() -> Arc<[OutputColumn]> {
        let column = |name: &str, sql_type| OutputColumn {
            name: name.to_string(),
            sql_type,
            origin: None,
        };
        Arc::new([column("a", SqlType::Int4), column("b", SqlType::Text)])
    }

    fn text() -> (CopyFormat, Vec<u8>) {
        let format = CopyFormat::Text {
            delimiter: '\t',
            null: "\\N".to_string(),
            header: false,
        };
        (
            format,
            b"1\tx\n2\t\\N\n\\N\ta\\tb\\\n\\x41\\101\r\n3\t\n4\tlast".to_vec(),
        )
    }

    fn csv() -> (CopyFormat, Vec<u8>) {
        let format = CopyFormat::Csv {
            delimiter: ',',
            null: String::new(),
            header: true,
            quote: '"',
            escape: '"',
        };
        (format, b"a,b\n1,\"x,\"\"y\nz\"\r\n2,\n,\"\"\n4,la\"s,\"t".to_vec())
    }

    fn binary() -> (CopyFormat, Vec<u8>) {
        let mut bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        bytes.extend_from_slice(b"\0\x02\0\0\0\x04\0\0\0\x01\0\0\0\x01x");
        bytes.extend_from_slice(b"\0\x02\xff\xff\xff\xff\0\0\0\0");
        bytes.extend_from_slice(b"\xff\xff");
        (CopyFormat::Binary, bytes)
    }

    fn read(format: &CopyFormat, pieces: &[&[u8]]) -> Result<RecordBatch, SqlError> {
        let mut reader = CopyReader::try_new("t", &columns(), format, TextSettings::default())?;
        let mut batches = Vec::new();
        for piece in pieces {
            reader.push(piece)?;
            while let Some(batch) = reader.full_block()? {
                batches.push(batch);
            }
        }
        batches.extend(reader.finish()?);
        Ok(concat_batches(&schema_of(&columns()), &batches).expect("one schema"))
    }

    #[test]
    fn rows_are_the_same_wherever_the_data_is_cut() {
        let mut rng = StdRng::seed_from_u64(5);
        for (format, bytes) in [text(), csv(), binary()] {
            let whole = read(&format, &[&bytes]).expect("well formed");
            assert!(whole.num_rows() >= 2, "{whole:?}");
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(read(&format, &single).expect("well formed"), whole);
            for _ in 0..200 {
                let pieces: Vec<&[u8]> = bytes.chunks(rng.random_range(1..9)).collect();
                assert_eq!(read(&format, &pieces).expect("well formed"), whole);
            }
        }
    }

    #[test]
    fn bent_data_is_an_error_or_other_rows_but_never_a_panic() {
        let mut rng = StdRng::seed_from_u64(6);
        for (format, bytes) in [text(), csv(), binary()] {
            for _ in 0..3000 {
                let mut bent = bytes.clone();
                for _ in 0..rng.random_range(1..4) {
                    let at = rng.random_range(0..bent.len());
                    match rng.random_range(0..3) {
                        0 => bent[at] = rng.random(),
                        1 => bent[at] = [b'"', b'\\', b'\n', b',', b'\t', 0xff][rng.random_range(0..6)],
                        _ => bent.truncate(at.max(1)),
                    }
                }
                let pieces: Vec<&[u8]> = bent.chunks(rng.random_range(1..30)).collect();
                let _ = read(&format, &pieces);
            }
        }
    }

    #[test]
    fn an_error_says_which_line_and_column() {
        let (format, _) = text();
        let error = read(&format, &[b"1\tx\n2\ty\nthree\tz\n"]).expect_err("not a number");
        assert_eq!(error.state, SqlState::INVALID_TEXT_REPRESENTATION);
        assert_eq!(error.context.as_deref(), Some("COPY t, line 3, column a: \"three\""));
        for (bytes, message) in [
            (&b"1\n"[..], "missing data for column \"b\""),
            (b"1\tx\ty\n", "extra data after last expected column"),
        ] {
            let error = read(&format, &[bytes]).expect_err("wrong columns");
            assert_eq!(
                (error.state, error.message.as_str()),
                (SqlState::BAD_COPY_FILE_FORMAT, message)
            );
        }
        let (format, _) = csv();
        let error = read(&format, &[b"a,b\n1,\"x"]).expect_err("no closing quote");
        assert_eq!(error.message, "unterminated CSV quoted field");
    }
}
