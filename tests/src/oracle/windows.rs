//! Random windows: TUMBLE, HOP, CUMULATE and SESSION in both spellings, over streams with a watermark and tables without; aggregated,
//! ranked, joined, or as they are; current at any time, or once when the window closes.

use super::case::Reference;
use super::generator::{Generator, Made};
use super::kind::Kind;
use super::query::Select;
use super::relation::{Column, Relation};
use super::sessions::Session;
use super::views::{From, finish, qualified};

/// Rows in windows.
struct Windowed {
    from: From,
    /// The table whose watermark closes the windows, and by how many seconds it trails.
    source: Option<(String, i64)>,
    word: &'static str,
    /// The window functions' arguments after the table and its time.
    lengths: Vec<String>,
    /// The columns of the partition, of SESSION.
    partition: Vec<String>,
}

impl Generator {
    /// A view over windows, current at any time.
    pub(super) fn windowed_view(&mut self, name: String) -> Made {
        let timed: Vec<Relation> = self
            .relations
            .iter()
            .filter(|r| r.time_column().is_some())
            .cloned()
            .collect();
        if timed.is_empty() {
            let from = self.source("a");
            let (select, columns) = self.select(&from, 2);
            return finish(name, vec![select], String::new(), columns, from.large);
        }
        let relation = self.dice.pick(&timed);
        self.over_windows_of(name, &relation)
    }

    /// A view over windows of this relation.
    pub(super) fn over_windows_of(&mut self, name: String, relation: &Relation) -> Made {
        let windowed = self.windowed(relation, "w", None);
        self.over_windows(name, windowed)
    }

    /// A view whose rows appear when their window closes.
    pub(super) fn closed_view(&mut self, name: String) -> Made {
        let streams = self.streams();
        if streams.is_empty() {
            return self.windowed_view(name);
        }
        let relation = self.dice.pick(&streams);
        let windowed = self.windowed(&relation, "w", None);
        let mut sources: Vec<(String, i64)> = windowed.source.clone().into_iter().collect();
        let same: Vec<Relation> = streams
            .into_iter()
            .filter(|r| r.time_column().map(|c| c.kind) == relation.time_column().map(|c| c.kind))
            .collect();
        let mut made = if self.dice.chance(25) {
            let other = self.dice.pick(&same);
            let right = self.windowed(&other, "x", Some(&windowed));
            sources.extend(right.source.clone());
            self.window_join(name, &windowed, &right)
        } else {
            self.over_windows(name, windowed)
        };
        self.mark("EMIT ON WINDOW CLOSE");
        made.view.reference = Reference::Closed {
            end: "window_end".to_string(),
            sources,
        };
        // Views on it equal their batch over it, as over any other.
        made
    }

    fn windowed(&mut self, relation: &Relation, alias: &str, like: Option<&Windowed>) -> Windowed {
        let kinds = [(6, "TUMBLE"), (4, "HOP"), (2, "CUMULATE"), (3, "SESSION")];
        let word = like.map_or_else(|| self.dice.weighted(&kinds), |other| other.word);
        let lengths = like.map_or_else(|| self.lengths(word), |other| other.lengths.clone());
        self.mark(word);
        self.mark(if relation.watermark.is_some() {
            "window with a watermark"
        } else {
            "window without a watermark"
        });
        let args = lengths.join(", ");
        let name = &relation.name;
        let partition = match like {
            Some(other) => other.partition.clone(),
            None => self.partition_of(relation),
        };
        let sql = match self.dice.below(5) {
            choice if word == "SESSION" => {
                let input = match choice {
                    0 => format!("(SELECT * FROM {name} WHERE {})", self.undecided("k")),
                    _ => name.clone(),
                };
                let session = Session {
                    input,
                    partition: &partition,
                    gap: &args,
                    columns: &relation.columns,
                };
                format!("{} AS {alias}", session.mark())
            }
            0 | 1 => {
                self.mark("window in the standard's spelling");
                format!("TABLE({word}(TABLE {name}, DESCRIPTOR(ts), {args})) AS {alias}")
            }
            2 => {
                let condition = match like {
                    None => self.condition(&relation.columns),
                    Some(_) => self.undecided("k"),
                };
                format!("{word}((SELECT * FROM {name} WHERE {condition}), ts, {args}) AS {alias}")
            }
            _ => format!("{word}({name}, ts, {args}) AS {alias}"),
        };
        let mut columns = relation.columns.clone();
        let kind = relation.time_column().map_or(Kind::Timestamp, |c| c.kind);
        columns.extend(["window_start", "window_end"].map(|name| Column {
            name: name.to_string(),
            kind,
        }));
        Windowed {
            from: From {
                sql,
                scope: qualified(&columns, alias),
                large: true,
            },
            source: relation.watermark.clone(),
            word,
            lengths,
            partition,
        }
    }

