//! One statement: the first words say which file reads the rest.

mod alter;
mod copy;
mod create;
mod cursor;
mod explain;
mod index;
mod lock;
mod notify;
mod object;
mod options;
mod prepare;
mod query;
mod relation;
mod settings;
mod show;
mod subscribe;
mod transaction;
mod upkeep;
mod view;

use crate::reader::{Read, Reader, word_of};
use crate::statement::{Parsed, Statement};
use sqlparser::tokenizer::Token;

/// Statements of PostgreSQL's (and one of ours) that are not built, and what to do instead.
const NOT_BUILT: &[(&str, &str)] = &[
    ("CALL", "There are no procedures: run the statements themselves."),
    ("DO", "There is no procedural language: run the statements themselves."),
    ("IMPORT FOREIGN SCHEMA", "Create a source for each table."),
    ("LOAD", "Nothing can be loaded into the server."),
    ("MERGE", "Use INSERT ... ON CONFLICT, UPDATE and DELETE."),
    ("REASSIGN OWNED", "Objects have no owners."),
    ("SECURITY LABEL", "Use COMMENT ON."),
];

/// A statement with its text, up to the end of the tokens.
pub(crate) fn whole_statement(r: &mut Reader<'_>) -> Read<Parsed> {
    let parsed = rest(r)?;
    end(r)?;
    Ok(parsed)
}

/// A statement from here on, with its text.
fn rest(r: &mut Reader<'_>) -> Read<Parsed> {
    let mark = r.mark();
    let statement = statement(r)?;
    let (text, offset) = r.text_from(mark);
    let (line, column) = r.place(mark);
    Ok(Parsed {
        statement,
        text,
        offset,
        line,
        column,
    })
}

/// Nothing may be left.
pub(crate) fn end(r: &mut Reader<'_>) -> Read<()> {
    if !r.at_end() || r.emit.is_some() {
        return r.unexpected();
    }
    Ok(())
}

/// A statement from here on.
fn statement(r: &mut Reader<'_>) -> Read<Statement> {
    if *r.peek() == Token::LParen {
        return query::select(r);
    }
    let Some(word) = word_of(r.peek()).map(str::to_ascii_uppercase) else {
        return r.unexpected();
    };
    let mark = r.mark();
    match word.as_str() {
        "SELECT" | "WITH" | "VALUES" | "TABLE" => query::select(r),
        "INSERT" | "UPDATE" | "DELETE" => query::change(r),
        "TRUNCATE" => query::truncate(r),
        "CREATE" => create::create(r),
        "DROP" => object::drop(r),
        "ALTER" => alter::alter(r),
        "COMMENT" => object::comment(r),
        "EXPLAIN" => explain::explain(r),
        "SHOW" => show::show(r),
        "DESCRIBE" | "DESC" => show::describe(r),
        "SET" => settings::set(r),
        "RESET" => settings::reset(r),
        "DISCARD" => settings::discard(r),
        "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE" => {
            transaction::transaction(r)
        }
        "PREPARE" => prepare::prepare(r),
        "EXECUTE" => prepare::execute(r),
        "DEALLOCATE" => prepare::deallocate(r),
        "DECLARE" => cursor::declare(r),
        "FETCH" | "MOVE" => cursor::fetch(r),
        "CLOSE" => cursor::close(r),
        "COPY" => copy::copy(r),
        "LISTEN" | "UNLISTEN" | "NOTIFY" => notify::notify(r),
        "VACUUM" | "ANALYZE" | "ANALYSE" | "CLUSTER" | "REINDEX" | "REFRESH" | "GRANT" | "REVOKE" | "CHECKPOINT" => {
            upkeep::upkeep(r)
        }
        "LOCK" => lock::lock(r),
        "SUBSCRIBE" => Ok(Statement::Subscribe(subscribe::subscribe(r)?)),
        _ => match NOT_BUILT.iter().find(|(words, _)| r.eat(words)) {
            Some((words, hint)) => r.unsupported(mark, *words, hint),
            None => r.unexpected(),
        },
    }
}
