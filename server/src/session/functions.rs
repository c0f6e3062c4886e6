//! Functions that know their session: its settings (`current_setting`, `set_config`), and its fellows
//! (`pg_backend_pid`, `pg_cancel_backend`, `pg_terminate_backend`, `pg_notify`); and `pg_sleep`, which waits.
//!
//! A query runs while the session does other things, so these functions do not hold the session: they read a copy of
//! its settings, and note what `set_config` sets for the session to take over ([`LiveSettings`]).

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::NullArray;
use arrow::datatypes::{DataType, FieldRef};
use async_trait::async_trait;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::scalar::ScalarValue;
use highwater_planner::SessionFunctions;
use highwater_types::{SqlError, SqlState, SqlType};

use super::settings::{Scope, Settings};
use super::{Peers, Session};
use crate::pg::Notification;

/// The longest that `pg_sleep` waits: a year, beyond which clocks overflow.
const MAX_SLEEP_SECONDS: f64 = 31_536_000.0;

/// What `set_config` has set.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SettingChange {
    pub(super) name: String,
    /// `None` for the default.
    pub(super) value: Option<String>,
    pub(super) scope: Scope,
}

/// The settings as running queries see and set them.
pub(super) struct LiveSettings {
    state: Mutex<Live>,
}

struct Live {
    settings: Settings,
    changes: Vec<SettingChange>,
}

impl LiveSettings {
    pub(super) fn new(settings: &Settings) -> Arc<LiveSettings> {
        let settings = settings.clone();
        let changes = Vec::new();
        Arc::new(LiveSettings {
            state: Mutex::new(Live { settings, changes }),
        })
    }

    /// What has been set since the last call.
    pub(super) fn take_changes(&self) -> Vec<SettingChange> {
        std::mem::take(&mut self.lock().changes)
    }

    /// Shows queries the session's settings, if they have changed.
    pub(super) fn publish(&self, settings: &Settings) {
        let mut live = self.lock();
        if live.settings.version() != settings.version() {
            live.settings = settings.clone();
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        self.lock().settings.get(name)
    }

    fn set(&self, change: SettingChange) -> std::result::Result<Option<String>, SqlError> {
        let mut live = self.lock();
        change.apply(&mut live.settings)?;
        let value = live.settings.get(&change.name);
        live.changes.push(change);
        Ok(value)
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        // A panic leaves at worst a copy that the next statement replaces.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SettingChange {
    /// Sets it.
    pub(super) fn apply(&self, settings: &mut Settings) -> std::result::Result<(), SqlError> {
        match &self.value {
            Some(value) => settings.set_text(&self.name, value, self.scope),
            None => settings.set(&self.name, &[], self.scope),
        }
    }
}

impl Session {
    /// Takes over what queries have set, and shows queries the settings as they are now.
    pub(super) fn settle_settings(&mut self) {
        for change in self.live.take_changes() {
            if let Err(error) = change.apply(&mut self.settings) {
                // It was checked when the query set it.
                tracing::error!(%error, "a setting could not be taken over");
            }
        }
        self.live.publish(&self.settings);
    }
}

/// The functions of a session with this number.
pub(super) fn session_functions(live: &Arc<LiveSettings>, pid: i32, peers: &Peers) -> Arc<SessionFunctions> {
    let text = DataType::Utf8;
    let mut all = vec![current_setting(live), set_config(live)];
    all.push(function("pg_backend_pid", vec![vec![]], SqlType::Int4, move |_| {
        Ok(ScalarValue::Int32(Some(pid)))
    }));
    let backends = Arc::clone(&peers.backends);
    all.push(function(
        "pg_cancel_backend",
        vec![vec![DataType::Int32]],
        SqlType::Bool,
        move |args| Ok(ScalarValue::Boolean(int(args, 0).map(|pid| backends.cancel(pid)))),
    ));
    let backends = Arc::clone(&peers.backends);
    all.push(function(
        "pg_terminate_backend",
        vec![vec![DataType::Int32], vec![DataType::Int32, DataType::Int64]],
        SqlType::Bool,
        move |args| Ok(ScalarValue::Boolean(int(args, 0).map(|pid| backends.terminate(pid)))),
    ));
    let notifier = Arc::clone(&peers.notifier);
    all.push(function(
        "pg_notify",
        vec![vec![text.clone(), text]],
        SqlType::Void,
        move |args| {
            let channel = string(args, 0)
                .filter(|channel| !channel.is_empty())
                .ok_or_else(|| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "channel name cannot be empty"))?;
            let payload = string(args, 1).unwrap_or_default();
            notifier.notify(&Notification { pid, channel, payload });
            Ok(ScalarValue::Null)
        },
    ));
    all.push(Arc::new(
        AsyncScalarUDF::new(Arc::new(PgSleep::new())).into_scalar_udf(),
    ));
    let scalar: HashMap<_, _> = all.into_iter().map(|f| (f.name().to_string(), f)).collect();
    Arc::new(SessionFunctions {
        scalar,
        table: HashMap::new(),
    })
}

fn current_setting(live: &Arc<LiveSettings>) -> Arc<ScalarUDF> {
    let live = Arc::clone(live);
    let signatures = vec![vec![DataType::Utf8], vec![DataType::Utf8, DataType::Boolean]];
    function("current_setting", signatures, SqlType::Text, move |args| {
        let Some(name) = string(args, 0) else {
            return Ok(ScalarValue::Utf8(None));
        };
        let value = live.get(&name);
        if value.is_none() && !truth(args, 1) {
            return Err(SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("unrecognized configuration parameter \"{name}\""),
            ));
        }
        Ok(ScalarValue::Utf8(value))
    })
}

