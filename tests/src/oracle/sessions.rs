//! SESSION windows. A query holds a mark in the place of the call, which becomes the call for the view, and for its
//! reference what sessions are by definition: a row opens one when the row before it lies a gap or more away.

use super::relation::Column;

/// Stands, in a query, before and after a call of SESSION, and between its parts.
const MARK: char = '\u{1}';

/// A call of SESSION.
pub struct Session<'a> {
    /// A relation, or a subquery in parentheses.
    pub input: String,
    /// The columns of the partition; may be none.
    pub partition: &'a [String],
    /// The gap.
    pub gap: &'a str,
    /// The input's columns.
    pub columns: &'a [Column],
}

impl Session<'_> {
    /// The mark that stands for the call in a query.
    pub fn mark(&self) -> String {
        // The bounds hide columns of their names.
        let is_shown = |name: &&str| !["window_start", "window_end"].contains(name);
        let columns: Vec<&str> = self.columns.iter().map(|c| c.name.as_str()).filter(is_shown).collect();
        let parts = [
            self.input.as_str(),
            &self.partition.join(", "),
            self.gap,
            &columns.join(", "),
        ];
        format!("{MARK}{}{MARK}", parts.join(&format!("{MARK}")))
    }
}

/// A query with its calls of SESSION as a user writes them.
pub fn as_written(query: &str) -> String {
    expand(query, |input, partition, gap, _| {
        let by = if partition.is_empty() {
            String::new()
        } else {
            format!(" PARTITION BY {partition}")
        };
        format!("SESSION({input}{by}, ts, {gap})")
    })
}

/// A query with what sessions are in the place of the calls.
pub fn as_defined(query: &str) -> String {
    expand(query, |input, partition, gap, columns| {
        let (by_time, of_session) = match partition.is_empty() {
            true => (
                "OVER (ORDER BY ts)".to_string(),
                "OVER (PARTITION BY session_number)".to_string(),
            ),
            false => (
                format!("OVER (PARTITION BY {partition} ORDER BY ts)"),
                format!("OVER (PARTITION BY {partition}, session_number)"),
            ),
        };
        format!(
            "(SELECT {columns}, min(ts) {of_session} AS window_start, max(ts) {of_session} + {gap} AS window_end FROM \
             (SELECT *, sum(opens) {by_time} AS session_number FROM (SELECT *, CASE WHEN ts - lag(ts) {by_time} < {gap} \
             THEN 0 ELSE 1 END AS opens FROM {input} AS i WHERE ts IS NOT NULL) AS o) AS n)"
        )
    })
}

fn expand(query: &str, call: impl Fn(&str, &str, &str, &str) -> String) -> String {
    let mut expanded = String::new();
    let mut parts = query.split(MARK);
    loop {
        expanded.extend(parts.next());
        let [Some(input), Some(partition), Some(gap), Some(columns)] = std::array::from_fn(|_| parts.next()) else {
            return expanded;
        };
        expanded.push_str(&call(input, partition, gap, columns));
    }
}
