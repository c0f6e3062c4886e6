//! Functions and operators of arrays. All are of one dimension, counted from 1.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, new_empty_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{concat, filter};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::row::{RowConverter, SortField};
use highwater_types::{SqlError, SqlState, SqlType};

use super::cast::cast_array;
use super::function::{Arg, Call, Function, Gives, Takes, internal};
use super::rows::map_rows;

const INT4: fn() -> SqlType = || SqlType::Int4;
const BOOL: fn() -> SqlType = || SqlType::Bool;
const TEXT: fn() -> SqlType = || SqlType::Text;
const INT4S: fn() -> SqlType = || SqlType::Array(Box::new(SqlType::Int4));

const ONE: &[Takes] = &[Takes::AnyArray];
const WITH_DIMENSION: &[Takes] = &[Takes::AnyArray, Takes::Int4];
const TWO: &[Takes] = &[Takes::AnyArray, Takes::AnyArray];
const WITH_ELEMENT: &[Takes] = &[Takes::AnyArray, Takes::Any];
const ELEMENT_FIRST: &[Takes] = &[Takes::Any, Takes::AnyArray];

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    let mut functions = measuring();
    functions.extend(searching());
    functions.extend(changing());
    functions
}

/// The array in a row.
fn elements(arg: &Arg, row: usize) -> ArrayRef {
    arg.array.as_list::<i32>().value(arg.at(row))
}

fn length(arg: &Arg, row: usize) -> i32 {
    arg.array.as_list::<i32>().value_length(arg.at(row))
}

fn dimension(call: &Call, row: usize) -> i32 {
    let arg = &call.args[1];
    arg.array
        .as_primitive::<arrow::datatypes::Int32Type>()
        .value(arg.at(row))
}

fn measuring() -> Vec<Function> {
    vec![
        Function::new("cardinality", ONE, INT4, |c| {
            map_rows(c, |r| Ok(Some(length(&c.args[0], r))))
        }),
        Function::new("array_length", ONE, INT4, |c| {
            map_rows(c, |r| Ok(Some(length(&c.args[0], r)).filter(|n| *n > 0)))
        }),
        Function::new("array_length", WITH_DIMENSION, INT4, bound),
        Function::new("array_upper", WITH_DIMENSION, INT4, bound),
        Function::new("array_lower", WITH_DIMENSION, INT4, |c| {
            map_rows(c, |r| {
                Ok((dimension(c, r) == 1 && length(&c.args[0], r) > 0).then_some(1))
            })
        }),
        Function::new("array_ndims", ONE, INT4, |c| {
            map_rows(c, |r| Ok((length(&c.args[0], r) > 0).then_some(1)))
        }),
        Function::new("array_dims", ONE, TEXT, |c| {
            map_rows(c, |r| {
                Ok(Some(length(&c.args[0], r))
                    .filter(|n| *n > 0)
                    .map(|n| format!("[1:{n}]")))
            })
        }),
    ]
}

fn bound(call: &Call) -> Result<ArrayRef, SqlError> {
    map_rows(call, |r| {
        let length = length(&call.args[0], r);
        Ok((dimension(call, r) == 1 && length > 0).then_some(length))
    })
}

/// Bytes that are equal when the elements are; `None` for NULL.
fn keys(elements: &ArrayRef) -> Result<Vec<Option<Vec<u8>>>, SqlError> {
    let converter = RowConverter::new(vec![SortField::new(elements.data_type().clone())]).map_err(internal)?;
    let rows = converter
        .convert_columns(std::slice::from_ref(elements))
        .map_err(internal)?;
    Ok((0..elements.len())
        .map(|at| elements.is_valid(at).then(|| rows.row(at).data().to_vec()))
        .collect())
}

/// The element type of an array argument.
fn item_of(arg: &Arg) -> FieldRef {
    match arg.array.data_type() {
        DataType::List(item) => Arc::clone(item),
        other => Arc::new(Field::new("item", other.clone(), true)),
    }
}

/// The element in a row, as an array of one, of the array's element type.
fn element(call: &Call, arg: &Arg, item: &Field, row: usize) -> Result<ArrayRef, SqlError> {
    let one = arg.array.slice(arg.at(row), 1);
    let (from, to) = (SqlType::of_field(&arg.field), SqlType::of_field(item));
    if one.data_type() == item.data_type() {
        return Ok(one);
    }
    cast_array(&one, &from, &to, false, &call.settings)
}

