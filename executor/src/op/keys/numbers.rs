//! [`Numbers`]: what a table answers for the keys of a batch.

/// The numbers of the keys of some rows.
#[derive(Debug, Clone)]
pub(in crate::op) enum Numbers {
    /// One for each row.
    Each(Vec<u32>),
    /// This one for all of so many rows.
    One(u32, usize),
}

impl Numbers {
    /// The numbers, one for each row.
    pub(in crate::op) fn iter(&self) -> impl Iterator<Item = u32> {
        let (each, one) = match self {
            Numbers::Each(numbers) => (numbers.as_slice(), None),
            Numbers::One(number, count) => (&[][..], Some(std::iter::repeat_n(*number, *count))),
        };
        each.iter().copied().chain(one.into_iter().flatten())
    }

    /// The numbers without the repetitions that stand out.
    pub(in crate::op) fn runs(&self) -> &[u32] {
        match self {
            Numbers::Each(numbers) => numbers,
            Numbers::One(number, _) => std::slice::from_ref(number),
        }
    }
}
