//! Functions whose answer depends on the catalog or the session: `format_type`, `pg_get_indexdef`, `current_setting`.
//!
//! A function is declared by its name, how many arguments it takes, its type, and what it answers for one row;
//! arguments and answers are PostgreSQL's text form of values, as in [`super::rows`]. It keeps the [`SystemView`]
//! that it was made with: a plan that holds one answers as of the moment it was planned.

mod definition;
mod lookup;
mod privilege;
mod session;
mod size;
mod table;

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use highwater_planner::SessionFunctions;
use highwater_planner::functions::scalar_at;
use highwater_types::text::{TextSettings, TextWriter, parse_column};
use highwater_types::{SqlError, SqlType};

use super::rows::Cell;
use super::view::{CurrentView, SystemView};

/// A function of one row.
struct Function {
    name: &'static str,
    /// How many arguments at least, and at most.
    arity: (usize, usize),
    returns: Returns,
    /// Whether a NULL argument makes the answer NULL without a call.
    strict: bool,
    /// Whether the answer may differ between two runs of one plan.
    changing: bool,
    answer: fn(&SystemView, &Args<'_>) -> Result<Cell, SqlError>,
}

/// The types that functions answer.
#[derive(Debug, Clone, Copy)]
enum Returns {
    Bool,
    Int4,
    Int8,
    Text,
    TextArray,
    Name,
    NameArray,
    Oid,
    Regclass,
    Regtype,
    Regproc,
    Regnamespace,
    Regrole,
    Timestamptz,
    Void,
}

impl Returns {
    fn sql_type(self) -> SqlType {
        match self {
            Returns::Bool => SqlType::Bool,
            Returns::Int4 => SqlType::Int4,
            Returns::Int8 => SqlType::Int8,
            Returns::Text => SqlType::Text,
            Returns::TextArray => SqlType::Array(Box::new(SqlType::Text)),
            Returns::Name => SqlType::Name,
            Returns::NameArray => SqlType::Array(Box::new(SqlType::Name)),
            Returns::Oid => SqlType::Oid,
            Returns::Regclass => SqlType::Regclass,
            Returns::Regtype => SqlType::Regtype,
            Returns::Regproc => SqlType::Regproc,
            Returns::Regnamespace => SqlType::Regnamespace,
            Returns::Regrole => SqlType::Regrole,
            Returns::Timestamptz => SqlType::Timestamptz,
            Returns::Void => SqlType::Void,
        }
    }
}

/// A function that answers NULL when an argument is.
const fn strict(
    name: &'static str,
    arity: (usize, usize),
    returns: Returns,
    answer: fn(&SystemView, &Args<'_>) -> Result<Cell, SqlError>,
) -> Function {
    Function {
        name,
        arity,
        returns,
        strict: true,
        changing: false,
        answer,
    }
}

/// A strict function whose answer may differ between two runs of one plan.
const fn changing(
    name: &'static str,
    arity: (usize, usize),
    returns: Returns,
    answer: fn(&SystemView, &Args<'_>) -> Result<Cell, SqlError>,
) -> Function {
    Function {
        name,
        arity,
        returns,
        strict: true,
        changing: true,
        answer,
    }
}

/// A function that is also called with NULLs.
const fn lenient(
    name: &'static str,
    arity: (usize, usize),
    returns: Returns,
    answer: fn(&SystemView, &Args<'_>) -> Result<Cell, SqlError>,
) -> Function {
    Function {
        name,
        arity,
        returns,
        strict: false,
        changing: false,
        answer,
    }
}

/// The arguments of one call.
struct Args<'a> {
    values: &'a [Option<String>],
}

impl Args<'_> {
    fn len(&self) -> usize {
        self.values.len()
    }

    /// An argument's text; empty for NULL and for one that was not given.
    fn text(&self, index: usize) -> &str {
        self.values.get(index).and_then(Option::as_deref).unwrap_or("")
    }

    /// An argument as an OID, when it is a number.
    fn oid(&self, index: usize) -> Option<u32> {
        self.text(index).parse().ok()
    }

    fn number(&self, index: usize) -> Option<i64> {
        self.text(index).parse().ok()
    }

    fn is_true(&self, index: usize) -> bool {
        matches!(self.text(index), "t" | "true" | "on" | "1")
    }

    /// An argument that is a relation: its OID, or its name.
    fn relation(&self, view: &SystemView, index: usize) -> Option<super::name::Named> {
        match self.oid(index) {
            Some(oid) => super::name::by_oid(view, oid),
            None => super::name::relation(view, self.text(index)),
        }
    }
}

/// All functions.
fn functions() -> impl Iterator<Item = &'static Function> {
    definition::FUNCTIONS
        .iter()
        .chain(lookup::FUNCTIONS)
        .chain(privilege::FUNCTIONS)
        .chain(session::FUNCTIONS)
        .chain(size::FUNCTIONS)
}

/// The functions of a session, answering from the view of the statement that it runs.
pub(crate) fn session_functions(view: &Arc<CurrentView>) -> SessionFunctions {
    let scalar: HashMap<_, _> = functions()
        .map(|function| {
            let implementation = Implementation {
                function,
                view: Arc::clone(view),
                signature: signature(function),
            };
            (
                function.name.to_string(),
                Arc::new(ScalarUDF::new_from_impl(implementation)),
            )
        })
        .collect();
    SessionFunctions {
        scalar,
        table: table::functions(view),
    }
}

fn signature(function: &Function) -> Signature {
    let any = |n: usize| {
        if n == 0 {
            TypeSignature::Nullary
        } else {
            TypeSignature::Any(n)
        }
    };
    let (least, most) = function.arity;
    let volatility = if function.changing {
        Volatility::Volatile
    } else {
        Volatility::Stable
    };
    Signature::one_of((least..=most).map(any).collect(), volatility)
}

/// A function as DataFusion calls it.
struct Implementation {
    function: &'static Function,
    view: Arc<CurrentView>,
    signature: Signature,
}

impl std::fmt::Debug for Implementation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.function.name)
    }
}

