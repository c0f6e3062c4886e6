//! From a [`SqlError`] to the fields of an ErrorResponse or NoticeResponse, and [`Stop`]: why a task stopped.

use highwater_types::{SqlError, SqlState};
use pgwire::messages::response::{ErrorResponse, NoticeResponse};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// For the client to know.
    Notice,
    /// Something that was probably not meant.
    Warning,
    /// The statement has failed.
    Error,
    /// The connection ends.
    Fatal,
}

impl Severity {
    /// The word in the S and V fields.
    pub(super) fn word(self) -> &'static str {
        match self {
            Severity::Notice => "NOTICE",
            Severity::Warning => "WARNING",
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
        }
    }

    /// The severity of a notice, which PostgreSQL gives together with its code.
    pub(super) fn of_notice(state: SqlState) -> Severity {
        let warning = state.0.starts_with("01")
            || state == SqlState::ACTIVE_SQL_TRANSACTION
            || state == SqlState::NO_ACTIVE_SQL_TRANSACTION;
        if warning { Severity::Warning } else { Severity::Notice }
    }
}

/// Why something did not run to its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The statement failed; the session goes on.
    Error(SqlError),
    /// The session ends, once the client has been told.
    Fatal(SqlError),
    /// There is no client any more.
    Gone,
}

impl From<SqlError> for Stop {
    fn from(error: SqlError) -> Stop {
        Stop::Error(error)
    }
}

impl From<std::io::Error> for Stop {
    fn from(_: std::io::Error) -> Stop {
        Stop::Gone
    }
}

/// A message that does not follow the protocol, which ends the session.
pub(super) fn broken(message: impl Into<String>) -> Stop {
    Stop::Fatal(SqlError::new(SqlState::PROTOCOL_VIOLATION, message))
}

/// The fields of an error or a notice.
fn fields(error: &SqlError, severity: Severity) -> Vec<(u8, String)> {
    let word = severity.word().to_string();
    let mut fields = vec![
        (b'S', word.clone()),
        (b'V', word),
        (b'C', error.state.0.to_string()),
        (b'M', plain(&error.message)),
    ];
    if let Some(detail) = &error.detail {
        fields.push((b'D', plain(detail)));
    }
    if let Some(hint) = &error.hint {
        fields.push((b'H', plain(hint)));
    }
    if let Some(position) = error.position {
        fields.push((b'P', position.to_string()));
    }
    if let Some(context) = &error.context {
        fields.push((b'W', plain(context)));
    }
    fields
}

/// A field ends at its first NUL, so it must not hold one.
fn plain(text: &str) -> String {
    if text.contains('\0') {
        text.replace('\0', "")
    } else {
        text.to_string()
    }
}

/// The message for an error.
pub(super) fn error_response(error: &SqlError, severity: Severity) -> ErrorResponse {
    ErrorResponse::new(fields(error, severity))
}

/// The message for a notice.
pub(super) fn notice_response(notice: &SqlError) -> NoticeResponse {
    NoticeResponse::new(fields(notice, Severity::of_notice(notice.state)))
}
