//! [`Function`]: one overload of a scalar function or operator, and [`PgFunction`], which puts the overloads of a
//! name before DataFusion as one UDF.
//!
//! PostgreSQL's rules choose the overload: arguments that fit exactly, else those that casts made without being asked
//! for bring there, preferred types first. DataFusion casts nothing: arguments arrive as they are and are brought to
//! the overload's types here, so that a literal's text is read as PostgreSQL reads it, with its errors. A function is
//! strict unless it says otherwise: a NULL argument makes the row NULL without a call.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, Result as DfResult, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use highwater_types::text::TextSettings;
use highwater_types::{SqlError, SqlState, SqlType};

pub(crate) use super::argument::Arg;
use super::argument::{bind, conform};
use super::label;
use super::scalar::scalar_at;

/// What an overload takes in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    /// Any numeric, with its own precision and scale; integers come as numerics of scale 0, those of 64 bits as they are.
    Numeric,
    Text,
    Bytea,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Jsonb,
    /// `text[]`.
    Texts,
    /// An array of any type, as it is.
    AnyArray,
    /// A value of any type, as it is.
    Any,
}

/// What an overload answers.
#[derive(Clone, Copy)]
pub(crate) enum Gives {
    /// A type of its own.
    Type(fn() -> SqlType),
    /// The type of the argument in this place.
    Argument(usize),
    /// A type made from the arguments'.
    From(fn(&TypeArgs<'_>) -> DataType),
}

/// The arguments of a call, as far as a result's type may depend on them.
pub(crate) struct TypeArgs<'a> {
    pub(crate) types: &'a [DataType],
    /// The constant ones.
    pub(crate) constants: &'a [Option<ScalarValue>],
}

/// One overload.
#[derive(Clone)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    takes: &'static [Takes],
    /// What any number of further arguments must be.
    further: Option<Takes>,
    gives: Gives,
    is_strict: bool,
    volatility: Volatility,
    run: fn(&Call) -> Result<ArrayRef, SqlError>,
}

impl Function {
    pub(crate) fn new(
        name: &'static str,
        takes: &'static [Takes],
        gives: fn() -> SqlType,
        run: fn(&Call) -> Result<ArrayRef, SqlError>,
    ) -> Function {
        Function {
            name,
            takes,
            further: None,
            gives: Gives::Type(gives),
            is_strict: true,
            volatility: Volatility::Immutable,
            run,
        }
    }

    /// With a result type that depends on the arguments.
    pub(crate) fn giving(mut self, gives: Gives) -> Function {
        self.gives = gives;
        self
    }

    /// With any number of further arguments.
    pub(crate) fn and_more(mut self, takes: Takes) -> Function {
        self.further = Some(takes);
        self
    }

    /// Called with NULLs too.
    pub(crate) fn with_nulls(mut self) -> Function {
        self.is_strict = false;
        self
    }

    /// Different at each call.
    pub(crate) fn volatile(mut self) -> Function {
        self.volatility = Volatility::Volatile;
        self
    }

    /// Depends on the session's settings.
    pub(crate) fn stable(mut self) -> Function {
        self.volatility = Volatility::Stable;
        self
    }

    fn wanted(&self, place: usize) -> Option<Takes> {
        self.takes.get(place).copied().or(self.further)
    }

    /// How well the arguments fit; `None` when they do not.
    fn score(&self, types: &[DataType]) -> Option<i32> {
        if types.len() < self.takes.len() || (types.len() > self.takes.len() && self.further.is_none()) {
            return None;
        }
        let mut score = 0;
        for (place, data_type) in types.iter().enumerate() {
            score += fit(data_type, self.wanted(place)?)?;
        }
        Some(score)
    }

    fn return_type(&self, args: &TypeArgs<'_>) -> DataType {
        match self.gives {
            Gives::Type(sql_type) => sql_type().to_arrow(),
            Gives::Argument(place) => args.types[place].clone(),
            Gives::From(make) => make(args),
        }
    }

    fn return_field(&self, args: &TypeArgs<'_>, fields: &[FieldRef]) -> FieldRef {
        match self.gives {
            Gives::Type(sql_type) => sql_type().to_field(self.name),
            Gives::Argument(place) => Arc::new(fields[place].as_ref().clone().with_name(self.name).with_nullable(true)),
            Gives::From(make) => Arc::new(Field::new(self.name, make(args), true)),
        }
    }
}

