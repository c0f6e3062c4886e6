//! [`PlanError`]: everything that can be wrong with a statement that parses, each kind with its SQLSTATE.
//!
//! A place in the statement is kept as line and column of the token ([`PlanError::At`]); [`PlanError::to_sql_error`]
//! turns it into PostgreSQL's position once the text is at hand. Errors of DataFusion are translated in one place,
//! `translate.rs`.

use highwater_types::{SqlError, SqlState, SqlType};
use sqlparser::tokenizer::{Location, Span};
use thiserror::Error;

use crate::position::{Mark, position_of};

/// The result of planning.
pub type Result<T> = std::result::Result<T, PlanError>;

/// What is wrong with a statement.
#[derive(Debug, Clone, Error)]
pub enum PlanError {
    /// Another error, at a place in the statement.
    #[error("{error}")]
    At {
        /// Where: line and column from 1, in characters.
        location: Location,
        /// What of the statement stands there.
        mark: Mark,
        /// What.
        error: Box<PlanError>,
    },
    /// Something that is not built.
    #[error("{construct} is not supported")]
    Unsupported {
        /// Its name, as a user would write it.
        construct: String,
        /// What to do instead, as a sentence.
        hint: String,
    },
    /// No relation of this name.
    #[error("relation \"{name}\" does not exist")]
    UndefinedTable {
        /// As written.
        name: String,
    },
    /// A qualifier that FROM does not name.
    #[error("missing FROM-clause entry for table \"{name}\"")]
    MissingFrom {
        /// The qualifier.
        name: String,
    },
    /// A qualifier that is in FROM, but cannot be seen from here.
    #[error("invalid reference to FROM-clause entry for table \"{name}\"")]
    HiddenFrom {
        /// The qualifier.
        name: String,
        /// The alias that hides it.
        alias: Option<String>,
    },
    /// No column of this name is in sight.
    #[error("column {} does not exist", quoted_column(.qualifier.as_deref(), .name))]
    UndefinedColumn {
        /// The qualifier, when one was written.
        qualifier: Option<String>,
        /// The column.
        name: String,
        /// A column of a similar name.
        near: Option<String>,
    },
    /// The target relation has no column of this name.
    #[error("column \"{column}\" of relation \"{relation}\" does not exist")]
    UndefinedColumnOf {
        /// The column.
        column: String,
        /// The relation.
        relation: String,
    },
    /// A column that a key names does not exist.
    #[error("column \"{column}\" named in key does not exist")]
    UndefinedKeyColumn {
        /// The column.
        column: String,
    },
    /// Several columns of this name are in sight.
    #[error("column reference \"{name}\" is ambiguous")]
    AmbiguousColumn {
        /// The column.
        name: String,
    },
    /// An alias twice in one FROM.
    #[error("table name \"{name}\" specified more than once")]
    DuplicateAlias {
        /// The alias.
        name: String,
    },
    /// A column twice where each may stand once.
    #[error("column \"{name}\" specified more than once")]
    DuplicateColumn {
        /// The column.
        name: String,
    },
    /// No function of this name takes these arguments.
    #[error("function {signature} does not exist")]
    UndefinedFunction {
        /// Name and argument types.
        signature: String,
    },
    /// No operator of this name takes these operands.
    #[error("operator does not exist: {text}")]
    UndefinedOperator {
        /// Operand types and operator.
        text: String,
    },
    /// No such type.
    #[error("type \"{name}\" does not exist")]
    UndefinedType {
        /// As written.
        name: String,
    },
    /// No such schema, collation, role or the like.
    #[error("{kind} \"{name}\" does not exist")]
    UndefinedObject {
        /// What kind of object.
        kind: &'static str,
        /// As written.
        name: String,
    },
    /// No such schema.
    #[error("schema \"{name}\" does not exist")]
    UndefinedSchema {
        /// As written.
        name: String,
    },
    /// A name that leads to another database.
    #[error("cross-database references are not implemented: \"{name}\"")]
    CrossDatabase {
        /// As written.
        name: String,
    },
    /// A parameter where there are none.
    #[error("there is no parameter {name}")]
    UndefinedParameter {
        /// As written.
        name: String,
    },
    /// A parameter whose type nothing tells.
    #[error("could not determine data type of parameter ${number}")]
    IndeterminateParameter {
        /// Its number.
        number: usize,
    },
    /// A column outside of GROUP BY.
    #[error("column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function")]
    Ungrouped {
        /// The column with its table.
        name: String,
    },
    /// An ungrouped column of the outer query in a subquery.
    #[error("subquery uses ungrouped column \"{name}\" from outer query")]
    UngroupedOuter {
        /// The column with its table.
        name: String,
    },
    /// An aggregate where none may stand.
    #[error("aggregate functions are not allowed in {place}")]
    AggregateNotAllowed {
        /// Where it stands.
        place: &'static str,
    },
    /// An aggregate inside an aggregate.
    #[error("aggregate function calls cannot be nested")]
    NestedAggregate,
    /// A window function where none may stand.
    #[error("window functions are not allowed in {place}")]
    WindowNotAllowed {
        /// Where it stands.
        place: &'static str,
    },
    /// A set-returning function where none may stand.
    #[error("set-returning functions are not allowed in {place}")]
    SetNotAllowed {
        /// Where it stands.
        place: &'static str,
    },
    /// A value of the wrong type for its place.
    #[error("{place} must be type {expected}, not type {found}")]
    WrongType {
        /// What the value is for: `argument of WHERE`.
        place: String,
        /// What it must be.
        expected: SqlType,
        /// What it is.
        found: SqlType,
    },
    /// A value that cannot be assigned to its column.
    #[error("column \"{column}\" is of type {expected} but expression is of type {found}")]
    CannotAssign {
        /// The column.
        column: String,
        /// Its type.
        expected: SqlType,
        /// The value's type.
        found: SqlType,
    },
    /// Branches of CASE, UNION, VALUES and the like whose types do not meet.
    #[error("{construct} types {left} and {right} cannot be matched")]
    NoCommonType {
        /// CASE, UNION, VALUES, ARRAY, COALESCE, IN.
        construct: String,
        /// One type.
        left: SqlType,
        /// The other.
        right: SqlType,
    },
    /// No cast leads from one type to the other.
    #[error("cannot cast type {from} to {to}")]
    CannotCast {
        /// The value's type.
        from: SqlType,
        /// The wanted type.
        to: SqlType,
    },
    /// A rule of the language that the statement breaks; PostgreSQL calls these syntax errors too.
    #[error("{message}")]
    Syntax {
        /// PostgreSQL's words.
        message: String,
    },
    /// A reference that is not allowed in its place.
    #[error("{message}")]
    InvalidReference {
        /// PostgreSQL's words.
        message: String,
    },
    /// An object of the wrong kind.
    #[error("{message}")]
    WrongObject {
        /// PostgreSQL's words.
        message: String,
        /// What to do, as a sentence.
        hint: Option<String>,
    },
    /// A definition that cannot be.
    #[error("{message}")]
    InvalidDefinition {
        /// What is wrong.
        message: String,
        /// What to do, as a sentence.
        hint: Option<String>,
    },
    /// An argument or option whose value cannot be.
    #[error("{message}")]
    InvalidParameter {
        /// What is wrong.
        message: String,
        /// What to do, as a sentence.
        hint: Option<String>,
    },
    /// A value that a constant cannot have, or any error that has its SQLSTATE already.
    #[error("{0}")]
    Value(Box<SqlError>),
    /// A defect: DataFusion refused what it should not.
    #[error("internal error: {message}")]
    Internal {
        /// Its words.
        message: String,
    },
}