    /// Columns to part sessions by.
    fn partition_of(&mut self, relation: &Relation) -> Vec<String> {
        let keys = relation
            .columns
            .iter()
            .filter(|c| ["k", "s"].contains(&c.name.as_str()));
        let names: Vec<String> = keys.map(|c| c.name.clone()).collect();
        match self.dice.below(4) {
            0 => Vec::new(),
            1 => names,
            _ => names.into_iter().take(1).collect(),
        }
    }

    /// Size, or slide and size, and sometimes an offset.
    fn lengths(&mut self, word: &str) -> Vec<String> {
        let mut seconds = match word {
            "SESSION" => return vec![format!("INTERVAL '{}' SECOND", self.dice.pick(&[1, 2, 4]))],
            "TUMBLE" => vec![self.dice.pick(&[5, 10, 60])],
            _ => self.dice.pick(&[vec![5, 10], vec![10, 30], vec![10, 10]]),
        };
        if self.dice.chance(20) {
            self.mark("window with an offset");
            seconds.push(self.dice.pick(&[1, 3]));
        }
        seconds.iter().map(|s| format!("INTERVAL '{s}' SECOND")).collect()
    }

    fn over_windows(&mut self, name: String, windowed: Windowed) -> Made {
        let scope = windowed.from.scope.clone();
        match self.dice.below(6) {
            0 => {
                self.mark("rows of windows");
                let (mut select, mut columns) = self.select(&windowed.from, 2);
                add_end(&mut select.items, &mut columns, &scope);
                finish(name, vec![select], String::new(), columns, true)
            }
            1 => {
                self.mark("top-N of windows");
                let names: Vec<String> = scope
                    .iter()
                    .filter(|c| c.kind != Kind::Jsonb)
                    .map(|c| c.name.clone())
                    .collect();
                let partition = ["w.window_start".to_string(), "w.window_end".to_string()];
                let mut made = self.rank_over(name, windowed.from, &partition, &names);
                rename_end(&mut made, names.len());
                made
            }
            _ => {
                self.mark("aggregates of windows");
                self.window_aggregate(name, windowed)
            }
        }
    }

    fn window_aggregate(&mut self, name: String, windowed: Windowed) -> Made {
        let scope = windowed.from.scope.clone();
        let (mut items, mut columns) = (Vec::new(), Vec::new());
        add_end(&mut items, &mut columns, &scope);
        let mut group = vec!["w.window_start".to_string(), "w.window_end".to_string()];
        if self.dice.chance(30) {
            group.remove(0);
        }
        if self.dice.chance(50) {
            let keys: Vec<Column> = scope.iter().filter(|c| c.kind != Kind::Jsonb).cloned().collect();
            let key = self.dice.pick(&keys);
            if !group.contains(&key.name) {
                group.push(key.name.clone());
                items.push((key.name, "c1".to_string()));
                columns.push(Column {
                    name: "c1".to_string(),
                    kind: key.kind,
                });
            }
        }
        self.aggregates(&scope, &mut items, &mut columns);
        let select = Select {
            items,
            from: windowed.from.sql,
            wheres: self.wheres(&scope),
            group,
            ..Select::default()
        };
        finish(name, vec![select], String::new(), columns, false)
    }

    fn window_join(&mut self, name: String, left: &Windowed, right: &Windowed) -> Made {
        self.mark("join of windows");
        let scope: Vec<Column> = left.from.scope.iter().chain(&right.from.scope).cloned().collect();
        let (mut items, mut columns) = self.items(&scope, 2);
        add_end(&mut items, &mut columns, &left.from.scope);
        let word = self.dice.pick(&["JOIN", "LEFT JOIN"]);
        if word == "LEFT JOIN" {
            self.mark("outer join of windows");
        }
        let select = Select {
            items,
            from: format!(
                "{} {word} {} ON w.k = x.k AND w.window_start = x.window_start AND w.window_end = x.window_end",
                left.from.sql, right.from.sql
            ),
            ..Select::default()
        };
        finish(name, vec![select], String::new(), columns, true)
    }
}

/// Adds the end of the window under its own name.
fn add_end(items: &mut Vec<(String, String)>, columns: &mut Vec<Column>, scope: &[Column]) {
    let end = scope.iter().find(|c| c.name.ends_with(".window_end"));
    let Some(end) = end else { return };
    items.push((end.name.clone(), "window_end".to_string()));
    columns.push(Column {
        name: "window_end".to_string(),
        kind: end.kind,
    });
}

/// The last column of the rows ranked is the end of their window.
fn rename_end(made: &mut Made, width: usize) {
    let end = "window_end".to_string();
    if let Some((_, name)) = made.view.query.branches[0].items.get_mut(width - 1) {
        name.clone_from(&end);
    }
    if let Some(column) = made.relation.as_mut().and_then(|r| r.columns.get_mut(width - 1)) {
        column.name = end;
    }
}