/// How well a value of a type fits a place: higher is better, `None` not at all.
fn fit(data_type: &DataType, takes: Takes) -> Option<i32> {
    const EXACT: i32 = 100;
    const PREFERRED: i32 = 20;
    const CAST: i32 = 10;
    /// A text that is perhaps a literal without type, which may be anything.
    const LITERAL: i32 = -50;
    use SqlType as S;
    let sql_type = SqlType::of_arrow(data_type);
    if matches!(data_type, DataType::Null) {
        if takes == Takes::AnyArray {
            return None;
        }
        return Some(if takes == Takes::Text { 2 } else { 1 });
    }
    let is_text = matches!(sql_type, S::Text);
    Some(match (takes, &sql_type) {
        (Takes::Any, _) => 1,
        (Takes::AnyArray, S::Array(_)) => EXACT,
        (Takes::Bool, S::Bool)
        | (Takes::Int2, S::Int2)
        | (Takes::Int4, S::Int4)
        | (Takes::Int8, S::Int8)
        | (Takes::Float4, S::Float4)
        | (Takes::Float8, S::Float8)
        | (Takes::Numeric, S::Numeric(_))
        | (Takes::Text, S::Text)
        | (Takes::Bytea, S::Bytea)
        | (Takes::Date, S::Date)
        | (Takes::Time, S::Time)
        | (Takes::Timestamp, S::Timestamp)
        | (Takes::Timestamptz, S::Timestamptz)
        | (Takes::Interval, S::Interval)
        | (Takes::Jsonb, S::Jsonb) => EXACT,
        (Takes::Texts, S::Array(element)) if matches!(**element, S::Text | S::Varchar(_) | S::Name) => EXACT,
        (Takes::Float8, S::Int2 | S::Int4 | S::Int8 | S::Float4 | S::Numeric(_)) => PREFERRED,
        (Takes::Timestamptz, S::Date | S::Timestamp) => PREFERRED,
        (Takes::Interval, S::Time) => CAST,
        (Takes::Int4, S::Int2)
        | (Takes::Int8, S::Int2 | S::Int4)
        | (Takes::Float4, S::Int2 | S::Int4 | S::Int8 | S::Numeric(_))
        | (Takes::Numeric, S::Int2 | S::Int4 | S::Int8)
        | (Takes::Int8, S::Oid)
        | (Takes::Timestamp, S::Date) => CAST,
        (Takes::Texts, S::Array(_)) => CAST,
        (_, _) if is_text && takes != Takes::AnyArray => LITERAL,
        _ => return None,
    })
}

/// The overload of `overloads` that PostgreSQL would choose.
fn choose<'f>(overloads: &'f [Function], types: &[DataType]) -> Option<&'f Function> {
    let mut best: Option<(i32, &Function)> = None;
    for function in overloads {
        if let Some(score) = function.score(types)
            && best.is_none_or(|(known, _)| score > known)
        {
            best = Some((score, function));
        }
    }
    best.map(|(_, function)| function)
}

/// A call: its arguments, brought to the overload's types.
pub(crate) struct Call {
    pub(crate) args: Vec<Arg>,
    pub(crate) rows: usize,
    pub(crate) settings: TextSettings,
    pub(crate) return_type: DataType,
    is_strict: bool,
}

impl Call {
    /// The same call with another array in a place.
    pub(crate) fn with_arg(&self, place: usize, array: ArrayRef, field: FieldRef) -> Call {
        let mut args = self.args.clone();
        args[place].array = array;
        args[place].field = field;
        Call {
            args,
            rows: self.rows,
            settings: self.settings.clone(),
            return_type: self.return_type.clone(),
            is_strict: self.is_strict,
        }
    }

    /// Whether a row answers NULL without a call.
    pub(crate) fn skips(&self, row: usize) -> bool {
        self.is_strict && self.args.iter().any(|a| a.is_null(row))
    }
}

/// The text settings of a session with these options.
pub(crate) fn text_settings(options: &datafusion::config::ConfigOptions) -> TextSettings {
    let zone = options.execution.time_zone.as_deref();
    TextSettings {
        time_zone: zone
            .and_then(highwater_types::text::datetime::zone::named_zone)
            .unwrap_or(chrono_tz::Tz::UTC),
        ..TextSettings::default()
    }
}

/// All overloads of a name, as DataFusion sees them.
#[derive(Clone)]
pub(crate) struct PgFunction {
    name: &'static str,
    overloads: Vec<Function>,
    signature: Signature,
}

