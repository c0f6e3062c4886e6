//! min(x) and max(x). Over an append-only input one value a group is kept; otherwise an ordered multiset of all
//! values of the group ([`Multiset`]), from which any value can be taken out again.
//!
//! Values are compared as PostgreSQL does: NaN is greater than all numbers, text goes by its bytes. What fits in eight
//! bytes is compared as an integer, numerics as 128-bit integers, all else in Arrow's row format.

use std::borrow::Borrow;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array, IntervalMonthDayNanoArray, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Decimal128Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use arrow::row::{RowConverter, RowParser, Rows, SortField};
use highwater_types::Fault;

use super::accumulator::{Accumulator, Changes, ValueChanges};
use super::multiset::Multiset;
use crate::ExecError;
use crate::op::keys::{Numbers, from_integers, to_integers};

/// The accumulator of min, or of max when `greatest`.
pub(super) fn new_extreme(
    data_type: &DataType,
    greatest: bool,
    append_only: bool,
) -> Result<Box<dyn Accumulator>, ExecError> {
    fn boxed<L: Lane + 'static>(lane: L, greatest: bool, append_only: bool) -> Box<dyn Accumulator> {
        if append_only {
            Box::new(AppendOnlyExtreme {
                lane,
                greatest,
                best: Vec::new(),
            })
        } else {
            Box::new(Extreme {
                lane,
                greatest,
                values: Vec::new(),
            })
        }
    }
    Ok(match data_type {
        DataType::Boolean
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt32
        | DataType::Date32
        | DataType::Time64(TimeUnit::Microsecond)
        | DataType::Timestamp(TimeUnit::Microsecond, _)
        | DataType::Float32
        | DataType::Float64 => boxed(Integers(data_type.clone()), greatest, append_only),
        DataType::Interval(IntervalUnit::MonthDayNano) => boxed(Intervals, greatest, append_only),
        DataType::Decimal128(_, _) => boxed(Decimals(data_type.clone()), greatest, append_only),
        other => boxed(Encoded::try_new(other)?, greatest, append_only),
    })
}

/// How values of one type are compared and kept.
trait Lane: Debug {
    /// A value, borrowed.
    type Key: Ord + ?Sized + ToOwned<Owned = Self::Value>;
    /// A value, kept.
    type Value: Ord + Clone + Debug + Borrow<Self::Key>;
    /// The values of one column.
    type Column;

    fn read(&self, column: &ArrayRef) -> Result<Self::Column, ExecError>;
    fn key(column: &Self::Column, row: usize) -> &Self::Key;
    fn write(&self, values: &[Option<&Self::Key>]) -> Result<ArrayRef, ExecError>;
}

/// Types of at most eight bytes.
#[derive(Debug)]
struct Integers(DataType);

impl Integers {
    /// Makes the bits of a float compare as the float does; done twice, nothing has happened.
    fn reorder(&self, value: i64) -> i64 {
        match self.0 {
            DataType::Float64 => value ^ ((((value >> 63) as u64) >> 1) as i64),
            DataType::Float32 => {
                let value = value as u32 as i32;
                i64::from(value ^ ((((value >> 31) as u32) >> 1) as i32))
            }
            _ => value,
        }
    }
}

impl Lane for Integers {
    type Key = i64;
    type Value = i64;
    type Column = Int64Array;

    fn read(&self, column: &ArrayRef) -> Result<Int64Array, ExecError> {
        let values = to_integers(column);
        Ok(match self.0 {
            DataType::Float32 | DataType::Float64 => values.unary(|v| self.reorder(v)),
            _ => values,
        })
    }

    fn key(column: &Int64Array, row: usize) -> &i64 {
        &column.values()[row]
    }

    fn write(&self, values: &[Option<&i64>]) -> Result<ArrayRef, ExecError> {
        let integers: Int64Array = values.iter().map(|v| v.map(|v| self.reorder(*v))).collect();
        Ok(from_integers(&self.0, integers))
    }
}

/// Numerics of up to 38 digits.
#[derive(Debug)]
struct Decimals(DataType);

impl Lane for Decimals {
    type Key = i128;
    type Value = i128;
    type Column = Decimal128Array;

