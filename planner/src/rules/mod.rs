//! Rules of ours among DataFusion's, where those would make a query answer wrongly.

mod forget_equivalences;
mod forget_keys;
mod numeric_casts;
mod push_down_filter;

pub(crate) use forget_equivalences::ForgetEquivalences;
pub(crate) use forget_keys::ForgetKeys;
pub(crate) use numeric_casts::NumericCasts;
pub(crate) use push_down_filter::PushDownFilter;
