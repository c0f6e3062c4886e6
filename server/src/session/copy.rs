//! COPY FROM STDIN and COPY TO STDOUT, as the session sees them: columns, defaults and rows. Their bytes are the
//! front end's.

use std::sync::Arc;

use arrow::compute::concat_batches;
use highwater_executor::ExecError;
use highwater_parser::{Copy, CopyWhat};
use highwater_planner::{OutputColumn, placeholder, plan_copy_from};
use highwater_types::{SqlError, SqlState};
use sqlparser::ast;

use super::ddl::fold;
use super::{CopyIn, Session};

impl Session {
    /// Starts COPY FROM STDIN: says which columns are wanted.
    pub(super) async fn copy_from(&mut self, copy: &Copy) -> Result<CopyIn, SqlError> {
        let CopyWhat::Table(name, names) = &copy.what else {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "COPY FROM needs a table"));
        };
        let id = self.find(name)?.id;
        let table = self.writable(id, "COPY FROM")?;
        let mut positions = Vec::new();
        for name in names {
            let name = fold(name);
            positions.push(table.column_index(&name).ok_or_else(|| {
                let message = format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
                SqlError::new(SqlState::UNDEFINED_COLUMN, message)
            })?);
        }
        if names.is_empty() {
            positions = (0..table.columns.len())
                .filter(|c| table.columns[*c].generated.is_none())
                .collect();
        }
        let columns: Vec<OutputColumn> = positions
            .iter()
            .map(|position| {
                let column = &table.columns[*position];
                let origin = Some((table.id, i16::try_from(position + 1).unwrap_or(i16::MAX)));
                OutputColumn {
                    name: column.name.clone(),
                    sql_type: column.sql_type.clone(),
                    origin,
                }
            })
            .collect();
        Ok(CopyIn::new(table, positions, Arc::from(columns), copy.format.clone()))
    }

    /// Completes the rows of a COPY with defaults and generated columns, and inserts them.
    pub(super) async fn copy_rows(&mut self, copy: CopyIn) -> Result<u64, SqlError> {
        let (table, positions, batches) = copy.into_rows();
        let Some(first) = batches.first() else { return Ok(0) };
        let rows = concat_batches(&first.schema(), &batches).map_err(ExecError::from)?;
        let plan = plan_copy_from(&self.plan_context(), &table, &positions)?;
        let completed = self
            .collect_over(&plan.plan, &Vec::new(), placeholder::COPIED, rows)
            .await?;
        Ok(self.insert_copied(&table, &completed)? as u64)
    }
}

/// The query whose rows `COPY table (columns) TO STDOUT` writes.
pub(super) fn select_of(name: &ast::ObjectName, columns: &[ast::Ident]) -> Result<ast::Query, SqlError> {
    let list = match columns {
        [] => "*".to_string(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    Ok(*highwater_parser::parse_query(&format!("SELECT {list} FROM {name}"))?)
}
