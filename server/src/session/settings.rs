//! [`Settings`]: a session's settings (PostgreSQL's GUCs): SET, SET LOCAL, RESET, SHOW, `set_config`, and what
//! becomes of them when a transaction ends. Which settings exist is in `settings/table.rs`.
//!
//! A value is looked up in three places: what SET LOCAL said in this transaction, what SET said in this session,
//! and what the session started with. A transaction keeps the first two as they were when it began, and as they
//! were at each savepoint, so that ROLLBACK undoes SET as it does in PostgreSQL; COMMIT forgets the local ones.

mod kind;
mod table;
mod transaction;
mod zone;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use highwater_types::text::{DateOrder, IntervalStyle, TextSettings};
use highwater_types::{SqlError, SqlState};

use self::kind::{Kind, quote_name, split_names};
use self::table::{Access, Definition, SETTINGS};

pub use self::table::SERVER_VERSION;

/// PostgreSQL's code for a setting that may not be changed.
const CANT_CHANGE_RUNTIME_PARAM: SqlState = SqlState("55P02");

/// Values by name; names of settings we know in PostgreSQL's case, custom ones as written.
type Values = BTreeMap<String, String>;

/// How long a SET lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Until the session ends or another SET.
    Session,
    /// Until the transaction ends.
    Local,
}

/// One row of `SHOW ALL` and `pg_settings`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingRow {
    /// Its name.
    pub name: String,
    /// Its value, in the setting's own unit.
    pub setting: String,
    /// Its value as SHOW writes it.
    pub shown: String,
    /// The unit of `setting`.
    pub unit: Option<&'static str>,
    /// What it is for.
    pub description: &'static str,
    /// `internal` or `user`.
    pub context: &'static str,
    /// `bool`, `integer`, `real`, `string` or `enum`.
    pub vartype: &'static str,
    /// The words of an `enum`.
    pub enum_values: Option<&'static [&'static str]>,
    /// The value it had when the server started.
    pub boot_value: &'static str,
    /// The value RESET gives it.
    pub reset_value: String,
    /// Whether it was changed: `session` or `default`.
    pub source: &'static str,
}

/// What SET and SET LOCAL have said.
#[derive(Debug, Clone, Default)]
struct Changes {
    session: Arc<Values>,
    local: Arc<Values>,
}

/// The state to go back to, and the savepoint's name where it is one.
#[derive(Debug, Clone)]
struct Mark {
    savepoint: Option<String>,
    changes: Changes,
}

/// The settings of one session.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What RESET goes back to, where it is not the table's value: from the startup packet and the server.
    initial: Arc<Values>,
    changes: Changes,
    /// The transaction's start, then its savepoints.
    marks: Vec<Mark>,
    /// The values that clients were last told.
    reported: Arc<BTreeMap<&'static str, String>>,
    /// Whether a reported value may have changed since.
    stale_reports: bool,
    /// How often anything has changed.
    version: u64,
    text: TextSettings,
}

impl Settings {
    /// The settings of a new session of this user; `startup` is what its client's startup packet asked for.
    ///
    /// # Errors
    /// When the client asked for a setting that does not exist (42704), a value it does not take (22023), or to
    /// change what cannot be changed.
    pub fn try_new(user: &str, startup: &[(String, String)]) -> Result<Settings, SqlError> {
        let mut initial = Values::from([("session_authorization".to_string(), user.to_string())]);
        for (name, value) in startup {
            let (name, value) = checked(name, value)?;
            initial.insert(name, value);
        }
        let mut settings = Settings {
            initial: Arc::new(initial),
            changes: Changes::default(),
            marks: Vec::new(),
            reported: Arc::default(),
            stale_reports: true,
            version: 0,
            text: TextSettings::default(),
        };
        settings.refresh();
        Ok(settings)
    }

    /// Says what is true of the server (`port`, `ssl`, `data_directory`), which the table cannot know.
    pub fn describe_server(&mut self, name: &'static str, value: impl Into<String>) {
        Arc::make_mut(&mut self.initial).insert(name.to_string(), value.into());
        self.refresh();
    }

