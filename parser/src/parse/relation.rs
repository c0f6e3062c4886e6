//! CREATE TABLE, CREATE SOURCE and CREATE TABLE AS.

use std::collections::BTreeMap;

use sqlparser::ast;
use sqlparser::tokenizer::Token;

use crate::error::ParseError;
use crate::reader::{Read, Reader, Stop};
use crate::statement::{ColumnDef, CreateRelation, Include, PrimaryKey, Statement, WatermarkDef};
use highwater_types::SqlState;

use super::create::Prefix;
use super::options::options;

/// Parameters of PostgreSQL's storage, which mean nothing here and change no answer.
const STORAGE_PARAMETERS: &[&str] = &[
    "autovacuum",
    "fillfactor",
    "log_autovacuum",
    "oids",
    "parallel_workers",
    "toast",
];

/// From the name on.
pub(super) fn create(r: &mut Reader<'_>, prefix: Prefix, source: bool) -> Read<Statement> {
    let if_not_exists = r.eat("IF NOT EXISTS");
    let name = r.name()?;
    let mark = r.mark();
    if r.eat_any(&["OF", "PARTITION OF"]).is_some() {
        return r.unsupported(mark, "this form of CREATE TABLE", "List the columns.");
    }
    let mut relation = CreateRelation {
        source,
        temporary: prefix.temporary,
        name,
        if_not_exists,
        columns: Vec::new(),
        primary_key: None,
        watermark: None,
        append_only: false,
        includes: Vec::new(),
        options: BTreeMap::new(),
        format: String::new(),
        encode: String::new(),
        encode_options: BTreeMap::new(),
        unsupported: Vec::new(),
    };
    let parenthesised = *r.peek() == Token::LParen;
    if parenthesised && names_only(r) {
        return table_as(r, relation);
    }
    if parenthesised {
        elements(r, &mut relation)?;
    } else if !source && *r.peek() == Token::EOF {
        return r.unexpected();
    }
    clauses(r, &mut relation)?;
    if !source && !parenthesised && r.peek_is("AS") {
        return table_as(r, relation);
    }
    Ok(Statement::CreateRelation(Box::new(relation)))
}

/// Whether the parenthesis holds nothing but names: `CREATE TABLE t (a, b) AS`.
fn names_only(r: &Reader<'_>) -> bool {
    matches!(r.peek_nth(1), Token::Word(_)) && matches!(r.peek_nth(2), Token::Comma | Token::RParen)
}

/// `[(a, b)] AS query [WITH [NO] DATA]`.
fn table_as(r: &mut Reader<'_>, relation: CreateRelation) -> Read<Statement> {
    let mark = r.mark();
    let columns = match r.peek() {
        Token::LParen => r.idents_in_parens()?,
        _ => Vec::new(),
    };
    if !columns.is_empty() {
        clauses(r, &mut relation.clone())?;
    }
    r.expect("AS")?;
    if r.peek_is("EXECUTE") {
        return r.unsupported(r.mark(), "CREATE TABLE AS EXECUTE", "Write the query itself.");
    }
    let query = r.query()?;
    if r.eat("WITH NO DATA") {
        return r.unsupported(mark, "WITH NO DATA", "Add LIMIT 0 to the query.");
    }
    r.eat("WITH DATA");
    Ok(Statement::CreateTableAs {
        name: relation.name,
        if_not_exists: relation.if_not_exists,
        query: if columns.is_empty() {
            query
        } else {
            renamed(query, columns)?
        },
    })
}

/// `SELECT * FROM (query) AS "?"(a, b)`: the query with other column names.
fn renamed(query: Box<ast::Query>, columns: Vec<ast::Ident>) -> Read<Box<ast::Query>> {
    let mut outer = crate::parse_query("SELECT * FROM (SELECT 1) AS \"?\"").map_err(Stop::Error)?;
    if let ast::SetExpr::Select(select) = outer.body.as_mut()
        && let Some(from) = select.from.first_mut()
        && let ast::TableFactor::Derived { subquery, alias, .. } = &mut from.relation
    {
        *subquery = query;
        if let Some(alias) = alias {
            alias.columns = columns
                .into_iter()
                .map(|name| ast::TableAliasColumnDef { name, data_type: None })
                .collect();
        }
    }
    Ok(outer)
}