impl PlanError {
    /// Something that is not built.
    pub fn unsupported(construct: impl Into<String>, hint: impl Into<String>) -> PlanError {
        PlanError::Unsupported {
            construct: construct.into(),
            hint: hint.into(),
        }
    }

    /// A broken rule of the language.
    pub fn syntax(message: impl Into<String>) -> PlanError {
        PlanError::Syntax {
            message: message.into(),
        }
    }

    /// A defect.
    pub fn internal(message: impl Into<String>) -> PlanError {
        PlanError::Internal {
            message: message.into(),
        }
    }

    /// This error at the start of a span, unless its place is known more closely already.
    pub fn at(self, span: Span) -> PlanError {
        self.marked(span.start, Mark::Token)
    }

    /// This error at the operator after an operand.
    pub fn at_operator_after(self, operand: Span) -> PlanError {
        self.marked(operand.end, Mark::Operator)
    }

    /// This error at the type that a value is cast to.
    pub fn at_type_after(self, value: Span) -> PlanError {
        self.marked(value.end, Mark::Type)
    }

    /// This error at the parenthesis before a query.
    pub fn at_parenthesis_before(self, query: Span) -> PlanError {
        self.marked(query.start, Mark::Parenthesis)
    }

    fn marked(self, location: Location, mark: Mark) -> PlanError {
        match self {
            PlanError::At { .. } => self,
            _ if location.line == 0 => self,
            _ => PlanError::At {
                location,
                mark,
                error: Box::new(self),
            },
        }
    }