fn same_type(call: &Call, left: ArrayRef, right: &Arg, row: usize) -> Result<(ArrayRef, ArrayRef), SqlError> {
    let right_elements = elements(right, row);
    if left.data_type() == right_elements.data_type() {
        return Ok((left, right_elements));
    }
    let to = SqlType::of_arrow(left.data_type());
    let from = SqlType::of_arrow(right_elements.data_type());
    let right_elements = cast_array(&right_elements, &from, &to, false, &call.settings)?;
    Ok((left, right_elements))
}

fn searching() -> Vec<Function> {
    vec![
        Function::new("@>", TWO, BOOL, |c| compare(c, includes)),
        Function::new("<@", TWO, BOOL, |c| compare(c, |a, b| includes(b, a))),
        Function::new("&&", TWO, BOOL, |c| compare(c, overlaps)),
        // `value = ANY (array)`: NULL when it is not found and might be one of the NULLs.
        Function::new("array_includes", WITH_ELEMENT, BOOL, |c| {
            map_rows(c, |r| {
                if c.args[0].is_null(r) {
                    return Ok(None);
                }
                let all = keys(&elements(&c.args[0], r))?;
                if all.is_empty() {
                    return Ok(Some(false));
                }
                let wanted = &keys(&element(c, &c.args[1], &item_of(&c.args[0]), r)?)?[0];
                let found = wanted.is_some() && all.contains(wanted);
                Ok(Some(found).filter(|found| *found || !(wanted.is_none() || all.contains(&None))))
            })
        })
        .with_nulls(),
        Function::new("array_overlap", TWO, BOOL, |c| compare(c, overlaps)),
        Function::new("array_position", WITH_ELEMENT, INT4, |c| {
            map_rows(c, |r| Ok(places(c, r)?.and_then(|p| p.first().copied())))
        })
        .with_nulls(),
        Function::new(
            "array_position",
            &[Takes::AnyArray, Takes::Any, Takes::Int4],
            INT4,
            |c| {
                map_rows(c, |r| {
                    let start = &c.args[2];
                    let start = start
                        .array
                        .as_primitive::<arrow::datatypes::Int32Type>()
                        .value(start.at(r));
                    let found = places(c, r)?.unwrap_or_default();
                    Ok(found.into_iter().find(|place| *place >= start))
                })
            },
        )
        .with_nulls(),
        Function::new("width_bucket", ELEMENT_FIRST, INT4, |c| {
            map_rows(c, |r| {
                let value = element(c, &c.args[0], &item_of(&c.args[1]), r)?;
                let value = keys(&value)?;
                let bounds = keys(&elements(&c.args[1], r))?;
                if bounds.iter().any(Option::is_none) {
                    return Err(SqlError::new(
                        SqlState::NULL_VALUE_NOT_ALLOWED,
                        "thresholds array must not contain NULLs",
                    ));
                }
                Ok(Some(bounds.iter().filter(|bound| **bound <= value[0]).count() as i32))
            })
        }),
        Function::new("array_positions", WITH_ELEMENT, INT4S, |c| {
            let lists = (0..c.rows)
                .map(|r| Ok(places(c, r)?.map(|p| -> ArrayRef { Arc::new(arrow::array::Int32Array::from(p)) })));
            lists_of(lists, &SqlType::Int4.to_field("item"))
        })
        .with_nulls(),
    ]
}

type Keys = Vec<Option<Vec<u8>>>;

fn compare(call: &Call, f: fn(&Keys, &Keys) -> bool) -> Result<ArrayRef, SqlError> {
    map_rows(call, |row| {
        let (a, b) = same_type(call, elements(&call.args[0], row), &call.args[1], row)?;
        Ok(Some(f(&keys(&a)?, &keys(&b)?)))
    })
}

/// Whether every element of `part` is in `whole`. NULL is in nothing.
fn includes(whole: &Keys, part: &Keys) -> bool {
    let known: HashSet<&Vec<u8>> = whole.iter().flatten().collect();
    part.iter().all(|p| p.as_ref().is_some_and(|p| known.contains(p)))
}

fn overlaps(a: &Keys, b: &Keys) -> bool {
    let known: HashSet<&Vec<u8>> = a.iter().flatten().collect();
    b.iter().flatten().any(|e| known.contains(e))
}

