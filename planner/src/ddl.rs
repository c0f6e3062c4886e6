//! Checks of what DDL defines: tables, sources, inline views.

use datafusion::common::{Column as PlanColumn, DFSchema, TableReference};
use datafusion::logical_expr::Expr;
use highwater_parser::{ColumnDef, CreateRelation, Include};
use highwater_types::{IntervalParts, RelationId, SqlError, SqlState, SqlType};
use sqlparser::ast::{self, Spanned};

use crate::bind::{
    Binder, Casting, ExprCx, Place, Scope, ScopeColumn, ScopeTable, check_precision, fold, fold_name, sql_type,
};
use crate::catalog::{Column, ConnectorConfig, DEFAULT_SCHEMA, IncludeColumn, Relation, RelationKind, WatermarkDecl};
use crate::context::PlanContext;
use crate::dml::instant;
use crate::error::{PlanError, Result};

/// Checks CREATE TABLE or CREATE SOURCE (names, types, defaults, watermark, generated columns) and gives the
/// relation it makes. The catalog is not changed.
pub fn table_from_ddl(ctx: &PlanContext, create: &CreateRelation, id: RelationId) -> Result<Relation> {
    refuse(create)?;
    let (schema, name) = new_name(ctx, &create.name)?;
    let mut relation = Relation {
        id,
        schema,
        name,
        kind: kind_of(create),
        columns: columns_of(create)?,
        key: None,
        watermark: None,
        append_only: create.append_only || create.source,
        depends_on: Vec::new(),
        definition: String::new(),
        comment: None,
    };
    set_key(create, &mut relation)?;
    check_expressions(ctx, create, &relation)?;
    relation.watermark = watermark_of(ctx, create, &relation)?;
    Ok(relation)
}

fn refuse(create: &CreateRelation) -> Result<()> {
    if create.temporary {
        return Err(PlanError::unsupported(
            "CREATE TEMPORARY TABLE",
            "Use a table in a schema of its own.",
        ));
    }
    if let Some(constraint) = create.unsupported.first() {
        return Err(PlanError::unsupported(
            format!("the constraint {constraint}"),
            "PRIMARY KEY and NOT NULL are enforced; leave others out.",
        ));
    }
    if !create.source && create.options.contains_key("connector") {
        return Err(PlanError::unsupported(
            "a table fed by a connector",
            "Create a source, and a materialized view over it.",
        ));
    }
    if create.source && create.primary_key.is_some() {
        return Err(PlanError::unsupported(
            "PRIMARY KEY of a source",
            "Keep the last row by key in a view.",
        ));
    }
    Ok(())
}

/// The schema and name of a relation to be made.
fn new_name(ctx: &PlanContext, name: &ast::ObjectName) -> Result<(String, String)> {
    let mut parts = fold_name(name);
    let own = parts.pop().unwrap_or_default();
    let schema = match parts.as_slice() {
        [] => {
            let exists = |schema: &&String| ctx.catalog.schema(schema).is_some();
            let found = ctx.settings.search_path.iter().find(exists).cloned();
            found.unwrap_or_else(|| DEFAULT_SCHEMA.to_string())
        }
        [schema] => schema.clone(),
        [database, schema] if *database == ctx.settings.database => schema.clone(),
        _ => return Err(PlanError::CrossDatabase { name: name.to_string() }.at(name.span())),
    };
    if ctx.catalog.schema(&schema).is_none() {
        return Err(PlanError::UndefinedSchema { name: schema }.at(name.span()));
    }
    if ctx.catalog.find(&schema, &own).is_some() {
        return Err(PlanError::from(SqlError::new(
            SqlState::DUPLICATE_TABLE,
            format!("relation \"{own}\" already exists"),
        )));
    }
    Ok((schema, own))
}

fn kind_of(create: &CreateRelation) -> RelationKind {
    if !create.source {
        let name = create.primary_key.as_ref().and_then(|key| key.name.as_ref());
        return RelationKind::Table {
            primary_key_name: create.primary_key.as_ref().map(|_| match name {
                Some(name) => fold(name),
                None => format!("{}_pkey", fold_name(&create.name).pop().unwrap_or_default()),
            }),
        };
    }
    let mut options = create.options.clone();
    RelationKind::Source(ConnectorConfig {
        connector: options.remove("connector").unwrap_or_default(),
        options,
        format: create.format.clone(),
        encode: create.encode.clone(),
        encode_options: create.encode_options.clone(),
    })
}

fn columns_of(create: &CreateRelation) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::with_capacity(create.columns.len() + create.includes.len());
    let declared = create
        .columns
        .iter()
        .map(|definition| (definition.name.span, column_of(definition)));
    let included = create
        .includes
        .iter()
        .map(|include| (include.column.span, include_column(include)));
    for (span, column) in declared.chain(included) {
        let column = column.map_err(|error| error.at(span))?;
        if columns.iter().any(|c| c.name == column.name) {
            return Err(PlanError::DuplicateColumn { name: column.name }.at(span));
        }
        columns.push(column);
    }
    Ok(columns)
}

