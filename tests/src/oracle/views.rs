//! Random views, by what they are about, and what all have in common. Here are projections and unions; groups are in
//! `groups.rs`, orders in `ranks.rs`, subqueries and faults in `subqueries.rs`, joins in `joins.rs`, windows in
//! `windows.rs` and `closed.rs`.

use std::collections::BTreeSet;

use super::case::{Reference, View};
use super::generator::{Generator, Made};
use super::kind::Kind;
use super::query::{Query, Select};
use super::relation::{Column, Relation};

/// Rows to select from: what follows FROM, and the columns in scope.
#[derive(Debug, Clone)]
pub(super) struct From {
    pub(super) sql: String,
    pub(super) scope: Vec<Column>,
    /// Whether there may be very many.
    pub(super) large: bool,
}

/// What a view is about.
#[derive(Debug, Clone, Copy)]
enum About {
    Plain,
    Union,
    SetOperation,
    Join,
    Group,
    Total,
    Distinct,
    Limit,
    Rank,
    WindowFunction,
    Window,
    Closed,
    ClosedRows,
    OverClosedRows,
    OuterWindows,
    Arrival,
    Subquery,
    Fault,
    Stream,
}

impl Generator {
    /// A view of this name.
    pub(super) fn view(&mut self, name: String) -> Made {
        let about = self.dice.weighted(&[
            (6, About::Plain),
            (5, About::Union),
            (2, About::SetOperation),
            (14, About::Join),
            (14, About::Group),
            (4, About::Total),
            (4, About::Distinct),
            (6, About::Limit),
            (7, About::Rank),
            (3, About::WindowFunction),
            (8, About::Window),
            (9, About::Closed),
            (4, About::ClosedRows),
            (8, About::OverClosedRows),
            (4, About::OuterWindows),
            (5, About::Arrival),
            (8, About::Subquery),
            (4, About::Fault),
            (3, About::Stream),
        ]);
        match about {
            About::Plain => self.plain(name),
            About::Union => self.union(name, " UNION ALL "),
            About::SetOperation => {
                let word = self
                    .dice
                    .pick(&[" UNION ", " EXCEPT ", " INTERSECT ", " EXCEPT ALL ", " INTERSECT ALL "]);
                self.union(name, word)
            }
            About::Join => {
                let from = self.joined();
                self.projected(name, from)
            }
            About::Group => self.grouped(name),
            About::Total => self.total(name),
            About::Distinct => self.distinct(name),
            About::Limit => self.limited(name),
            About::Rank => self.ranked(name),
            About::WindowFunction => self.window_function(name),
            About::Window => self.windowed_view(name),
            About::Closed => self.closed_view(name),
            About::ClosedRows => self.closed_rows(name),
            About::OverClosedRows => self.over_closed_rows(name),
            About::OuterWindows => self.outer_window_join(name),
            About::Arrival => self.arrival_view(name),
            About::Subquery => self.with_subquery(name),
            About::Fault => self.failing(name),
            About::Stream => self.stream_view(name),
        }
    }

    /// An inline view, which is read as if its query stood in its place.
    pub(super) fn inline_view(&mut self, number: usize) -> (Relation, Query) {
        let made = self.plain(format!("i{number}"));
        let relation = made.relation.expect("a plain view may be read");
        (relation, made.view.query)
    }

    /// A relation, under an alias, sometimes behind a subquery.
    pub(super) fn source(&mut self, alias: &str) -> From {
        let relations = self.relations.clone();
        let relation = self.dice.pick(&relations);
        self.source_of(&relation, alias)
    }

    pub(super) fn source_of(&mut self, relation: &Relation, alias: &str) -> From {
        self.mark(if relation.view { "view on view" } else { "table" });
        let scope = qualified(&relation.columns, alias);
        let name = &relation.name;
        let sql = if self.dice.chance(12) {
            self.mark("subquery in FROM");
            let condition = self.condition(&relation.columns);
            format!("(SELECT * FROM {name} WHERE {condition}) AS {alias}")
        } else {
            format!("{name} AS {alias}")
        };
        From {
            sql,
            scope,
            large: relation.large,
        }
    }