/// Where the element stands in the array; NULL is found too.
fn places(call: &Call, row: usize) -> Result<Option<Vec<i32>>, SqlError> {
    let array = &call.args[0];
    if array.is_null(row) {
        return Ok(None);
    }
    let wanted = keys(&element(call, &call.args[1], &item_of(array), row)?)?;
    let all = keys(&elements(array, row))?;
    let found = all.iter().enumerate().filter(|(_, key)| **key == wanted[0]);
    Ok(Some(found.map(|(at, _)| at as i32 + 1).collect()))
}

fn changing() -> Vec<Function> {
    let mut functions = vec![
        Function::new("array_append", WITH_ELEMENT, TEXT, append)
            .giving(Gives::Argument(0))
            .with_nulls(),
        Function::new("array_prepend", ELEMENT_FIRST, TEXT, prepend)
            .giving(Gives::Argument(1))
            .with_nulls(),
        Function::new("array_cat", TWO, TEXT, cat)
            .giving(Gives::Argument(0))
            .with_nulls(),
        Function::new("||", TWO, TEXT, cat)
            .giving(Gives::Argument(0))
            .with_nulls(),
        Function::new("||", WITH_ELEMENT, TEXT, append_or_keep)
            .giving(Gives::Argument(0))
            .with_nulls(),
        Function::new("||", ELEMENT_FIRST, TEXT, prepend)
            .giving(Gives::Argument(1))
            .with_nulls(),
        Function::new("array_remove", WITH_ELEMENT, TEXT, remove)
            .giving(Gives::Argument(0))
            .with_nulls(),
        Function::new("trim_array", WITH_DIMENSION, TEXT, trim).giving(Gives::Argument(0)),
    ];
    functions.push(
        Function::new("array_fill", ELEMENT_FIRST, TEXT, fill)
            .giving(Gives::From(|args| {
                DataType::List(Arc::new(Field::new("item", args.types[0].clone(), true)))
            }))
            .with_nulls(),
    );
    let replacing: &'static [Takes] = &[Takes::AnyArray, Takes::Any, Takes::Any];
    functions.push(
        Function::new("array_replace", replacing, TEXT, replace)
            .giving(Gives::Argument(0))
            .with_nulls(),
    );
    functions
}

/// A list array of rows made one by one.
fn lists_of(
    rows: impl Iterator<Item = Result<Option<ArrayRef>, SqlError>>,
    item: &FieldRef,
) -> Result<ArrayRef, SqlError> {
    let (mut parts, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let row = row?;
        lengths.push(row.as_ref().map_or(0, |r| r.len()));
        valid.push(row.is_some());
        parts.extend(row);
    }
    let slices: Vec<&dyn Array> = parts.iter().map(|p| p.as_ref()).collect();
    let values = match slices.is_empty() {
        true => new_empty_array(item.data_type()),
        false => concat(&slices).map_err(internal)?,
    };
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::new(
        Arc::clone(item),
        offsets,
        values,
        Some(NullBuffer::from(valid)),
    )))
}

fn joined(parts: &[&dyn Array]) -> Result<Option<ArrayRef>, SqlError> {
    concat(parts).map(Some).map_err(internal)
}

fn append(call: &Call) -> Result<ArrayRef, SqlError> {
    let (array, item) = (&call.args[0], item_of(&call.args[0]));
    let rows = (0..call.rows).map(|row| {
        let new = element(call, &call.args[1], &item, row)?;
        match array.is_null(row) {
            true => Ok(Some(new)),
            false => joined(&[elements(array, row).as_ref(), new.as_ref()]),
        }
    });
    lists_of(rows, &item)
}

/// `array || NULL` is the array.
fn append_or_keep(call: &Call) -> Result<ArrayRef, SqlError> {
    match call.args[1].array.data_type() {
        DataType::Null => call.args[0].to_column(call.rows),
        _ => append(call),
    }
}

fn prepend(call: &Call) -> Result<ArrayRef, SqlError> {
    let (array, item) = (&call.args[1], item_of(&call.args[1]));
    let rows = (0..call.rows).map(|row| {
        if call.args[0].array.data_type() == &DataType::Null && !array.is_null(row) {
            return Ok(Some(elements(array, row)));
        }
        let new = element(call, &call.args[0], &item, row)?;
        match array.is_null(row) {
            true => Ok(Some(new)),
            false => joined(&[new.as_ref(), elements(array, row).as_ref()]),
        }
    });
    lists_of(rows, &item)
}

