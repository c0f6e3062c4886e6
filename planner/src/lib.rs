//! From a statement and a catalog to a plan: a DataFusion plan for reads and writes, a stream plan for views.

pub mod catalog;
pub mod stream;