    /// SET: `values` as they were written, without their quotes; none for DEFAULT.
    ///
    /// # Errors
    /// When there is no such setting, it does not take the value, or it cannot be changed.
    pub fn set(&mut self, name: &str, values: &[String], scope: Scope) -> Result<(), SqlError> {
        match name {
            "transaction" => return self.set_transaction(values),
            "session characteristics" => return self.set_characteristics(values),
            "names" => return self.set("client_encoding", values, scope),
            "time zone" => return self.set("timezone", values, scope),
            _ => {}
        }
        match values {
            [] => self.set_default(name, scope),
            [one] if !is_name_list(name) => self.set_text(name, one, scope),
            many if is_name_list(name) => {
                let quoted: Vec<String> = many.iter().map(|v| quote_name(v)).collect();
                self.set_text(name, &quoted.join(", "), scope)
            }
            many if name.eq_ignore_ascii_case("datestyle") => self.set_text(name, &many.join(", "), scope),
            _ => Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("SET {name} takes only one argument"),
            )),
        }
    }

    /// `set_config`, and SET with a value that is one text.
    ///
    /// # Errors
    /// As [`Settings::set`].
    pub fn set_text(&mut self, name: &str, value: &str, scope: Scope) -> Result<(), SqlError> {
        let (name, value) = checked(name, value)?;
        self.store(name, value, scope);
        Ok(())
    }

    /// RESET of one setting.
    ///
    /// # Errors
    /// As [`Settings::set`].
    pub fn reset(&mut self, name: &str) -> Result<(), SqlError> {
        self.set_default(name, Scope::Session)
    }

    /// RESET ALL.
    pub fn reset_all(&mut self) {
        self.changes = Changes::default();
        self.refresh();
    }

    /// The value as SHOW writes it, and the name of SHOW's column.
    ///
    /// # Errors
    /// 42704 when there is no such setting.
    pub fn show(&self, name: &str) -> Result<(String, String), SqlError> {
        let name = match name {
            "time zone" => "TimeZone",
            "transaction isolation level" => "transaction_isolation",
            "session authorization" => "session_authorization",
            other => other,
        };
        let value = self.get(name).ok_or_else(|| unknown(name))?;
        Ok((
            definition(name).map_or_else(|| name.to_string(), |d| d.name.to_string()),
            value,
        ))
    }

    /// The value as `current_setting` answers it: what SHOW writes. `None` when there is no such setting.
    pub fn get(&self, name: &str) -> Option<String> {
        match definition(name) {
            Some(definition) => Some(definition.kind.shown(self.raw(definition))),
            None => self.custom(name).map(str::to_string),
        }
    }

    /// Every setting, by name, as `SHOW ALL` and `pg_settings` list them.
    pub fn all(&self) -> Vec<SettingRow> {
        let mut rows: Vec<SettingRow> = SETTINGS.iter().map(|d| self.row(d)).collect();
        rows.sort_by_key(|row| row.name.to_ascii_lowercase());
        rows
    }

    /// The schemas that unqualified names are looked for in; `"$user"` is left out, and `pg_catalog` is left to
    /// the binder, which looks there first.
    pub fn search_path(&self) -> Vec<String> {
        let names = split_names(self.value("search_path")).unwrap_or_default();
        names.into_iter().filter(|name| name != "$user").collect()
    }

    /// Another number after every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How values are written as text and read from it.
    pub fn text_settings(&self) -> &TextSettings {
        &self.text
    }

    /// How long a statement may run.
    pub fn statement_timeout(&self) -> Option<Duration> {
        self.timeout("statement_timeout")
    }

    /// How long a client may leave a transaction open without saying anything.
    pub fn idle_in_transaction_timeout(&self) -> Option<Duration> {
        self.timeout("idle_in_transaction_session_timeout")
    }

    /// How long a client may stay connected without saying anything.
    pub fn idle_session_timeout(&self) -> Option<Duration> {
        self.timeout("idle_session_timeout")
    }

    /// Whether a setting that is a boolean is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.value(name) == "on"
    }

    /// A setting's value, in its own unit; empty when there is no such setting.
    pub fn value(&self, name: &str) -> &str {
        definition(name).map_or("", |d| self.raw(d))
    }

    /// Settings that clients are told of and that have changed since they were last told.
    pub fn take_reports(&mut self) -> Vec<(&'static str, String)> {
        if !std::mem::take(&mut self.stale_reports) {
            return Vec::new();
        }
        let mut changed = Vec::new();
        for definition in SETTINGS.iter().filter(|d| d.reported) {
            let value = definition.kind.shown(self.raw(definition));
            if self.reported.get(definition.name) != Some(&value) {
                Arc::make_mut(&mut self.reported).insert(definition.name, value.clone());
                changed.push((definition.name, value));
            }
        }
        changed
    }

    fn store(&mut self, name: String, value: String, scope: Scope) {
        match scope {
            Scope::Session => {
                if self.changes.local.contains_key(&name) {
                    Arc::make_mut(&mut self.changes.local).remove(&name);
                }
                Arc::make_mut(&mut self.changes.session).insert(name, value);
            }
            // Outside a transaction there is nothing that SET LOCAL could last for.
            Scope::Local if self.marks.is_empty() => return,
            Scope::Local => {
                Arc::make_mut(&mut self.changes.local).insert(name, value);
            }
        }
        self.refresh();
    }

    fn set_default(&mut self, name: &str, scope: Scope) -> Result<(), SqlError> {
        let name = match definition(name) {
            Some(definition) => {
                changeable(definition)?;
                definition.name.to_string()
            }
            None if is_custom(name) => name.to_ascii_lowercase(),
            None => return Err(unknown(name)),
        };
        match scope {
            Scope::Local => {
                let value = self.initial_value(&name).to_string();
                self.store(name, value, scope);
            }
            Scope::Session => {
                Arc::make_mut(&mut self.changes.local).remove(&name);
                Arc::make_mut(&mut self.changes.session).remove(&name);
                self.refresh();
            }
        }
        Ok(())
    }

    fn raw(&self, definition: &Definition) -> &str {
        let name = definition.name;
        self.changes
            .local
            .get(name)
            .or_else(|| self.changes.session.get(name))
            .or_else(|| self.initial.get(name))
            .map_or(definition.default, String::as_str)
    }

    fn custom(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        self.changes
            .local
            .get(&name)
            .or_else(|| self.changes.session.get(&name))
            .or_else(|| self.initial.get(&name))
            .map(String::as_str)
    }

    fn initial_value(&self, name: &str) -> &str {
        let default = definition(name).map_or("", |d| d.default);
        self.initial.get(name).map_or(default, String::as_str)
    }

    fn timeout(&self, name: &str) -> Option<Duration> {
        // The common case, a session that set nothing, is answered without a look-up by name.
        if self.changes.session.is_empty() && self.changes.local.is_empty() && !self.initial.contains_key(name) {
            return None;
        }
        match self.value(name).parse::<u64>() {
            Ok(0) | Err(_) => None,
            Ok(milliseconds) => Some(Duration::from_millis(milliseconds)),
        }
    }

    fn row(&self, definition: &Definition) -> SettingRow {
        let raw = self.raw(definition);
        let reset = self.initial_value(definition.name);
        SettingRow {
            name: definition.name.to_string(),
            setting: raw.to_string(),
            shown: definition.kind.shown(raw),
            unit: match definition.kind {
                Kind::Integer { unit, .. } => unit.name(),
                _ => None,
            },
            description: definition.description,
            context: match definition.access {
                Access::User => "user",
                Access::Internal => "internal",
            },
            vartype: definition.kind.vartype(),
            enum_values: match definition.kind {
                Kind::Words(words) => Some(words),
                _ => None,
            },
            boot_value: definition.default,
            reset_value: reset.to_string(),
            source: if raw == reset { "default" } else { "session" },
        }
    }

    /// After any change: derives what is read on every row, and has clients told before the next statement.
    fn refresh(&mut self) {
        self.stale_reports = true;
        self.version += 1;
        self.text = TextSettings {
            time_zone: zone::parse(self.value("TimeZone")),
            interval_style: IntervalStyle::from_name(self.value("IntervalStyle")).unwrap_or_default(),
            date_order: match self.value("DateStyle").rsplit(", ").next() {
                Some("DMY") => DateOrder::Dmy,
                Some("YMD") => DateOrder::Ymd,
                _ => DateOrder::Mdy,
            },
            extra_float_digits: self.value("extra_float_digits").parse().unwrap_or(1),
            bytea_escape: self.value("bytea_output") == "escape",
            ..TextSettings::default()
        };
    }
}

