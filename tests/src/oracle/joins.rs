//! Random joins: of two to four relations, of a relation with itself, outer, on several keys, with conditions beyond
//! the keys, with NULLs that are equal; of times a bounded distance apart; as of arrival.

use super::case::{AS_OF, LEFT, Reference};
use super::generator::{Generator, Made};
use super::kind::Kind;
use super::query::Select;
use super::relation::{Column, Relation};
use super::views::{From, finish, qualified};

/// The aliases of a join's inputs.
const ALIASES: [&str; 4] = ["a", "b", "c", "d"];

impl Generator {
    /// A join.
    pub(super) fn joined(&mut self) -> From {
        if self.dice.chance(12)
            && let Some(from) = self.interval_join()
        {
            return from;
        }
        if self.dice.chance(8)
            && let Some(from) = self.asof_join()
        {
            return from;
        }
        if self.dice.chance(20)
            && let Some(from) = self.version_join()
        {
            return from;
        }
        let small: Vec<Relation> = self.relations.iter().filter(|r| !r.large).cloned().collect();
        let mut count = self.dice.weighted(&[(7, 2), (3, 3), (1, 4)]);
        let first = self.dice.pick(&small);
        let mut from = self.source_of(&first, ALIASES[0]);
        let mut joined = 1;
        while joined < count {
            let relation = if self.dice.chance(15) {
                first.clone()
            } else {
                self.dice.pick(&small)
            };
            if relation.name == first.name {
                self.mark("self join");
            }
            let right = self.source_of(&relation, ALIASES[joined]);
            let Some(condition) = self.join_condition(&from.scope, &right.scope, joined > 1) else {
                count -= 1;
                continue;
            };
            let word = self.join_word();
            from.sql = format!("{} {word} {} ON {condition}", from.sql, right.sql);
            from.scope.extend(right.scope);
            joined += 1;
            from.large = true;
        }
        if joined > 2 {
            self.mark("join of more than two");
        }
        from
    }

