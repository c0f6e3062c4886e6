//! SELECT, VALUES, TABLE, WITH; INSERT, UPDATE, DELETE; TRUNCATE.

use sqlparser::ast;
use sqlparser::tokenizer::Token;

use crate::reader::{Read, Reader};
use crate::statement::Statement;

/// A query; with INTO it makes a table.
pub(super) fn select(r: &mut Reader<'_>) -> Read<Statement> {
    let mark = r.mark();
    let mut query = r.query()?;
    if let Some(into) = take_into(&mut query.body) {
        return Ok(Statement::CreateTableAs {
            name: into.name,
            if_not_exists: false,
            query,
        });
    }
    let with = query.with.take();
    match *query.body {
        ast::SetExpr::Insert(ast::Statement::Insert(mut insert)) => {
            if let Some(with) = with {
                // The names of WITH mean the same inside the query whose rows are inserted.
                match insert.source.as_mut() {
                    Some(source) if source.with.is_none() => source.with = Some(with),
                    _ => return r.unsupported(mark, "WITH before this INSERT", "Put WITH after INSERT INTO."),
                }
            }
            Ok(Statement::Insert(Box::new(insert)))
        }
        ast::SetExpr::Update(_) | ast::SetExpr::Delete(_) | ast::SetExpr::Merge(_) => {
            r.unsupported(mark, "WITH before UPDATE, DELETE or MERGE", "Use a subquery.")
        }
        body => {
            query.with = with;
            *query.body = body;
            Ok(Statement::Query(query))
        }
    }
}

/// INTO of the first SELECT of a query.
fn take_into(body: &mut ast::SetExpr) -> Option<ast::SelectInto> {
    match body {
        ast::SetExpr::Select(select) => select.into.take(),
        ast::SetExpr::SetOperation { left, .. } => take_into(left),
        _ => None,
    }
}

/// INSERT, UPDATE, DELETE.
pub(super) fn change(r: &mut Reader<'_>) -> Read<Statement> {
    match r.parser.parse_statement()? {
        ast::Statement::Insert(insert) => Ok(Statement::Insert(Box::new(insert))),
        ast::Statement::Update(update) => Ok(Statement::Update(Box::new(update))),
        ast::Statement::Delete(delete) => Ok(Statement::Delete(Box::new(delete))),
        _ => r.unexpected(),
    }
}

/// TRUNCATE.
pub(super) fn truncate(r: &mut Reader<'_>) -> Read<Statement> {
    r.expect("TRUNCATE")?;
    r.eat("TABLE");
    let names = r.list(|r| {
        r.eat("ONLY");
        let name = r.name()?;
        r.eat_token(&Token::Mul);
        Ok(name)
    })?;
    r.eat_any(&["RESTART IDENTITY", "CONTINUE IDENTITY"]);
    r.eat_any(&["CASCADE", "RESTRICT"]);
    Ok(Statement::Truncate(names))
}
