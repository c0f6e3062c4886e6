//! [`SystemView`]: the state of the world from which the system relations and the session's functions answer. It is
//! taken when a statement starts; two reads of `pg_class` in one statement see the same.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwap;
use highwater_planner::catalog::Catalog;
use highwater_types::RelationId;

/// What a statement sees of the system. Making one is cheap: the session's part is shared by its statements, and
/// what goes on in the server is asked for only if something reads it.
pub struct SystemView {
    /// What exists.
    pub catalog: Arc<Catalog>,
    /// What is true of the session; its fields are read as the view's own.
    pub session: Arc<SessionFacts>,
    /// The time of the statement, in microseconds since 1970.
    pub now_us: i64,
    live: LazyLock<Live, Box<dyn FnOnce() -> Live + Send>>,
}

/// What is true of a session until its settings change.
#[derive(Debug, Clone)]
pub struct SessionFacts {
    /// What `current_user` answers.
    pub user: String,
    /// What `session_user` answers.
    pub session_user: String,
    /// Everyone who may connect. The first is the owner of everything.
    pub roles: Vec<Role>,
    /// What `current_database()` answers.
    pub database: String,
    /// The schemas that unqualified names are looked up in, without those that are implied.
    pub search_path: Vec<String>,
    /// The session's settings.
    pub settings: Vec<Setting>,
    /// The session's process id, as clients see it.
    pub pid: i32,
    /// The channels it listens on.
    pub channels: Vec<String>,
    /// When the server started, in microseconds since 1970.
    pub started_us: i64,
}

/// The view of the statement that a session runs: where the session's functions look. A plan may be kept and run
/// again; its functions then answer from the statement that runs it.
#[derive(Debug)]
pub(crate) struct CurrentView(ArcSwap<SystemView>);

impl CurrentView {
    /// A place for the views of one session, with its first.
    pub(crate) fn new(view: Arc<SystemView>) -> CurrentView {
        CurrentView(ArcSwap::new(view))
    }

    /// Another statement has begun.
    pub(crate) fn set(&self, view: Arc<SystemView>) {
        self.0.store(view);
    }

    /// The running statement's view.
    pub(crate) fn get(&self) -> Arc<SystemView> {
        self.0.load_full()
    }
}

impl Deref for SystemView {
    type Target = SessionFacts;

    fn deref(&self) -> &SessionFacts {
        &self.session
    }
}

impl std::fmt::Debug for SystemView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SystemView")
            .field("catalog_version", &self.catalog.version())
            .field("user", &self.session.user)
            .finish_non_exhaustive()
    }
}

/// Someone who may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its OID: 10 for the owner, as PostgreSQL's bootstrap superuser has.
    pub oid: u32,
    /// Its name.
    pub name: String,
    /// Whether it may do everything.
    pub superuser: bool,
}

/// One setting, as `pg_settings` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value, in its unit.
    pub value: String,
    /// Its value as SHOW and `current_setting` write it.
    pub shown: String,
    /// Its unit.
    pub unit: Option<String>,
    /// What it is for.
    pub description: String,
    /// `internal` or `user`.
    pub context: String,
    /// `bool`, `integer`, `real`, `string` or `enum`.
    pub vartype: String,
    /// The words of an enum.
    pub enum_values: Option<Vec<String>>,
    /// The value at start.
    pub boot_value: String,
    /// The value RESET gives it.
    pub reset_value: String,
    /// `default` or `session`.
    pub source: String,
}

/// What is going on in the server, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// Per source, and per table with a connector or a watermark.
    pub sources: BTreeMap<RelationId, SourceInfo>,
    /// Per materialized view.
    pub views: BTreeMap<RelationId, ViewInfo>,
    /// Rows and bytes of stored relations.
    pub sizes: BTreeMap<RelationId, Size>,
    /// State of operators.
    pub state: Vec<StateInfo>,
    /// The newest late rows, newest first.
    pub late_rows: Vec<LateRowInfo>,
    /// The newest dead letters, newest first.
    pub dead_letters: Vec<DeadLetterInfo>,
    /// Epochs.
    pub epochs: EpochInfo,
    /// Who is connected.
    pub sessions: Vec<SessionInfo>,
}

/// A source's progress.
#[derive(Debug, Clone, Default)]
pub struct SourceInfo {
    /// `unread` by any view, `running`, `retrying`, `failed` or `done`.
    pub state: String,
    /// Rows applied.
    pub row_count: u64,
    /// Rows that came after their watermark.
    pub late_row_count: u64,
    /// Records that could not be read.
    pub dead_letter_count: u64,
    /// The watermark in force, in microseconds since 1970.
    pub watermark_us: Option<i64>,
    /// Its partitions.
    pub partitions: Vec<PartitionInfo>,
    /// Why it failed.
    pub error: Option<String>,
}

