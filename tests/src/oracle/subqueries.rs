//! Random subqueries in conditions and items, and expressions that fail on some rows.

use super::generator::{Generator, Made};
use super::kind::Kind;
use super::relation::{Column, Relation};
use super::views::finish;

impl Generator {
    pub(super) fn with_subquery(&mut self, name: String) -> Made {
        let from = self.source("a");
        let inner = self.source("b");
        let count = 1 + self.dice.below(3);
        let (mut select, mut columns) = self.select(&from, count);
        let Some((l, r)) = self.pair(&from.scope, &inner.scope) else {
            return finish(name, vec![select], String::new(), columns, from.large);
        };
        let both: Vec<Column> = inner.scope.clone();
        let condition = self.condition(&both);
        let not = self.dice.pick(&["", "", "NOT "]);
        match self.dice.below(6) {
            0 | 1 => {
                self.mark(if not.is_empty() {
                    "IN (subquery)"
                } else {
                    "NOT IN (subquery)"
                });
                let filter = format!("{l} {not}IN (SELECT {r} FROM {} WHERE {condition})", inner.sql);
                select.wheres.push(filter);
            }
            2 | 3 => {
                self.mark(if not.is_empty() { "EXISTS" } else { "NOT EXISTS" });
                let filter = format!(
                    "{not}EXISTS (SELECT 1 FROM {} WHERE {l} = {r} AND {condition})",
                    inner.sql
                );
                select.wheres.push(filter);
            }
            4 => {
                self.mark("scalar subquery");
                let filter = format!("{l} >= (SELECT min({r}) FROM {} WHERE {condition})", inner.sql);
                select.wheres.push(filter);
            }
            _ => {
                self.mark("correlated scalar subquery");
                let c = format!("c{}", columns.len());
                let item = format!("(SELECT count(*) FROM {} WHERE {l} = {r} AND {condition})", inner.sql);
                select.items.push((item, c.clone()));
                columns.push(Column {
                    name: c,
                    kind: Kind::Int8,
                });
            }
        }
        finish(name, vec![select], String::new(), columns, from.large)
    }

    pub(super) fn failing(&mut self, name: String) -> Made {
        let tables: Vec<Relation> = self.relations.iter().filter(|r| !r.view).cloned().collect();
        let table = self.dice.pick(&tables);
        let from = self.source_of(&table, "a");
        let (mut select, mut columns) = self.select(&from, 1);
        let Some((value, kind)) = self.failing_value(&from.scope) else {
            return finish(name, vec![select], String::new(), columns, from.large);
        };
        if self.dice.chance(40) {
            self.mark("fault below an aggregate");
            select.group = vec!["a.s".to_string()];
            select.items[0].0 = "a.s".to_string();
            columns[0].kind = Kind::Text;
            select.items.push((format!("sum({value})"), "c1".to_string()));
            columns.push(Column {
                name: "c1".to_string(),
                kind: kind.sum().unwrap_or(kind),
            });
        } else {
            select.items.push((value, "c1".to_string()));
            columns.push(Column {
                name: "c1".to_string(),
                kind,
            });
        }
        finish(name, vec![select], String::new(), columns, false)
    }
}