fn set_config(live: &Arc<LiveSettings>) -> Arc<ScalarUDF> {
    let live = Arc::clone(live);
    let signatures = vec![vec![DataType::Utf8, DataType::Utf8, DataType::Boolean]];
    function("set_config", signatures, SqlType::Text, move |args| {
        let Some(name) = string(args, 0) else {
            return Err(SqlError::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "SET requires parameter name",
            ));
        };
        let scope = if truth(args, 2) { Scope::Local } else { Scope::Session };
        let value = string(args, 1);
        live.set(SettingChange { name, value, scope }).map(ScalarValue::Utf8)
    })
}

/// What computes one row's value.
type Body = dyn Fn(&[ScalarValue]) -> std::result::Result<ScalarValue, SqlError> + Send + Sync;

/// A function of the session, computed row by row: none of them is ever in a hurry.
struct SessionFunction {
    name: &'static str,
    signature: Signature,
    returns: SqlType,
    body: Arc<Body>,
}

fn function(
    name: &'static str,
    signatures: Vec<Vec<DataType>>,
    returns: SqlType,
    body: impl Fn(&[ScalarValue]) -> std::result::Result<ScalarValue, SqlError> + Send + Sync + 'static,
) -> Arc<ScalarUDF> {
    let body = Arc::new(body);
    Arc::new(ScalarUDF::new_from_impl(SessionFunction {
        name,
        signature: one_of(signatures),
        returns,
        body,
    }))
}

/// All are volatile, so that a plan that is kept computes them anew each time.
fn one_of(signatures: Vec<Vec<DataType>>) -> Signature {
    let signatures = signatures
        .into_iter()
        .map(|types| {
            if types.is_empty() {
                TypeSignature::Nullary
            } else {
                TypeSignature::Exact(types)
            }
        })
        .collect();
    Signature::one_of(signatures, Volatility::Volatile)
}

impl std::fmt::Debug for SessionFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionFunction")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl PartialEq for SessionFunction {
    fn eq(&self, other: &SessionFunction) -> bool {
        Arc::ptr_eq(&self.body, &other.body)
    }
}

impl Eq for SessionFunction {}

impl Hash for SessionFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for SessionFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.to_arrow())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(self.returns.to_field(self.name))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut values = Vec::with_capacity(args.number_rows);
        for row in 0..args.number_rows {
            let arguments = row_of(&args.args, row)?;
            let value = (self.body)(&arguments).map_err(|error| DataFusionError::External(Box::new(error)))?;
            values.push(value);
        }
        if self.returns == SqlType::Void {
            return Ok(ColumnarValue::Array(Arc::new(NullArray::new(values.len()))));
        }
        if values.is_empty() {
            let empty = arrow::array::new_empty_array(&self.returns.to_arrow());
            return Ok(ColumnarValue::Array(empty));
        }
        ScalarValue::iter_to_array(values).map(ColumnarValue::Array)
    }
}

fn row_of(args: &[ColumnarValue], row: usize) -> Result<Vec<ScalarValue>> {
    args.iter()
        .map(|arg| match arg {
            ColumnarValue::Scalar(value) => Ok(value.clone()),
            ColumnarValue::Array(array) => ScalarValue::try_from_array(array, row),
        })
        .collect()
}

fn string(args: &[ScalarValue], index: usize) -> Option<String> {
    args.get(index)?.try_as_str().flatten().map(str::to_string)
}

fn int(args: &[ScalarValue], index: usize) -> Option<i32> {
    match args.get(index) {
        Some(ScalarValue::Int32(value)) => *value,
        _ => None,
    }
}

fn truth(args: &[ScalarValue], index: usize) -> bool {
    matches!(args.get(index), Some(ScalarValue::Boolean(Some(true))))
}

/// `pg_sleep(seconds)`: once a row.
#[derive(Debug, PartialEq, Eq, Hash)]
struct PgSleep {
    signature: Signature,
}

impl PgSleep {
    fn new() -> PgSleep {
        PgSleep {
            signature: one_of(vec![vec![DataType::Float64]]),
        }
    }
}

impl ScalarUDFImpl for PgSleep {
    fn name(&self) -> &str {
        "pg_sleep"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(SqlType::Void.to_arrow())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(SqlType::Void.to_field("pg_sleep"))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let error = SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "pg_sleep cannot wait here")
            .with_hint("Call it in the select list of a query.");
        Err(DataFusionError::External(Box::new(error)))
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for PgSleep {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        for row in 0..args.number_rows {
            if let [ScalarValue::Float64(Some(seconds))] = row_of(&args.args, row)?.as_slice()
                && *seconds > 0.0
            {
                tokio::time::sleep(Duration::from_secs_f64(seconds.min(MAX_SLEEP_SECONDS))).await;
            }
        }
        Ok(ColumnarValue::Array(Arc::new(NullArray::new(args.number_rows))))
    }
}