/// The list of columns, constraints and the watermark.
fn elements(r: &mut Reader<'_>, relation: &mut CreateRelation) -> Read<()> {
    r.expect_token(&Token::LParen)?;
    if r.eat_token(&Token::RParen) {
        return Ok(());
    }
    loop {
        element(r, relation)?;
        if !r.eat_token(&Token::Comma) {
            return r.expect_token(&Token::RParen);
        }
    }
}

fn element(r: &mut Reader<'_>, relation: &mut CreateRelation) -> Read<()> {
    let mark = r.mark();
    if r.eat("WATERMARK FOR") {
        if relation.watermark.is_some() {
            return redefined(r, mark, "a relation can have only one watermark");
        }
        relation.watermark = Some(watermark(r)?);
        return Ok(());
    }
    if r.eat("LIKE") {
        return r.unsupported(mark, "LIKE in CREATE TABLE", "List the columns.");
    }
    if !["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "EXCLUDE"]
        .iter()
        .any(|w| r.peek_is(w))
    {
        let column = column(r, relation)?;
        relation.columns.push(column);
        return Ok(());
    }
    let name = if r.eat("CONSTRAINT") { Some(r.ident()?) } else { None };
    if r.eat("PRIMARY KEY") {
        let columns = r.idents_in_parens()?;
        deferrable(r);
        for column in &mut relation.columns {
            column.not_null |= columns.iter().any(|c| crate::fold(c) == crate::fold(&column.name));
        }
        return primary_key(r, mark, relation, PrimaryKey { name, columns });
    }
    while !matches!(r.peek(), Token::Comma | Token::RParen | Token::EOF) {
        skip_one(r)?;
    }
    relation.unsupported.push(r.text_from(mark).0);
    Ok(())
}

/// One token, or all between two parentheses.
fn skip_one(r: &mut Reader<'_>) -> Read<()> {
    let mut depth = 0usize;
    loop {
        match r.peek() {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::EOF => return r.unexpected(),
            _ => {}
        }
        r.parser.advance_token();
        if depth == 0 {
            return Ok(());
        }
    }
}

fn watermark(r: &mut Reader<'_>) -> Read<WatermarkDef> {
    let column = r.ident()?;
    r.expect("AS")?;
    let expression = r.expr()?;
    let idle_timeout = if r.eat("IDLE TIMEOUT") { Some(r.expr()?) } else { None };
    Ok(WatermarkDef {
        column,
        expression,
        idle_timeout,
    })
}

fn primary_key(r: &Reader<'_>, mark: usize, relation: &mut CreateRelation, key: PrimaryKey) -> Read<()> {
    if relation.primary_key.is_some() {
        let table = relation.name.0.last().and_then(|p| p.as_ident()).map(crate::fold);
        let message = format!(
            "multiple primary keys for table \"{}\" are not allowed",
            table.unwrap_or_default()
        );
        return redefined(r, mark, &message);
    }
    relation.primary_key = Some(key);
    Ok(())
}

fn redefined<T>(r: &Reader<'_>, mark: usize, message: &str) -> Read<T> {
    Err(Stop::Error(ParseError::Definition {
        message: message.to_string(),
        state: SqlState::INVALID_TABLE_DEFINITION,
        position: r.position(mark),
    }))
}

fn deferrable(r: &mut Reader<'_>) {
    while r.eat_any(&["NOT DEFERRABLE", "INITIALLY IMMEDIATE"]).is_some() {}
}

fn column(r: &mut Reader<'_>, relation: &mut CreateRelation) -> Read<ColumnDef> {
    let mut column = ColumnDef {
        name: r.ident()?,
        data_type: r.data_type()?,
        not_null: false,
        default: None,
        generated: None,
    };
    loop {
        let mark = r.mark();
        let name = if r.eat("CONSTRAINT") { Some(r.ident()?) } else { None };
        if r.eat("AS") {
            column.generated = Some(in_parens(r)?);
            r.eat_any(&["STORED", "VIRTUAL"]);
            continue;
        }
        if r.eat("PRIMARY KEY") {
            deferrable(r);
            column.not_null = true;
            let columns = vec![column.name.clone()];
            primary_key(r, mark, relation, PrimaryKey { name, columns })?;
            continue;
        }
        if r.peek_is("STORAGE") || r.peek_is("COMPRESSION") {
            r.parser.advance_token();
            r.label()?;
            continue;
        }
        match r.parser.parse_optional_column_option()? {
            None if name.is_some() => return r.unexpected(),
            None => return Ok(column),
            Some(ast::ColumnOption::Null) => {}
            Some(ast::ColumnOption::NotNull) => column.not_null = true,
            Some(ast::ColumnOption::Default(default)) => column.default = Some(default),
            Some(ast::ColumnOption::Generated {
                generation_expr: Some(expression),
                ..
            }) => column.generated = Some(expression),
            Some(_) => relation.unsupported.push(r.text_from(mark).0),
        }
    }
}

fn in_parens(r: &mut Reader<'_>) -> Read<ast::Expr> {
    r.expect_token(&Token::LParen)?;
    let expr = r.expr()?;
    r.expect_token(&Token::RParen)?;
    Ok(expr)
}

/// What may follow the columns, in any order.
fn clauses(r: &mut Reader<'_>, relation: &mut CreateRelation) -> Read<()> {
    loop {
        let mark = r.mark();
        if r.eat("APPEND ONLY") {
            relation.append_only = true;
        } else if r.eat("INCLUDE") {
            relation.includes.push(include(r)?);
        } else if r.peek_is("WITH") && *r.peek_nth(1) == Token::LParen {
            r.expect("WITH")?;
            relation.options.extend(options(r)?);
            let postgres = |key: &str| STORAGE_PARAMETERS.iter().any(|p| key.starts_with(p));
            relation.options.retain(|key, _| !postgres(key));
        } else if r.eat("FORMAT") {
            format(r, relation)?;
        } else if r.eat("WITHOUT OIDS") {
        } else if r.eat("TABLESPACE") || r.eat("USING") {
            r.ident()?;
        } else if r.eat("ON COMMIT") {
            if !r.eat("PRESERVE ROWS") {
                return r.unsupported(mark, "ON COMMIT", "Use TRUNCATE.");
            }
        } else if r.eat("INHERITS") {
            return r.unsupported(
                mark,
                "INHERITS",
                "Put the tables' rows together in a view, with UNION ALL.",
            );
        } else if r.eat("PARTITION BY") {
            return r.unsupported(
                mark,
                "PARTITION BY in CREATE TABLE",
                "Leave it out: rows are spread over workers by themselves.",
            );
        } else {
            return Ok(());
        }
    }
}

fn include(r: &mut Reader<'_>) -> Read<Include> {
    let Some(what) = r.eat_any(&["KEY", "PARTITION", "OFFSET", "TIMESTAMP", "HEADER"]) else {
        return r.unexpected();
    };
    let header = if what == "HEADER" { Some(r.string()?) } else { None };
    let column = match r.eat("AS") {
        true => r.ident()?,
        false => ast::Ident::new(header.clone().unwrap_or_else(|| what.to_lowercase())),
    };
    Ok(Include {
        what: what.to_string(),
        header,
        column,
    })
}

fn format(r: &mut Reader<'_>, relation: &mut CreateRelation) -> Read<()> {
    relation.format = r.label()?.to_uppercase();
    if r.eat("ENCODE") {
        relation.encode = r.label()?.to_uppercase();
        if *r.peek() == Token::LParen {
            relation.encode_options = options(r)?;
        }
    }
    Ok(())
}
