//! Every setting that exists: its name as PostgreSQL spells it, its value at start, what values it takes, who may
//! change it, and whether clients are told of it. To add a setting, add a line.
//!
//! Many are PostgreSQL's tuning knobs that mean nothing here. They are listed because drivers and tools set or show
//! them when they connect; their values are kept and shown, as PostgreSQL keeps those of a feature that is off.

use super::kind::{Kind, Unit};

/// Who may change a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Anyone, at any time.
    User,
    /// Nobody: it describes the server.
    Internal,
}

/// What is fixed about a setting.
#[derive(Debug)]
pub(super) struct Definition {
    /// Its name, in the case PostgreSQL shows it.
    pub(super) name: &'static str,
    /// Its value when nothing was set.
    pub(super) default: &'static str,
    /// Which values it takes.
    pub(super) kind: Kind,
    /// Who may change it.
    pub(super) access: Access,
    /// Whether clients get a ParameterStatus with its value.
    pub(super) reported: bool,
    /// One line for `SHOW ALL` and `pg_settings`.
    pub(super) description: &'static str,
}

const fn user(name: &'static str, default: &'static str, kind: Kind, description: &'static str) -> Definition {
    Definition {
        name,
        default,
        kind,
        access: Access::User,
        reported: false,
        description,
    }
}

const fn reported(name: &'static str, default: &'static str, kind: Kind, description: &'static str) -> Definition {
    Definition {
        name,
        default,
        kind,
        access: Access::User,
        reported: true,
        description,
    }
}

const fn internal(name: &'static str, default: &'static str, reported: bool, description: &'static str) -> Definition {
    Definition {
        name,
        default,
        kind: Kind::Text,
        access: Access::Internal,
        reported,
        description,
    }
}

const fn count(min: i64, max: i64) -> Kind {
    Kind::Integer {
        min,
        max,
        unit: Unit::None,
    }
}

/// Times.
pub(super) const MILLISECONDS: Kind = Kind::Integer {
    min: 0,
    max: i32::MAX as i64,
    unit: Unit::Milliseconds,
};
const SECONDS: Kind = Kind::Integer {
    min: 0,
    max: i32::MAX as i64,
    unit: Unit::Seconds,
};
const KILOBYTES: Kind = Kind::Integer {
    min: 0,
    max: i32::MAX as i64,
    unit: Unit::Kilobytes,
};
const COST: Kind = Kind::Real {
    min: 0.0,
    max: f64::MAX,
};
const ISOLATION: Kind = Kind::Words(&["read uncommitted", "read committed", "repeatable read", "serializable"]);
const LEVELS: Kind = Kind::Words(&[
    "debug5", "debug4", "debug3", "debug2", "debug1", "log", "info", "notice", "warning", "error", "fatal", "panic",
]);

/// The version that clients see: PostgreSQL's whose behaviour is followed, then our own.
pub const SERVER_VERSION: &str = concat!("15.0 (Highwater ", env!("CARGO_PKG_VERSION"), ")");

