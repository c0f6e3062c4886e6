//! Random ORDER BY with LIMIT, first rows of each partition, and other window functions.

use super::generator::{Generator, Made};
use super::kind::Kind;
use super::query::Select;
use super::relation::Column;
use super::views::{From, finish};

impl Generator {
    pub(super) fn limited(&mut self, name: String) -> Made {
        let from = self.rows();
        self.mark("ORDER BY ... LIMIT");
        let kinds: Vec<Kind> = (0..1 + self.dice.below(3))
            .map(|_| self.some_kind(&from.scope))
            .filter(|k| *k != Kind::Jsonb)
            .chain([Kind::Int8])
            .collect();
        let (items, columns) = self.items_of(&from.scope, &kinds);
        let select = Select {
            items,
            wheres: self.wheres(&from.scope),
            from: from.sql,
            ..Select::default()
        };
        let names: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
        let mut tail = format!("ORDER BY {} LIMIT {}", self.order(&names), 1 + self.dice.below(6));
        if self.dice.chance(30) {
            self.mark("OFFSET");
            tail = format!("{tail} OFFSET {}", self.dice.below(4));
        }
        finish(name, vec![select], tail, columns, false)
    }

    /// All of these, each in some direction.
    pub(super) fn order(&mut self, names: &[String]) -> String {
        let keys: Vec<String> = names
            .iter()
            .map(|n| {
                format!(
                    "{n}{}",
                    self.dice
                        .pick(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST", " ASC"])
                )
            })
            .collect();
        keys.join(", ")
    }

    pub(super) fn ranked(&mut self, name: String) -> Made {
        let from = self.source("a");
        let names: Vec<String> = from
            .scope
            .iter()
            .filter(|c| c.kind != Kind::Jsonb)
            .map(|c| c.name.clone())
            .collect();
        // A view may have nothing but columns that have no order.
        if names.is_empty() {
            return self.plain(name);
        }
        let partition = self.dice.pick(&names);
        self.rank_over(name, from, &[partition], &names)
    }

    /// The first rows of each partition. `names` are the columns that order rows.
    pub(super) fn rank_over(&mut self, name: String, from: From, partition: &[String], names: &[String]) -> Made {
        let (function, order) = match self.dice.below(4) {
            0 => {
                self.mark("rank");
                ("rank()", vec![self.dice.pick(names)])
            }
            1 => {
                self.mark("dense_rank");
                ("dense_rank()", vec![self.dice.pick(names)])
            }
            _ => {
                self.mark("row_number");
                let mut order = names.to_vec();
                let first = self.dice.below(order.len());
                order.swap(0, first);
                ("row_number()", order)
            }
        };
        let inner: Vec<String> = from
            .scope
            .iter()
            .filter(|c| c.kind != Kind::Jsonb)
            .enumerate()
            .map(|(at, c)| format!("{} AS r{at}", c.name))
            .collect();
        let over = format!(
            "{function} OVER (PARTITION BY {} ORDER BY {})",
            partition.join(", "),
            self.order(&order)
        );
        let mut columns: Vec<Column> = from.scope.iter().filter(|c| c.kind != Kind::Jsonb).cloned().collect();
        let mut items = Vec::new();
        for (at, column) in columns.iter_mut().enumerate() {
            column.name = format!("c{at}");
            items.push((format!("r.r{at}"), column.name.clone()));
        }
        if self.dice.chance(60) {
            let name = format!("c{}", items.len());
            items.push(("r.rn".to_string(), name.clone()));
            columns.push(Column { name, kind: Kind::Int8 });
        }
        let bound = match self.dice.below(3) {
            0 => "r.rn = 1".to_string(),
            1 => format!("r.rn <= {}", 1 + self.dice.below(4)),
            _ => format!("r.rn BETWEEN 2 AND {}", 2 + self.dice.below(3)),
        };
        let wheres = self.wheres(&from.scope);
        let filter = if wheres.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", wheres.join(" AND "))
        };
        let select = Select {
            items,
            from: format!(
                "(SELECT {}, {over} AS rn FROM {}{filter}) AS r",
                inner.join(", "),
                from.sql
            ),
            wheres: vec![bound],
            ..Select::default()
        };
        finish(name, vec![select], String::new(), columns, false)
    }

    pub(super) fn window_function(&mut self, name: String) -> Made {
        let from = self.source("a");
        self.mark("other window function");
        let names: Vec<String> = from
            .scope
            .iter()
            .filter(|c| c.kind != Kind::Jsonb)
            .map(|c| c.name.clone())
            .collect();
        if names.is_empty() {
            return self.projected(name, from);
        }
        let order = self.order(&names);
        let partition = self.dice.pick(&names);
        let numbers: Vec<Column> = from
            .scope
            .iter()
            .filter(|c| matches!(c.kind, Kind::Int4 | Kind::Int8))
            .cloned()
            .collect();
        let Some(column) = (!numbers.is_empty()).then(|| self.dice.pick(&numbers)) else {
            return self.projected(name, from);
        };
        let (call, kind) = match self.dice.below(3) {
            0 => (format!("lag({})", column.name), column.kind),
            1 => (
                format!("sum({})", column.name),
                column.kind.sum().unwrap_or(column.kind),
            ),
            _ => (format!("first_value({})", column.name), column.kind),
        };
        let (mut select, mut columns) = self.select(&from, 2);
        let c = format!("c{}", columns.len());
        select.items.push((
            format!("{call} OVER (PARTITION BY {partition} ORDER BY {order})"),
            c.clone(),
        ));
        columns.push(Column { name: c, kind });
        finish(name, vec![select], String::new(), columns, from.large)
    }
}
