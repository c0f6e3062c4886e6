//! Random transactions: insertions, updates, deletions, rows out of order and rows that come too late.

use super::case::Change;
use super::generator::Generator;
use super::kind::Kind;
use super::relation::{Column, Relation};

/// The seconds that event time moves on in an epoch.
const PACE_S: i64 = 7;

impl Generator {
    /// The statements of one epoch.
    pub fn changes(&mut self, tables: &[Relation], epoch: u32) -> Vec<Change> {
        let count = if self.dice.chance(45) {
            1
        } else {
            2 + self.dice.below(3)
        };
        (0..count)
            .map(|_| {
                let table = self.dice.pick(tables);
                self.change(tables, &table, epoch)
            })
            .collect()
    }

    fn change(&mut self, tables: &[Relation], table: &Relation, epoch: u32) -> Change {
        if table.append_only || self.dice.chance(55) {
            return self.insert(table, epoch);
        }
        let scope = table.columns.clone();
        let condition = self.condition(&scope);
        let name = &table.name;
        let sql = match self.dice.below(12) {
            0..=5 => {
                let settable: Vec<Column> = scope
                    .iter()
                    .filter(|c| c.name != "id" && c.name != "ep")
                    .cloned()
                    .collect();
                let column = self.dice.pick(&settable);
                let value = match self.dice.below(4) {
                    0 => "NULL".to_string(),
                    1 => self.value(&scope, column.kind),
                    _ => self.literal(table, column.kind),
                };
                format!("UPDATE {name} SET {} = {value} WHERE {condition}", column.name)
            }
            6..=9 => format!("DELETE FROM {name} WHERE {condition}"),
            10 => {
                let other = self.dice.pick(tables).name;
                format!("DELETE FROM {name} WHERE k IN (SELECT k FROM {other} WHERE s <= 'b')")
            }
            _ if self.dice.chance(20) => format!("TRUNCATE {name}"),
            _ => format!("UPDATE {name} SET k = k + 1, s = s || 'a' WHERE k < 4 AND length(s) < 4"),
        };
        Change::Statement(sql)
    }

    fn insert(&mut self, table: &Relation, epoch: u32) -> Change {
        let count = self.dice.weighted(&[(5, 1), (4, 3), (3, 8), (1, 40)]);
        let (mut rows, mut times_s): (Vec<String>, Vec<Option<i64>>) = (Vec::new(), Vec::new());
        for at in 0..count {
            // Equal rows, where there is no key.
            if !table.keyed && at > 0 && self.dice.chance(10) {
                rows.push(rows[at - 1].clone());
                times_s.push(times_s[at - 1]);
                continue;
            }
            let (row, time_s) = self.row(table, epoch);
            rows.push(row);
            times_s.push(time_s);
        }
        let conflict = match self.dice.below(4) {
            _ if !table.keyed => "",
            0 => " ON CONFLICT (id) DO NOTHING",
            1 => " ON CONFLICT (id) DO UPDATE SET k = excluded.k, s = excluded.s",
            _ => "",
        };
        if conflict.contains("UPDATE") {
            // One statement may change a row only once.
            rows.truncate(1);
            times_s.truncate(1);
        }
        Change::Insert {
            table: table.name.clone(),
            rows,
            times_s,
            conflict,
        }
    }

    fn row(&mut self, table: &Relation, epoch: u32) -> (String, Option<i64>) {
        let mut time_s = None;
        let mut values = Vec::with_capacity(table.columns.len());
        for column in &table.columns {
            values.push(match column.name.as_str() {
                "id" => {
                    self.next_id += 1;
                    // Sometimes one that was there before.
                    let back = if self.dice.chance(20) {
                        self.dice.between(0, 20)
                    } else {
                        0
                    };
                    (self.next_id - back).max(1).to_string()
                }
                "ep" => epoch.to_string(),
                "ts" if self.dice.chance(5) => "NULL".to_string(),
                "ts" => {
                    let second = i64::from(epoch) * PACE_S + self.dice.between(-15, 8);
                    time_s = Some(second.max(0));
                    let zone = if column.kind == Kind::Timestamptz { "+00" } else { "" };
                    let (minutes, seconds) = (second.max(0) / 60, second.max(0) % 60);
                    format!("'2024-01-01 00:{minutes:02}:{seconds:02}{zone}'")
                }
                _ if self.dice.chance(14) => "NULL".to_string(),
                _ => self.literal(table, column.kind),
            });
        }
        (format!("({})", values.join(", ")), time_s)
    }

    fn literal(&mut self, table: &Relation, kind: Kind) -> String {
        if table.extreme && self.dice.chance(10) {
            return kind.extreme(&mut self.dice);
        }
        kind.literal(&mut self.dice)
    }
}
