//! Identifiers that mean the same in every layer.

use serde::{Deserialize, Serialize};

/// A table, source, view or index, for as long as it exists. Never reused; shown to clients as the OID of
/// its `pg_class` row, so it is at least [`RelationId::FIRST_USER`] for what a user creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RelationId(pub u32);

impl RelationId {
    /// PostgreSQL reserves the OIDs below this one for itself.
    pub const FIRST_USER: RelationId = RelationId(16384);
}

impl std::fmt::Display for RelationId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