fn cat(call: &Call) -> Result<ArrayRef, SqlError> {
    let (left, right) = (&call.args[0], &call.args[1]);
    let item = item_of(left);
    let rows = (0..call.rows).map(|row| match (left.is_null(row), right.is_null(row)) {
        (true, true) => Ok(None),
        (false, true) => Ok(Some(elements(left, row))),
        (true, false) => {
            let empty = new_empty_array(item.data_type());
            Ok(Some(same_type(call, empty, right, row)?.1))
        }
        (false, false) => {
            let (a, b) = same_type(call, elements(left, row), right, row)?;
            joined(&[a.as_ref(), b.as_ref()])
        }
    });
    lists_of(rows, &item)
}

fn remove(call: &Call) -> Result<ArrayRef, SqlError> {
    let (array, item) = (&call.args[0], item_of(&call.args[0]));
    let rows = (0..call.rows).map(|row| {
        if array.is_null(row) {
            return Ok(None);
        }
        let all = elements(array, row);
        let gone = keys(&element(call, &call.args[1], &item, row)?)?;
        let kept: BooleanArray = keys(&all)?.iter().map(|key| Some(*key != gone[0])).collect();
        filter(&all, &kept).map(Some).map_err(internal)
    });
    lists_of(rows, &item)
}

fn replace(call: &Call) -> Result<ArrayRef, SqlError> {
    let (array, item) = (&call.args[0], item_of(&call.args[0]));
    let rows = (0..call.rows).map(|row| {
        if array.is_null(row) {
            return Ok(None);
        }
        let all = elements(array, row);
        let old = keys(&element(call, &call.args[1], &item, row)?)?;
        let new = element(call, &call.args[2], &item, row)?;
        let parts: Vec<ArrayRef> = keys(&all)?
            .iter()
            .enumerate()
            .map(|(at, key)| {
                if *key == old[0] {
                    Arc::clone(&new)
                } else {
                    all.slice(at, 1)
                }
            })
            .collect();
        let slices: Vec<&dyn Array> = parts.iter().map(|p| p.as_ref()).collect();
        if slices.is_empty() {
            Ok(Some(all))
        } else {
            joined(&slices)
        }
    });
    lists_of(rows, &item)
}

/// An array of so many equal elements.
fn fill(call: &Call) -> Result<ArrayRef, SqlError> {
    let (value, lengths) = (&call.args[0], &call.args[1]);
    let item = match &call.return_type {
        DataType::List(item) => Arc::clone(item),
        other => return Err(internal(format!("{other} is no array"))),
    };
    let rows = (0..call.rows).map(|row| {
        let lengths = match lengths.is_null(row) {
            true => {
                return Err(SqlError::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "dimension array cannot be null",
                ));
            }
            false => elements(lengths, row),
        };
        let lengths = arrow::compute::cast(&lengths, &DataType::Int32).map_err(internal)?;
        let lengths = lengths.as_primitive::<arrow::datatypes::Int32Type>();
        match lengths.len() {
            0 => return Ok(Some(new_empty_array(item.data_type()))),
            1 => {}
            _ => {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "arrays of more than one dimension are not supported",
                )
                .with_hint("Use an array of one dimension, or jsonb."));
            }
        }
        let length = usize::try_from(lengths.value(0)).unwrap_or(0);
        if length > 1 << 27 {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                "array size exceeds the maximum allowed (134217727)",
            ));
        }
        let indices = arrow::array::UInt32Array::from(vec![value.at(row) as u32; length]);
        arrow::compute::take(&value.array, &indices, None)
            .map(Some)
            .map_err(internal)
    });
    lists_of(rows, &item)
}

fn trim(call: &Call) -> Result<ArrayRef, SqlError> {
    let (array, item) = (&call.args[0], item_of(&call.args[0]));
    let rows = (0..call.rows).map(|row| {
        if call.skips(row) {
            return Ok(None);
        }
        let all = elements(array, row);
        match usize::try_from(dimension(call, row))
            .ok()
            .and_then(|n| all.len().checked_sub(n))
        {
            Some(kept) => Ok(Some(all.slice(0, kept))),
            None => Err(SqlError::new(
                SqlState("2202E"),
                format!("number of elements to trim must be between 0 and {}", all.len()),
            )),
        }
    });
    lists_of(rows, &item)
}
