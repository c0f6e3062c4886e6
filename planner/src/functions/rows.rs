//! Row by row over typed columns: what a function of values needs to become a function of columns.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, BooleanArray, BooleanBuilder, FixedSizeBinaryBuilder,
    LargeStringArray, LargeStringBuilder, ListArray, ListBuilder, PrimitiveArray, PrimitiveBuilder, StringArray,
    StringBuilder,
};
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Field, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType, UInt32Type,
};
use highwater_types::{IntervalParts, SqlError};

use super::function::Call;

/// A type that an argument is read as.
pub(crate) trait Read {
    type Array: Array + Clone + 'static;
    type Item<'a>;
    fn open(array: &ArrayRef) -> Self::Array;
    fn value(array: &Self::Array, at: usize) -> Self::Item<'_>;
}

/// Text.
pub(crate) struct Text;
/// `jsonb`, as its text.
pub(crate) struct JsonText;
/// Bytes.
pub(crate) struct Bytes;
/// Booleans.
pub(crate) struct Bool;
/// Intervals.
pub(crate) struct Interval;
/// `text[]`, without its NULLs' places lost.
pub(crate) struct Texts;
/// Any primitive type by its Arrow type.
pub(crate) struct Prim<T>(PhantomData<T>);

pub(crate) type Int4 = Prim<Int32Type>;
pub(crate) type Int8 = Prim<Int64Type>;
pub(crate) type Float8 = Prim<Float64Type>;
pub(crate) type Date = Prim<Date32Type>;
pub(crate) type Time = Prim<Time64MicrosecondType>;
/// Timestamps with and without time zone: microseconds.
pub(crate) type Timestamp = Prim<TimestampMicrosecondType>;

impl Read for Text {
    type Array = StringArray;
    type Item<'a> = &'a str;
    fn open(array: &ArrayRef) -> StringArray {
        array.as_string().clone()
    }
    fn value(array: &StringArray, at: usize) -> &str {
        array.value(at)
    }
}

impl Read for JsonText {
    type Array = LargeStringArray;
    type Item<'a> = &'a str;
    fn open(array: &ArrayRef) -> LargeStringArray {
        array.as_string().clone()
    }
    fn value(array: &LargeStringArray, at: usize) -> &str {
        array.value(at)
    }
}

impl Read for Bytes {
    type Array = BinaryArray;
    type Item<'a> = &'a [u8];
    fn open(array: &ArrayRef) -> BinaryArray {
        array.as_binary().clone()
    }
    fn value(array: &BinaryArray, at: usize) -> &[u8] {
        array.value(at)
    }
}

impl Read for Bool {
    type Array = BooleanArray;
    type Item<'a> = bool;
    fn open(array: &ArrayRef) -> BooleanArray {
        array.as_boolean().clone()
    }
    fn value(array: &BooleanArray, at: usize) -> bool {
        array.value(at)
    }
}

impl Read for Interval {
    type Array = PrimitiveArray<IntervalMonthDayNanoType>;
    type Item<'a> = IntervalParts;
    fn open(array: &ArrayRef) -> Self::Array {
        array.as_primitive().clone()
    }
    fn value(array: &Self::Array, at: usize) -> IntervalParts {
        array.value(at).into()
    }
}

impl Read for Texts {
    type Array = ListArray;
    type Item<'a> = Vec<Option<String>>;
    fn open(array: &ArrayRef) -> ListArray {
        array.as_list().clone()
    }
    fn value(array: &ListArray, at: usize) -> Vec<Option<String>> {
        let elements = array.value(at);
        elements
            .as_string::<i32>()
            .iter()
            .map(|e| e.map(str::to_string))
            .collect()
    }
}

impl<T: ArrowPrimitiveType> Read for Prim<T> {
    type Array = PrimitiveArray<T>;
    type Item<'a> = T::Native;
    fn open(array: &ArrayRef) -> PrimitiveArray<T> {
        array.as_primitive().clone()
    }
    fn value(array: &PrimitiveArray<T>, at: usize) -> T::Native {
        array.value(at)
    }
}

/// A value that a function answers with.
pub(crate) trait Write: Sized {
    fn collect(
        values: &mut dyn Iterator<Item = Result<Option<Self>, SqlError>>,
        rows: usize,
    ) -> Result<ArrayRef, SqlError>;
}

/// A `jsonb` as its normal text.
pub(crate) struct JsonValue(pub(crate) String);
/// A `jsonb[]`.
pub(crate) struct JsonValues(pub(crate) Vec<String>);
/// A list of `text[]`.
pub(crate) struct TextLists(pub(crate) Vec<Vec<Option<String>>>);
/// Days since 1970.
pub(crate) struct Days(pub(crate) i32);
/// Microseconds since midnight.
pub(crate) struct TimeOfDay(pub(crate) i64);
/// A timestamp without time zone.
pub(crate) struct Local(pub(crate) i64);
/// A timestamp with time zone.
pub(crate) struct Instant(pub(crate) i64);