    fn read(&self, column: &ArrayRef) -> Result<Decimal128Array, ExecError> {
        Ok(column.as_primitive::<Decimal128Type>().clone())
    }

    fn key(column: &Decimal128Array, row: usize) -> &i128 {
        &column.values()[row]
    }

    fn write(&self, values: &[Option<&i128>]) -> Result<ArrayRef, ExecError> {
        let array: Decimal128Array = values.iter().map(|v| v.copied()).collect();
        Ok(Arc::new(array.with_data_type(self.0.clone())))
    }
}

/// Intervals, compared as PostgreSQL does: a month is thirty days, a day is twenty-four hours. Equal ones are told
/// apart by their parts, so that the answer does not depend on which came first.
#[derive(Debug)]
struct Intervals;

impl Lane for Intervals {
    type Key = (i128, i32, i32, i64);
    type Value = (i128, i32, i32, i64);
    type Column = Vec<(i128, i32, i32, i64)>;

    fn read(&self, column: &ArrayRef) -> Result<Self::Column, ExecError> {
        let key = |v: &IntervalMonthDayNano| {
            let days = i128::from(v.months) * 30 + i128::from(v.days);
            let length = days * 86_400_000_000_000 + i128::from(v.nanoseconds);
            (length, v.months, v.days, v.nanoseconds)
        };
        let values = column.as_primitive::<IntervalMonthDayNanoType>().values();
        Ok(values.iter().map(key).collect())
    }

    fn key(column: &Self::Column, row: usize) -> &Self::Key {
        &column[row]
    }

    fn write(&self, values: &[Option<&Self::Key>]) -> Result<ArrayRef, ExecError> {
        let interval = |v: &Self::Key| IntervalMonthDayNano::new(v.1, v.2, v.3);
        let array: IntervalMonthDayNanoArray = values.iter().map(|v| v.map(interval)).collect();
        Ok(Arc::new(array))
    }
}

/// All other types, in Arrow's row format.
#[derive(Debug)]
struct Encoded {
    converter: RowConverter,
    parser: RowParser,
    null: Vec<u8>,
}

impl Encoded {
    fn try_new(data_type: &DataType) -> Result<Encoded, ExecError> {
        let converter = RowConverter::new(vec![SortField::new(data_type.clone())])?;
        let null = converter.convert_columns(&[new_null_array(data_type, 1)])?;
        Ok(Encoded {
            parser: converter.parser(),
            null: null.row(0).data().to_vec(),
            converter,
        })
    }
}

impl Lane for Encoded {
    type Key = [u8];
    type Value = Vec<u8>;
    type Column = Rows;

    fn read(&self, column: &ArrayRef) -> Result<Rows, ExecError> {
        Ok(self.converter.convert_columns(std::slice::from_ref(column))?)
    }

    fn key(column: &Rows, row: usize) -> &[u8] {
        column.row(row).data()
    }

    fn write(&self, values: &[Option<&[u8]>]) -> Result<ArrayRef, ExecError> {
        let rows = values.iter().map(|v| self.parser.parse(v.unwrap_or(&self.null)));
        Ok(Arc::clone(&self.converter.convert_rows(rows)?[0]))
    }
}

/// The extreme of values that are never taken out.
#[derive(Debug)]
struct AppendOnlyExtreme<L: Lane> {
    lane: L,
    greatest: bool,
    best: Vec<Option<L::Value>>,
}

impl<L: Lane> AppendOnlyExtreme<L> {
    /// Takes in values, of which those count that are better than the best of their group so far.
    #[inline]
    fn improve(
        &mut self,
        changes: &Changes<'_>,
        column: &L::Column,
        valid: Option<&NullBuffer>,
        is_better: impl Fn(&L::Key, &L::Key) -> bool,
    ) {
        let mut improve = |group: usize, key: &L::Key| {
            let best = &mut self.best[group];
            if best.as_ref().is_none_or(|best| is_better(key, best.borrow())) {
                *best = Some(key.to_owned());
            }
        };
        let Numbers::One(group, _) = changes.groups else {
            changes.for_each(valid, |row, group, _| improve(group, L::key(column, row)));
            return;
        };
        let mut best: Option<&L::Key> = None;
        changes.for_each(valid, |row, _, _| {
            let key = L::key(column, row);
            if best.is_none_or(|best| is_better(key, best)) {
                best = Some(key);
            }
        });
        if let Some(key) = best {
            improve(*group as usize, key);
        }
    }
}

