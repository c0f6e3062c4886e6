//! Keys of groups, partitions and join sides: [`KeyCodec`] turns columns into keys and back, [`KeyTable`] gives each
//! distinct key a small number. Operators keep what they know about a key in vectors indexed by that number.
//!
//! # Layout
//! Up to four columns of at most eight bytes each are kept as integers, side by side; anything else in Arrow's row
//! format, in one arena. NULL equals NULL, NaN equals NaN, and -0 equals 0. The table itself holds 32 bits of hash
//! and the number for each key: growing it reads no key, and hardly ever is a key compared that is not the one.
//! Numbers of removed keys are given out again; the arena is rewritten when more than half of it is dead.
//!
//! Cost: one hash and one probe a row. The hash is not the one by which rows are spread over workers: within a worker
//! that one's bits are constant, and half of the table would never be used.

mod few;
mod integers;
mod numbers;

use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, RowParser, Rows, SortField};
use hashbrown::HashTable;
use highwater_types::{canonical_floats, canonical_nans};

pub(super) use self::few::FewKeys;
use self::integers::is_fixed;
pub(super) use self::integers::{from_integers, to_integers};
pub(super) use self::numbers::Numbers;
use crate::ExecError;

/// The number that [`KeyTable::find`] answers for a key that is not there.
pub(super) const ABSENT: u32 = u32::MAX;
/// Keys of at most this many small columns are kept as integers.
const FIXED_COLUMN_COUNT_MAX: usize = 4;
/// Below this many bytes an arena is not rewritten.
const ARENA_REWRITE_BYTES_MIN: usize = 1 << 16;

/// Turns columns into keys and back.
#[derive(Debug)]
pub(super) struct KeyCodec {
    types: Vec<DataType>,
    /// `None`: the keys are integers.
    rows: Option<(RowConverter, RowParser)>,
    /// Makes floats the same that the keys do not tell apart.
    canonical: fn(&ArrayRef) -> ArrayRef,
    hasher: ahash::RandomState,
}

/// The keys of one batch.
#[derive(Debug)]
pub(super) struct Keys {
    hashes: Vec<u32>,
    form: KeysForm,
}

#[derive(Debug)]
enum KeysForm {
    /// Row by row; NULL is 0 with its bit set in `nulls`, which is empty when there is none.
    Fixed {
        values: ScalarBuffer<i64>,
        nulls: Vec<u8>,
    },
    Encoded(Rows),
}

/// Distinct keys and their numbers.
#[derive(Debug)]
pub(super) struct KeyTable {
    slots: HashTable<(u32, u32)>,
    store: KeyStore,
    /// Of each number, whether a key has it.
    hashes: Vec<u32>,
    live: Vec<bool>,
    free: Vec<u32>,
}

#[derive(Debug)]
enum KeyStore {
    Fixed {
        width: usize,
        values: Vec<i64>,
        /// Empty until a NULL is seen.
        nulls: Vec<u8>,
    },
    Encoded {
        arena: Vec<u8>,
        spans: Vec<(usize, u32)>,
        dead_bytes: usize,
    },
}

impl KeyCodec {
    /// For keys of these columns; there may be none, then all keys are equal.
    ///
    /// # Errors
    /// When a type has no row format.
    pub(super) fn try_new(types: Vec<DataType>) -> Result<KeyCodec, ExecError> {
        let is_fixed = KeyCodec::is_fixed(&types);
        KeyCodec::with(types, is_fixed, canonical_floats)
    }

    /// For whole rows of these columns: here -0 is not 0.
    ///
    /// # Errors
    /// When a type has no row format.
    pub(super) fn of_rows(types: Vec<DataType>) -> Result<KeyCodec, ExecError> {
        let is_fixed = KeyCodec::is_fixed(&types) && !types.iter().any(DataType::is_floating);
        KeyCodec::with(types, is_fixed, canonical_nans)
    }

