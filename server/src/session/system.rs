//! What a session's statements see of the system: the session's own facts and settings, and what goes on in the
//! server, asked of the database when a system relation is read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::Utc;
use highwater_planner::SessionFunctions;
use highwater_types::Watermark;

use super::settings::{SettingRow, Settings};
use super::{Session, Startup};
use crate::coordinator::{DeadRow, LateRow, SourceState, SourceStatus, ViewState};
use crate::database::Database;
use crate::system::{
    CurrentView, DeadLetterInfo, EpochInfo, LateRowInfo, Live, PartitionInfo, Role, SessionFacts, Setting, Size,
    SourceInfo, SystemView, ViewInfo, session_functions,
};

/// The OID of the second role that is listed, when the session's user is not the owner.
const OTHER_ROLE: u32 = 16_383;

/// The session's part of what the system relations show, made again when its settings change.
pub(super) struct SystemPart {
    facts: Mutex<(u64, Arc<SessionFacts>)>,
    view: Arc<CurrentView>,
    functions: Arc<SessionFunctions>,
}

impl SystemPart {
    /// `live` are the session's own functions; they come before the catalog's of the same name.
    pub(super) fn new(
        database: &Arc<Database>,
        startup: &Startup,
        settings: &Settings,
        live: &SessionFunctions,
    ) -> SystemPart {
        let facts = Arc::new(session_facts(database, startup, settings));
        let view = Arc::new(CurrentView::new(Arc::new(view_of(database, Arc::clone(&facts)))));
        let mut functions = session_functions(&view);
        let own = live
            .scalar
            .iter()
            .map(|(name, function)| (name.clone(), Arc::clone(function)));
        functions.scalar.extend(own);
        SystemPart {
            facts: Mutex::new((settings.version(), facts)),
            functions: Arc::new(functions),
            view,
        }
    }
}

impl Session {
    /// What system relations show to this statement; the session's functions answer from it until the next.
    pub(super) fn system_view(&self) -> Arc<SystemView> {
        let view = Arc::new(view_of(&self.database, self.facts()));
        self.system_part.view.set(Arc::clone(&view));
        view
    }

    /// Functions that know the catalog or the session.
    pub(super) fn functions(&self) -> Arc<SessionFunctions> {
        // Some are computed while a statement is planned.
        self.system_view();
        Arc::clone(&self.system_part.functions)
    }

    /// The names of the roles there are.
    pub(super) fn roles(&self) -> Vec<String> {
        self.facts().roles.iter().map(|role| role.name.clone()).collect()
    }

    fn facts(&self) -> Arc<SessionFacts> {
        let mut kept = self.system_part.facts.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.settings.version();
        if kept.0 != version {
            *kept = (
                version,
                Arc::new(session_facts(&self.database, &self.startup, &self.settings)),
            );
        }
        Arc::clone(&kept.1)
    }
}

fn view_of(database: &Arc<Database>, facts: Arc<SessionFacts>) -> SystemView {
    let catalog = Arc::clone(&database.world().catalog);
    let database = Arc::clone(database);
    SystemView::new(catalog, facts, Utc::now().timestamp_micros(), move || live(&database))
}

fn session_facts(database: &Database, startup: &Startup, settings: &Settings) -> SessionFacts {
    let owner = Role {
        oid: 10,
        name: database.name().to_string(),
        superuser: true,
    };
    let user = (startup.user != owner.name).then(|| Role {
        oid: OTHER_ROLE,
        name: startup.user.clone(),
        superuser: true,
    });
    SessionFacts {
        user: startup.user.clone(),
        session_user: startup.user.clone(),
        roles: std::iter::once(owner).chain(user).collect(),
        database: startup.database.clone(),
        search_path: settings.search_path(),
        settings: settings.all().into_iter().map(setting).collect(),
        pid: startup.pid,
        channels: Vec::new(),
        started_us: database.system().started_us(),
    }
}

fn setting(row: SettingRow) -> Setting {
    Setting {
        name: row.name,
        value: row.setting,
        shown: row.shown,
        unit: row.unit.map(str::to_string),
        description: row.description.to_string(),
        context: row.context.to_string(),
        vartype: row.vartype.to_string(),
        enum_values: row
            .enum_values
            .map(|words| words.iter().map(ToString::to_string).collect()),
        boot_value: row.boot_value.to_string(),
        reset_value: row.reset_value,
        source: row.source.to_string(),
    }
}

fn live(database: &Database) -> Live {
    let status = database.status().snapshot();
    let closed = status.closed;
    let world = database.world();
    Live {
        sources: status
            .sources
            .iter()
            .map(|(id, source)| (*id, source_info(source)))
            .collect(),
        views: status
            .views
            .iter()
            .map(|(id, view)| (*id, view_info(&view.state)))
            .collect(),
        sizes: world
            .collections
            .iter()
            .map(|(id, rows)| {
                let size = Size {
                    row_count: rows.row_count(closed),
                    bytes: rows.size_bytes() as u64,
                };
                (*id, size)
            })
            .collect::<BTreeMap<_, _>>(),
        state: Vec::new(),
        late_rows: status.sources.values().flat_map(late_rows).collect(),
        dead_letters: status.sources.values().flat_map(dead_letters).collect(),
        epochs: EpochInfo {
            closed: status.closed.0,
            cut: status.cut.0,
            closed_count: status.closed_count,
        },
        sessions: database.system().sessions(),
    }
}

fn source_info(source: &SourceStatus) -> SourceInfo {
    let summary = &source.summary;
    let state = match summary.state {
        SourceState::Unread => "unread",
        SourceState::Running => "running",
        SourceState::Retrying => "retrying",
        SourceState::Failed => "failed",
        SourceState::Done => "done",
    };
    SourceInfo {
        state: state.to_string(),
        row_count: summary.row_count,
        late_row_count: summary.late_row_count,
        dead_letter_count: summary.dead_letter_count,
        watermark_us: micros(summary.watermark),
        partitions: source
            .partitions
            .iter()
            .map(|(partition, status)| PartitionInfo {
                partition: partition.to_string(),
                position: Some(status.position),
                end: status.end,
                ..PartitionInfo::default()
            })
            .collect(),
        error: summary.error.clone(),
    }
}

fn view_info(state: &ViewState) -> ViewInfo {
    let (state, error) = match state {
        ViewState::CatchingUp => ("catching up", None),
        ViewState::Live => ("live", None),
        ViewState::Failed(error) => ("failed", Some(error.message.clone())),
    };
    ViewInfo {
        state: state.to_string(),
        error,
    }
}

/// Newest first.
fn late_rows(source: &SourceStatus) -> impl Iterator<Item = LateRowInfo> {
    source.late_rows.iter().rev().map(|late: &LateRow| LateRowInfo {
        source: late.source,
        row: late.row.clone(),
        time_us: Some(late.time_us),
        watermark_us: micros(late.watermark),
    })
}

/// Newest first.
fn dead_letters(source: &SourceStatus) -> impl Iterator<Item = DeadLetterInfo> {
    source.dead_letters.iter().rev().map(|dead: &DeadRow| DeadLetterInfo {
        source: dead.source,
        partition: dead.partition.clone(),
        offset: dead.offset,
        error: dead.error.clone(),
        payload: dead.payload.clone(),
    })
}

fn micros(watermark: Watermark) -> Option<i64> {
    (watermark != Watermark::NONE).then_some(watermark.0)
}
