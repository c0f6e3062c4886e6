//! [`BinaryWriter`]: one column's values as PostgreSQL's send functions write them.

use arrow::array::{
    Array, AsArray, BinaryArray, BooleanArray, FixedSizeBinaryArray, LargeStringArray, ListArray, PrimitiveArray,
    StringArray, StructArray,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Field, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType, UInt32Type,
};
use highwater_types::text::{TextSettings, TextWriter};
use highwater_types::{IntervalParts, SqlError, SqlState, SqlType};

use super::encode::put_length;
use super::types;

/// Days from 1970-01-01 to 2000-01-01, from which PostgreSQL counts.
pub(super) const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
pub(super) const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;
/// A numeric's digits are of this base.
const NUMERIC_DIGITS: usize = 4;

/// Writes the values of one column.
pub(super) enum BinaryWriter<'a> {
    Bool(&'a BooleanArray),
    Int2(&'a PrimitiveArray<Int16Type>),
    Int4(&'a PrimitiveArray<Int32Type>),
    Int8(&'a PrimitiveArray<Int64Type>),
    Float4(&'a PrimitiveArray<Float32Type>),
    Float8(&'a PrimitiveArray<Float64Type>),
    Oid(&'a PrimitiveArray<UInt32Type>),
    Utf8(&'a StringArray),
    /// The one-byte `"char"`.
    Char(&'a StringArray),
    /// Text whose written form is not its stored one.
    Text(TextWriter<'a>),
    Jsonb(&'a LargeStringArray),
    Bytea(&'a BinaryArray),
    Uuid(&'a FixedSizeBinaryArray),
    /// Digits are read off the text, which knows how many there are.
    Numeric(TextWriter<'a>),
    Date(&'a PrimitiveArray<Date32Type>),
    Time(&'a PrimitiveArray<Time64MicrosecondType>),
    Timestamp(&'a PrimitiveArray<TimestampMicrosecondType>),
    Interval(&'a PrimitiveArray<IntervalMonthDayNanoType>),
    Array(ArrayWriter<'a>),
    /// `1 2 3`, as an array of this element type that counts from 0.
    Vector(&'a StringArray, SqlType),
    Record(&'a StructArray, Vec<(u32, BinaryWriter<'a>)>),
    Void,
}

/// Writes arrays of one column.
pub(super) struct ArrayWriter<'a> {
    list: &'a ListArray,
    element_oid: u32,
    elements: Box<BinaryWriter<'a>>,
}

impl<'a> BinaryWriter<'a> {
    /// A writer for this column.
    ///
    /// # Errors
    /// When the array is not of the type, which is an error of ours.
    pub(super) fn try_new(
        sql_type: &SqlType,
        field: &Field,
        array: &'a dyn Array,
        settings: &'a TextSettings,
    ) -> Result<BinaryWriter<'a>, SqlError> {
        Ok(match sql_type {
            SqlType::Bool => BinaryWriter::Bool(known(array.as_boolean_opt(), array)?),
            SqlType::Int2 => BinaryWriter::Int2(primitive(array)?),
            SqlType::Int4 => BinaryWriter::Int4(primitive(array)?),
            SqlType::Int8 => BinaryWriter::Int8(primitive(array)?),
            SqlType::Float4 => BinaryWriter::Float4(primitive(array)?),
            SqlType::Float8 => BinaryWriter::Float8(primitive(array)?),
            SqlType::Numeric(_) => BinaryWriter::Numeric(TextWriter::try_new(field, array, settings)?),
            SqlType::Text
            | SqlType::Varchar(_)
            | SqlType::Name
            | SqlType::Json
            | SqlType::Unknown
            | SqlType::PgNodeTree => BinaryWriter::Utf8(known(array.as_string_opt(), array)?),
            SqlType::Bpchar(_) => BinaryWriter::Text(TextWriter::try_new(field, array, settings)?),
            SqlType::Char => BinaryWriter::Char(known(array.as_string_opt(), array)?),
            SqlType::Bytea => BinaryWriter::Bytea(known(array.as_binary_opt(), array)?),
            SqlType::Date => BinaryWriter::Date(primitive(array)?),
            SqlType::Time => BinaryWriter::Time(primitive(array)?),
            SqlType::Timestamp | SqlType::Timestamptz => BinaryWriter::Timestamp(primitive(array)?),
            SqlType::Interval => BinaryWriter::Interval(primitive(array)?),
            SqlType::Jsonb => BinaryWriter::Jsonb(known(array.as_string_opt(), array)?),
            SqlType::Uuid => BinaryWriter::Uuid(known(array.as_fixed_size_binary_opt(), array)?),
            SqlType::Oid
            | SqlType::Regclass
            | SqlType::Regtype
            | SqlType::Regproc
            | SqlType::Regnamespace
            | SqlType::Regrole => BinaryWriter::Oid(primitive(array)?),
            SqlType::Void => BinaryWriter::Void,
            SqlType::Record(fields) => record(fields, known(array.as_struct_opt(), array)?, settings)?,
            SqlType::Array(element) => {
                let list: &ListArray = known(array.as_list_opt(), array)?;
                let DataType::List(item) = list.data_type() else {
                    return Err(unexpected(array));
                };
                BinaryWriter::Array(ArrayWriter {
                    list,
                    element_oid: types::oid(types::innermost(element)),
                    elements: Box::new(BinaryWriter::try_new(element, item, list.values().as_ref(), settings)?),
                })
            }
            SqlType::Int2Vector => BinaryWriter::Vector(known(array.as_string_opt(), array)?, SqlType::Int2),
            SqlType::OidVector => BinaryWriter::Vector(known(array.as_string_opt(), array)?, SqlType::Oid),
        })
    }

    /// Appends a value that is not NULL.
    ///
    /// # Errors
    /// When an array's rows are not of one length, or a value is too long.
    pub(super) fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), SqlError> {
        match self {
            BinaryWriter::Bool(a) => out.push(u8::from(a.value(row))),
            BinaryWriter::Int2(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            BinaryWriter::Int4(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            BinaryWriter::Int8(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            BinaryWriter::Float4(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            BinaryWriter::Float8(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            BinaryWriter::Oid(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            BinaryWriter::Utf8(a) => out.extend_from_slice(a.value(row).as_bytes()),
            BinaryWriter::Char(a) => out.push(a.value(row).as_bytes().first().copied().unwrap_or(0)),
            BinaryWriter::Text(writer) => writer.write(row, out),
            BinaryWriter::Jsonb(a) => {
                out.push(1);
                out.extend_from_slice(a.value(row).as_bytes());
            }
            BinaryWriter::Bytea(a) => out.extend_from_slice(a.value(row)),
            BinaryWriter::Uuid(a) => out.extend_from_slice(a.value(row)),
            BinaryWriter::Numeric(writer) => {
                let mut text = Vec::with_capacity(32);
                writer.write(row, &mut text);
                put_numeric(&text, out);
            }
            BinaryWriter::Date(a) => out.extend_from_slice(&days(a.value(row)).to_be_bytes()),
            BinaryWriter::Time(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            BinaryWriter::Timestamp(a) => out.extend_from_slice(&micros(a.value(row)).to_be_bytes()),
            BinaryWriter::Interval(a) => {
                let parts = IntervalParts::from(a.value(row));
                out.extend_from_slice(&parts.micros.to_be_bytes());
                out.extend_from_slice(&parts.days.to_be_bytes());
                out.extend_from_slice(&parts.months.to_be_bytes());
            }
            BinaryWriter::Array(writer) => writer.write(row, out)?,
            BinaryWriter::Vector(a, element) => put_vector(a.value(row), element, out),
            BinaryWriter::Record(record, fields) => {
                out.extend_from_slice(&(fields.len() as i32).to_be_bytes());
                for (index, (oid, writer)) in fields.iter().enumerate() {
                    out.extend_from_slice(&oid.to_be_bytes());
                    put_sized(writer, record.column(index).is_null(row), row, out)?;
                }
            }
            BinaryWriter::Void => {}
        }
        Ok(())
    }
}

impl ArrayWriter<'_> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), SqlError> {
        let mut lengths = Vec::new();
        let mut rows = Vec::new();
        let (leaves, values) = self.flatten(row, 0, &mut lengths, &mut rows)?;
        let dimensions = if rows.is_empty() { 0 } else { lengths.len() as i32 };
        let has_null = rows.iter().any(|leaf| values.is_null(*leaf));
        out.extend_from_slice(&dimensions.to_be_bytes());
        out.extend_from_slice(&i32::from(has_null).to_be_bytes());
        out.extend_from_slice(&self.element_oid.to_be_bytes());
        if rows.is_empty() {
            return Ok(());
        }
        for length in lengths {
            out.extend_from_slice(&(length as i32).to_be_bytes());
            out.extend_from_slice(&1i32.to_be_bytes());
        }
        for leaf in rows {
            put_sized(leaves, values.is_null(leaf), leaf, out)?;
        }
        Ok(())
    }

    /// The lengths of all dimensions, and the rows of the innermost elements, with their writer and array.
    fn flatten(
        &self,
        row: usize,
        level: usize,
        lengths: &mut Vec<usize>,
        rows: &mut Vec<usize>,
    ) -> Result<(&BinaryWriter<'_>, &dyn Array), SqlError> {
        let from = self.list.value_offsets()[row] as usize;
        let to = self.list.value_offsets()[row + 1] as usize;
        match lengths.get(level) {
            None => lengths.push(to - from),
            Some(length) if *length == to - from => {}
            Some(_) => return Err(ragged()),
        }
        let BinaryWriter::Array(inner) = self.elements.as_ref() else {
            rows.extend(from..to);
            return Ok((&self.elements, self.list.values()));
        };
        for element in from..to {
            if inner.list.is_null(element) {
                return Err(ragged());
            }
            inner.flatten(element, level + 1, lengths, rows)?;
        }
        Ok(inner.innermost())
    }

    fn innermost(&self) -> (&BinaryWriter<'_>, &dyn Array) {
        match self.elements.as_ref() {
            BinaryWriter::Array(inner) => inner.innermost(),
            leaf => (leaf, self.list.values()),
        }
    }
}

fn record<'a>(
    fields: &[(String, SqlType)],
    array: &'a StructArray,
    settings: &'a TextSettings,
) -> Result<BinaryWriter<'a>, SqlError> {
    let writers = fields
        .iter()
        .zip(array.columns())
        .map(|((name, sql_type), column)| {
            let field = sql_type.to_field(name);
            let writer = BinaryWriter::try_new(sql_type, &field, column.as_ref(), settings)?;
            Ok((types::oid(sql_type), writer))
        })
        .collect::<Result<Vec<_>, SqlError>>()?;
    Ok(BinaryWriter::Record(array, writers))
}

/// A value with its length before it, or -1.
fn put_sized(writer: &BinaryWriter<'_>, is_null: bool, row: usize, out: &mut Vec<u8>) -> Result<(), SqlError> {
    if is_null {
        out.extend_from_slice(&(-1i32).to_be_bytes());
        return Ok(());
    }
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    writer.write(row, out)?;
    let length = out.len() - start - 4;
    put_length(out, start, length)
}

/// Infinity has the same number in both countings.
fn days(since_1970: i32) -> i32 {
    match since_1970 {
        i32::MIN | i32::MAX => since_1970,
        days => days.saturating_sub(EPOCH_DAYS),
    }
}

fn micros(since_1970: i64) -> i64 {
    match since_1970 {
        i64::MIN | i64::MAX => since_1970,
        micros => micros.saturating_sub(EPOCH_MICROS),
    }
}

/// A numeric from its text: digits of base 10,000, the first one's weight, a sign, and the number of decimals.
fn put_numeric(text: &[u8], out: &mut Vec<u8>) {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let special: Option<u16> = match text {
        b"NaN" => Some(0xC000),
        b"Infinity" if negative => Some(0xF000),
        b"Infinity" => Some(0xD000),
        _ => None,
    };
    if let Some(sign) = special {
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&sign.to_be_bytes());
        out.extend_from_slice(&[0; 2]);
        return;
    }
    let (whole, fraction) = match text.iter().position(|b| *b == b'.') {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, &[][..]),
    };
    let leading = whole.iter().take_while(|b| **b == b'0').count();
    let whole = &whole[leading..];
    let padding = (NUMERIC_DIGITS - whole.len() % NUMERIC_DIGITS) % NUMERIC_DIGITS;
    let mut weight = (whole.len() + padding) as i32 / NUMERIC_DIGITS as i32 - 1;
    let mut digits: Vec<u16> = Vec::with_capacity(text.len() / NUMERIC_DIGITS + 2);
    let mut digit = 0u16;
    let mut filled = padding;
    for byte in whole.iter().chain(fraction) {
        digit = digit * 10 + u16::from(byte.saturating_sub(b'0'));
        filled += 1;
        if filled == NUMERIC_DIGITS {
            digits.push(digit);
            digit = 0;
            filled = 0;
        }
    }
    if filled > 0 {
        digits.push(digit * 10u16.pow((NUMERIC_DIGITS - filled) as u32));
    }
    let zeros = digits.iter().take_while(|d| **d == 0).count();
    weight -= zeros as i32;
    digits.drain(..zeros);
    while digits.last() == Some(&0) {
        digits.pop();
    }
    let (weight, sign) = if digits.is_empty() {
        (0, 0)
    } else {
        (weight as i16, if negative { 0x4000u16 } else { 0 })
    };
    out.extend_from_slice(&(digits.len() as i16).to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&(fraction.len() as i16).to_be_bytes());
    for digit in digits {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}

/// The catalogs' old-style arrays, which count from 0 and have one dimension even when empty.
fn put_vector(text: &str, element: &SqlType, out: &mut Vec<u8>) {
    let values: Vec<u32> = text
        .split_whitespace()
        .map(|v| v.parse::<i64>().unwrap_or(0) as u32)
        .collect();
    for number in [1, 0, types::oid(element) as i32, values.len() as i32, 0] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    for value in values {
        if *element == SqlType::Int2 {
            out.extend_from_slice(&2i32.to_be_bytes());
            out.extend_from_slice(&(value as u16).to_be_bytes());
        } else {
            out.extend_from_slice(&4i32.to_be_bytes());
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

fn primitive<T: ArrowPrimitiveType>(array: &dyn Array) -> Result<&PrimitiveArray<T>, SqlError> {
    known(array.as_primitive_opt(), array)
}

fn known<'a, T>(typed: Option<&'a T>, array: &dyn Array) -> Result<&'a T, SqlError> {
    typed.ok_or_else(|| unexpected(array))
}

fn unexpected(array: &dyn Array) -> SqlError {
    let message = format!("no binary form for a column of {}", array.data_type());
    SqlError::new(SqlState::INTERNAL_ERROR, message)
}

fn ragged() -> SqlError {
    SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        "an array whose rows differ in length has no binary form",
    )
    .with_hint("Read it as text.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(text: &str) -> String {
        let mut out = Vec::new();
        put_numeric(text.as_bytes(), &mut out);
        out.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn numerics_are_written_as_postgres_writes_them() {
        assert_eq!(numeric("123456.789"), "0003000100000003000c0d801ed2");
        assert_eq!(numeric("1.50"), "000200000000000200011388");
        assert_eq!(numeric("0"), "0000000000000000");
        assert_eq!(numeric("-0.0001"), "0001ffff400000040001");
        assert_eq!(numeric("NaN"), "00000000c0000000");
        assert_eq!(numeric("10000"), "00010001000000000001");
        assert_eq!(numeric("0.00"), "0000000000000002");
    }
}