impl Write for String {
    fn collect(
        values: &mut dyn Iterator<Item = Result<Option<String>, SqlError>>,
        rows: usize,
    ) -> Result<ArrayRef, SqlError> {
        let mut builder = StringBuilder::with_capacity(rows, rows * 8);
        for value in values {
            builder.append_option(value?);
        }
        Ok(Arc::new(builder.finish()))
    }
}

impl Write for JsonValue {
    fn collect(
        values: &mut dyn Iterator<Item = Result<Option<JsonValue>, SqlError>>,
        rows: usize,
    ) -> Result<ArrayRef, SqlError> {
        let mut builder = LargeStringBuilder::with_capacity(rows, rows * 16);
        for value in values {
            builder.append_option(value?.map(|v| v.0));
        }
        Ok(Arc::new(builder.finish()))
    }
}

impl Write for TextLists {
    fn collect(
        values: &mut dyn Iterator<Item = Result<Option<TextLists>, SqlError>>,
        _rows: usize,
    ) -> Result<ArrayRef, SqlError> {
        let text = Arc::new(Field::new("item", arrow::datatypes::DataType::Utf8, true));
        let item = Field::new("item", arrow::datatypes::DataType::List(Arc::clone(&text)), true);
        let mut builder = ListBuilder::new(ListBuilder::new(StringBuilder::new()).with_field(text)).with_field(item);
        for value in values {
            match value? {
                None => builder.append_null(),
                Some(lists) => {
                    for list in lists.0 {
                        builder.values().append_value(list);
                    }
                    builder.append(true);
                }
            }
        }
        Ok(Arc::new(builder.finish()))
    }
}

impl Write for JsonValues {
    fn collect(
        values: &mut dyn Iterator<Item = Result<Option<JsonValues>, SqlError>>,
        _rows: usize,
    ) -> Result<ArrayRef, SqlError> {
        let item = Field::new("item", arrow::datatypes::DataType::LargeUtf8, true);
        let mut builder = ListBuilder::new(LargeStringBuilder::new()).with_field(item);
        for value in values {
            match value? {
                None => builder.append_null(),
                Some(elements) => builder.append_value(elements.0.into_iter().map(Some)),
            }
        }
        Ok(Arc::new(builder.finish()))
    }
}

impl Write for Vec<u8> {
    fn collect(
        values: &mut dyn Iterator<Item = Result<Option<Vec<u8>>, SqlError>>,
        _rows: usize,
    ) -> Result<ArrayRef, SqlError> {
        let mut builder = BinaryBuilder::new();
        for value in values {
            builder.append_option(value?);
        }
        Ok(Arc::new(builder.finish()))
    }
}

impl Write for [u8; 16] {
    fn collect(
        values: &mut dyn Iterator<Item = Result<Option<[u8; 16]>, SqlError>>,
        rows: usize,
    ) -> Result<ArrayRef, SqlError> {
        let mut builder = FixedSizeBinaryBuilder::with_capacity(rows, 16);
        for value in values {
            match value? {
                None => builder.append_null(),
                Some(bytes) => builder.append_value(bytes).expect("16 bytes are the column's width"),
            }
        }
        Ok(Arc::new(builder.finish()))
    }
}

impl Write for bool {
    fn collect(
        values: &mut dyn Iterator<Item = Result<Option<bool>, SqlError>>,
        rows: usize,
    ) -> Result<ArrayRef, SqlError> {
        let mut builder = BooleanBuilder::with_capacity(rows);
        for value in values {
            builder.append_option(value?);
        }
        Ok(Arc::new(builder.finish()))
    }
}

impl Write for Vec<Option<String>> {
    fn collect(
        values: &mut dyn Iterator<Item = Result<Option<Vec<Option<String>>>, SqlError>>,
        _rows: usize,
    ) -> Result<ArrayRef, SqlError> {
        let item = Field::new("item", arrow::datatypes::DataType::Utf8, true);
        let mut builder = ListBuilder::new(StringBuilder::new()).with_field(item);
        for value in values {
            match value? {
                None => builder.append_null(),
                Some(elements) => builder.append_value(elements),
            }
        }
        Ok(Arc::new(builder.finish()))
    }
}

fn collect_primitive<T: ArrowPrimitiveType, V>(
    values: &mut dyn Iterator<Item = Result<Option<V>, SqlError>>,
    rows: usize,
    native: impl Fn(V) -> T::Native,
) -> Result<PrimitiveArray<T>, SqlError> {
    let mut builder = PrimitiveBuilder::<T>::with_capacity(rows);
    for value in values {
        match value? {
            None => builder.append_null(),
            Some(value) => builder.append_value(native(value)),
        }
    }
    Ok(builder.finish())
}

