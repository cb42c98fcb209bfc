//! The differences between SQLite and Postgres. All code above this trait works with both.

use std::io;

use sqlx::{Connection, Database, Error, FromRow as _, query::Query};

use super::row::{InfoRow, RecordRow};

/// The options of a connection to a database.
pub(super) type Options<D> = <<D as Database>::Connection as Connection>::Options;

/// The statements of one kind of database, and how to run them.
pub(super) trait Dialect: Database {
    /// The statements that create the table and its indexes.
    const SCHEMA: &'static str;
    /// The statement that returns a row if there is a table of a former version.
    const FORMER_TABLE: &'static str;
    /// The statements that give a table of a former version its new columns.
    const UPGRADE: &'static str;
    /// The statement that makes other processes wait while this one migrates. It runs inside the transaction.
    const ALONE: &'static str;
    /// The statement that begins a transaction with writes.
    const BEGIN: &'static str;
    /// The statement that reads a record and locks it against other writers until the transaction ends.
    const READ_LOCKED: &'static str;
    /// The statement that ends the sessions of an owner that began first.
    const END_OLDEST: &'static str;
    /// The statement that removes some expired records.
    const DELETE_EXPIRED: &'static str;
    /// The statement that removes some tombstones.
    const DELETE_TOMBSTONES: &'static str;
    /// The statement that moves a record and leaves a tombstone. `None` if that takes two statements in a transaction.
    const RENAME: Option<&'static str>;
    /// Whether the database takes one writer at a time. Other writers then wait in this process's own queue.
    const ONE_WRITER: bool;

    /// Returns the name of the database for error texts, without user and password.
    fn place(options: &Options<Self>) -> String;

    /// Returns why no connection can be opened now, if the operating system gives a reason.
    fn obstacle(options: &Options<Self>) -> impl Future<Output = Option<io::Error>> + Send;

