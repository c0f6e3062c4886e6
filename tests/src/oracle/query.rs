//! [`Query`]: a query in parts, so that a failing one can be made smaller part by part.

use super::sessions;

/// A SELECT, or several with UNION ALL between them.
#[derive(Debug, Clone)]
pub struct Query {
    /// What is put together.
    pub branches: Vec<Select>,
    /// ORDER BY, LIMIT and OFFSET, or nothing.
    pub tail: String,
}

/// One SELECT. The items are called `c0`, `c1`, ... in the answer.
#[derive(Debug, Clone, Default)]
pub struct Select {
    /// DISTINCT.
    pub distinct: bool,
    /// Expressions and their names.
    pub items: Vec<(String, String)>,
    /// What follows FROM.
    pub from: String,
    /// Conditions, all of which must hold.
    pub wheres: Vec<String>,
    /// GROUP BY.
    pub group: Vec<String>,
    /// Conditions on groups.
    pub having: Vec<String>,
}

impl Query {
    /// As a user writes it.
    pub fn sql(&self) -> String {
        sessions::as_written(&self.text())
    }

    /// The same without SESSION.
    pub fn defined_sql(&self) -> String {
        sessions::as_defined(&self.text())
    }

    fn text(&self) -> String {
        let branches: Vec<String> = self.branches.iter().map(Select::sql).collect();
        let mut sql = branches.join(" UNION ALL ");
        if !self.tail.is_empty() {
            sql.push(' ');
            sql.push_str(&self.tail);
        }
        sql
    }

    /// Queries with one part less. They need not be valid.
    pub fn smaller(&self) -> Vec<Query> {
        let mut found = Vec::new();
        if self.branches.len() > 1 {
            found.extend((0..self.branches.len()).map(|at| {
                let mut query = self.clone();
                query.branches.remove(at);
                query
            }));
        }
        if !self.tail.is_empty() {
            found.push(Query {
                tail: String::new(),
                ..self.clone()
            });
        }
        let width = self.branches.first().map_or(0, |b| b.items.len());
        if width > 1 {
            found.extend((0..width).map(|at| {
                let mut query = self.clone();
                for branch in query.branches.iter_mut().filter(|b| at < b.items.len()) {
                    branch.items.remove(at);
                }
                query
            }));
        }
        for at in 0..self.branches.len() {
            for select in self.branches[at].smaller() {
                let mut query = self.clone();
                query.branches[at] = select;
                found.push(query);
            }
        }
        found
    }
}

impl Select {
    fn sql(&self) -> String {
        let items: Vec<String> = self
            .items
            .iter()
            .map(|(expr, name)| format!("{expr} AS {name}"))
            .collect();
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        let mut sql = format!("SELECT {distinct}{} FROM {}", items.join(", "), self.from);
        for (word, parts, between) in [
            (" WHERE ", &self.wheres, " AND "),
            (" GROUP BY ", &self.group, ", "),
            (" HAVING ", &self.having, " AND "),
        ] {
            if !parts.is_empty() {
                sql.push_str(word);
                sql.push_str(&parts.join(between));
            }
        }
        sql
    }

    fn smaller(&self) -> Vec<Select> {
        let mut found = Vec::new();
        let lists: [fn(&mut Select) -> &mut Vec<String>; 3] = [|s| &mut s.wheres, |s| &mut s.having, |s| &mut s.group];
        for list in lists {
            for at in 0..list(&mut self.clone()).len() {
                let mut select = self.clone();
                list(&mut select).remove(at);
                found.push(select);
            }
        }
        if self.distinct {
            found.push(Select {
                distinct: false,
                ..self.clone()
            });
        }
        found
    }
}