    /// What can be reached in a few steps, from one small number of a row to another.
    fn recursion(&mut self, alias: &str) -> From {
        self.mark("WITH RECURSIVE");
        let relations = self.relations.clone();
        let relation = self.dice.pick(&relations);
        let [from, to] = [(); 2].map(|()| self.value(&relation.columns, Kind::Int4));
        let word = self.dice.pick(&["UNION", "UNION ALL"]);
        let edges = format!(
            "(SELECT ({from}) % 3 AS x, ({to}) % 3 AS y FROM {}) AS e",
            relation.name
        );
        // With UNION ALL the paths are counted, of which there are many more.
        let longest = if word == "UNION" { 5 } else { 2 };
        let sql = format!(
            "(WITH RECURSIVE r (x, y, n) AS (SELECT DISTINCT x, y, 1 FROM {edges} {word} SELECT r.x, e.y, r.n + 1 FROM r \
             JOIN {edges} ON r.y = e.x WHERE r.n < {longest}) SELECT * FROM r) AS {alias}"
        );
        let columns = ["x", "y", "n"].map(|name| Column {
            name: name.to_string(),
            kind: Kind::Int4,
        });
        From {
            sql,
            scope: qualified(&columns, alias),
            large: true,
        }
    }

    /// Rows of one relation, or of a join, sometimes with a set beside each.
    pub(super) fn rows(&mut self) -> From {
        let from = if self.dice.chance(6) {
            self.recursion("a")
        } else if self.dice.chance(20) {
            self.joined()
        } else {
            self.source("a")
        };
        if self.dice.chance(12) {
            self.with_set(from)
        } else {
            from
        }
    }

    /// Items of random types. At least one.
    pub(super) fn items(&mut self, scope: &[Column], count: usize) -> (Vec<(String, String)>, Vec<Column>) {
        let kinds: Vec<Kind> = (0..count).map(|_| self.some_kind(scope)).collect();
        self.items_of(scope, &kinds)
    }

    pub(super) fn some_kind(&mut self, scope: &[Column]) -> Kind {
        if scope.is_empty() || self.dice.chance(25) {
            self.dice.pick(&Kind::ALL)
        } else {
            self.dice.pick(scope).kind
        }
    }

    pub(super) fn items_of(&mut self, scope: &[Column], kinds: &[Kind]) -> (Vec<(String, String)>, Vec<Column>) {
        let (mut items, mut columns) = (Vec::new(), Vec::new());
        for (at, kind) in kinds.iter().enumerate() {
            let name = format!("c{at}");
            items.push((self.value(scope, *kind), name.clone()));
            columns.push(Column { name, kind: *kind });
        }
        (items, columns)
    }

    pub(super) fn wheres(&mut self, scope: &[Column]) -> Vec<String> {
        let count = self.dice.weighted(&[(4, 0), (4, 1), (1, 2)]);
        if count > 0 {
            self.mark("filter");
        }
        (0..count).map(|_| self.condition(scope)).collect()
    }

    /// Conditions, sometimes with one on the clock.
    pub(super) fn conditions(&mut self, scope: &[Column]) -> Vec<String> {
        let mut conditions = self.wheres(scope);
        conditions.extend(self.clock_condition(scope));
        conditions
    }

    /// Sometimes a condition on the clock, whose boundary is decades away from both sides' rows: which epoch's time it is
    /// makes no difference.
    fn clock_condition(&mut self, scope: &[Column]) -> Option<String> {
        let times: Vec<&Column> = scope
            .iter()
            .filter(|c| matches!(c.kind, Kind::Timestamp | Kind::Timestamptz))
            .collect();
        if times.is_empty() || !self.dice.chance(10) {
            return None;
        }
        self.mark("temporal filter");
        let time = self.dice.pick(&times).name.clone();
        let number = self.value(scope, Kind::Int4);
        let shifted = format!("{time} + (({number}) % 3) * INTERVAL '10000 days'");
        let day = "now() + INTERVAL '1 day'";
        Some(match self.dice.below(3) {
            0 => format!("{shifted} > {day}"),
            1 => format!("{day} >= {shifted}"),
            _ => format!("now() BETWEEN {time} AND {shifted}"),
        })
    }

    pub(super) fn select(&mut self, from: &From, count: usize) -> (Select, Vec<Column>) {
        let (items, columns) = self.items(&from.scope, count);
        self.mark("projection");
        let select = Select {
            items,
            from: from.sql.clone(),
            wheres: self.conditions(&from.scope),
            ..Select::default()
        };
        (select, columns)
    }

    pub(super) fn projected(&mut self, name: String, from: From) -> Made {
        let count = 1 + self.dice.below(5);
        let (select, columns) = self.select(&from, count);
        finish(name, vec![select], String::new(), columns, from.large)
    }