    fn with(types: Vec<DataType>, is_fixed: bool, canonical: fn(&ArrayRef) -> ArrayRef) -> Result<KeyCodec, ExecError> {
        let rows = if is_fixed {
            None
        } else {
            let converter = RowConverter::new(types.iter().cloned().map(SortField::new).collect())?;
            let parser = converter.parser();
            Some((converter, parser))
        };
        Ok(KeyCodec {
            types,
            rows,
            canonical,
            hasher: ahash::RandomState::with_seeds(0x9e37_79b9, 0x7f4a_7c15, 0xf39c_c060, 0x5ced_c834),
        })
    }

    /// Whether keys of these columns are kept as integers.
    pub(super) fn is_fixed(types: &[DataType]) -> bool {
        types.len() <= FIXED_COLUMN_COUNT_MAX && types.iter().all(is_fixed)
    }

    /// The keys of these columns, which have `row_count` rows.
    ///
    /// # Errors
    /// When the columns are not of the codec's types.
    pub(super) fn encode(&self, columns: &[ArrayRef], row_count: usize) -> Result<Keys, ExecError> {
        if let Some((converter, _)) = &self.rows {
            let columns: Vec<ArrayRef> = columns.iter().map(self.canonical).collect();
            let rows = converter.convert_columns(&columns)?;
            let hashes = rows.iter().map(|r| high_half(self.hasher.hash_one(r.data()))).collect();
            return Ok(Keys {
                hashes,
                form: KeysForm::Encoded(rows),
            });
        }
        let width = columns.len();
        if let [column] = columns
            && column.null_count() == 0
        {
            let values = to_integers(column).values().clone();
            return Ok(Keys {
                hashes: values.iter().map(|v| hash_integers(&[*v])).collect(),
                form: KeysForm::Fixed {
                    values,
                    nulls: Vec::new(),
                },
            });
        }
        let mut values = vec![0; width * row_count];
        let mut nulls = Vec::new();
        for (at, column) in columns.iter().enumerate() {
            let integers = to_integers(column);
            for (row, value) in integers.values().iter().enumerate() {
                values[row * width + at] = *value;
            }
            let Some(known) = column.nulls().filter(|n| n.null_count() > 0) else {
                continue;
            };
            nulls.resize(row_count, 0);
            for row in (0..row_count).filter(|row| known.is_null(*row)) {
                values[row * width + at] = 0;
                nulls[row] |= 1 << at;
            }
        }
        let hashes = match width {
            1 => values.iter().map(|v| hash_integers(&[*v])).collect(),
            0 => vec![0; row_count],
            _ => values.chunks_exact(width).map(hash_integers).collect(),
        };
        Ok(Keys {
            hashes,
            form: KeysForm::Fixed {
                values: values.into(),
                nulls,
            },
        })
    }

    /// An empty table for keys of this codec.
    pub(super) fn table(&self) -> KeyTable {
        KeyTable {
            slots: HashTable::new(),
            store: match self.rows {
                None => KeyStore::Fixed {
                    width: self.types.len(),
                    values: Vec::new(),
                    nulls: Vec::new(),
                },
                Some(_) => KeyStore::Encoded {
                    arena: Vec::new(),
                    spans: Vec::new(),
                    dead_bytes: 0,
                },
            },
            hashes: Vec::new(),
            live: Vec::new(),
            free: Vec::new(),
        }
    }

    /// The columns of these keys of a table of this codec.
    ///
    /// # Errors
    /// When the keys are not of this codec.
    pub(super) fn decode(&self, table: &KeyTable, ids: &[u32]) -> Result<Vec<ArrayRef>, ExecError> {
        match (&table.store, &self.rows) {
            (KeyStore::Fixed { width, values, nulls }, _) => Ok(self
                .types
                .iter()
                .enumerate()
                .map(|(at, data_type)| {
                    let picked: Vec<i64> = ids.iter().map(|id| values[*id as usize * width + at]).collect();
                    let known = (!nulls.is_empty()).then(|| {
                        NullBuffer::from_iter(ids.iter().map(|id| null_bits(nulls, *id as usize) & (1 << at) == 0))
                    });
                    from_integers(data_type, Int64Array::new(picked.into(), known))
                })
                .collect()),
            (KeyStore::Encoded { arena, spans, .. }, Some((converter, parser))) => {
                let rows = ids.iter().map(|id| {
                    let (start, length) = spans[*id as usize];
                    parser.parse(&arena[start..start + length as usize])
                });
                Ok(converter.convert_rows(rows)?)
            }
            (KeyStore::Encoded { .. }, None) => Err(ExecError::State {
                operator: "KeyTable",
                reason: "keys are of another codec".to_string(),
            }),
        }
    }
}