impl PgFunction {
    /// The UDFs of these functions, those of one name together.
    pub(crate) fn group(functions: Vec<Function>) -> Vec<Arc<ScalarUDF>> {
        let mut groups: Vec<PgFunction> = Vec::new();
        for function in functions {
            match groups.iter_mut().find(|g| g.name == function.name) {
                Some(group) => group.overloads.push(function),
                None => groups.push(PgFunction {
                    name: function.name,
                    signature: Signature::user_defined(function.volatility),
                    overloads: vec![function],
                }),
            }
        }
        for group in &mut groups {
            let volatility = |v: Volatility| group.overloads.iter().any(|f| f.volatility == v);
            let most = if volatility(Volatility::Volatile) {
                Volatility::Volatile
            } else if volatility(Volatility::Stable) {
                Volatility::Stable
            } else {
                Volatility::Immutable
            };
            group.signature = Signature::user_defined(most);
        }
        groups
            .into_iter()
            .map(|g| Arc::new(ScalarUDF::new_from_impl(g)))
            .collect()
    }

    fn find(&self, types: &[DataType]) -> DfResult<&Function> {
        choose(&self.overloads, types).ok_or_else(|| {
            let types: Vec<String> = types.iter().map(|t| SqlType::of_arrow(t).to_string()).collect();
            external(
                SqlError::new(
                    SqlState::UNDEFINED_FUNCTION,
                    format!("function {}({}) does not exist", self.name, types.join(", ")),
                )
                .with_hint(
                    "No function matches the given name and argument types. You might need to add explicit type casts.",
                ),
            )
        })
    }
}

impl std::fmt::Debug for PgFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for PgFunction {
    fn eq(&self, other: &PgFunction) -> bool {
        self.name == other.name
    }
}

impl Eq for PgFunction {}

impl Hash for PgFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for PgFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn schema_name(&self, args: &[Expr]) -> DfResult<String> {
        Ok(format!("{}({})", self.name, label::arguments(args)?))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> DfResult<Vec<DataType>> {
        self.find(arg_types)?;
        Ok(arg_types.to_vec())
    }

    fn return_type(&self, arg_types: &[DataType]) -> DfResult<DataType> {
        let constants = vec![None; arg_types.len()];
        Ok(self.find(arg_types)?.return_type(&TypeArgs {
            types: arg_types,
            constants: &constants,
        }))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DfResult<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|f| f.data_type().clone()).collect();
        let constants: Vec<Option<ScalarValue>> = args.scalar_arguments.iter().map(|v| v.cloned()).collect();
        let args_of_type = TypeArgs {
            types: &types,
            constants: &constants,
        };
        Ok(self.find(&types)?.return_field(&args_of_type, args.arg_fields))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        let function = self.find(&types)?;
        let all_scalar = !args.args.is_empty() && args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let is_constant = all_scalar && function.volatility != Volatility::Volatile;
        let rows = if is_constant { 1 } else { args.number_rows };
        let settings = text_settings(&args.config_options);
        let mut bound = Vec::with_capacity(args.args.len());
        for (place, (value, field)) in args.args.iter().zip(&args.arg_fields).enumerate() {
            let takes = function.wanted(place).unwrap_or(Takes::Any);
            bound.push(bind(value, field, takes, &settings).map_err(external)?);
        }
        let call = Call {
            args: bound,
            rows,
            settings,
            return_type: args.return_field.data_type().clone(),
            is_strict: function.is_strict,
        };
        let all_null = call.is_strict && call.args.iter().any(|a| a.is_scalar && a.array.is_null(0));
        let array = match all_null {
            true => new_null_array(&call.return_type, rows),
            false => (function.run)(&call).map_err(external)?,
        };
        let array = conform(array, &call.return_type);
        debug_assert_eq!(array.len(), rows, "{} answers one value a row", self.name);
        debug_assert_eq!(array.data_type(), &call.return_type, "{} answers its type", self.name);
        if is_constant {
            return Ok(ColumnarValue::Scalar(scalar_at(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

/// An error with a SQLSTATE, on its way through DataFusion.
pub(crate) fn external(error: SqlError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// What Arrow or DataFusion refused although it should not have.
pub(crate) fn internal(error: impl std::fmt::Display) -> SqlError {
    SqlError::new(SqlState::INTERNAL_ERROR, error.to_string())
}
