//! Random set-returning functions beside the rows of a relation.

use super::generator::Generator;
use super::kind::Kind;
use super::relation::Column;
use super::views::From;

impl Generator {
    /// The rows with a set of values beside each: elements of an array, a series, words of a text.
    pub(super) fn with_set(&mut self, from: From) -> From {
        self.mark("set-returning function");
        let (call, kind) = match self.dice.below(4) {
            0 => {
                let first = self.value(&from.scope, Kind::Int4);
                (format!("generate_series(1, {first} % 3)"), Kind::Int4)
            }
            1 => {
                let text = self.value(&from.scope, Kind::Text);
                (format!("string_to_table({text}, ' ')"), Kind::Text)
            }
            _ => {
                let kind = self.some_kind(&from.scope);
                let elements: Vec<String> = (0..1 + self.dice.below(3))
                    .map(|_| self.value(&from.scope, kind))
                    .collect();
                (format!("unnest(ARRAY[{}])", elements.join(", ")), kind)
            }
        };
        let mut scope = from.scope;
        let element = |name: &str, kind| Column {
            name: format!("u.{name}"),
            kind,
        };
        scope.push(element("e", kind));
        let with = if self.dice.chance(40) {
            self.mark("WITH ORDINALITY");
            scope.push(element("o", Kind::Int8));
            " WITH ORDINALITY AS u(e, o)"
        } else {
            " AS u(e)"
        };
        let sql = if self.dice.chance(30) {
            self.mark("left join with a set");
            format!("{} LEFT JOIN LATERAL {call}{with} ON true", from.sql)
        } else {
            format!("{} CROSS JOIN LATERAL {call}{with}", from.sql)
        };
        From {
            sql,
            scope,
            large: true,
        }
    }
}