macro_rules! write_primitive {
    ($($value:ty => $arrow:ty, $native:expr;)*) => {$(
        impl Write for $value {
            fn collect(
                values: &mut dyn Iterator<Item = Result<Option<$value>, SqlError>>,
                rows: usize,
            ) -> Result<ArrayRef, SqlError> {
                Ok(Arc::new(collect_primitive::<$arrow, $value>(values, rows, $native)?))
            }
        }
    )*};
}

write_primitive! {
    i16 => Int16Type, |v| v;
    i32 => Int32Type, |v| v;
    i64 => Int64Type, |v| v;
    u32 => UInt32Type, |v| v;
    f32 => Float32Type, |v| v;
    f64 => Float64Type, |v| v;
    Days => Date32Type, |v: Days| v.0;
    TimeOfDay => Time64MicrosecondType, |v: TimeOfDay| v.0;
    Local => TimestampMicrosecondType, |v: Local| v.0;
    IntervalParts => IntervalMonthDayNanoType, arrow_interval;
}

impl Write for Instant {
    fn collect(
        values: &mut dyn Iterator<Item = Result<Option<Instant>, SqlError>>,
        rows: usize,
    ) -> Result<ArrayRef, SqlError> {
        let array = collect_primitive::<TimestampMicrosecondType, Instant>(values, rows, |v| v.0)?;
        Ok(Arc::new(array.with_timezone("UTC")))
    }
}

/// An interval as Arrow holds it. Times beyond what its nanoseconds reach were refused before.
pub(crate) fn arrow_interval(parts: IntervalParts) -> IntervalMonthDayNano {
    IntervalMonthDayNano::new(parts.months, parts.days, parts.micros.saturating_mul(1000))
}

/// What a function of values may say: a value, NULL, or an error.
pub(crate) type Answer<R> = Result<Option<R>, SqlError>;

fn collect<R: Write>(call: &Call, mut value: impl FnMut(usize) -> Answer<R>) -> Result<ArrayRef, SqlError> {
    let mut values = (0..call.rows).map(|row| if call.skips(row) { Ok(None) } else { value(row) });
    R::collect(&mut values, call.rows)
}

/// A function without arguments.
pub(crate) fn map0<R: Write>(call: &Call, f: impl Fn() -> Answer<R>) -> Result<ArrayRef, SqlError> {
    collect(call, |_| f())
}

/// A function of one value.
pub(crate) fn map1<A: Read, R: Write>(
    call: &Call,
    f: impl for<'a> Fn(A::Item<'a>) -> Answer<R>,
) -> Result<ArrayRef, SqlError> {
    let a = A::open(&call.args[0].array);
    collect(call, |row| f(A::value(&a, call.args[0].at(row))))
}

/// A function of two values.
pub(crate) fn map2<A: Read, B: Read, R: Write>(
    call: &Call,
    f: impl for<'a> Fn(A::Item<'a>, B::Item<'a>) -> Answer<R>,
) -> Result<ArrayRef, SqlError> {
    let (a, b) = (A::open(&call.args[0].array), B::open(&call.args[1].array));
    collect(call, |row| {
        f(A::value(&a, call.args[0].at(row)), B::value(&b, call.args[1].at(row)))
    })
}

/// A function of three values.
pub(crate) fn map3<A: Read, B: Read, C: Read, R: Write>(
    call: &Call,
    f: impl for<'a> Fn(A::Item<'a>, B::Item<'a>, C::Item<'a>) -> Answer<R>,
) -> Result<ArrayRef, SqlError> {
    let (a, b, c) = (
        A::open(&call.args[0].array),
        B::open(&call.args[1].array),
        C::open(&call.args[2].array),
    );
    collect(call, |row| {
        f(
            A::value(&a, call.args[0].at(row)),
            B::value(&b, call.args[1].at(row)),
            C::value(&c, call.args[2].at(row)),
        )
    })
}

/// A function of four values.
pub(crate) fn map4<A: Read, B: Read, C: Read, D: Read, R: Write>(
    call: &Call,
    f: impl for<'a> Fn(A::Item<'a>, B::Item<'a>, C::Item<'a>, D::Item<'a>) -> Answer<R>,
) -> Result<ArrayRef, SqlError> {
    let (a, b) = (A::open(&call.args[0].array), B::open(&call.args[1].array));
    let (c, d) = (C::open(&call.args[2].array), D::open(&call.args[3].array));
    collect(call, |row| {
        f(
            A::value(&a, call.args[0].at(row)),
            B::value(&b, call.args[1].at(row)),
            C::value(&c, call.args[2].at(row)),
            D::value(&d, call.args[3].at(row)),
        )
    })
}

/// A function of the row's number, for functions with a shape of their own.
pub(crate) fn map_rows<R: Write>(call: &Call, f: impl FnMut(usize) -> Answer<R>) -> Result<ArrayRef, SqlError> {
    collect(call, f)
}
