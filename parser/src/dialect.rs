//! [`HighwaterDialect`]: PostgreSQL's dialect as sqlparser has it, with what streaming adds and without what would
//! let a hostile statement take exponential time.
//!
//! Added: signs that bind as in PostgreSQL, `FOR SYSTEM_TIME AS OF`, and two expression forms that the window and
//! as-of joins are carried in (see [`crate::window`]). Taken away: named arguments whose name is an expression, and
//! the second try as a plain function that sqlparser gives to `CAST`, `TRIM` and their kind; both parse the same text
//! twice at every level of nesting. `Source` keeps those words usable as names.

use std::any::TypeId;

use sqlparser::ast::{Expr, UnaryOperator};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use crate::window;

/// The dialect every statement is parsed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HighwaterDialect;

const POSTGRES: PostgreSqlDialect = PostgreSqlDialect {};

/// Answers these questions as PostgreSQL's dialect does.
macro_rules! as_postgres {
    ($($question:ident),* $(,)?) => {
        $(fn $question(&self) -> bool { POSTGRES.$question() })*
    };
}

impl Dialect for HighwaterDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        POSTGRES.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        POSTGRES.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        POSTGRES.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        POSTGRES.is_identifier_part(ch)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        POSTGRES.is_custom_operator_part(ch)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        POSTGRES.get_next_precedence(parser)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        POSTGRES.prec_value(precedence)
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        match parse_sign(parser) {
            Some(signed) => Some(signed),
            None => window::parse_prefix(parser),
        }
    }

    /// `IS [NOT] DISTINCT FROM` binds as IS does; sqlparser would take all that follows for its right side, `AND` and
    /// `OR` too.
    fn parse_infix(&self, parser: &mut Parser, left: &Expr, _: u8) -> Option<Result<Expr, ParserError>> {
        use Keyword::{DISTINCT, FROM, IS, NOT};
        let make = if parser.parse_keywords(&[IS, DISTINCT, FROM]) {
            Expr::IsDistinctFrom
        } else if parser.parse_keywords(&[IS, NOT, DISTINCT, FROM]) {
            Expr::IsNotDistinctFrom
        } else {
            return None;
        };
        let right = parser.parse_subexpr(self.prec_value(Precedence::Is));
        Some(right.map(|right| make(Box::new(left.clone()), Box::new(right))))
    }

    /// Words for which a failed special form is an error at once. `Source` has already made plain names of those
    /// that are not followed by a parenthesis.
    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        SPECIAL_FORMS.contains(&keyword) || matches!(keyword, Keyword::CASE | Keyword::NOT | Keyword::STRUCT)
    }

    fn supports_table_versioning(&self) -> bool {
        true
    }

    as_postgres!(
        supports_unicode_string_literal,
        supports_filter_during_aggregation,
        supports_group_by_expr,
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_create_index_with_clause,
        supports_explain_with_utility_options,
        supports_listen_notify,
        supports_factorial_operator,
        supports_bitwise_shift_operators,
        supports_comment_on,
        supports_load_extension,
        supports_empty_projections,
        supports_nested_comments,
        supports_string_escape_constant,
        supports_numeric_literal_underscores,
        supports_array_typedef_with_brackets,
        supports_set_names,
        supports_alter_column_type_using,
        supports_notnull_operator,
        supports_interval_options,
        supports_insert_table_alias,
        supports_create_table_like_parenthesized,
        supports_select_wildcard_with_alias,
        supports_comma_separated_trim,
        supports_xml_expressions,
    );
}

/// What binds less tightly than a sign: sqlparser lets all up to products, powers among them, come before it.
const SIGN_PRECEDENCE: u8 = 125;

/// `-a` and `+a`, more tightly than `^`, as in PostgreSQL.
fn parse_sign(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
    let op = match parser.peek_token_ref().token {
        Token::Minus => UnaryOperator::Minus,
        Token::Plus => UnaryOperator::Plus,
        _ => return None,
    };
    parser.advance_token();
    let operand = parser.parse_subexpr(SIGN_PRECEDENCE);
    Some(operand.map(|expr| Expr::UnaryOp {
        op,
        expr: Box::new(expr),
    }))
}

/// Words with a grammar of their own between parentheses, which without parentheses are names.
pub(crate) const SPECIAL_FORMS: &[Keyword] = &[
    Keyword::CAST,
    Keyword::CEIL,
    Keyword::EXISTS,
    Keyword::EXTRACT,
    Keyword::FLOOR,
    Keyword::OVERLAY,
    Keyword::POSITION,
    Keyword::SUBSTR,
    Keyword::SUBSTRING,
    Keyword::TRIM,
];

/// Words that sqlparser gives a meaning that PostgreSQL does not: always names.
pub(crate) const NEVER_SPECIAL: &[Keyword] = &[
    Keyword::CONVERT,
    Keyword::LAMBDA,
    Keyword::MATCH_RECOGNIZE,
    Keyword::PIVOT,
    Keyword::PRIOR,
    Keyword::SAFE_CAST,
    Keyword::TRY_CAST,
    Keyword::TRY_CONVERT,
    Keyword::UNPIVOT,
];