impl Keys {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// The hash of the key in a row.
    pub(super) fn hash(&self, row: usize) -> u32 {
        self.hashes[row]
    }

    /// Whether the key in a row equals one in a row of others of the same codec.
    pub(super) fn equals(&self, row: usize, others: &Keys, other: usize) -> bool {
        match (&self.form, &others.form) {
            (
                KeysForm::Fixed { values, nulls },
                KeysForm::Fixed {
                    values: other_values,
                    nulls: other_nulls,
                },
            ) => {
                let width = values.len() / self.len();
                values[row * width..(row + 1) * width] == other_values[other * width..(other + 1) * width]
                    && null_bits(nulls, row) == null_bits(other_nulls, other)
            }
            (KeysForm::Encoded(rows), KeysForm::Encoded(others)) => rows.row(row).data() == others.row(other).data(),
            (KeysForm::Fixed { .. }, KeysForm::Encoded(_)) | (KeysForm::Encoded(_), KeysForm::Fixed { .. }) => {
                unreachable!("keys are of one codec")
            }
        }
    }
}

impl KeyTable {
    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// All numbers given out are below this.
    pub(super) fn id_bound(&self) -> usize {
        self.hashes.len()
    }

    /// Whether a key has this number.
    pub(super) fn is_live(&self, id: u32) -> bool {
        self.live[id as usize]
    }

    /// The numbers that keys have.
    pub(super) fn ids(&self) -> Vec<u32> {
        (0..self.id_bound() as u32).filter(|id| self.is_live(*id)).collect()
    }

    /// The number of the key in a row, or [`ABSENT`].
    pub(super) fn find(&self, keys: &Keys, row: usize) -> u32 {
        let hash = keys.hashes[row];
        self.slots
            .find(spread(hash), |(h, id)| *h == hash && self.store.holds(*id, keys, row))
            .map_or(ABSENT, |(_, id)| *id)
    }

    /// The number of the key in a row, a new one if need be; the second says whether it is new.
    pub(super) fn intern(&mut self, keys: &Keys, row: usize) -> (u32, bool) {
        let hash = keys.hashes[row];
        let store = &self.store;
        let found = self
            .slots
            .find(spread(hash), |(h, id)| *h == hash && store.holds(*id, keys, row));
        if let Some((_, id)) = found {
            return (*id, false);
        }
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                assert!(
                    self.hashes.len() < ABSENT as usize,
                    "a key table holds at most 2^32 - 1 keys"
                );
                self.hashes.push(0);
                self.live.push(false);
                (self.hashes.len() - 1) as u32
            }
        };
        self.hashes[id as usize] = hash;
        self.live[id as usize] = true;
        self.store.put(id, keys, row);
        self.slots.insert_unique(spread(hash), (hash, id), |(h, _)| spread(*h));
        (id, true)
    }

    /// The numbers of the keys in these rows (`None`: in all), new ones where need be.
    pub(super) fn intern_rows(&mut self, keys: &Keys, rows: Option<&[u32]>) -> Numbers {
        let count = rows.map_or(keys.len(), <[u32]>::len);
        let is_one = matches!(&self.store, KeyStore::Fixed { width: 0, .. });
        let first = rows.map_or(Some(0), |rows| rows.first().map(|row| *row as usize));
        match first.filter(|_| is_one && count > 0) {
            Some(first) => Numbers::One(self.intern(keys, first).0, count),
            None => Numbers::Each(match rows {
                None => (0..count).map(|row| self.intern(keys, row).0).collect(),
                Some(rows) => rows.iter().map(|row| self.intern(keys, *row as usize).0).collect(),
            }),
        }
    }

    /// Takes a key out. Its number may be given out again.
    pub(super) fn remove(&mut self, id: u32) {
        let hash = self.hashes[id as usize];
        match self.slots.find_entry(spread(hash), |(_, other)| *other == id) {
            Ok(entry) => {
                entry.remove();
            }
            Err(_) => unreachable!("key {id} was removed twice"),
        }
        self.live[id as usize] = false;
        self.free.push(id);
        self.store.forget(id, &self.live);
    }
}

