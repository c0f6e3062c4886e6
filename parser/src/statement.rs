//! [`Statement`]: what a client can say. Where PostgreSQL's form is sqlparser's own, its syntax tree is kept as it
//! is; what is ours, or what sqlparser does not have, is spelt out here.

use std::collections::BTreeMap;

use sqlparser::ast;

/// One statement of a query string.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// What it says.
    pub statement: Statement,
    /// Its own text, without the semicolon and the white space around it.
    pub text: String,
    /// Where that text starts in the whole string, in characters from 0. Positions in a statement's errors count
    /// from the start of the whole string: line and column of a token are those of the whole string too.
    pub offset: usize,
    /// The line of the whole string on which it starts, from 1.
    pub line: u64,
    /// The character of that line at which it starts, from 1.
    pub column: u64,
}

impl Parsed {
    /// The position, in characters of the whole string from 1, of what stands at this line and column of it.
    pub fn position_of(&self, line: u64, column: u64) -> usize {
        let lines = usize::try_from(line.saturating_sub(self.line)).unwrap_or(usize::MAX);
        let column = usize::try_from(column).unwrap_or(usize::MAX);
        if lines == 0 {
            let start = usize::try_from(self.column).unwrap_or(usize::MAX);
            return self.offset + column.saturating_sub(start) + 1;
        }
        let before: usize = self
            .text
            .split_inclusive('\n')
            .take(lines)
            .map(|line| line.chars().count())
            .sum();
        self.offset + before + column
    }
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// SELECT, VALUES, TABLE, WITH.
    Query(Box<ast::Query>),
    /// INSERT.
    Insert(Box<ast::Insert>),
    /// UPDATE.
    Update(Box<ast::Update>),
    /// DELETE.
    Delete(Box<ast::Delete>),
    /// TRUNCATE.
    Truncate(Vec<ast::ObjectName>),
    /// CREATE TABLE and CREATE SOURCE.
    CreateRelation(Box<CreateRelation>),
    /// CREATE TABLE ... AS query, SELECT INTO.
    CreateTableAs {
        /// Its name.
        name: ast::ObjectName,
        /// No error when it exists.
        if_not_exists: bool,
        /// Its rows.
        query: Box<ast::Query>,
    },
    /// CREATE VIEW and CREATE MATERIALIZED VIEW.
    CreateView(Box<CreateView>),
    /// CREATE INDEX.
    CreateIndex(Box<CreateIndex>),
    /// CREATE SCHEMA.
    CreateSchema {
        /// Its name.
        name: ast::Ident,
        /// No error when it exists.
        if_not_exists: bool,
    },
    /// DROP of any kind.
    Drop(DropObjects),
    /// ALTER TABLE, of columns and constraints.
    AlterTable(Box<ast::AlterTable>),
    /// ALTER of an object's name, schema or owner.
    AlterObject(AlterObject),
    /// COMMENT ON.
    Comment {
        /// What kind of object.
        object: ObjectKind,
        /// Its name; for a column, the relation's name and then the column's.
        name: ast::ObjectName,
        /// The new comment; `None` removes it.
        comment: Option<String>,
    },
    /// EXPLAIN.
    Explain {
        /// Also run it, and measure.
        analyze: bool,
        /// `FORMAT`, `VERBOSE` and the like, keys in lower case.
        options: BTreeMap<String, String>,
        /// What to explain: a query, DML, CREATE MATERIALIZED VIEW.
        statement: Box<Statement>,
    },
    /// EXPLAIN WATERMARK: why a materialized view shows nothing yet.
    ExplainWatermark(ast::ObjectName),
    /// EXPLAIN MATERIALIZED VIEW: of one that exists.
    ExplainView(ast::ObjectName),
    /// SHOW of a setting (`all` for all).
    ShowSetting(String),
    /// SHOW TABLES and the like.
    ShowObjects {
        /// What kind.
        object: ObjectKind,
        /// FROM or IN a schema.
        schema: Option<ast::Ident>,
        /// LIKE a pattern.
        like: Option<String>,
    },
    /// SHOW CREATE.
    ShowCreate(ast::ObjectName),
    /// DESCRIBE, SHOW COLUMNS FROM.
    Describe(ast::ObjectName),
    /// SET; also SET TIME ZONE, SET NAMES, SET TRANSACTION and SET SESSION CHARACTERISTICS.
    Set {
        /// The setting's name, in lower case; `transaction` and `session characteristics` for those forms.
        name: String,
        /// Its values as text, unquoted; empty for DEFAULT.
        values: Vec<String>,
        /// Only until the transaction ends.
        local: bool,
    },
    /// RESET of one setting, or of all.
    Reset(Option<String>),
    /// DISCARD ALL (or PLANS, SEQUENCES, TEMP).
    Discard(String),
    /// BEGIN, START TRANSACTION.
    Begin {
        /// Whether it was spelt START TRANSACTION.
        start: bool,
        /// The modes, as written, upper case: `ISOLATION LEVEL SERIALIZABLE`, `READ ONLY`.
        modes: Vec<String>,
    },
    /// COMMIT, END.
    Commit,
    /// ROLLBACK, ABORT.
    Rollback,
    /// SAVEPOINT.
    Savepoint(String),
    /// RELEASE.
    Release(String),
    /// ROLLBACK TO.
    RollbackTo(String),
    /// PREPARE.
    Prepare {
        /// Its name.
        name: String,
        /// The parameters' declared types.
        types: Vec<ast::DataType>,
        /// What it runs.
        statement: Box<Parsed>,
    },
    /// EXECUTE.
    Execute {
        /// Which prepared statement.
        name: String,
        /// Its parameters.
        params: Vec<ast::Expr>,
    },
    /// DEALLOCATE one, or all.
    Deallocate(Option<String>),
    /// DECLARE ... CURSOR FOR.
    DeclareCursor {
        /// Its name.
        name: String,
        /// Whether it outlives the transaction.
        hold: bool,
        /// What it runs.
        query: Box<Parsed>,
    },
    /// FETCH and MOVE.
    Fetch {
        /// Whether rows are skipped, not sent.
        r#move: bool,
        /// How many.
        count: FetchCount,
        /// From which cursor.
        cursor: String,
        /// How long it may wait for them, as written.
        timeout: Option<String>,
    },
    /// CLOSE one cursor, or all.
    CloseCursor(Option<String>),
    /// COPY.
    Copy(Box<Copy>),
    /// LISTEN.
    Listen(String),
    /// UNLISTEN one channel, or all.
    Unlisten(Option<String>),
    /// NOTIFY.
    Notify {
        /// The channel.
        channel: String,
        /// The payload.
        payload: String,
    },
    /// SUBSCRIBE.
    Subscribe(Subscribe),
    /// LOCK TABLE.
    Lock(LockTable),
    /// VACUUM, ANALYZE, CLUSTER, REINDEX, REFRESH MATERIALIZED VIEW, GRANT, REVOKE: accepted, with nothing to do; the
    /// word is the command tag.
    Nothing(String),
}