impl<L: Lane> Accumulator for AppendOnlyExtreme<L> {
    fn grow(&mut self, groups: usize) {
        self.best.resize(groups, None);
    }

    fn update(
        &mut self,
        changes: &Changes<'_>,
        args: &[ArrayRef],
        valid: Option<&NullBuffer>,
    ) -> Result<(), ExecError> {
        let column = self.lane.read(&args[0])?;
        match self.greatest {
            true => self.improve(changes, &column, valid, |key, best| key > best),
            false => self.improve(changes, &column, valid, |key, best| key < best),
        }
        Ok(())
    }

    fn evaluate(&self, groups: &[u32], _faults: &mut Vec<(usize, Fault)>) -> Result<ArrayRef, ExecError> {
        let values: Vec<Option<&L::Key>> = groups
            .iter()
            .map(|g| self.best[*g as usize].as_ref().map(Borrow::borrow))
            .collect();
        self.lane.write(&values)
    }

    fn forget(&mut self, groups: &[u32]) {
        groups.iter().for_each(|g| self.best[*g as usize] = None);
    }

    fn numbers(&self, groups: &[u32]) -> Vec<ArrayRef> {
        let mut faults = Vec::new();
        let best = self.evaluate(groups, &mut faults);
        vec![best.expect("values that were read from a column make a column")]
    }

    fn load_numbers(&mut self, groups: &[u32], columns: &[ArrayRef]) -> Result<(), ExecError> {
        let column = self.lane.read(&columns[0])?;
        for (at, group) in groups.iter().enumerate() {
            let known = columns[0].is_valid(at);
            self.best[*group as usize] = known.then(|| L::key(&column, at).to_owned());
        }
        Ok(())
    }
}

/// The extreme of values that may be taken out.
#[derive(Debug)]
struct Extreme<L: Lane> {
    lane: L,
    greatest: bool,
    values: Vec<Multiset<L::Value>>,
}

impl<L: Lane> Accumulator for Extreme<L> {
    fn grow(&mut self, groups: usize) {
        self.values.resize_with(groups, Multiset::default);
    }

    fn update(
        &mut self,
        changes: &Changes<'_>,
        args: &[ArrayRef],
        valid: Option<&NullBuffer>,
    ) -> Result<(), ExecError> {
        let column = self.lane.read(&args[0])?;
        let values = &mut self.values;
        changes.for_each(valid, |row, group, weight| {
            values[group].add::<L::Key>(L::key(&column, row), weight);
        });
        Ok(())
    }

    fn evaluate(&self, groups: &[u32], _faults: &mut Vec<(usize, Fault)>) -> Result<ArrayRef, ExecError> {
        let values: Vec<Option<&L::Key>> = groups
            .iter()
            .map(|g| {
                let values = &self.values[*g as usize];
                let best = if self.greatest { values.last() } else { values.first() };
                best.map(Borrow::borrow)
            })
            .collect();
        self.lane.write(&values)
    }

    fn forget(&mut self, groups: &[u32]) {
        groups
            .iter()
            .for_each(|g| self.values[*g as usize] = Multiset::default());
    }

    fn value_changes(&mut self, groups: &[u32], gone: bool) -> Result<Option<ValueChanges>, ExecError> {
        let (mut changed, mut values, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for group in groups {
            self.values[*group as usize].save(gone, |value, weight| {
                changed.push(*group);
                values.push(value.clone());
                weights.push(weight);
            });
        }
        let values: Vec<Option<&L::Key>> = values.iter().map(|v| Some(v.borrow())).collect();
        Ok(Some(ValueChanges {
            groups: changed,
            columns: vec![self.lane.write(&values)?],
            weights,
        }))
    }

    fn mark_saved(&mut self) {
        self.values.iter_mut().for_each(Multiset::mark_saved);
    }
}