fn column_of(definition: &ColumnDef) -> Result<Column> {
    let name = fold(&definition.name);
    let written = definition.data_type.to_string().to_lowercase();
    if matches!(
        written.as_str(),
        "serial" | "bigserial" | "smallserial" | "serial4" | "serial8" | "serial2"
    ) {
        return Err(PlanError::unsupported(
            written,
            "Give the key in INSERT, or use a uuid: DEFAULT gen_random_uuid().",
        ));
    }
    check_precision(&definition.data_type)?;
    let sql_type = sql_type(&definition.data_type)?;
    if matches!(sql_type, SqlType::Unknown | SqlType::Void | SqlType::Record(_)) {
        return Err(PlanError::InvalidDefinition {
            message: format!("column \"{name}\" has pseudo-type {sql_type}"),
            hint: None,
        });
    }
    if definition.generated.is_some() && definition.default.is_some() {
        return Err(PlanError::syntax(format!(
            "both default and generation expression specified for column \"{name}\""
        )));
    }
    Ok(Column {
        name,
        sql_type,
        not_null: definition.not_null,
        default: definition.default.as_ref().map(ToString::to_string),
        generated: definition.generated.as_ref().map(ToString::to_string),
        include: None,
        comment: None,
    })
}

fn include_column(include: &Include) -> Result<Column> {
    let (kind, sql_type) = match include.what.as_str() {
        "KEY" => (IncludeColumn::Key, SqlType::Bytea),
        "PARTITION" => (IncludeColumn::Partition, SqlType::Text),
        "OFFSET" => (IncludeColumn::Offset, SqlType::Int8),
        "TIMESTAMP" => (IncludeColumn::Timestamp, SqlType::Timestamptz),
        "HEADER" => (
            IncludeColumn::Header(include.header.clone().unwrap_or_default()),
            SqlType::Bytea,
        ),
        other => {
            return Err(PlanError::unsupported(
                format!("INCLUDE {other}"),
                "Use KEY, PARTITION, OFFSET, TIMESTAMP or HEADER.",
            ));
        }
    };
    Ok(Column {
        name: fold(&include.column),
        sql_type,
        not_null: false,
        default: None,
        generated: None,
        include: Some(kind),
        comment: None,
    })
}

fn set_key(create: &CreateRelation, relation: &mut Relation) -> Result<()> {
    let Some(key) = &create.primary_key else {
        return Ok(());
    };
    let mut positions = Vec::with_capacity(key.columns.len());
    for ident in &key.columns {
        let name = fold(ident);
        let Some(at) = relation.column_index(&name) else {
            return Err(PlanError::UndefinedKeyColumn { column: name }.at(ident.span));
        };
        if positions.contains(&at) {
            return Err(PlanError::from(SqlError::new(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{name}\" appears twice in primary key constraint"),
            ))
            .at(ident.span));
        }
        relation.columns[at].not_null = true;
        positions.push(at);
    }
    relation.key = Some(positions);
    Ok(())
}

/// That defaults and generated columns can be bound, and assigned.
fn check_expressions(ctx: &PlanContext, create: &CreateRelation, relation: &Relation) -> Result<()> {
    for definition in &create.columns {
        let name = fold(&definition.name);
        let Some(column) = relation.columns.iter().find(|c| c.name == name) else {
            continue;
        };
        let mut binder = Binder::new(ctx, &[]);
        if let Some(default) = &definition.default {
            let scope = Scope::default();
            let mut cx = ExprCx::new(&scope, &DFSchema::empty(), Place::Default);
            let typed = binder
                .bind_expr(default, &mut cx)
                .map_err(|error| no_columns(error, "DEFAULT"))?;
            binder.assign(typed, column).map_err(|error| error.at(default.span()))?;
        }
        if let Some(generated) = &definition.generated {
            let (scope, schema) = row_scope(relation, |c| c.generated.is_none())?;
            let mut cx = ExprCx::new(&scope, &schema, Place::Generated);
            let typed = binder.bind_expr(generated, &mut cx)?;
            if typed.expr.is_volatile() {
                return Err(PlanError::InvalidDefinition {
                    message: "generation expression is not immutable".to_string(),
                    hint: None,
                }
                .at(generated.span()));
            }
            binder
                .assign(typed, column)
                .map_err(|error| error.at(generated.span()))?;
        }
    }
    Ok(())
}

/// A default may not look at columns.
fn no_columns(error: PlanError, place: &str) -> PlanError {
    error.map(|error| match error {
        PlanError::UndefinedColumn { .. } => PlanError::Unsupported {
            construct: format!("a column reference in a {place} expression"),
            hint: "Use a generated column: AS (expression).".to_string(),
        },
        other => other,
    })
}