    /// Returns the statement with its values.
    fn query<'q>(statement: &'static str, values: &[Value<'q>]) -> Query<'q, Self, Self::Arguments>;

    /// Runs a statement, and returns how many rows it changed.
    fn execute(
        connection: &mut Self::Connection,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Runs a statement that reads, and returns the rows.
    fn fetch(
        connection: &mut Self::Connection,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<Vec<Self::Row>, Error>> + Send;

    /// Runs several statements without values.
    fn run(connection: &mut Self::Connection, script: &'static str) -> impl Future<Output = Result<(), Error>> + Send;

    /// Reads the columns of a record.
    fn record(row: &Self::Row) -> Result<RecordRow, Error>;

    /// Reads the number in the first column.
    fn number(row: &Self::Row) -> Result<i64, Error>;

    /// Reads the columns that the owner of a session may see.
    fn info(row: &Self::Row) -> Result<InfoRow, Error>;
}

/// A value for a placeholder such as `$1`.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Bytes(&'a [u8]),
    Text(&'a str),
    TextOrNull(Option<&'a str>),
    BytesOrNull(Option<&'a [u8]>),
    /// A number. Both databases store 63 bits, and a larger number is stored as the largest that fits.
    Number(u64),
}

/// Implements [`Dialect`]. This is a macro, because a generic function over sqlx's queries needs a page of bounds.
macro_rules! dialect {
    ($database:ty, $($differences:tt)*) => {
        impl Dialect for $database {
            $($differences)*

            fn query<'q>(statement: &'static str, values: &[Value<'q>]) -> Query<'q, Self, Self::Arguments> {
                values.iter().fold(sqlx::query(statement), |query, value| match *value {
                    Value::Bytes(bytes) => query.bind(bytes),
                    Value::Text(text) => query.bind(text),
                    Value::TextOrNull(text) => query.bind(text),
                    Value::BytesOrNull(bytes) => query.bind(bytes),
                    Value::Number(number) => query.bind(i64::try_from(number).unwrap_or(i64::MAX)),
                })
            }

            async fn execute(
                connection: &mut Self::Connection,
                statement: &'static str,
                values: &[Value<'_>],
            ) -> Result<u64, Error> {
                Ok(Self::query(statement, values).execute(connection).await?.rows_affected())
            }

            async fn fetch(
                connection: &mut Self::Connection,
                statement: &'static str,
                values: &[Value<'_>],
            ) -> Result<Vec<Self::Row>, Error> {
                Self::query(statement, values).fetch_all(connection).await
            }

            async fn run(connection: &mut Self::Connection, script: &'static str) -> Result<(), Error> {
                sqlx::raw_sql(script).execute(connection).await?;
                Ok(())
            }

            fn record(row: &Self::Row) -> Result<RecordRow, Error> {
                RecordRow::from_row(row)
            }

            fn number(row: &Self::Row) -> Result<i64, Error> {
                sqlx::Row::try_get_unchecked(row, 0)
            }

            fn info(row: &Self::Row) -> Result<InfoRow, Error> {
                InfoRow::from_row(row)
            }
        }
    };
}

#[cfg(feature = "sqlite")]
dialect! {
    sqlx::Sqlite,
    const SCHEMA: &'static str = include_str!("sqlite.sql");
    const ALONE: &'static str = "";
    // SQLITE_BUSY_SNAPSHOT: a transaction that begins with a read cannot write if another one wrote after that read.
    // https://www.sqlite.org/isolation.html
    const BEGIN: &'static str = "BEGIN IMMEDIATE";
    const READ_LOCKED: &'static str = super::statements::READ;
    const END_OLDEST: &'static str = super::statements::END_OLDEST;
    const DELETE_EXPIRED: &'static str = super::statements::DELETE_EXPIRED;
    const DELETE_TOMBSTONES: &'static str = super::statements::DELETE_TOMBSTONES;
    const RENAME: Option<&'static str> = None;
    const FORMER_TABLE: &'static str = "SELECT CAST(1 AS bigint) FROM sqlite_master \
        WHERE type = 'table' AND name = 'session_records' \
        AND NOT EXISTS (SELECT 1 FROM pragma_table_info('session_records') WHERE name = 'ended')";
    const UPGRADE: &'static str = include_str!("sqlite_upgrade.sql");
    const ONE_WRITER: bool = true;

    fn place(options: &Options<Self>) -> String {
        format!("the SQLite file {}", options.get_filename().display())
    }

    /// Returns `None`: the error from SQLite already has the reason.
    async fn obstacle(_: &Options<Self>) -> Option<io::Error> {
        None
    }
}

#[cfg(feature = "postgres")]
dialect! {
    sqlx::Postgres,
    const SCHEMA: &'static str = include_str!("postgres.sql");
    // `CREATE TABLE IF NOT EXISTS` checks and creates in two steps, so two processes may both try. The lock's number is
    // `sessions` in ASCII.
    const ALONE: &'static str =
        "SET LOCAL client_min_messages = warning; SELECT pg_advisory_xact_lock(x'73657373696f6e73'::bigint)";
    const BEGIN: &'static str = "BEGIN";
    const READ_LOCKED: &'static str = super::statements::READ_LOCKED;
    const END_OLDEST: &'static str = super::statements::END_OLDEST_IN_ORDER;
    const DELETE_EXPIRED: &'static str = super::statements::DELETE_EXPIRED_UNLOCKED;
    const DELETE_TOMBSTONES: &'static str = super::statements::DELETE_TOMBSTONES_UNLOCKED;
    // A statement may insert a row with the key that it has just taken from another row: the unique index ignores rows
    // that the same transaction has changed.
    const RENAME: Option<&'static str> = Some(super::statements::RENAME);
    const FORMER_TABLE: &'static str = "SELECT CAST(1 AS bigint) WHERE to_regclass('session_records') IS NOT NULL \
        AND NOT EXISTS (SELECT 1 FROM pg_attribute \
        WHERE attrelid = to_regclass('session_records') AND attname = 'ended' AND NOT attisdropped)";
    const UPGRADE: &'static str = include_str!("postgres_upgrade.sql");
    const ONE_WRITER: bool = false;

    fn place(options: &Options<Self>) -> String {
        match options.get_socket() {
            Some(directory) => format!("Postgres at {}", directory.display()),
            None => format!("Postgres at {}:{}", options.get_host(), options.get_port()),
        }
    }

    /// Connects once without sqlx, and returns the error. sqlx retries and then does not report that error.
    async fn obstacle(options: &Options<Self>) -> Option<io::Error> {
        let (host, port) = (options.get_host(), options.get_port());
        let is_socket = options.get_socket().is_some() || host.starts_with('/');
        if is_socket { None } else { tokio::net::TcpStream::connect((host, port)).await.err() }
    }
}
