//! Rules of ours among DataFusion's, where those would make a query answer wrongly.

mod forget_equivalences;
mod push_down_filter;

pub(crate) use forget_equivalences::ForgetEquivalences;
pub(crate) use push_down_filter::PushDownFilter;
