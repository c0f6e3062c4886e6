//! Rows that never change: types, functions, operator classes, as a real PostgreSQL 15 has them (`data/make.sql`).

use super::rows::{Cell, Rows};
use std::borrow::Cow;

/// The files, by the relation whose rows they are.
const FILES: &[(&str, &str)] = &[
    ("pg_am", include_str!("data/pg_am.tsv")),
    ("pg_collation", include_str!("data/pg_collation.tsv")),
    ("pg_language", include_str!("data/pg_language.tsv")),
    ("pg_opclass", include_str!("data/pg_opclass.tsv")),
    ("pg_opfamily", include_str!("data/pg_opfamily.tsv")),
    ("pg_proc", include_str!("data/pg_proc.tsv")),
    ("pg_range", include_str!("data/pg_range.tsv")),
    ("pg_tablespace", include_str!("data/pg_tablespace.tsv")),
    ("pg_type", include_str!("data/pg_type.tsv")),
];

/// The words of PostgreSQL's grammar: word, category, whether it can be a bare label, and both in words.
pub(super) const KEYWORDS: &str = include_str!("data/keywords.tsv");

/// Adds the fixed rows of a relation, if it has any.
pub(super) fn fill(relation: &str, rows: &mut Rows<'_>) {
    let Some((_, file)) = FILES.iter().find(|(name, _)| *name == relation) else {
        return;
    };
    let mut lines = file.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    for line in lines {
        let mut row = rows.add();
        for (column, text) in header.iter().zip(line.split('\t')) {
            row.set(column, cell(text));
        }
        if relation == "pg_proc" {
            row.set("proowner", super::view::OWNER)
                .set("prolang", INTERNAL_LANGUAGE);
            row.set("procost", 1).set("prosrc", "");
        }
    }
}

/// The OID of the language `internal`.
const INTERNAL_LANGUAGE: u32 = 12;

/// A field of COPY's text format.
fn cell(text: &'static str) -> Cell {
    match text {
        "\\N" => None,
        plain if plain.contains('\\') => Some(Cow::Owned(
            plain
                .replace("\\\\", "\u{0}")
                .replace("\\n", "\n")
                .replace("\\t", "\t")
                .replace('\u{0}', "\\"),
        )),
        plain => Some(Cow::Borrowed(plain)),
    }
}

/// The OID of the first row of a file whose `field`th field is this.
pub(super) fn first_where(relation: &str, field: usize, value: &str) -> Option<u32> {
    let row = lines(relation).find(|fields| fields.get(field) == Some(&value))?;
    row.first()?.parse().ok()
}

/// How many rows of a file have this as their `field`th field.
pub(super) fn count_where(relation: &str, field: usize, value: &str) -> usize {
    lines(relation)
        .filter(|fields| fields.get(field) == Some(&value))
        .count()
}

/// The row of a file whose first field is `oid`.
pub(super) fn row_of(relation: &str, oid: u32) -> Option<Vec<&'static str>> {
    let oid = oid.to_string();
    lines(relation).find(|fields| fields.first() == Some(&oid.as_str()))
}

fn lines(relation: &str) -> impl Iterator<Item = Vec<&'static str>> {
    let file = FILES
        .iter()
        .find(|(name, _)| *name == relation)
        .map_or("", |(_, file)| *file);
    file.lines().skip(1).map(|line| line.split('\t').collect())
}