#[rustfmt::skip]
pub(super) const SETTINGS: &[Definition] = &[
    // What clients are told at login, and whenever it changes.
    internal("server_version", SERVER_VERSION, true, "Shows the server version."),
    internal("server_encoding", "UTF8", true, "Shows the server (database) character set encoding."),
    reported("client_encoding", "UTF8", Kind::Encoding, "Sets the client's character set encoding."),
    reported("application_name", "", Kind::ShortText, "Sets the application name to be reported in statistics and logs."),
    internal("is_superuser", "on", true, "Shows whether the current user is a superuser."),
    internal("session_authorization", "", true, "Sets the session user name."),
    reported("DateStyle", "ISO, MDY", Kind::DateStyle, "Sets the display format for date and time values."),
    reported("IntervalStyle", "postgres", Kind::Words(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]), "Sets the display format for interval values."),
    reported("TimeZone", "UTC", Kind::TimeZone, "Sets the time zone for displaying and interpreting time stamps."),
    internal("integer_datetimes", "on", true, "Shows whether datetimes are integer based."),
    reported("standard_conforming_strings", "on", Kind::AlwaysOn, "Causes '...' strings to treat backslashes literally."),
    reported("default_transaction_read_only", "off", Kind::Bool, "Sets the default read-only status of new transactions."),
    internal("in_hot_standby", "off", true, "Shows whether hot standby is currently active."),

    // What changes answers or behaviour here.
    user("search_path", "\"$user\", public", Kind::NameList, "Sets the schema search order for names that are not schema-qualified."),
    user("require_bounded_state", "off", Kind::Bool, "Refuses materialized views whose state grows without bound."),
    user("extra_float_digits", "1", count(-15, 3), "Sets the number of digits displayed for floating-point values."),
    user("bytea_output", "hex", Kind::Words(&["hex", "escape"]), "Sets the output format for bytea."),
    user("client_min_messages", "notice", LEVELS, "Sets the message levels that are sent to the client."),
    user("statement_timeout", "0", MILLISECONDS, "Sets the maximum allowed duration of any statement."),
    user("idle_in_transaction_session_timeout", "0", MILLISECONDS, "Sets the maximum allowed idle time between queries, when in a transaction."),
    user("idle_session_timeout", "0", MILLISECONDS, "Sets the maximum allowed idle time between queries, when not in a transaction."),
    user("default_transaction_isolation", "read committed", ISOLATION, "Sets the transaction isolation level of each new transaction."),
    user("default_transaction_deferrable", "off", Kind::Bool, "Sets the default deferrable status of new transactions."),
    user("transaction_isolation", "read committed", ISOLATION, "Sets the current transaction's isolation level."),
    user("transaction_read_only", "off", Kind::Bool, "Sets the current transaction's read-only status."),
    user("transaction_deferrable", "off", Kind::Bool, "Whether to defer a read-only serializable transaction."),
    user("compat_information_schema_matviews", "on", Kind::Bool, "Lists materialized views in information_schema."),

    // What describes the server.
    internal("server_version_num", "150000", false, "Shows the server version as an integer."),
    internal("max_identifier_length", "63", false, "Shows the maximum identifier length."),
    internal("max_index_keys", "32", false, "Shows the maximum number of index keys."),
    internal("max_function_args", "100", false, "Shows the maximum number of function arguments."),
    internal("max_connections", "1000", false, "Sets the maximum number of concurrent connections."),
    internal("superuser_reserved_connections", "0", false, "Sets the number of connection slots reserved for superusers."),
    internal("max_prepared_transactions", "0", false, "Sets the maximum number of simultaneously prepared transactions."),
    internal("max_wal_senders", "0", false, "Sets the maximum number of simultaneously running WAL sender processes."),
    internal("max_replication_slots", "0", false, "Sets the maximum number of simultaneously defined replication slots."),
    internal("block_size", "8192", false, "Shows the size of a disk block."),
    internal("wal_block_size", "8192", false, "Shows the block size in the write ahead log."),
    internal("segment_size", "1GB", false, "Shows the number of pages per disk file."),
    internal("wal_level", "replica", false, "Sets the level of information written to the WAL."),
    internal("ssl", "off", false, "Enables SSL connections."),
    internal("ssl_library", "", false, "Shows the name of the SSL library."),
    internal("port", "7432", false, "Sets the TCP port the server listens on."),
    internal("listen_addresses", "localhost", false, "Sets the host name or IP address(es) to listen to."),
    internal("data_directory", "", false, "Sets the server's data directory."),
    internal("config_file", "", false, "Sets the server's main configuration file."),
    internal("hba_file", "", false, "Sets the server's \"hba\" configuration file."),
    internal("unix_socket_directories", "", false, "Sets the directories where Unix-domain sockets will be created."),
    internal("lc_collate", "C", false, "Shows the collation order locale."),
    internal("lc_ctype", "C", false, "Shows the character classification and case conversion locale."),
    internal("data_checksums", "on", false, "Shows whether data checksums are turned on for this cluster."),
    internal("debug_assertions", "off", false, "Shows whether the running server has assertion checks enabled."),
    internal("fsync", "on", false, "Forces synchronization of updates to disk."),
    internal("full_page_writes", "on", false, "Writes full pages to WAL when first modified after a checkpoint."),
    internal("hot_standby", "off", false, "Allows connections and queries during recovery."),
    internal("archive_mode", "off", false, "Allows archiving of WAL files using archive_command."),
    internal("autovacuum", "off", false, "Starts the autovacuum subprocess."),
    internal("shared_buffers", "128MB", false, "Sets the number of shared memory buffers used by the server."),
    internal("shared_preload_libraries", "", false, "Lists shared libraries to preload into server."),
    internal("log_timezone", "UTC", false, "Sets the time zone to use in log messages."),
    internal("log_destination", "stderr", false, "Sets the destination for server log output."),
    internal("track_activities", "on", false, "Collects information about executing commands."),
    internal("track_counts", "off", false, "Collects statistics on database activity."),

    // What clients set and PostgreSQL's planner or storage would use.
    user("lock_timeout", "0", MILLISECONDS, "Sets the maximum allowed duration of any wait for a lock."),
    user("deadlock_timeout", "1000", MILLISECONDS, "Sets the time to wait on a lock before checking for deadlock."),
    user("row_security", "on", Kind::Bool, "Enable row security."),
    user("synchronize_seqscans", "on", Kind::Bool, "Enable synchronized sequential scans."),
    user("synchronous_commit", "on", Kind::Words(&["local", "remote_write", "remote_apply", "on", "off"]), "Sets the current transaction's synchronization level."),
    user("jit", "off", Kind::Bool, "Allow JIT compilation."),
    user("escape_string_warning", "on", Kind::Bool, "Warn about backslash escapes in ordinary string literals."),
    user("backslash_quote", "safe_encoding", Kind::Words(&["safe_encoding", "on", "off"]), "Sets whether \"\\'\" is allowed in string literals."),
    user("quote_all_identifiers", "off", Kind::Bool, "When generating SQL fragments, quote all identifiers."),
    user("array_nulls", "on", Kind::Bool, "Enable input of NULL elements in arrays."),
    user("check_function_bodies", "on", Kind::Bool, "Check routine bodies during CREATE FUNCTION and CREATE PROCEDURE."),
    user("xmloption", "content", Kind::Words(&["content", "document"]), "Sets whether XML data is to be considered as documents or content fragments."),
    user("xmlbinary", "base64", Kind::Words(&["base64", "hex"]), "Sets how binary values are to be encoded in XML."),
    user("default_tablespace", "", Kind::Text, "Sets the default tablespace to create tables and indexes in."),
    user("temp_tablespaces", "", Kind::Text, "Sets the tablespace(s) to use for temporary tables and sort files."),
    user("default_table_access_method", "heap", Kind::Text, "Sets the default table access method for new tables."),
    user("default_toast_compression", "pglz", Kind::Words(&["pglz", "lz4"]), "Sets the default compression method for compressible values."),
    user("default_statistics_target", "100", count(1, 10_000), "Sets the default statistics target."),
    user("default_text_search_config", "pg_catalog.simple", Kind::Text, "Sets default text search configuration."),
    user("password_encryption", "scram-sha-256", Kind::Words(&["md5", "scram-sha-256"]), "Chooses the algorithm for encrypting passwords."),
    user("session_replication_role", "origin", Kind::Words(&["origin", "replica", "local"]), "Sets the session's behavior for triggers and rewrite rules."),
    user("timezone_abbreviations", "Default", Kind::Text, "Selects a file of time zone abbreviations."),
    user("lc_messages", "C", Kind::Text, "Sets the language in which messages are displayed."),
    user("lc_monetary", "C", Kind::Text, "Sets the locale for formatting monetary amounts."),
    user("lc_numeric", "C", Kind::Text, "Sets the locale for formatting numbers."),
    user("lc_time", "C", Kind::Text, "Sets the locale for formatting date and time values."),
    user("work_mem", "4096", KILOBYTES, "Sets the maximum memory to be used for query workspaces."),
    user("maintenance_work_mem", "65536", KILOBYTES, "Sets the maximum memory to be used for maintenance operations."),
    user("temp_buffers", "8192", KILOBYTES, "Sets the maximum number of temporary buffers used by each session."),
    user("effective_cache_size", "4194304", KILOBYTES, "Sets the planner's assumption about the total size of the data caches."),
    user("random_page_cost", "4", COST, "Sets the planner's estimate of the cost of a nonsequentially fetched disk page."),
    user("seq_page_cost", "1", COST, "Sets the planner's estimate of the cost of a sequentially fetched disk page."),
    user("cpu_tuple_cost", "0.01", COST, "Sets the planner's estimate of the cost of processing each tuple."),
    user("cursor_tuple_fraction", "0.1", Kind::Real { min: 0.0, max: 1.0 }, "Sets the planner's estimate of the fraction of a cursor's rows that will be retrieved."),
    user("from_collapse_limit", "8", count(1, i32::MAX as i64), "Sets the FROM-list size beyond which subqueries are not collapsed."),
    user("join_collapse_limit", "8", count(1, i32::MAX as i64), "Sets the FROM-list size beyond which JOIN constructs are not flattened."),
    user("geqo", "on", Kind::Bool, "Enables genetic query optimization."),
    user("constraint_exclusion", "partition", Kind::Words(&["partition", "on", "off"]), "Enables the planner to use constraints to optimize queries."),
    user("plan_cache_mode", "auto", Kind::Words(&["auto", "force_generic_plan", "force_custom_plan"]), "Controls the planner's selection of custom or generic plan."),
    user("force_parallel_mode", "off", Kind::Words(&["off", "on", "regress"]), "Forces use of parallel query facilities."),
    user("max_parallel_workers_per_gather", "2", count(0, 1024), "Sets the maximum number of parallel processes per executor node."),
    user("enable_bitmapscan", "on", Kind::Bool, "Enables the planner's use of bitmap-scan plans."),
    user("enable_hashagg", "on", Kind::Bool, "Enables the planner's use of hashed aggregation plans."),
    user("enable_hashjoin", "on", Kind::Bool, "Enables the planner's use of hash join plans."),
    user("enable_indexscan", "on", Kind::Bool, "Enables the planner's use of index-scan plans."),
    user("enable_indexonlyscan", "on", Kind::Bool, "Enables the planner's use of index-only-scan plans."),
    user("enable_material", "on", Kind::Bool, "Enables the planner's use of materialization."),
    user("enable_mergejoin", "on", Kind::Bool, "Enables the planner's use of merge join plans."),
    user("enable_nestloop", "on", Kind::Bool, "Enables the planner's use of nested-loop join plans."),
    user("enable_seqscan", "on", Kind::Bool, "Enables the planner's use of sequential-scan plans."),
    user("enable_sort", "on", Kind::Bool, "Enables the planner's use of explicit sort steps."),
    user("enable_tidscan", "on", Kind::Bool, "Enables the planner's use of TID scan plans."),
    user("vacuum_cost_delay", "0", MILLISECONDS, "Vacuum cost delay in milliseconds."),
    user("log_statement", "none", Kind::Words(&["none", "ddl", "mod", "all"]), "Sets the type of statements logged."),
    user("log_min_messages", "warning", LEVELS, "Sets the message levels that are logged."),
    user("log_min_error_statement", "error", LEVELS, "Causes all statements generating error at or above this level to be logged."),
    user("log_min_duration_statement", "-1", count(-1, i32::MAX as i64), "Sets the minimum execution time above which statements will be logged."),
    user("log_duration", "off", Kind::Bool, "Logs the duration of each completed SQL statement."),
    user("log_error_verbosity", "default", Kind::Words(&["terse", "default", "verbose"]), "Sets the verbosity of logged messages."),
    user("tcp_keepalives_idle", "0", SECONDS, "Time between issuing TCP keepalives."),
    user("tcp_keepalives_interval", "0", SECONDS, "Time between TCP keepalive retransmits."),
    user("tcp_keepalives_count", "0", count(0, i32::MAX as i64), "Maximum number of TCP keepalive retransmits."),
    user("tcp_user_timeout", "0", MILLISECONDS, "TCP user timeout."),
    user("client_connection_check_interval", "0", MILLISECONDS, "Sets the time interval between checks for disconnection while running queries."),
];
