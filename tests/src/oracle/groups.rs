//! Random GROUP BY, aggregates of all rows, and DISTINCT.

use super::generator::{Generator, Made};
use super::kind::Kind;
use super::query::Select;
use super::relation::Column;
use super::views::finish;

impl Generator {
    pub(super) fn grouped(&mut self, name: String) -> Made {
        let from = self.rows();
        self.mark("GROUP BY");
        let (mut items, mut columns, mut group) = (Vec::new(), Vec::new(), Vec::new());
        for at in 0..1 + self.dice.below(2) {
            let column = self.dice.pick(&from.scope);
            let kind = if column.kind == Kind::Jsonb {
                Kind::Text
            } else {
                column.kind
            };
            let expr = if self.dice.chance(70) && kind == column.kind {
                column.name
            } else {
                self.mark("GROUP BY an expression");
                format!(
                    "coalesce({}, {})",
                    self.value(&from.scope, kind),
                    kind.literal(&mut self.dice)
                )
            };
            items.push((expr.clone(), format!("c{at}")));
            columns.push(Column {
                name: format!("c{at}"),
                kind,
            });
            group.push(expr);
        }
        if self.dice.chance(20) {
            self.mark("GROUPING SETS");
            items.push((format!("grouping({})", group.join(", ")), format!("c{}", items.len())));
            columns.push(Column {
                name: format!("c{}", columns.len()),
                kind: Kind::Int4,
            });
            let all = group.join(", ");
            let sets = [
                format!("ROLLUP ({all})"),
                format!("CUBE ({all})"),
                format!("GROUPING SETS (({all}), ({}))", group[0]),
                format!("GROUPING SETS ((), ({all}), ({all}))"),
            ];
            group = vec![self.dice.pick(&sets)];
        }
        self.aggregates(&from.scope, &mut items, &mut columns);
        let mut having = Vec::new();
        if self.dice.chance(25) {
            self.mark("HAVING");
            having.push(format!(
                "count(*) {} {}",
                self.dice.pick(&[">", "<", "<>"]),
                1 + self.dice.below(3)
            ));
        }
        let select = Select {
            items,
            wheres: self.conditions(&from.scope),
            from: from.sql,
            group,
            having,
            ..Select::default()
        };
        finish(name, vec![select], String::new(), columns, false)
    }

    pub(super) fn total(&mut self, name: String) -> Made {
        let from = self.rows();
        self.mark("aggregates of all rows");
        let (mut items, mut columns) = (Vec::new(), Vec::new());
        self.aggregates(&from.scope, &mut items, &mut columns);
        let select = Select {
            items,
            wheres: self.wheres(&from.scope),
            from: from.sql,
            ..Select::default()
        };
        finish(name, vec![select], String::new(), columns, false)
    }

    pub(super) fn aggregates(
        &mut self,
        scope: &[Column],
        items: &mut Vec<(String, String)>,
        columns: &mut Vec<Column>,
    ) {
        for _ in 0..1 + self.dice.below(4) {
            let name = format!("c{}", items.len());
            let (mut sql, kind) = self.aggregate(scope);
            if self.dice.chance(25) {
                self.mark("FILTER");
                sql = format!("{sql} FILTER (WHERE {})", self.condition(scope));
            }
            items.push((sql, name.clone()));
            columns.push(Column { name, kind });
        }
    }

    pub(super) fn aggregate(&mut self, scope: &[Column]) -> (String, Kind) {
        let kind = self.dice.pick(scope).kind;
        let arg = if self.dice.chance(80) {
            self.dice.pick(&Self::columns_of(scope, kind)).name
        } else {
            self.value(scope, kind)
        };
        match self.dice.below(13) {
            0 => {
                self.mark("count");
                ("count(*)".to_string(), Kind::Int8)
            }
            1 => {
                self.mark("count");
                (format!("count({arg})"), Kind::Int8)
            }
            2 if kind != Kind::Jsonb => {
                self.mark("count(DISTINCT)");
                (format!("count(DISTINCT {arg})"), Kind::Int8)
            }
            3 | 4 if kind.sum().is_some() => {
                self.mark("sum");
                (format!("sum({arg})"), kind.sum().unwrap_or(kind))
            }
            5 if kind.average().is_some() => {
                self.mark("avg");
                (format!("avg({arg})"), kind.average().unwrap_or(kind))
            }
            6 if kind.has_extremes() => {
                self.mark("min");
                (format!("min({arg})"), kind)
            }
            7 if kind.has_extremes() => {
                self.mark("max");
                (format!("max({arg})"), kind)
            }
            8 => {
                self.mark("bool_and");
                (format!("bool_and({})", self.condition(scope)), Kind::Bool)
            }
            9 => {
                self.mark("bool_or");
                (format!("bool_or({})", self.condition(scope)), Kind::Bool)
            }
            10 => {
                self.mark("string_agg");
                let text = self.value(scope, Kind::Text);
                (format!("string_agg({text}, ',' ORDER BY {text})"), Kind::Text)
            }
            11 if kind != Kind::Jsonb => {
                self.mark("min_by");
                let by = self.value(scope, Kind::Int4);
                let call = self.dice.pick(&["min_by", "max_by"]);
                (format!("{call}({arg}, {by})"), kind)
            }
            12 => {
                self.mark("median");
                (format!("median({})", self.value(scope, Kind::Int4)), Kind::Float8)
            }
            _ => {
                self.mark("sum");
                (format!("sum({})", self.value(scope, Kind::Int4)), Kind::Int8)
            }
        }
    }

    pub(super) fn distinct(&mut self, name: String) -> Made {
        let from = self.rows();
        self.mark("DISTINCT");
        let count = 1 + self.dice.below(2);
        let (mut select, columns) = self.select(&from, count);
        for ((expr, _), column) in select.items.iter_mut().zip(&columns) {
            if column.kind == Kind::Jsonb {
                *expr = "'{}'::jsonb".to_string();
            }
        }
        select.distinct = true;
        finish(name, vec![select], String::new(), columns, from.large)
    }
}