impl KeyStore {
    #[inline]
    fn holds(&self, id: u32, keys: &Keys, row: usize) -> bool {
        let id = id as usize;
        match (self, &keys.form) {
            (
                KeyStore::Fixed { width, values, nulls },
                KeysForm::Fixed {
                    values: other,
                    nulls: other_nulls,
                },
            ) => {
                let same = match width {
                    1 => values[id] == other[row],
                    _ => values[id * width..(id + 1) * width] == other[row * width..(row + 1) * width],
                };
                same && null_bits(nulls, id) == null_bits(other_nulls, row)
            }
            (KeyStore::Encoded { arena, spans, .. }, KeysForm::Encoded(rows)) => {
                let (start, length) = spans[id];
                arena[start..start + length as usize] == *rows.row(row).data()
            }
            (KeyStore::Fixed { .. }, KeysForm::Encoded(_)) | (KeyStore::Encoded { .. }, KeysForm::Fixed { .. }) => {
                unreachable!("keys and table are of one codec")
            }
        }
    }

    fn put(&mut self, id: u32, keys: &Keys, row: usize) {
        let id = id as usize;
        match (self, &keys.form) {
            (
                KeyStore::Fixed { width, values, nulls },
                KeysForm::Fixed {
                    values: from,
                    nulls: from_nulls,
                },
            ) => {
                let width = *width;
                let key = &from[row * width..(row + 1) * width];
                if (id + 1) * width > values.len() {
                    values.extend_from_slice(key);
                } else {
                    values[id * width..(id + 1) * width].copy_from_slice(key);
                }
                let bits = null_bits(from_nulls, row);
                if bits != 0 || !nulls.is_empty() {
                    nulls.resize(nulls.len().max(id + 1), 0);
                    nulls[id] = bits;
                }
            }
            (KeyStore::Encoded { arena, spans, .. }, KeysForm::Encoded(rows)) => {
                let row = rows.row(row);
                let span = (arena.len(), row.data().len() as u32);
                arena.extend_from_slice(row.data());
                if id == spans.len() {
                    spans.push(span);
                } else {
                    spans[id] = span;
                }
            }
            (KeyStore::Fixed { .. }, KeysForm::Encoded(_)) | (KeyStore::Encoded { .. }, KeysForm::Fixed { .. }) => {
                unreachable!("keys and table are of one codec")
            }
        }
    }

    fn forget(&mut self, id: u32, live: &[bool]) {
        let KeyStore::Encoded {
            arena,
            spans,
            dead_bytes,
        } = self
        else {
            return;
        };
        *dead_bytes += spans[id as usize].1 as usize;
        if *dead_bytes < ARENA_REWRITE_BYTES_MIN || *dead_bytes < arena.len() / 2 {
            return;
        }
        let mut rewritten = Vec::with_capacity(arena.len() - *dead_bytes);
        for (span, _) in spans.iter_mut().zip(live).filter(|(_, live)| **live) {
            let start = rewritten.len();
            rewritten.extend_from_slice(&arena[span.0..span.0 + span.1 as usize]);
            span.0 = start;
        }
        *arena = rewritten;
        *dead_bytes = 0;
    }
}

#[inline]
fn null_bits(nulls: &[u8], at: usize) -> u8 {
    nulls.get(at).copied().unwrap_or(0)
}

#[inline]
fn high_half(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// The table wants 64 bits, of which it uses some from either end.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash) | (u64::from(hash) << 32)
}

#[inline]
fn hash_integers(values: &[i64]) -> u32 {
    let mut state = 0x243f_6a88_85a3_08d3_u64;
    for value in values {
        let product = u128::from(state ^ *value as u64) * 0x9e37_79b9_7f4a_7c15_u128;
        state = (product as u64) ^ ((product >> 64) as u64);
    }
    high_half(state)
}