/// Names for a row of a relation that is being made: its columns that `wanted` tells.
fn row_scope(relation: &Relation, wanted: impl Fn(&Column) -> bool) -> Result<(Scope, DFSchema)> {
    let qualifier = TableReference::bare(relation.name.clone());
    let schema = DFSchema::try_from_qualified_schema(qualifier.clone(), &relation.arrow_schema())?;
    let columns = relation.columns.iter().filter(|c| wanted(c)).map(|column| ScopeColumn {
        name: column.name.clone(),
        value: Expr::Column(PlanColumn::new(Some(qualifier.clone()), &column.name)),
        sql_type: column.sql_type.clone(),
        origin: None,
    });
    let table = ScopeTable {
        relation: None,
        alias: relation.name.clone(),
        schema: None,
        columns: columns.collect(),
    };
    Ok((Scope::of_table(table), schema))
}

fn watermark_of(ctx: &PlanContext, create: &CreateRelation, relation: &Relation) -> Result<Option<WatermarkDecl>> {
    let Some(watermark) = &create.watermark else {
        return Ok(None);
    };
    let name = fold(&watermark.column);
    let Some(at) = relation.column_index(&name) else {
        return Err(PlanError::UndefinedColumnOf {
            column: name,
            relation: relation.name.clone(),
        }
        .at(watermark.column.span));
    };
    let column = &relation.columns[at];
    if !matches!(column.sql_type, SqlType::Timestamp | SqlType::Timestamptz) {
        return Err(PlanError::WrongType {
            place: format!("the watermark's column \"{name}\""),
            expected: SqlType::Timestamptz,
            found: column.sql_type.clone(),
        }
        .at(watermark.column.span));
    }
    if !relation.append_only {
        return Err(PlanError::InvalidDefinition {
            message: "a table with a watermark must be append-only".to_string(),
            hint: Some("Add APPEND ONLY after the columns: a watermark promises that rows do not change.".to_string()),
        }
        .at(watermark.column.span));
    }
    let mut binder = Binder::new(ctx, &[]);
    let (scope, schema) = row_scope(relation, |_| true)?;
    let mut cx = ExprCx::new(&scope, &schema, Place::Watermark);
    let typed = binder.bind_expr(&watermark.expression, &mut cx)?;
    instant(typed.expr, &typed.sql_type).map_err(|error| error.at(watermark.expression.span()))?;
    let idle_timeout_us = match &watermark.idle_timeout {
        None => None,
        Some(expr) => Some(idle_micros(&mut binder, expr).map_err(|error| error.at(expr.span()))?),
    };
    Ok(Some(WatermarkDecl {
        column: at,
        expression: watermark.expression.to_string(),
        idle_timeout_us,
    }))
}

fn idle_micros(binder: &mut Binder<'_>, expr: &ast::Expr) -> Result<i64> {
    let scope = Scope::default();
    let mut cx = ExprCx::new(&scope, &DFSchema::empty(), Place::Watermark);
    let bound = binder.bind_as(expr, &SqlType::Interval, Casting::Implicit, &mut cx)?;
    let Expr::Literal(datafusion::common::ScalarValue::IntervalMonthDayNano(Some(value)), _) =
        binder.evaluate(&bound)?
    else {
        return Err(PlanError::InvalidParameter {
            message: "IDLE TIMEOUT must be a constant interval".to_string(),
            hint: None,
        });
    };
    let parts = IntervalParts::from(value);
    let days = i64::from(parts.months) * 30 + i64::from(parts.days);
    let micros = days.saturating_mul(86_400_000_000).saturating_add(parts.micros);
    match micros > 0 {
        true => Ok(micros),
        false => Err(PlanError::InvalidParameter {
            message: "IDLE TIMEOUT must be positive".to_string(),
            hint: None,
        }),
    }
}

/// Plans an inline view: its columns, and the relations it reads directly.
pub fn plan_inline_view(
    ctx: &PlanContext,
    query: &ast::Query,
    column_names: &[String],
) -> Result<(Vec<Column>, Vec<RelationId>)> {
    let bound = crate::query::bind_query(ctx, query)?;
    let columns = view_columns(&bound.columns, column_names)?;
    Ok((columns, bound.depends_on))
}

/// The columns of a view over a query: its own names, or those given for the first of them.
pub fn view_columns(outputs: &[crate::OutputColumn], names: &[String]) -> Result<Vec<Column>> {
    if names.len() > outputs.len() {
        return Err(PlanError::syntax(
            "CREATE VIEW specifies more column names than columns",
        ));
    }
    let mut columns: Vec<Column> = Vec::with_capacity(outputs.len());
    for (i, output) in outputs.iter().enumerate() {
        let name = names.get(i).unwrap_or(&output.name).clone();
        if columns.iter().any(|c| c.name == name) {
            return Err(PlanError::DuplicateColumn { name });
        }
        if matches!(output.sql_type, SqlType::Record(_) | SqlType::Void) {
            return Err(PlanError::InvalidDefinition {
                message: format!("column \"{name}\" has pseudo-type {}", output.sql_type),
                hint: Some("Name the fields.".to_string()),
            });
        }
        columns.push(Column {
            name,
            sql_type: output.sql_type.clone(),
            not_null: false,
            default: None,
            generated: None,
            include: None,
            comment: None,
        });
    }
    Ok(columns)
}
