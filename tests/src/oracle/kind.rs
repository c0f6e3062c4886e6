//! [`Kind`]: the types that columns and expressions have, and random values of each as SQL writes them. Values come
//! from small sets, so that keys meet and groups fill; extreme ones only where they are asked for.

use super::dice::Dice;

/// A type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are PostgreSQL's own")]
pub enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    /// `numeric(12,2)`
    Decimal,
    Text,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Uuid,
    Bytea,
    Jsonb,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 17] = [
        Kind::Bool,
        Kind::Int2,
        Kind::Int4,
        Kind::Int8,
        Kind::Float4,
        Kind::Float8,
        Kind::Numeric,
        Kind::Decimal,
        Kind::Text,
        Kind::Date,
        Kind::Time,
        Kind::Timestamp,
        Kind::Timestamptz,
        Kind::Interval,
        Kind::Uuid,
        Kind::Bytea,
        Kind::Jsonb,
    ];

    /// Its name in SQL.
    pub fn sql(self) -> &'static str {
        match self {
            Kind::Bool => "boolean",
            Kind::Int2 => "smallint",
            Kind::Int4 => "integer",
            Kind::Int8 => "bigint",
            Kind::Float4 => "real",
            Kind::Float8 => "double precision",
            Kind::Numeric => "numeric",
            Kind::Decimal => "numeric(12,2)",
            Kind::Text => "text",
            Kind::Date => "date",
            Kind::Time => "time",
            Kind::Timestamp => "timestamp",
            Kind::Timestamptz => "timestamptz",
            Kind::Interval => "interval",
            Kind::Uuid => "uuid",
            Kind::Bytea => "bytea",
            Kind::Jsonb => "jsonb",
        }
    }

    /// Whether its values are numbers.
    pub fn is_number(self) -> bool {
        matches!(
            self,
            Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Float4 | Kind::Float8 | Kind::Numeric | Kind::Decimal
        )
    }

    /// Whether min() and max() take it.
    pub fn has_extremes(self) -> bool {
        !matches!(self, Kind::Bool | Kind::Uuid | Kind::Bytea | Kind::Jsonb)
    }

    /// The type of its sum; `None` when there is none.
    pub fn sum(self) -> Option<Kind> {
        Some(match self {
            Kind::Int2 | Kind::Int4 => Kind::Int8,
            Kind::Int8 | Kind::Numeric | Kind::Decimal => Kind::Numeric,
            Kind::Float4 => Kind::Float4,
            Kind::Float8 => Kind::Float8,
            Kind::Interval => Kind::Interval,
            _ => return None,
        })
    }

    /// The type of its average; `None` when there is none.
    pub fn average(self) -> Option<Kind> {
        Some(match self {
            Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Numeric | Kind::Decimal => Kind::Numeric,
            Kind::Float4 | Kind::Float8 => Kind::Float8,
            Kind::Interval => Kind::Interval,
            _ => return None,
        })
    }

    /// A value that is not NULL, from a small set.
    pub fn literal(self, dice: &mut Dice) -> String {
        let small = dice.between(-3, 6);
        match self {
            Kind::Bool => dice.pick(&["true", "false"]).to_string(),
            Kind::Int2 => format!("({small})::smallint"),
            Kind::Int4 => format!("({small})"),
            Kind::Int8 => format!("({small})::bigint"),
            Kind::Float4 => format!("({})::real", dice.pick(&["0", "1.5", "-2.25", "0.1", "3"])),
            Kind::Float8 => format!(
                "({})::double precision",
                dice.pick(&["0", "1.5", "-2.25", "0.1", "0.2", "0.3", "1e10", "-1e10", "1e-10"])
            ),
            Kind::Numeric => format!(
                "({})::numeric",
                dice.pick(&["0", "1.5", "-2.25", "0.001", "1.50", "12345.678"])
            ),
            Kind::Decimal => format!("({})::numeric(12,2)", dice.pick(&["0", "1.5", "-2.25", "10.01", "7"])),
            Kind::Text => format!("'{}'", dice.pick(&["a", "b", "ab", "", "B", "ä", "a b", "10"])),
            Kind::Date => format!("date '2024-01-{:02}'", dice.between(1, 5)),
            Kind::Time => format!("time '{:02}:30:00'", dice.between(0, 4) * 5),
            Kind::Timestamp => format!("timestamp '2024-01-01 00:00:{:02}'", dice.between(0, 11) * 5),
            Kind::Timestamptz => format!("timestamptz '2024-01-01 00:00:{:02}+00'", dice.between(0, 11) * 5),
            Kind::Interval => format!(
                "interval '{}'",
                dice.pick(&[
                    "0",
                    "1 day",
                    "24 hours",
                    "-3 seconds",
                    "1 month",
                    "30 days",
                    "90 seconds"
                ])
            ),
            Kind::Uuid => format!("'0000000{}-0000-0000-0000-000000000000'::uuid", dice.below(4)),
            Kind::Bytea => format!("'\\x0{}'::bytea", dice.below(4)),
            Kind::Jsonb => format!(
                "'{}'::jsonb",
                dice.pick(&["{\"a\": 1}", "[1, 2]", "null", "\"x\"", "{\"a\": \"b\"}"])
            ),
        }
    }

    /// A value at the border of the type, where it has one.
    pub fn extreme(self, dice: &mut Dice) -> String {
        match self {
            Kind::Int2 => dice.pick(&["(-32768)::smallint", "32767::smallint"]).to_string(),
            Kind::Int4 => dice.pick(&["(-2147483648)", "2147483647"]).to_string(),
            Kind::Int8 => dice
                .pick(&["(-9223372036854775808)::bigint", "9223372036854775807::bigint"])
                .to_string(),
            Kind::Float4 => format!("'{}'::real", dice.pick(&["NaN", "Infinity", "-Infinity", "3e38"])),
            Kind::Float8 => format!(
                "'{}'::double precision",
                dice.pick(&["NaN", "Infinity", "-Infinity", "1e308", "-1e308", "5e-324"])
            ),
            Kind::Numeric => format!(
                "'{}'::numeric",
                dice.pick(&["NaN", "99999999999999999999999.5", "-0.00000000000000000001"])
            ),
            Kind::Decimal => dice.pick(&["9999999999.99", "-9999999999.99"]).to_string(),
            Kind::Text => format!("repeat('{}', 300)", dice.pick(&["x", "é"])),
            Kind::Date => format!(
                "date '{}'",
                dice.pick(&["infinity", "-infinity", "0001-01-01", "9999-12-31"])
            ),
            Kind::Time => dice.pick(&["time '00:00:00'", "time '23:59:59.999999'"]).to_string(),
            Kind::Timestamp => format!(
                "timestamp '{}'",
                dice.pick(&["infinity", "-infinity", "1900-02-28 23:59:59"])
            ),
            Kind::Timestamptz => format!(
                "timestamptz '{}'",
                dice.pick(&["infinity", "-infinity", "1900-02-28 23:59:59+00"])
            ),
            Kind::Interval => "interval '-100 years 3 days 00:00:00.000001'".to_string(),
            Kind::Bool | Kind::Uuid | Kind::Bytea | Kind::Jsonb => self.literal(dice),
        }
    }
}