/// SUBSCRIBE: the changes of a table or materialized view.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscribe {
    /// Of which.
    pub relation: ast::ObjectName,
    /// Whether the rows that are there come first.
    pub snapshot: bool,
    /// Whether it says how far it has come.
    pub progress: bool,
    /// From which epoch on; the newest closed one otherwise.
    pub as_of: Option<u64>,
    /// The last epoch, after which it ends.
    pub up_to: Option<u64>,
}

/// LOCK TABLE.
#[derive(Debug, Clone, PartialEq)]
pub struct LockTable {
    /// The tables.
    pub names: Vec<ast::ObjectName>,
    /// Whether the mode keeps others from changing rows.
    pub excludes_writers: bool,
    /// Whether it fails where it would have to wait.
    pub nowait: bool,
}

/// How many rows FETCH wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchCount {
    /// This many, forward.
    Forward(u64),
    /// The rest.
    All,
    /// Anything backwards or absolute, which is refused.
    Backward,
}

/// What a name stands for in DROP, COMMENT and SHOW.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of SQL")]
pub enum ObjectKind {
    Table,
    Source,
    Sink,
    View,
    MaterializedView,
    Index,
    Schema,
    Column,
    Database,
    Function,
}

/// CREATE TABLE or CREATE SOURCE.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateRelation {
    /// Whether it is a source: not stored.
    pub source: bool,
    /// TEMPORARY was written.
    pub temporary: bool,
    /// Its name.
    pub name: ast::ObjectName,
    /// No error when it exists.
    pub if_not_exists: bool,
    /// Its columns.
    pub columns: Vec<ColumnDef>,
    /// The PRIMARY KEY, from a column or a table constraint.
    pub primary_key: Option<PrimaryKey>,
    /// WATERMARK FOR.
    pub watermark: Option<WatermarkDef>,
    /// APPEND ONLY.
    pub append_only: bool,
    /// INCLUDE ... AS.
    pub includes: Vec<Include>,
    /// WITH (...): keys in lower case. Without a `connector` a table is filled by DML alone.
    pub options: BTreeMap<String, String>,
    /// The word after FORMAT, upper case, or empty.
    pub format: String,
    /// The word after ENCODE, upper case, or empty.
    pub encode: String,
    /// The options in parentheses after ENCODE.
    pub encode_options: BTreeMap<String, String>,
    /// Constraints that are not enforced (FOREIGN KEY, CHECK, UNIQUE), by their SQL text: to be refused by name.
    pub unsupported: Vec<String>,
}

