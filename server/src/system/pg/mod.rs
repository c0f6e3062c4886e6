//! `pg_catalog`, a file for each group of relations.

mod attribute;
mod class;
mod database;
mod depend;
mod description;
pub(super) mod index;
mod namespace;
mod settings;
mod stat;
mod views;

use super::Table;

/// The relations that have rows of their own.
pub(super) const TABLES: &[&[Table]] = &[
    attribute::TABLES,
    class::TABLES,
    database::TABLES,
    depend::TABLES,
    description::TABLES,
    index::TABLES,
    namespace::TABLES,
    settings::TABLES,
    stat::TABLES,
    views::TABLES,
];

pub(super) use attribute::default_text;
pub(super) use views::definition as view_definition;

const PG_CATALOG: &str = "pg_catalog";
