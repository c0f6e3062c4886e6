//! [`Multiset`]: the values of one group with their counts, in order. A few values are a sorted vector; from
//! [`FEW`] on, a B-tree. A tree for each group from the start costs nearly twice as much when groups are small, and a
//! vector that never becomes one is slow when they are large.

use std::borrow::Borrow;
use std::collections::BTreeMap;

/// Up to how many distinct values a sorted vector is kept.
const FEW: usize = 64;

/// How often a value is there, and how often it was when last saved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    now: i64,
    saved: i64,
}

impl Count {
    fn is_gone(self) -> bool {
        self == Count::default()
    }
}

/// Values with counts, in order. Within an epoch a count may be negative for a while.
#[derive(Debug, Clone)]
pub(super) enum Multiset<V> {
    Few(Vec<(V, Count)>),
    Many(BTreeMap<V, Count>),
}

impl<V: Ord> Default for Multiset<V> {
    fn default() -> Multiset<V> {
        Multiset::Few(Vec::new())
    }
}

impl<V: Ord> Multiset<V> {
    /// Changes how often a value is there.
    pub(super) fn add<K>(&mut self, value: &K, weight: i64)
    where
        K: Ord + ?Sized + ToOwned<Owned = V>,
        V: Borrow<K>,
    {
        match self {
            Multiset::Few(values) => match values.binary_search_by(|(v, _)| v.borrow().cmp(value)) {
                Ok(at) => {
                    values[at].1.now += weight;
                    if values[at].1.is_gone() {
                        values.remove(at);
                    }
                }
                Err(at) => {
                    values.insert(at, (value.to_owned(), Count { now: weight, saved: 0 }));
                    if values.len() > FEW {
                        *self = Multiset::Many(std::mem::take(values).into_iter().collect());
                    }
                }
            },
            Multiset::Many(values) => match values.get_mut(value) {
                Some(count) => {
                    count.now += weight;
                    if count.is_gone() {
                        values.remove(value);
                    }
                }
                None => {
                    values.insert(value.to_owned(), Count { now: weight, saved: 0 });
                }
            },
        }
    }

    /// The least value that is there.
    pub(super) fn first(&self) -> Option<&V> {
        match self {
            Multiset::Few(values) => values.iter().find(|(_, c)| c.now > 0).map(|(v, _)| v),
            Multiset::Many(values) => values.iter().find(|(_, c)| c.now > 0).map(|(v, _)| v),
        }
    }

    /// The greatest value that is there.
    pub(super) fn last(&self) -> Option<&V> {
        match self {
            Multiset::Few(values) => values.iter().rfind(|(_, c)| c.now > 0).map(|(v, _)| v),
            Multiset::Many(values) => values.iter().rfind(|(_, c)| c.now > 0).map(|(v, _)| v),
        }
    }

    /// Calls `visit` with each value whose count has changed since this was last called, and by how much. If the
    /// values are `gone`, as if no value were there.
    pub(super) fn save(&mut self, gone: bool, mut visit: impl FnMut(&V, i64)) {
        let mut save = |value: &V, count: &mut Count| {
            let now = if gone { 0 } else { count.now };
            if now != count.saved {
                visit(value, now - count.saved);
                count.saved = now;
            }
            now != 0
        };
        match self {
            Multiset::Few(values) => values.retain_mut(|(v, c)| save(v, c)),
            Multiset::Many(values) => values.retain(save),
        }
    }

    /// Takes all counts as saved.
    pub(super) fn mark_saved(&mut self) {
        match self {
            Multiset::Few(values) => values.iter_mut().for_each(|(_, c)| c.saved = c.now),
            Multiset::Many(values) => values.values_mut().for_each(|c| c.saved = c.now),
        }
    }
}
