//! The place of an error in a statement's text, as PostgreSQL counts it: in characters, from 1.

use sqlparser::tokenizer::Location;

/// How the place of an error is found from a location that the syntax tree knows. It does not know where operators,
/// types and parentheses stand; those are found in the text, from what stands beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The location itself.
    Token,
    /// The operator after the operand that ends there.
    Operator,
    /// The type of the cast whose value ends there.
    Type,
    /// The parenthesis before it.
    Parenthesis,
}

/// The place of a location of the syntax tree, and what its mark means there.
pub(crate) fn position_of(text: &str, location: Location, mark: Mark) -> usize {
    marked_position(text, position_in(text, location), mark)
}

/// The place of a line and column, in characters from 1.
fn position_in(text: &str, location: Location) -> usize {
    let lines_before = usize::try_from(location.line.saturating_sub(1)).unwrap_or(0);
    let before: usize = text
        .split_inclusive('\n')
        .take(lines_before)
        .map(|line| line.chars().count())
        .sum();
    before + usize::try_from(location.column.max(1)).unwrap_or(1)
}

/// The place that a mark means, from a place in the text.
pub(crate) fn marked_position(text: &str, position: usize, mark: Mark) -> usize {
    let skipped = |wanted: &dyn Fn(char) -> bool, from: usize| {
        from + text.chars().skip(from - 1).take_while(|c| wanted(*c)).count()
    };
    let behind = |c: char| c.is_whitespace() || c == ')';
    match mark {
        Mark::Token => position,
        Mark::Operator => skipped(&behind, position),
        Mark::Type => {
            let at = skipped(&behind, position);
            let rest: String = text.chars().skip(at - 1).take(3).collect();
            let word = if rest.starts_with("::") || rest.to_lowercase().starts_with("as") {
                2
            } else {
                0
            };
            skipped(&|c| c.is_whitespace(), at + word)
        }
        Mark::Parenthesis => {
            let before: Vec<char> = text.chars().take(position - 1).collect();
            before.iter().rposition(|c| *c == '(').map_or(position, |at| at + 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_and_column_become_a_position_in_characters() {
        let text = "SELECT 'é',\n  nosuch";
        assert_eq!(position_in(text, Location { line: 1, column: 1 }), 1);
        assert_eq!(position_in(text, Location { line: 2, column: 3 }), 15);
    }

    #[test]
    fn what_the_syntax_tree_does_not_place_is_found_in_the_text() {
        assert_eq!(marked_position("SELECT (a ) + c", 10, Mark::Operator), 13);
        assert_eq!(marked_position("SELECT a::nosuch", 9, Mark::Type), 11);
        assert_eq!(marked_position("SELECT CAST(a AS nosuch)", 14, Mark::Type), 18);
        assert_eq!(marked_position("SELECT ( SELECT 1, 2)", 10, Mark::Parenthesis), 8);
    }
}
