//! [`Wording`]: a statement's text, to be changed at known places. What the catalog keeps as text follows a relation
//! that gets another name: the name is replaced where it stands, and the rest stays as its author wrote it.

use std::collections::HashSet;

use sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use crate::error::ParseError;
use crate::reader::word_of;
use crate::source::Source;
use crate::window::is_word;

/// A statement's text and its tokens.
#[derive(Debug)]
pub struct Wording<'a> {
    source: Source<'a>,
    tokens: Vec<TokenWithSpan>,
}

impl<'a> Wording<'a> {
    /// Cuts the text of one statement into tokens.
    ///
    /// # Errors
    /// When it cannot be.
    pub fn try_new(sql: &'a str) -> Result<Wording<'a>, ParseError> {
        let source = Source::new(sql);
        let statement = source.statements()?.into_iter().next();
        Ok(Wording {
            tokens: statement.map(|s| s.tokens).unwrap_or_default(),
            source,
        })
    }

    /// All names and words that stand outside of these places, folded.
    pub fn words_besides(&self, places: &[Span]) -> HashSet<String> {
        let outside = |token: &&TokenWithSpan| !places.iter().any(|place| holds(place, &token.span));
        self.tokens
            .iter()
            .filter(outside)
            .filter_map(|token| match &token.token {
                Token::Word(word) if word.quote_style.is_some() => Some(word.value.clone()),
                Token::Word(word) => Some(word.value.to_lowercase()),
                _ => None,
            })
            .collect()
    }

    /// Where an alias of the relation that is named at this place can be put; `None` when one stands there after AS.
    pub fn alias_place(&self, name: Span) -> Option<Span> {
        let mut next = self.tokens.partition_point(|token| token.span.end <= name.end);
        let mut end = name.end;
        if self.is_at(next, "FOR") && self.is_at(next + 1, "SYSTEM_TIME") {
            let closed = |token: &TokenWithSpan| token.token == Token::RParen;
            next += self.tokens[next..].iter().position(closed)? + 1;
            end = self.tokens[next - 1].span.end;
        }
        (!self.is_at(next, "AS")).then(|| Span::new(end, end))
    }

    /// The text with other words at these places, none of which may lie in another.
    pub fn with(&self, mut words: Vec<(Span, String)>) -> String {
        words.sort_by_key(|(place, _)| (place.start, place.end));
        let mut text = String::new();
        let mut done = 0;
        for (place, word) in words {
            let [start, end] = [place.start, place.end].map(|at| self.source.byte_of(at));
            text.push_str(self.source.between(done, start));
            text.push_str(&word);
            done = end;
        }
        text + self.source.between(done, usize::MAX)
    }

    fn is_at(&self, index: usize, word: &str) -> bool {
        let token = self.tokens.get(index).map(|t| &t.token);
        token.is_some_and(|t| word_of(t).is_some() && is_word(t, word))
    }
}

/// Whether the inner place lies in the outer one.
fn holds(outer: &Span, inner: &Span) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

#[cfg(test)]
mod tests {
    use sqlparser::tokenizer::Location;

    use super::*;

    fn place(line: u64, from: u64, to: u64) -> Span {
        Span::new(Location::new(line, from), Location::new(line, to))
    }

    #[test]
    fn names_are_replaced_where_they_stand() {
        let wording = Wording::try_new("SELECT 'é', t.a\nFROM t -- of all\nWHERE t.a > 0").expect("a statement");
        let name = place(2, 6, 7);
        let alias = wording.alias_place(name).expect("no alias");
        let text = wording.with(vec![(alias, " AS t".to_string()), (name, "\"U\"".to_string())]);
        assert_eq!(text, "SELECT 'é', t.a\nFROM \"U\" AS t -- of all\nWHERE t.a > 0");
        assert!(wording.words_besides(&[name]).contains("t"));
    }

    #[test]
    fn an_alias_stands_after_the_time_of_a_temporal_join() {
        let sql = "SELECT 1 FROM a JOIN b FOR SYSTEM_TIME AS OF PROCTIME() ON true";
        let wording = Wording::try_new(sql).expect("a statement");
        assert_eq!(wording.alias_place(place(1, 22, 23)), Some(place(1, 56, 56)));
        assert!(!wording.words_besides(&[place(1, 22, 23)]).contains("b"));
        let wording = Wording::try_new("SELECT 1 FROM a AS b").expect("a statement");
        assert_eq!(wording.alias_place(place(1, 15, 16)), None);
    }
}