    /// Applies a change to the error itself, whatever its place.
    pub(crate) fn map(self, change: impl FnOnce(PlanError) -> PlanError) -> PlanError {
        match self {
            PlanError::At { location, mark, error } => PlanError::At {
                location,
                mark,
                error: Box::new(change(*error)),
            },
            other => change(other),
        }
    }

    /// This error without its place, which means nothing outside of the text it was found in.
    pub fn without_place(self) -> PlanError {
        match self {
            PlanError::At { error, .. } => error.without_place(),
            other => other,
        }
    }

    /// Its SQLSTATE.
    pub fn state(&self) -> SqlState {
        match self {
            PlanError::At { error, .. } => error.state(),
            PlanError::Unsupported { .. } | PlanError::CrossDatabase { .. } => SqlState::FEATURE_NOT_SUPPORTED,
            PlanError::UndefinedTable { .. } | PlanError::MissingFrom { .. } | PlanError::HiddenFrom { .. } => {
                SqlState::UNDEFINED_TABLE
            }
            PlanError::UndefinedColumn { .. }
            | PlanError::UndefinedColumnOf { .. }
            | PlanError::UndefinedKeyColumn { .. } => SqlState::UNDEFINED_COLUMN,
            PlanError::AmbiguousColumn { .. } => SqlState::AMBIGUOUS_COLUMN,
            PlanError::DuplicateAlias { .. } => SqlState::DUPLICATE_ALIAS,
            PlanError::DuplicateColumn { .. } => SqlState::DUPLICATE_COLUMN,
            PlanError::UndefinedFunction { .. } | PlanError::UndefinedOperator { .. } => SqlState::UNDEFINED_FUNCTION,
            PlanError::UndefinedType { .. } | PlanError::UndefinedObject { .. } => SqlState::UNDEFINED_OBJECT,
            PlanError::UndefinedSchema { .. } => SqlState::INVALID_SCHEMA_NAME,
            PlanError::UndefinedParameter { .. } => SqlState::UNDEFINED_PARAMETER,
            PlanError::IndeterminateParameter { .. } => SqlState::INDETERMINATE_DATATYPE,
            PlanError::Ungrouped { .. }
            | PlanError::UngroupedOuter { .. }
            | PlanError::AggregateNotAllowed { .. }
            | PlanError::NestedAggregate => SqlState::GROUPING_ERROR,
            PlanError::WindowNotAllowed { .. } => SqlState("42P20"),
            PlanError::SetNotAllowed { .. } => SqlState::FEATURE_NOT_SUPPORTED,
            PlanError::WrongType { .. } | PlanError::CannotAssign { .. } | PlanError::NoCommonType { .. } => {
                SqlState::DATATYPE_MISMATCH
            }
            PlanError::CannotCast { .. } => SqlState::CANNOT_COERCE,
            PlanError::Syntax { .. } => SqlState::SYNTAX_ERROR,
            PlanError::InvalidReference { .. } => SqlState::INVALID_COLUMN_REFERENCE,
            PlanError::WrongObject { .. } => SqlState::WRONG_OBJECT_TYPE,
            PlanError::InvalidDefinition { .. } => SqlState::INVALID_TABLE_DEFINITION,
            PlanError::InvalidParameter { .. } => SqlState::INVALID_PARAMETER_VALUE,
            PlanError::Value(error) => error.state,
            PlanError::Internal { .. } => SqlState::INTERNAL_ERROR,
        }
    }

