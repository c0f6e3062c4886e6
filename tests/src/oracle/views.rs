//! Random views, by what they are about: projections, unions, groups, orders, subqueries, faults. Joins are in
//! `joins.rs`, windows in `windows.rs`.

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

    /// Rows of one relation, or of a join.
    pub(super) fn rows(&mut self) -> From {
        if self.dice.chance(20) {
            self.joined()
        } else {
            self.source("a")
        }
    }

    /// Items of random types. At least one.
    pub(super) fn items(&mut self, scope: &[Column], count: usize) -> (Vec<(String, String)>, Vec<Column>) {
        let kinds: Vec<Kind> = (0..count).map(|_| self.some_kind(scope)).collect();
        self.items_of(scope, &kinds)
    }

    fn some_kind(&mut self, scope: &[Column]) -> Kind {
        if scope.is_empty() || self.dice.chance(25) {
            self.dice.pick(&Kind::ALL)
        } else {
            self.dice.pick(scope).kind
        }
    }

    fn items_of(&mut self, scope: &[Column], kinds: &[Kind]) -> (Vec<(String, String)>, Vec<Column>) {
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

    pub(super) fn select(&mut self, from: &From, count: usize) -> (Select, Vec<Column>) {
        let (items, columns) = self.items(&from.scope, count);
        self.mark("projection");
        let select = Select {
            items,
            from: from.sql.clone(),
            wheres: self.wheres(&from.scope),
            ..Select::default()
        };
        (select, columns)
    }

    fn projected(&mut self, name: String, from: From) -> Made {
        let count = 1 + self.dice.below(5);
        let (select, columns) = self.select(&from, count);
        finish(name, vec![select], String::new(), columns, from.large)
    }

    fn plain(&mut self, name: String) -> Made {
        let from = self.source("a");
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

    fn grouped(&mut self, name: String) -> Made {
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
            wheres: self.wheres(&from.scope),
            from: from.sql,
            group,
            having,
            ..Select::default()
        };
        finish(name, vec![select], String::new(), columns, false)
    }

    fn total(&mut self, name: String) -> Made {
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

    fn aggregate(&mut self, scope: &[Column]) -> (String, Kind) {
        let kind = self.dice.pick(scope).kind;
        let arg = if self.dice.chance(80) {
            self.dice.pick(&Self::columns_of(scope, kind)).name
        } else {
            self.value(scope, kind)
        };
        match self.dice.below(11) {
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
            _ => {
                self.mark("sum");
                (format!("sum({})", self.value(scope, Kind::Int4)), Kind::Int8)
            }
        }
    }

    fn distinct(&mut self, name: String) -> Made {
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

    fn limited(&mut self, name: String) -> Made {
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

    fn ranked(&mut self, name: String) -> Made {
        let from = self.source("a");
        let names: Vec<String> = from
            .scope
            .iter()
            .filter(|c| c.kind != Kind::Jsonb)
            .map(|c| c.name.clone())
            .collect();
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

    fn window_function(&mut self, name: String) -> Made {
        let from = self.source("a");
        self.mark("other window function");
        let names: Vec<String> = from
            .scope
            .iter()
            .filter(|c| c.kind != Kind::Jsonb)
            .map(|c| c.name.clone())
            .collect();
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

    fn with_subquery(&mut self, name: String) -> Made {
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

    fn failing(&mut self, name: String) -> Made {
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
