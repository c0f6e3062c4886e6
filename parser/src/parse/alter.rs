//! ALTER: names, schemas and owners of all kinds of objects; columns and constraints of tables.

use sqlparser::ast;
use sqlparser::tokenizer::Token;

use super::object::kind;
use crate::reader::{Read, Reader};
use crate::statement::{AlterAction, AlterObject, ObjectKind, Statement};

/// From ALTER on.
pub(super) fn alter(r: &mut Reader<'_>) -> Read<Statement> {
    let mark = r.mark();
    r.expect("ALTER")?;
    let object = kind(r, mark, "ALTER")?;
    match object {
        ObjectKind::Table
        | ObjectKind::Source
        | ObjectKind::View
        | ObjectKind::MaterializedView
        | ObjectKind::Index
        | ObjectKind::Schema => {}
        ObjectKind::Sink => return r.unsupported(mark, "ALTER SINK", "Drop it and create it again."),
        ObjectKind::Database => {
            return r.unsupported(mark, "ALTER DATABASE", "Use SET, or the server's configuration.");
        }
        ObjectKind::Function => return r.unsupported(mark, "ALTER FUNCTION", "There are no functions of users."),
        ObjectKind::Column => return r.unexpected(),
    }
    let start = r.mark();
    if let Some(statement) = of_any_object(r, object)? {
        return Ok(statement);
    }
    if object == ObjectKind::Schema {
        return r.unexpected();
    }
    // What can be altered of a view, source or index is a part of what can be altered of a table.
    r.rewind(start);
    match r.parser.parse_alter_table(false)? {
        ast::Statement::AlterTable(table) => Ok(Statement::AlterTable(Box::new(table))),
        _ => r.unexpected(),
    }
}

/// RENAME TO, SET SCHEMA, OWNER TO, SWAP WITH; `None` when something else is altered, or more than that.
fn of_any_object(r: &mut Reader<'_>, object: ObjectKind) -> Read<Option<Statement>> {
    let if_exists = object != ObjectKind::Schema && r.eat("IF EXISTS");
    if object == ObjectKind::Table {
        r.eat("ONLY");
    }
    let name = r.name()?;
    let has_schema = !matches!(object, ObjectKind::Schema | ObjectKind::Index);
    let action = if r.eat("RENAME TO") {
        AlterAction::RenameTo(r.ident()?)
    } else if has_schema && r.eat("SET SCHEMA") {
        AlterAction::SetSchema(r.ident()?)
    } else if object == ObjectKind::MaterializedView && r.eat("SWAP WITH") {
        AlterAction::SwapWith(r.name()?)
    } else if r.eat("OWNER TO") {
        let own = r.eat_any(&["CURRENT_USER", "CURRENT_ROLE", "SESSION_USER"]);
        AlterAction::OwnerTo(if own.is_some() { None } else { Some(r.ident()?) })
    } else {
        return Ok(None);
    };
    if *r.peek() == Token::Comma {
        return Ok(None);
    }
    Ok(Some(Statement::AlterObject(AlterObject {
        object,
        name,
        if_exists,
        action,
    })))
}