/// A column of CREATE TABLE or CREATE SOURCE.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnDef {
    /// Its name.
    pub name: ast::Ident,
    /// Its type.
    pub data_type: ast::DataType,
    /// NOT NULL, or part of the primary key.
    pub not_null: bool,
    /// DEFAULT.
    pub default: Option<ast::Expr>,
    /// AS (expression), GENERATED ALWAYS AS (expression) STORED.
    pub generated: Option<ast::Expr>,
}

/// PRIMARY KEY.
#[derive(Debug, Clone, PartialEq)]
pub struct PrimaryKey {
    /// The constraint's name, when one was given.
    pub name: Option<ast::Ident>,
    /// Its columns.
    pub columns: Vec<ast::Ident>,
}

/// WATERMARK FOR column AS expression [IDLE TIMEOUT interval].
#[derive(Debug, Clone, PartialEq)]
pub struct WatermarkDef {
    /// The time column.
    pub column: ast::Ident,
    /// Its watermark.
    pub expression: ast::Expr,
    /// The interval literal after IDLE TIMEOUT.
    pub idle_timeout: Option<ast::Expr>,
}

/// INCLUDE what AS column.
#[derive(Debug, Clone, PartialEq)]
pub struct Include {
    /// KEY, PARTITION, OFFSET, TIMESTAMP or HEADER, upper case.
    pub what: String,
    /// The header's name.
    pub header: Option<String>,
    /// The column it fills.
    pub column: ast::Ident,
}

/// CREATE VIEW or CREATE MATERIALIZED VIEW.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateView {
    /// Whether its rows are kept.
    pub materialized: bool,
    /// OR REPLACE.
    pub or_replace: bool,
    /// Its name.
    pub name: ast::ObjectName,
    /// No error when it exists.
    pub if_not_exists: bool,
    /// Names for its columns.
    pub columns: Vec<ast::Ident>,
    /// Its query.
    pub query: Box<ast::Query>,
    /// The query as the user wrote it.
    pub query_text: String,
    /// EMIT ON WINDOW CLOSE (otherwise EMIT CHANGES).
    pub emit_on_window_close: bool,
    /// WITH (...): keys in lower case.
    pub options: BTreeMap<String, String>,
}

/// CREATE INDEX.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateIndex {
    /// Its name, when one was given.
    pub name: Option<ast::Ident>,
    /// UNIQUE.
    pub unique: bool,
    /// No error when it exists.
    pub if_not_exists: bool,
    /// What it indexes.
    pub on: ast::ObjectName,
    /// The indexed columns.
    pub columns: Vec<ast::Ident>,
}

/// DROP.
#[derive(Debug, Clone, PartialEq)]
pub struct DropObjects {
    /// What kind.
    pub object: ObjectKind,
    /// Which ones.
    pub names: Vec<ast::ObjectName>,
    /// A NOTICE, not an error, when one does not exist.
    pub if_exists: bool,
    /// Also what depends on them.
    pub cascade: bool,
}

/// ALTER of what an object is called, where it stands and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterObject {
    /// The kind that was written.
    pub object: ObjectKind,
    /// Which one.
    pub name: ast::ObjectName,
    /// A NOTICE, not an error, when it does not exist.
    pub if_exists: bool,
    /// What changes.
    pub action: AlterAction,
}

/// What ALTER changes of any kind of object.
#[derive(Debug, Clone, PartialEq)]
pub enum AlterAction {
    /// RENAME TO.
    RenameTo(ast::Ident),
    /// SET SCHEMA.
    SetSchema(ast::Ident),
    /// OWNER TO a role; `None` is the current one.
    OwnerTo(Option<ast::Ident>),
    /// SWAP WITH another of its kind.
    SwapWith(ast::ObjectName),
}

/// COPY.
#[derive(Debug, Clone, PartialEq)]
pub struct Copy {
    /// What is copied.
    pub what: CopyWhat,
    /// FROM STDIN, or TO STDOUT.
    pub from: bool,
    /// The options, with PostgreSQL's defaults filled in.
    pub format: CopyFormat,
}

/// What COPY copies.
#[derive(Debug, Clone, PartialEq)]
pub enum CopyWhat {
    /// A table, and which columns of it (none listed: all).
    Table(ast::ObjectName, Vec<ast::Ident>),
    /// A query's rows; only TO.
    Query(Box<ast::Query>),
    /// What changes in a relation, as it does; only TO.
    Subscribe(Subscribe),
}

/// How COPY writes rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyFormat {
    /// Tab-separated text.
    Text {
        /// Between columns.
        delimiter: char,
        /// Stands for NULL.
        null: String,
        /// Whether the first line holds column names.
        header: bool,
    },
    /// Comma-separated values.
    Csv {
        /// Between columns.
        delimiter: char,
        /// Stands for NULL.
        null: String,
        /// Whether the first line holds column names.
        header: bool,
        /// Around values.
        quote: char,
        /// Before a quote inside a value.
        escape: char,
    },
    /// PostgreSQL's binary format.
    Binary,
}