/// A partition's progress, in offsets.
#[derive(Debug, Clone, Default)]
pub struct PartitionInfo {
    /// Its name.
    pub partition: String,
    /// Up to where it will not be read again after a restart.
    pub committed: Option<u64>,
    /// Up to where rows are applied.
    pub position: Option<u64>,
    /// Where the partition ends, as far as is known.
    pub end: Option<u64>,
    /// How old the newest applied row is, in milliseconds.
    pub lag_ms: Option<i64>,
}

/// A view's progress.
#[derive(Debug, Clone, Default)]
pub struct ViewInfo {
    /// `catching up`, `live` or `failed`.
    pub state: String,
    /// Why it failed.
    pub error: Option<String>,
}

/// How large a relation is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Size {
    /// Its rows.
    pub row_count: u64,
    /// Its bytes in memory.
    pub bytes: u64,
}

/// How large an operator's state is.
#[derive(Debug, Clone)]
pub struct StateInfo {
    /// The view whose dataflow it is in.
    pub view: RelationId,
    /// Which operator.
    pub operator: String,
    /// Rows it keeps.
    pub row_count: u64,
    /// Bytes they take.
    pub bytes: u64,
}

/// A row that came after its watermark.
#[derive(Debug, Clone)]
pub struct LateRowInfo {
    /// Its source.
    pub source: RelationId,
    /// The row, as a JSON object.
    pub row: String,
    /// Its event time, in microseconds since 1970.
    pub time_us: Option<i64>,
    /// The watermark then in force.
    pub watermark_us: Option<i64>,
}

/// A record that could not be read.
#[derive(Debug, Clone)]
pub struct DeadLetterInfo {
    /// Its source.
    pub source: RelationId,
    /// Where it was.
    pub partition: String,
    /// Where in the partition.
    pub offset: u64,
    /// What is wrong with it.
    pub error: String,
    /// Its bytes, as text.
    pub payload: String,
}

/// Epochs.
#[derive(Debug, Clone, Copy, Default)]
pub struct EpochInfo {
    /// The newest closed one.
    pub closed: u64,
    /// The newest cut one.
    pub cut: u64,
    /// How many were closed since the start.
    pub closed_count: u64,
}

/// Who is connected.
#[derive(Debug, Clone, Default)]
pub struct SessionInfo {
    /// Its process id.
    pub pid: i32,
    /// Its user.
    pub user: String,
    /// Its database.
    pub database: String,
    /// What it calls itself.
    pub application_name: String,
    /// Where it comes from, when over the network.
    pub client_addr: Option<String>,
    /// Its port there.
    pub client_port: Option<i32>,
    /// When it connected, in microseconds since 1970.
    pub started_us: i64,
    /// When its transaction began.
    pub transaction_us: Option<i64>,
    /// When its statement began.
    pub query_us: Option<i64>,
    /// `active`, `idle`, `idle in transaction`, `idle in transaction (aborted)`.
    pub state: String,
    /// Its statement, or its last one.
    pub query: String,
}

impl SessionFacts {
    /// A session of this user, who owns everything, with no settings.
    pub fn new(user: &str, database: &str) -> SessionFacts {
        SessionFacts {
            user: user.to_string(),
            session_user: user.to_string(),
            roles: vec![Role {
                oid: OWNER,
                name: user.to_string(),
                superuser: true,
            }],
            database: database.to_string(),
            search_path: vec!["public".to_string()],
            settings: Vec::new(),
            pid: 0,
            channels: Vec::new(),
            started_us: 0,
        }
    }

    /// A setting by its name in any case.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|s| s.name.eq_ignore_ascii_case(name))
    }

    /// The role that owns everything.
    pub(crate) fn owner(&self) -> &str {
        self.roles
            .iter()
            .find(|r| r.oid == OWNER)
            .map_or("highwater", |r| r.name.as_str())
    }

    /// Whether `information_schema` lists materialized views. Most tools that read it look nowhere else; Metabase
    /// also asks `pg_class` and would show every column twice.
    pub(crate) fn lists_views(&self) -> bool {
        let shown = |name: &str| self.setting(name).map_or("", |s| s.shown.as_str());
        !shown("application_name").starts_with("Metabase") && shown("compat_information_schema_matviews") != "off"
    }
}

impl SystemView {
    /// What a statement sees; `live` is asked at most once, when something reads it.
    pub fn new(
        catalog: Arc<Catalog>,
        session: Arc<SessionFacts>,
        now_us: i64,
        live: impl FnOnce() -> Live + Send + 'static,
    ) -> SystemView {
        SystemView {
            catalog,
            session,
            now_us,
            live: LazyLock::new(Box::new(live)),
        }
    }

    /// What is going on in the server.
    pub fn live(&self) -> &Live {
        &self.live
    }
}

/// The OID of the role that owns everything.
pub(crate) const OWNER: u32 = 10;
