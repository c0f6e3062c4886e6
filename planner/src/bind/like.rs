//! LIKE, ILIKE and SIMILAR TO. Patterns with an escape character of their own are rewritten to backslashes.

use datafusion::logical_expr::{Expr, Like};
use highwater_types::{SqlError, SqlState, SqlType};
use sqlparser::ast::{self, BinaryOperator};

use super::types::{Category, category};
use super::{Binder, Casting, ExprCx, Typed};
use crate::error::{PlanError, Result};

impl Binder<'_> {
    pub(crate) fn bind_like(
        &mut self,
        expr: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ast::ValueWithSpan>,
        negated: bool,
        fold_case: bool,
        cx: &mut ExprCx<'_>,
    ) -> Result<Typed> {
        let value = self.bind_expr(expr, cx)?;
        // LIKE ANY (array) keeps the quantifier inside the pattern.
        if let ast::Expr::AnyOp { right, .. } = pattern {
            let op = if fold_case {
                BinaryOperator::PGILikeMatch
            } else {
                BinaryOperator::PGLikeMatch
            };
            return self.bind_quantified(expr, &op, right, false, cx);
        }
        let pattern = self.bind_expr(pattern, cx)?;
        let pattern = match escape {
            None => pattern,
            Some(escape) => self.with_backslash_escape(pattern, escape)?,
        };
        self.like(value, pattern, negated, fold_case)
    }

    /// `value LIKE pattern`, the pattern escaped by backslashes.
    pub(crate) fn like(&mut self, value: Typed, pattern: Typed, negated: bool, fold_case: bool) -> Result<Typed> {
        let symbol = match (negated, fold_case) {
            (false, false) => "~~",
            (true, false) => "!~~",
            (false, true) => "~~*",
            (true, true) => "!~~*",
        };
        for side in [&value.sql_type, &pattern.sql_type] {
            if !matches!(category(side), Category::String | Category::Unknown) {
                return Err(PlanError::UndefinedOperator {
                    text: format!("{} {symbol} {}", value.sql_type, pattern.sql_type),
                });
            }
        }
        let value = self.coerce(value, &SqlType::Text, Casting::Implicit)?;
        let pattern = self.coerce(pattern, &SqlType::Text, Casting::Implicit)?;
        let like = Like::new(negated, Box::new(value.expr), Box::new(pattern.expr), None, fold_case);
        Ok(Typed::new(Expr::Like(like), SqlType::Bool))
    }

    /// A pattern with an escape character of its own, rewritten to backslashes.
    fn with_backslash_escape(&mut self, pattern: Typed, escape: &ast::ValueWithSpan) -> Result<Typed> {
        let escape = self.bind_value(&escape.value)?;
        let Some(character) = escape.unknown_text() else {
            return self.escaped_by_call(pattern, escape);
        };
        let mut characters = character.chars();
        let (character, more) = (characters.next(), characters.next());
        if more.is_some() {
            return Err(PlanError::from(
                SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
                    .with_hint("Escape string must be empty or one character."),
            ));
        }
        match (character, pattern.unknown_text()) {
            (Some('\\'), _) => Ok(pattern),
            (character, Some(text)) => Ok(super::literal::unknown(&backslashed(text, character))),
            (_, None) => self.escaped_by_call(pattern, escape),
        }
    }

    fn escaped_by_call(&mut self, pattern: Typed, escape: Typed) -> Result<Typed> {
        let function = self.find_scalar("like_escape").ok_or_else(|| {
            PlanError::unsupported(
                "ESCAPE after a pattern that is not a constant",
                "Write the pattern as a literal.",
            )
        })?;
        let pattern = self.coerce(pattern, &SqlType::Text, Casting::Implicit)?;
        let escape = self.coerce(escape, &SqlType::Text, Casting::Implicit)?;
        Ok(Typed::new(
            function.call(vec![pattern.expr, escape.expr]),
            SqlType::Text,
        ))
    }

    pub(crate) fn bind_similar(
        &mut self,
        expr: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ast::ValueWithSpan>,
        negated: bool,
        cx: &mut ExprCx<'_>,
    ) -> Result<Typed> {
        let value = self.bind_expr(expr, cx)?;
        let pattern = self.bind_expr(pattern, cx)?;
        let mut args = vec![pattern];
        if let Some(escape) = escape {
            args.push(self.bind_value(&escape.value)?);
        }
        let regex = self.call("similar_to_escape", args, cx)?;
        self.apply_operator(if negated { "!~" } else { "~" }, value, regex, cx)
    }
}

/// A LIKE pattern whose escape is `escape`, with backslashes instead.
fn backslashed(pattern: &str, escape: Option<char>) -> String {
    let mut out = String::new();
    let mut characters = pattern.chars();
    while let Some(c) = characters.next() {
        match c {
            c if Some(c) == escape => {
                if let Some(next) = characters.next() {
                    out.push('\\');
                    out.push(next);
                }
            }
            '\\' => out.push_str("\\\\"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_character_becomes_a_backslash() {
        assert_eq!(backslashed("a/%b\\_", Some('/')), "a\\%b\\\\_");
        assert_eq!(backslashed("a\\b", None), "a\\\\b");
    }
}