/// A time limit as SET statement_timeout takes it: milliseconds, or a number with its unit.
///
/// # Errors
/// `22023` when it is none.
pub fn time_limit(name: &str, text: &str) -> Result<Duration, SqlError> {
    let milliseconds = table::MILLISECONDS.canonical(name, text)?;
    let milliseconds = milliseconds.parse().map_err(|_| kind::invalid(name, text))?;
    Ok(Duration::from_millis(milliseconds))
}

fn definition(name: &str) -> Option<&'static Definition> {
    SETTINGS.iter().find(|d| d.name.eq_ignore_ascii_case(name))
}

fn is_name_list(name: &str) -> bool {
    definition(name).is_some_and(|d| d.kind == Kind::NameList)
}

/// A setting of the user's own: two names with a point between.
fn is_custom(name: &str) -> bool {
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$')
    };
    name.contains('.') && name.split('.').all(is_name)
}

/// The name and the value as they are kept.
fn checked(name: &str, value: &str) -> Result<(String, String), SqlError> {
    match definition(name) {
        Some(definition) => {
            changeable(definition)?;
            let value = definition.kind.canonical(definition.name, value)?;
            Ok((definition.name.to_string(), value))
        }
        None if is_custom(name) => Ok((name.to_ascii_lowercase(), value.to_string())),
        None => Err(unknown(name)),
    }
}

fn changeable(definition: &Definition) -> Result<(), SqlError> {
    match definition.access {
        Access::User => Ok(()),
        Access::Internal => Err(SqlError::new(
            CANT_CHANGE_RUNTIME_PARAM,
            format!("parameter \"{}\" cannot be changed", definition.name),
        )),
    }
}

fn unknown(name: &str) -> SqlError {
    SqlError::new(
        SqlState::UNDEFINED_OBJECT,
        format!("unrecognized configuration parameter \"{name}\""),
    )
}

#[cfg(test)]
mod tests;