    fn join_word(&mut self) -> &'static str {
        let (word, construct) = self.dice.weighted(&[
            (6, ("JOIN", "inner join")),
            (5, ("LEFT JOIN", "left join")),
            (1, ("RIGHT JOIN", "right join")),
            (1, ("FULL JOIN", "full join")),
        ]);
        self.mark(construct);
        word
    }

    fn join_condition(&mut self, left: &[Column], right: &[Column], narrow: bool) -> Option<String> {
        let (l, r) = self.pair(left, right)?;
        let mut parts = vec![match self.dice.below(12) {
            0 => {
                self.mark("join on IS NOT DISTINCT FROM");
                format!("{l} IS NOT DISTINCT FROM {r}")
            }
            1 => {
                self.mark("join on expressions");
                format!("coalesce({l}, {l}) = coalesce({r}, {r})")
            }
            _ => format!("{l} = {r}"),
        }];
        if (narrow || self.dice.chance(40))
            && let Some((l, r)) = self.pair(left, right)
        {
            self.mark("join on several keys");
            parts.push(format!("{l} = {r}"));
        }
        if self.dice.chance(30) {
            self.mark("join with a residual condition");
            let condition = match self.pair(left, right) {
                Some((l, r)) if self.dice.chance(60) => format!("{l} {} {r}", self.dice.pick(&["<", ">=", "<>"])),
                _ => {
                    let both: Vec<Column> = left.iter().chain(right).cloned().collect();
                    self.condition(&both)
                }
            };
            parts.push(condition);
        }
        Some(parts.join(" AND "))
    }

    /// A join with the nearest row.
    fn asof_join(&mut self) -> Option<From> {
        let small: Vec<Relation> = self.relations.iter().filter(|r| !r.large).cloned().collect();
        let (left, right) = (self.dice.pick(&small), self.dice.pick(&small));
        let (left, right) = (self.source_of(&left, "a"), self.source_of(&right, "b"));
        let is_ordered = |c: &&Column| c.kind != Kind::Interval;
        let times =
            [&left.scope, &right.scope].map(|scope| scope.iter().filter(is_ordered).cloned().collect::<Vec<_>>());
        let (l, r) = self.pair(&times[0], &times[1])?;
        let compared = format!("{l} {} {r}", self.dice.pick(&[">=", ">", "<=", "<"]));
        let key = self.pair(&left.scope, &right.scope).filter(|key| *key != (l, r));
        let word = self.dice.pick(&["ASOF JOIN", "ASOF LEFT JOIN"]);
        self.mark("ASOF join");
        let on = match key {
            None => format!("MATCH_CONDITION ({compared})"),
            Some((l, r)) if self.dice.chance(50) => format!("MATCH_CONDITION ({compared}) ON {l} = {r}"),
            Some((l, r)) => format!("ON {l} = {r} AND {compared}"),
        };
        let scope = left.scope.into_iter().chain(right.scope).collect();
        Some(From {
            sql: format!("{} {word} {} {on}", left.sql, right.sql),
            scope,
            large: true,
        })
    }

    /// A join with the version that was current at a time of the left row.
    fn version_join(&mut self) -> Option<From> {
        let streams = self.streams();
        let small: Vec<Relation> = self.relations.iter().filter(|r| !r.large).cloned().collect();
        if streams.is_empty() {
            return None;
        }
        let (left, right) = (self.dice.pick(&small), self.dice.pick(&streams));
        let left = self.source_of(&left, "a");
        let scope = qualified(&right.columns, "b");
        let is_time = |c: &&Column| c.kind == Kind::Timestamp || c.kind == Kind::Timestamptz;
        let times: Vec<Column> = left.scope.iter().filter(is_time).cloned().collect();
        if times.is_empty() {
            return None;
        }
        let time = self.dice.pick(&times).name;
        let (l, r) = self.pair(&left.scope, &scope)?;
        let both: Vec<Column> = left.scope.into_iter().chain(scope).collect();
        let residual = match self.dice.chance(30) {
            true => format!(" AND {}", self.condition(&both)),
            false => String::new(),
        };
        let word = self.dice.pick(&["JOIN", "LEFT JOIN"]);
        self.mark("join FOR SYSTEM_TIME AS OF a column");
        let right = format!("{} FOR SYSTEM_TIME AS OF {time} AS b", right.name);
        Some(From {
            sql: format!("{} {word} {right} ON {l} = {r}{residual}", left.sql),
            scope: both,
            large: true,
        })
    }

    /// A join of rows that came at about the same time.
    fn interval_join(&mut self) -> Option<From> {
        let streams: Vec<Relation> = self
            .relations
            .iter()
            .filter(|r| r.watermark.is_some())
            .cloned()
            .collect();
        if streams.is_empty() {
            return None;
        }
        let left = self.dice.pick(&streams);
        let right = self.dice.pick(&streams);
        let kind_of = |r: &Relation| r.time_column().map(|c| c.kind);
        if kind_of(&left) != kind_of(&right) {
            return None;
        }
        self.mark("interval join");
        let (left, right) = (self.source_of(&left, "a"), self.source_of(&right, "b"));
        let seconds = self.dice.pick(&[0, 4, 20]);
        let time = match self.dice.below(3) {
            0 => format!("b.ts BETWEEN a.ts AND a.ts + interval '{seconds} seconds'"),
            1 => format!("b.ts >= a.ts - interval '{seconds} seconds' AND b.ts < a.ts + interval '5 seconds'"),
            _ => format!("a.ts <= b.ts + interval '{seconds} seconds' AND a.ts > b.ts - interval '3 seconds'"),
        };
        let word = self.dice.pick(&["JOIN", "JOIN", "LEFT JOIN"]);
        let scope = left.scope.into_iter().chain(right.scope).collect();
        Some(From {
            sql: format!("{} {word} {} ON a.k = b.k AND {time}", left.sql, right.sql),
            scope,
            large: true,
        })
    }

    /// A join as of arrival.
    pub(super) fn arrival_view(&mut self, name: String) -> Made {
        let lefts: Vec<Relation> = self
            .relations
            .iter()
            .filter(|r| r.append_only && !r.view)
            .cloned()
            .collect();
        let rights: Vec<Relation> = self
            .relations
            .iter()
            .filter(|r| !r.large && !r.name.starts_with('i'))
            .cloned()
            .collect();
        if lefts.is_empty() {
            let from = self.joined();
            let (select, columns) = self.select(&from, 3);
            return finish(name, vec![select], String::new(), columns, true);
        }
        let (left, right) = (self.dice.pick(&lefts), self.dice.pick(&rights));
        let scope = [("a", &left), ("b", &right)].map(|(alias, r)| qualified(&r.columns, alias));
        let Some((l, r)) = self.pair(&scope[0], &scope[1]) else {
            let from = self.source_of(&left, "a");
            let (select, columns) = self.select(&from, 2);
            return finish(name, vec![select], String::new(), columns, from.large);
        };
        let word = self.dice.pick(&["JOIN", "LEFT JOIN"]);
        self.mark("join FOR SYSTEM_TIME AS OF PROCTIME()");
        let residual = match self.dice.below(3) {
            0 => format!(" AND {}", self.condition(&scope[1])),
            _ => String::new(),
        };
        let both: Vec<Column> = scope.iter().flatten().cloned().collect();
        let (items, columns) = self.items(&both, 3);
        let select = Select {
            items,
            from: format!("{LEFT} AS a {word} {} {AS_OF} AS b ON {l} = {r}{residual}", right.name),
            ..Select::default()
        };
        let mut made = finish(name, vec![select], String::new(), columns, true);
        made.view.reference = Reference::Arrival { left: left.name };
        // After a restart its rows are those of the restart's epoch, and so would be those of views on it.
        made.relation = None;
        made
    }
}
