//! Random views of closed windows that lead on: rows that keep their own time and views over them; outer joins of
//! aggregates of windows, and what is computed from those.

use super::case::Reference;
use super::generator::{Generator, Made};
use super::kind::Kind;
use super::query::Select;
use super::relation::{Column, Relation};
use super::views::{finish, qualified};

impl Generator {
    /// Rows that appear when their window closes, and keep the time by which others may group and window them.
    pub(super) fn closed_rows(&mut self, name: String) -> Made {
        let streams = self.streams();
        if streams.is_empty() {
            return self.windowed_view(name);
        }
        self.mark("EMIT ON WINDOW CLOSE");
        let stream = self.dice.pick(&streams);
        if self.dice.chance(40) {
            return self.in_order_of_time(name, &stream);
        }
        self.mark("rows of windows");
        self.mark("TUMBLE");
        let seconds = self.dice.pick(&[5, 10, 20]);
        let kept = |c: &&Column| ["k", "s", "ts"].contains(&c.name.as_str());
        let mut columns: Vec<Column> = stream.columns.iter().filter(kept).cloned().collect();
        let kind = stream.time_column().map_or(Kind::Timestamp, |c| c.kind);
        columns.push(Column {
            name: "window_end".to_string(),
            kind,
        });
        let select = Select {
            items: columns
                .iter()
                .map(|c| (format!("w.{}", c.name), c.name.clone()))
                .collect(),
            from: format!("TUMBLE({}, ts, INTERVAL '{seconds}' SECOND) AS w", stream.name),
            ..Select::default()
        };
        let mut made = finish(name, vec![select], String::new(), columns, false);
        made.view.reference = Reference::Closed {
            end: "window_end".to_string(),
            sources: stream.watermark.into_iter().collect(),
        };
        made
    }

    /// Rows in the order of their time, perhaps with OVER windows in that order, when nothing can change them any more.
    fn in_order_of_time(&mut self, name: String, stream: &Relation) -> Made {
        self.mark("rows in an order of time");
        let kept = |c: &&Column| ["k", "s", "ts"].contains(&c.name.as_str());
        let mut columns: Vec<Column> = stream.columns.iter().filter(kept).cloned().collect();
        let mut items: Vec<(String, String)> = columns
            .iter()
            .map(|c| (format!("w.{}", c.name), c.name.clone()))
            .collect();
        let others = columns.iter().filter(|c| c.name != "ts");
        let others: String = others.map(|c| format!(", w.{}", c.name)).collect();
        let (mut tail, mut ahead) = ("ORDER BY ts".to_string(), 0);
        if self.dice.chance(80) {
            self.mark("OVER window in an order of time");
            tail.clear();
            let partition = self.dice.pick(&["", "PARTITION BY w.k "]);
            for at in 0..1 + self.dice.below(2) {
                let seconds = self.dice.pick(&[0, 1, 5]);
                let (call, frame) = self.dice.pick(&[
                    ("row_number()", String::new()),
                    ("rank()", String::new()),
                    ("lag(w.k)", String::new()),
                    ("count(*)", String::new()),
                    ("sum(w.k)", " ROWS 2 PRECEDING".to_string()),
                    (
                        "first_value(w.k)",
                        " ROWS BETWEEN 3 PRECEDING AND CURRENT ROW".to_string(),
                    ),
                    (
                        "count(w.k)",
                        format!(
                            " RANGE BETWEEN INTERVAL '7 seconds' PRECEDING AND INTERVAL '{seconds} seconds' FOLLOWING"
                        ),
                    ),
                ]);
                if frame.contains("FOLLOWING") {
                    ahead = ahead.max(seconds);
                }
                let kind = match call {
                    "lag(w.k)" | "first_value(w.k)" => columns[0].kind,
                    "sum(w.k)" => columns[0].kind.sum().unwrap_or(columns[0].kind),
                    _ => Kind::Int8,
                };
                // Rows that are equal in what is answered may stand in any order.
                let ties = match call {
                    "row_number()" | "lag(w.k)" | "sum(w.k)" | "first_value(w.k)" => others.as_str(),
                    _ => "",
                };
                items.push((
                    format!("{call} OVER ({partition}ORDER BY w.ts{ties}{frame})"),
                    format!("c{at}"),
                ));
                columns.push(column(&format!("c{at}"), kind));
            }
        }
        let select = Select {
            items,
            from: format!("{} AS w", stream.name),
            ..Select::default()
        };
        let mut made = finish(name, vec![select], tail, columns, false);
        made.view.reference = Reference::Closed {
            end: format!("ts + INTERVAL '{ahead}.000001 seconds'"),
            sources: stream.watermark.clone().into_iter().collect(),
        };
        made
    }