impl PartialEq for Implementation {
    fn eq(&self, other: &Implementation) -> bool {
        self.function.name == other.function.name && Arc::ptr_eq(&self.view, &other.view)
    }
}

impl Eq for Implementation {}

impl Hash for Implementation {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name.hash(state);
    }
}

impl ScalarUDFImpl for Implementation {
    fn name(&self) -> &str {
        self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.function.returns.sql_type().to_arrow())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let (least, most) = self.function.arity;
        if !(least..=most).contains(&args.arg_fields.len()) {
            return plan_err!("{} takes {least} to {most} arguments", self.function.name);
        }
        Ok(self.function.returns.sql_type().to_field(self.function.name))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let texts = texts(&args, rows)?;
        let view = self.view.get();
        let mut answers: Vec<Cell> = Vec::with_capacity(rows);
        for row in texts {
            let missing = self.function.strict && row.iter().any(Option::is_none);
            let answer = match missing {
                true => None,
                false => (self.function.answer)(&view, &Args { values: &row }).map_err(external)?,
            };
            answers.push(answer);
        }
        let mut cells = answers.iter().map(Option::as_deref);
        let sql_type = self.function.returns.sql_type();
        let array = parse_column(&sql_type, &mut cells, &TextSettings::default()).map_err(external)?;
        if constant {
            return Ok(ColumnarValue::Scalar(scalar_at(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

/// The arguments of every row, as texts.
fn texts(args: &ScalarFunctionArgs, rows: usize) -> Result<Vec<Vec<Option<String>>>> {
    let settings = TextSettings::default();
    let mut texts = vec![Vec::with_capacity(args.args.len()); rows];
    for (value, field) in args.args.iter().zip(&args.arg_fields) {
        let array = value.to_array(rows)?;
        if *array.data_type() == DataType::Null {
            texts.iter_mut().for_each(|row| row.push(None));
            continue;
        }
        let writer = TextWriter::try_new(field, array.as_ref(), &settings).map_err(external)?;
        for (i, row) in texts.iter_mut().enumerate() {
            let text = array.is_valid(i).then(|| {
                let mut bytes = Vec::new();
                writer.write(i, &mut bytes);
                String::from_utf8_lossy(&bytes).into_owned()
            });
            row.push(text);
        }
    }
    Ok(texts)
}

fn external(error: SqlError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

#[cfg(test)]
mod tests;