    pub(super) fn plain(&mut self, name: String) -> Made {
        let mut from = self.source("a");
        if self.dice.chance(15) {
            from = self.with_set(from);
        }
        self.projected(name, from)
    }

    /// A view that passes the columns of a stream on, its time with its watermark.
    fn stream_view(&mut self, name: String) -> Made {
        let streams: Vec<Relation> = self
            .relations
            .iter()
            .filter(|r| r.watermark.is_some())
            .cloned()
            .collect();
        if streams.is_empty() {
            return self.plain(name);
        }
        self.mark("watermark through a view");
        let stream = self.dice.pick(&streams);
        let from = self.source_of(&stream, "a");
        let items = stream
            .columns
            .iter()
            .map(|c| (format!("a.{}", c.name), c.name.clone()))
            .collect();
        let select = Select {
            items,
            from: from.sql,
            wheres: self.wheres(&from.scope),
            ..Select::default()
        };
        let mut made = finish(name, vec![select], String::new(), stream.columns.clone(), stream.large);
        if let Some(relation) = &mut made.relation {
            relation.watermark.clone_from(&stream.watermark);
            relation.append_only = stream.append_only;
        }
        made
    }

    fn union(&mut self, name: String, word: &'static str) -> Made {
        let first = self.source("a");
        let kinds: Vec<Kind> = (0..1 + self.dice.below(3))
            .map(|_| self.some_kind(&first.scope))
            .collect();
        let kinds: Vec<Kind> = kinds
            .into_iter()
            .filter(|k| *k != Kind::Jsonb)
            .chain([Kind::Int4])
            .collect();
        let mut branches = Vec::new();
        let mut large = first.large;
        let mut from = first;
        for _ in 0..2 + self.dice.below(2) {
            let (items, _) = self.items_of(&from.scope, &kinds);
            branches.push(Select {
                items,
                wheres: self.wheres(&from.scope),
                from: from.sql.clone(),
                ..Select::default()
            });
            from = self.source("a");
            large |= from.large;
        }
        let columns = columns_of(&kinds);
        if word == " UNION ALL " {
            self.mark("UNION ALL");
            return finish(name, branches, String::new(), columns, large);
        }
        self.mark("UNION, EXCEPT, INTERSECT");
        let sides: Vec<String> = branches
            .into_iter()
            .take(2)
            .map(|branch| {
                Query {
                    branches: vec![branch],
                    tail: String::new(),
                }
                .sql()
            })
            .collect();
        let select = Select {
            items: columns
                .iter()
                .map(|c| (format!("u.{}", c.name), c.name.clone()))
                .collect(),
            from: format!("({}) AS u", sides.join(word)),
            ..Select::default()
        };
        finish(name, vec![select], String::new(), columns, large)
    }

    /// Columns of either side that can be equal.
    pub(super) fn pair(&mut self, left: &[Column], right: &[Column]) -> Option<(String, String)> {
        let pairs: Vec<(String, String)> = left
            .iter()
            .filter(|l| !matches!(l.kind, Kind::Jsonb | Kind::Bool | Kind::Uuid | Kind::Bytea))
            .flat_map(|l| {
                right
                    .iter()
                    .filter(|r| r.kind == l.kind)
                    .map(|r| (l.name.clone(), r.name.clone()))
            })
            .collect();
        (!pairs.is_empty()).then(|| self.dice.pick(&pairs))
    }
}

/// The columns under an alias.
pub(super) fn qualified(columns: &[Column], alias: &str) -> Vec<Column> {
    columns
        .iter()
        .map(|c| Column {
            name: format!("{alias}.{}", c.name),
            kind: c.kind,
        })
        .collect()
}

fn columns_of(kinds: &[Kind]) -> Vec<Column> {
    let named = |(at, kind): (usize, &Kind)| Column {
        name: format!("c{at}"),
        kind: *kind,
    };
    kinds.iter().enumerate().map(named).collect()
}

/// A view that equals its batch, and how others see it.
pub(super) fn finish(name: String, branches: Vec<Select>, tail: String, columns: Vec<Column>, large: bool) -> Made {
    let relation = Relation {
        name: name.clone(),
        columns,
        keyed: false,
        append_only: false,
        watermark: None,
        extreme: false,
        view: true,
        large,
    };
    Made {
        view: View {
            name,
            query: Query { branches, tail },
            reference: Reference::Batch,
            constructs: BTreeSet::new(),
        },
        relation: Some(relation),
    }
}