    /// A view over rows of closed windows, by the time of the rows.
    pub(super) fn over_closed_rows(&mut self, name: String) -> Made {
        let closed: Vec<Relation> = self
            .relations
            .iter()
            .filter(|r| r.view && r.watermark.is_none() && r.time_column().is_some())
            .cloned()
            .collect();
        if closed.is_empty() {
            return self.closed_rows(name);
        }
        self.mark("view over closed windows");
        let relation = self.dice.pick(&closed);
        if self.dice.chance(30) {
            return self.over_windows_of(name, &relation);
        }
        let from = self.source_of(&relation, "a");
        if self.dice.chance(30) {
            let partition = ["a.ts".to_string()];
            let names: Vec<String> = relation.columns.iter().map(|c| format!("a.{}", c.name)).collect();
            return self.rank_over(name, from, &partition, &names);
        }
        let scope = from.scope.clone();
        let (sql, large) = match self.dice.chance(40) {
            false => (from.sql, false),
            true => {
                let other = relation.name;
                (format!("{} JOIN {other} AS b ON a.ts = b.ts", from.sql), true)
            }
        };
        let time = scope
            .iter()
            .find(|c| c.name == "a.ts")
            .map_or(Kind::Timestamp, |c| c.kind);
        let (mut items, mut columns) = (vec![("a.ts".to_string(), "c0".to_string())], vec![column("c0", time)]);
        self.aggregates(&scope, &mut items, &mut columns);
        let select = Select {
            items,
            from: sql,
            group: vec!["a.ts".to_string()],
            ..Select::default()
        };
        finish(name, vec![select], String::new(), columns, large)
    }

    /// An outer join of counts of windows, aggregated by window or not, current or when the window closes.
    pub(super) fn outer_window_join(&mut self, name: String) -> Made {
        let streams = self.streams();
        if streams.is_empty() {
            return self.windowed_view(name);
        }
        self.mark("outer join of windows");
        self.mark("EMIT ON WINDOW CLOSE");
        let left = self.dice.pick(&streams);
        let kind = left.time_column().map(|c| c.kind);
        let key = left.columns.iter().find(|c| c.name == "k").map(|c| c.kind);
        let like = |r: &&Relation| {
            let other = r.columns.iter().find(|c| c.name == "k").map(|c| c.kind);
            r.time_column().map(|c| c.kind) == kind && other == key
        };
        let others: Vec<Relation> = streams.iter().filter(like).cloned().collect();
        let right = match self.dice.chance(60) {
            true => left.clone(),
            false => self.dice.pick(&others),
        };
        let one_source = left.name == right.name;
        let word = match self.dice.below(4) {
            0 if one_source => "FULL JOIN",
            _ => "LEFT JOIN",
        };
        let seconds = self.dice.pick(&[5, 10, 20]);
        let sides = [(&left, "l"), (&right, "r")].map(|(relation, alias)| {
            let condition = self.condition_of_side(relation, alias);
            format!(
                "(SELECT window_end, k, count(*) AS n FROM TUMBLE({}, ts, INTERVAL '{seconds}' SECOND) AS w WHERE \
                 {condition} GROUP BY window_end, k) AS {alias}",
                relation.name
            )
        });
        let from = format!(
            "{} {word} {} ON l.window_end = r.window_end AND l.k = r.k",
            sides[0], sides[1]
        );
        let end = match word {
            "FULL JOIN" => "coalesce(l.window_end, r.window_end)",
            _ => "l.window_end",
        };
        let end_kind = kind.unwrap_or(Kind::Timestamp);
        let mut items = vec![(end.to_string(), "window_end".to_string())];
        let mut columns = vec![column("window_end", end_kind)];
        // What closes a full join's groups is not known.
        let is_grouped = word == "LEFT JOIN" && self.dice.chance(60);
        let value = self.dice.pick(&["coalesce(r.n, 100)", "coalesce(l.n, 100)", "r.n"]);
        match is_grouped {
            true => {
                let call = self.dice.pick(&["max", "min", "sum", "count"]);
                items.push((format!("{call}({value})"), "c1".to_string()));
            }
            false => items.push((value.to_string(), "c1".to_string())),
        }
        columns.push(column("c1", Kind::Int8));
        let select = Select {
            items,
            from,
            group: is_grouped.then(|| "l.window_end".to_string()).into_iter().collect(),
            ..Select::default()
        };
        let mut made = finish(name, vec![select], String::new(), columns, false);
        let mut sources: Vec<(String, i64)> = left.watermark.into_iter().collect();
        sources.extend(right.watermark.filter(|_| !one_source));
        made.view.reference = Reference::Closed {
            end: "window_end".to_string(),
            sources,
        };
        made
    }

    fn condition_of_side(&mut self, relation: &Relation, alias: &str) -> String {
        match alias {
            "l" => self.condition(&qualified(&relation.columns, "w")),
            _ => self.undecided("w.k"),
        }
    }

    /// A condition that nobody can decide without the rows: without any from its right side, an outer join would not
    /// wait for that side's watermark.
    pub(super) fn undecided(&mut self, key: &str) -> String {
        format!("{key} IS DISTINCT FROM {}", self.dice.below(4))
    }

    /// The tables and views whose time a watermark bounds.
    pub(super) fn streams(&self) -> Vec<Relation> {
        self.relations
            .iter()
            .filter(|r| r.watermark.is_some())
            .cloned()
            .collect()
    }
}

fn column(name: &str, kind: Kind) -> Column {
    Column {
        name: name.to_string(),
        kind,
    }
}
