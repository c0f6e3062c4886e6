//! [`Kind`]: what a statement does, by its first words; as much as the modes need to know.

/// What a statement does to what the modes keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It could be a view.
    Select,
    /// It writes rows.
    Write,
    /// It may take away or change what queries read.
    Change,
    /// It changes what later statements of the session mean, and must be said again after a restart.
    Session,
    /// It opens a transaction block.
    Begin,
    /// It ends one.
    End,
    /// Anything else: CREATE, SHOW.
    Other,
}

impl Kind {
    pub(crate) fn of(sql: &str) -> Kind {
        let upper = sql.trim_start_matches(['(', ' ', '\n']).to_ascii_uppercase();
        let words: Vec<&str> = upper
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty())
            .take(3)
            .collect();
        match words.as_slice() {
            ["SELECT" | "WITH" | "VALUES" | "TABLE", ..] => Kind::Select,
            ["INSERT" | "UPDATE" | "DELETE" | "TRUNCATE" | "COPY" | "EXECUTE", ..] => Kind::Write,
            ["DROP" | "ALTER", ..] | ["CREATE", "OR", ..] => Kind::Change,
            ["SET" | "RESET" | "PREPARE" | "DEALLOCATE" | "DISCARD", ..] => Kind::Session,
            ["BEGIN", ..] | ["START", "TRANSACTION", ..] => Kind::Begin,
            ["ROLLBACK", "TO", ..] => Kind::Other,
            ["COMMIT" | "END" | "ROLLBACK" | "ABORT", ..] => Kind::End,
            _ => Kind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn the_first_words_say_what_a_statement_does() {
        assert_eq!(Kind::of("(select 1) UNION ALL select 2"), Kind::Select);
        assert_eq!(Kind::of("with a as (select 1) table a"), Kind::Select);
        assert_eq!(Kind::of("insert into t values (1)"), Kind::Write);
        assert_eq!(Kind::of("CREATE OR REPLACE VIEW v AS SELECT 1"), Kind::Change);
        assert_eq!(Kind::of("start transaction read only"), Kind::Begin);
        assert_eq!(Kind::of("ROLLBACK TO s"), Kind::Other);
        assert_eq!(Kind::of("ROLLBACK"), Kind::End);
        assert_eq!(Kind::of("SHOW TABLES"), Kind::Other);
    }
}