    /// What to do about it, as a sentence.
    fn hint(&self) -> Option<String> {
        match self {
            PlanError::At { error, .. } => error.hint(),
            PlanError::Unsupported { hint, .. } if hint.is_empty() => {
                Some("Write the statement without it.".to_string())
            }
            PlanError::Unsupported { hint, .. } => Some(hint.clone()),
            PlanError::UndefinedFunction { .. } => Some(
                "No function matches the given name and argument types. You might need to add explicit type casts."
                    .to_string(),
            ),
            PlanError::UndefinedOperator { .. } => Some(
                "No operator matches the given name and argument types. You might need to add explicit type casts."
                    .to_string(),
            ),
            PlanError::UndefinedColumn { near, .. } => near
                .as_ref()
                .map(|near| format!("Perhaps you meant to reference the column \"{near}\".")),
            PlanError::CrossDatabase { .. } => Some("A server has one database: name schema and relation.".to_string()),
            PlanError::SetNotAllowed { .. } => Some("Call it in the SELECT list, or in FROM.".to_string()),
            PlanError::CannotAssign { .. } => Some("You will need to rewrite or cast the expression.".to_string()),
            PlanError::HiddenFrom { name, alias: None } => Some(format!(
                "There is an entry for table \"{name}\", but it cannot be referenced from this part of the query."
            )),
            PlanError::HiddenFrom { alias: Some(alias), .. } => {
                Some(format!("Perhaps you meant to reference the table alias \"{alias}\"."))
            }
            PlanError::WrongObject { hint, .. }
            | PlanError::InvalidDefinition { hint, .. }
            | PlanError::InvalidParameter { hint, .. } => hint.clone(),
            PlanError::Value(error) => error.hint.clone(),
            PlanError::UndefinedTable { .. }
            | PlanError::MissingFrom { .. }
            | PlanError::UndefinedColumnOf { .. }
            | PlanError::UndefinedKeyColumn { .. }
            | PlanError::AmbiguousColumn { .. }
            | PlanError::DuplicateAlias { .. }
            | PlanError::DuplicateColumn { .. }
            | PlanError::UndefinedType { .. }
            | PlanError::UndefinedObject { .. }
            | PlanError::UndefinedSchema { .. }
            | PlanError::UndefinedParameter { .. }
            | PlanError::IndeterminateParameter { .. }
            | PlanError::Ungrouped { .. }
            | PlanError::UngroupedOuter { .. }
            | PlanError::AggregateNotAllowed { .. }
            | PlanError::NestedAggregate
            | PlanError::WindowNotAllowed { .. }
            | PlanError::WrongType { .. }
            | PlanError::NoCommonType { .. }
            | PlanError::CannotCast { .. }
            | PlanError::Syntax { .. }
            | PlanError::InvalidReference { .. }
            | PlanError::Internal { .. } => None,
        }
    }

    /// The error as a client gets it. `text` is the whole query string, which lines and columns are counted in.
    pub fn to_sql_error(&self, text: &str) -> SqlError {
        let mut error = SqlError::from(self.clone());
        if let PlanError::At { location, mark, .. } = self {
            error.position = Some(position_of(text, *location, *mark));
        }
        error
    }
}

fn quoted_column(qualifier: Option<&str>, name: &str) -> String {
    match qualifier {
        None => format!("\"{name}\""),
        Some(qualifier) => format!("{qualifier}.{name}"),
    }
}

impl From<PlanError> for SqlError {
    fn from(error: PlanError) -> SqlError {
        if let PlanError::Value(error) = error {
            return *error;
        }
        if let PlanError::At { error: inner, .. } = error {
            return SqlError::from(*inner);
        }
        SqlError {
            state: error.state(),
            message: error.to_string(),
            detail: None,
            hint: error.hint(),
            position: None,
            context: None,
        }
    }
}

impl From<SqlError> for PlanError {
    fn from(error: SqlError) -> PlanError {
        PlanError::Value(Box::new(error))
    }
}
