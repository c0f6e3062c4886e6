//! [`Relation`]: what a query can read, a table or a view. Every table has `id`, its key where it has one; `ep`, the
//! number of the epoch in which the row came; and the join columns `k` and `s`.

use super::dice::Dice;
use super::kind::Kind;

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Kind,
}

/// A table or view.
#[derive(Debug, Clone)]
pub struct Relation {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Whether `id` is its key.
    pub keyed: bool,
    /// Whether its rows stay.
    pub append_only: bool,
    /// The table whose watermark bounds `ts`, and by how many seconds it trails, where there is one.
    pub watermark: Option<(String, i64)>,
    /// Whether values at the border of their types come.
    pub extreme: bool,
    /// Whether it is a view.
    pub view: bool,
    /// Whether it may have so many rows that it should not be joined.
    pub large: bool,
}

impl Relation {
    /// A random table.
    pub fn table(dice: &mut Dice, number: usize) -> Relation {
        let shape = dice.weighted(&[
            (5, Shape::Keyed),
            (3, Shape::Plain),
            (4, Shape::Stream),
            (1, Shape::Log),
        ]);
        let mut columns = vec![
            column("id", Kind::Int8),
            column("ep", Kind::Int4),
            column("k", dice.weighted(&[(6, Kind::Int4), (1, Kind::Int8)])),
            column("s", Kind::Text),
        ];
        if matches!(shape, Shape::Stream | Shape::Log) || dice.chance(40) {
            columns.push(column("ts", dice.pick(&[Kind::Timestamp, Kind::Timestamptz])));
        }
        for at in 0..2 + dice.below(4) {
            columns.push(column(&format!("x{at}"), dice.pick(&Kind::ALL)));
        }
        let name = format!("t{number}");
        let watermark = matches!(shape, Shape::Stream).then(|| (name.clone(), dice.pick(&[0, 5, 10])));
        Relation {
            name,
            columns,
            keyed: matches!(shape, Shape::Keyed),
            append_only: matches!(shape, Shape::Stream | Shape::Log),
            watermark,
            extreme: dice.chance(15),
            view: false,
            large: false,
        }
    }

    /// The statement that makes the table.
    pub fn create_sql(&self) -> String {
        let mut parts: Vec<String> = self
            .columns
            .iter()
            .map(|c| {
                let key = if self.keyed && c.name == "id" {
                    " PRIMARY KEY"
                } else {
                    ""
                };
                format!("{} {}{key}", c.name, c.kind.sql())
            })
            .collect();
        if let Some((_, seconds)) = &self.watermark {
            parts.push(format!("WATERMARK FOR ts AS ts - INTERVAL '{seconds} seconds'"));
        }
        let tail = if self.append_only { " APPEND ONLY" } else { "" };
        format!("CREATE TABLE {} ({}){tail}", self.name, parts.join(", "))
    }

    /// The column that windows go by.
    pub fn time_column(&self) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == "ts")
    }
}

/// What kinds of table there are.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// With a primary key.
    Keyed,
    /// Without one: equal rows may come twice.
    Plain,
    /// APPEND ONLY with a watermark.
    Stream,
    /// APPEND ONLY without one.
    Log,
}

fn column(name: &str, kind: Kind) -> Column {
    Column {
        name: name.to_string(),
        kind,
    }
}
