//! The differences between SQLite, Postgres and MariaDB. All code above this trait works with all of them.

use std::io;

use sqlx::{Connection, Database, Error, FromRow as _, query::Query};

use super::{
    row::{InfoRow, RecordRow},
    statements,
};

/// The options of a connection to a database.
pub(super) type Options<D> = <<D as Database>::Connection as Connection>::Options;

/// The statements of one kind of database, and how to run them.
pub(super) trait Dialect: Database {
    /// The statements that prepare a new connection of the store's own pool.
    const ON_CONNECT: Option<&'static str>;
    /// The statements that create the table and its indexes.
    const SCHEMA: &'static str;
    /// How to recognize and change a table of a former version. `None` if there was no former version.
    const UPGRADE: Option<Upgrade>;
    /// The statement that makes other processes wait while this one migrates. It runs inside the transaction. `None` if
    /// the database does that by itself.
    const ALONE: Option<&'static str>;
    /// The statements that begin a transaction with writes.
    const BEGIN: &'static str;
    /// The statement that reads a record and locks it against other writers until the transaction ends.
    const READ_LOCKED: &'static str;
    /// The statement that creates a record.
    const CREATE: &'static str;
    /// The statement that replaces an expired record or tombstone. `None` if [`CREATE`](Self::CREATE) does that.
    const REPLACE: Option<&'static str>;
    /// The statement that ends the sessions of an owner.
    const END_BY_OWNER: &'static str;
    /// The statement that ends the sessions of an application.
    const END_BY_APPLICATION: &'static str;
    /// The statement that ends the sessions of an owner that began first.
    const END_OLDEST: &'static str;
    /// The statement that removes some expired records.
    const DELETE_EXPIRED: &'static str;
    /// The statement that removes some tombstones.
    const DELETE_TOMBSTONES: &'static str;
    /// The statement that moves a record and leaves a tombstone. `None` if that takes two statements in a transaction.
    const RENAME: Option<&'static str>;
    /// The quotes around the name of a table.
    #[cfg(feature = "compat")]
    const NAME_QUOTE: char = '"';
    /// The placeholder of the first value.
    #[cfg(feature = "compat")]
    const FIRST_VALUE: &'static str = "$1";
    /// Whether the database takes one writer at a time. Other writers then wait in this process's own queue.
    const ONE_WRITER: bool;
    /// Whether a connection can be used again after the future of a statement was dropped.
    const OUTLIVES_DROPS: bool;

    /// Returns the name of the database for error texts, without user and password.
    fn place(options: &Options<Self>) -> String;

    /// Returns why no connection can be opened now, if the operating system gives a reason.
    fn obstacle(options: &Options<Self>) -> impl Future<Output = Option<io::Error>> + Send;

    /// Returns the statement with its values, the first for `$1`.
    fn query<'q>(statement: &'static str, values: &[Value<'q>]) -> Query<'q, Self, Self::Arguments> {
        values.iter().fold(sqlx::query(statement), |query, value| Self::bind(query, *value))
    }

    /// Adds the value of the next placeholder.
    fn bind<'q>(query: Query<'q, Self, Self::Arguments>, value: Value<'q>) -> Query<'q, Self, Self::Arguments>;

    /// Runs a statement, and returns how many rows it changed.
    fn execute(
        connection: &mut Self::Connection,
        statement: &'static str,
        values: &[Value<'_>],
        persistence: Persistence,
    ) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Runs a statement that reads, and returns the rows.
    fn fetch(
        connection: &mut Self::Connection,
        statement: &'static str,
        values: &[Value<'_>],
        persistence: Persistence,
    ) -> impl Future<Output = Result<Vec<Self::Row>, Error>> + Send;

    /// Runs a statement on the table of a former system. Returns the bytes in the first column of the first row.
    #[cfg(feature = "compat")]
    fn former(
        connection: &mut Self::Connection,
        statement: String,
        id: &str,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, Error>> + Send;

    /// Runs several statements without values.
    fn run(connection: &mut Self::Connection, script: &'static str) -> impl Future<Output = Result<(), Error>> + Send;

    /// Reads the columns of a record.
    fn record(row: &Self::Row) -> Result<RecordRow, Error>;

    /// Reads the number in the first column.
    fn number(row: &Self::Row) -> Result<i64, Error>;

    /// Reads the columns that the owner of a session may see.
    fn info(row: &Self::Row) -> Result<InfoRow, Error>;
}

/// Whether a connection keeps a statement that was prepared on it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Persistence {
    Kept,
    Once,
}

/// The statements for a table of a former version.
pub(super) struct Upgrade {
    /// The statement that returns a row if there is such a table.
    pub(super) is_due: &'static str,
    /// The statements that give the table its new columns.
    pub(super) script: &'static str,
}

/// A value for a placeholder such as `$1`.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Bytes(&'a [u8]),
    Text(&'a str),
    TextOrNull(Option<&'a str>),
    BytesOrNull(Option<&'a [u8]>),
    /// A number. All databases store 63 bits, and a larger number is stored as the largest that fits.
    Number(u64),
}

/// Implements [`Dialect`]. This is a macro, because a generic function over sqlx's queries needs a page of bounds.
macro_rules! dialect {
    ($database:ty, $($differences:tt)*) => {
        impl Dialect for $database {
            $($differences)*

            fn bind<'q>(
                query: Query<'q, Self, Self::Arguments>,
                value: Value<'q>,
            ) -> Query<'q, Self, Self::Arguments> {
                match value {
                    Value::Bytes(bytes) => query.bind(bytes),
                    Value::Text(text) => query.bind(text),
                    Value::TextOrNull(text) => query.bind(text),
                    Value::BytesOrNull(bytes) => query.bind(bytes),
                    Value::Number(number) => query.bind(i64::try_from(number).unwrap_or(i64::MAX)),
                }
            }

            async fn execute(
                connection: &mut Self::Connection,
                statement: &'static str,
                values: &[Value<'_>],
                persistence: Persistence,
            ) -> Result<u64, Error> {
                Ok(Self::query(statement, values).persistent(persistence == Persistence::Kept).execute(connection).await?.rows_affected())
            }

            async fn fetch(
                connection: &mut Self::Connection,
                statement: &'static str,
                values: &[Value<'_>],
                persistence: Persistence,
            ) -> Result<Vec<Self::Row>, Error> {
                Self::query(statement, values).persistent(persistence == Persistence::Kept).fetch_all(connection).await
            }

            #[cfg(feature = "compat")]
            async fn former(
                connection: &mut Self::Connection,
                statement: String,
                id: &str,
            ) -> Result<Option<Vec<u8>>, Error> {
                let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(id);
                let row = query.fetch_optional(connection).await?;
                row.map(|row| sqlx::Row::try_get_unchecked(&row, 0)).transpose()
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
    // After a third of a second, SQLite asks for a lock only ten times a second, and other processes can take it in
    // between. So its own wait is short: the statement fails, and `Lease` tries again.
    const ON_CONNECT: Option<&'static str> = Some("PRAGMA busy_timeout = 20");
    const SCHEMA: &'static str = include_str!("sqlite.sql");
    const UPGRADE: Option<Upgrade> = Some(Upgrade {
        is_due: "SELECT CAST(1 AS bigint) FROM sqlite_master \
            WHERE type = 'table' AND name = 'session_records' \
            AND NOT EXISTS (SELECT 1 FROM pragma_table_info('session_records') WHERE name = 'ended')",
        script: include_str!("sqlite_upgrade.sql"),
    });
    const ALONE: Option<&'static str> = None;
    // SQLITE_BUSY_SNAPSHOT: a transaction that begins with a read cannot write if another one wrote after that read.
    // https://www.sqlite.org/isolation.html
    const BEGIN: &'static str = "BEGIN IMMEDIATE";
    const READ_LOCKED: &'static str = statements::READ;
    const CREATE: &'static str = statements::CREATE;
    const REPLACE: Option<&'static str> = None;
    const END_BY_OWNER: &'static str = statements::END_BY_OWNER;
    const END_BY_APPLICATION: &'static str = statements::END_BY_APPLICATION;
    const END_OLDEST: &'static str = statements::END_OLDEST;
    const DELETE_EXPIRED: &'static str = statements::DELETE_EXPIRED;
    const DELETE_TOMBSTONES: &'static str = statements::DELETE_TOMBSTONES;
    const RENAME: Option<&'static str> = None;
    const ONE_WRITER: bool = true;
    const OUTLIVES_DROPS: bool = true;

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
    const ON_CONNECT: Option<&'static str> = None;
    const SCHEMA: &'static str = include_str!("postgres.sql");
    const UPGRADE: Option<Upgrade> = Some(Upgrade {
        is_due: "SELECT CAST(1 AS bigint) WHERE to_regclass('session_records') IS NOT NULL \
            AND NOT EXISTS (SELECT 1 FROM pg_attribute \
            WHERE attrelid = to_regclass('session_records') AND attname = 'ended' AND NOT attisdropped)",
        script: include_str!("postgres_upgrade.sql"),
    });
    // `CREATE TABLE IF NOT EXISTS` checks and creates in two steps, so two processes may both try. The lock's number is
    // `sessions` in ASCII.
    const ALONE: Option<&'static str> = Some(
        "SET LOCAL client_min_messages = warning; SELECT pg_advisory_xact_lock(x'73657373696f6e73'::bigint)"
    );
    const BEGIN: &'static str = "BEGIN";
    const READ_LOCKED: &'static str = statements::READ_LOCKED;
    const CREATE: &'static str = statements::CREATE;
    const REPLACE: Option<&'static str> = None;
    const END_BY_OWNER: &'static str = statements::END_BY_OWNER_IN_ORDER;
    const END_BY_APPLICATION: &'static str = statements::END_BY_APPLICATION_IN_ORDER;
    const END_OLDEST: &'static str = statements::END_OLDEST_IN_ORDER;
    const DELETE_EXPIRED: &'static str = statements::DELETE_EXPIRED_UNLOCKED;
    const DELETE_TOMBSTONES: &'static str = statements::DELETE_TOMBSTONES_UNLOCKED;
    // A statement may insert a row with the key that it has just taken from another row: the unique index ignores rows
    // that the same transaction has changed.
    const RENAME: Option<&'static str> = Some(statements::RENAME);
    const ONE_WRITER: bool = false;
    const OUTLIVES_DROPS: bool = true;

    fn place(options: &Options<Self>) -> String {
        match options.get_socket() {
            Some(directory) => format!("Postgres at {}", directory.display()),
            None => format!("Postgres at {}:{}", options.get_host(), options.get_port()),
        }
    }

    async fn obstacle(options: &Options<Self>) -> Option<io::Error> {
        let host = options.get_host();
        let is_socket = options.get_socket().is_some() || host.starts_with('/');
        if is_socket { None } else { connect_once(host, options.get_port()).await.err() }
    }
}

#[cfg(feature = "mysql")]
dialect! {
    sqlx::MySql,
    // The server's own settings may differ. A transaction that rereads must see what others have committed, and READ
    // COMMITTED locks no rows that do not exist. `EMPTY_STRING_IS_NULL` would make an empty owner none.
    const ON_CONNECT: Option<&'static str> = Some(
        "SET SESSION autocommit = 1, sql_mode = 'NO_ENGINE_SUBSTITUTION,STRICT_ALL_TABLES', innodb_lock_wait_timeout = 1; \
        SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
    );
    const SCHEMA: &'static str = include_str!("mysql.sql");
    const UPGRADE: Option<Upgrade> = None;
    const ALONE: Option<&'static str> = None;
    // A pool of the application has its own isolation level. This one is for the next transaction.
    const BEGIN: &'static str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION";
    const READ_LOCKED: &'static str = statements::READ_LOCKED;
    const CREATE: &'static str = statements::INSERT;
    const REPLACE: Option<&'static str> = Some(statements::REPLACE);
    const END_BY_OWNER: &'static str = statements::END_BY_OWNER_INDEX;
    const END_BY_APPLICATION: &'static str = statements::END_BY_APPLICATION;
    const END_OLDEST: &'static str = statements::END_OLDEST_BY_NAME;
    const DELETE_EXPIRED: &'static str = statements::DELETE_EXPIRED_IN_ORDER;
    const DELETE_TOMBSTONES: &'static str = statements::DELETE_TOMBSTONES_IN_ORDER;
    const RENAME: Option<&'static str> = None;
    #[cfg(feature = "compat")]
    const NAME_QUOTE: char = '`';
    #[cfg(feature = "compat")]
    const FIRST_VALUE: &'static str = "?";
    const ONE_WRITER: bool = false;
    // sqlx may take the rest of the former answer for the next one. https://github.com/transact-rs/sqlx/issues/563
    const OUTLIVES_DROPS: bool = false;

    fn place(options: &Options<Self>) -> String {
        match options.get_socket() {
            Some(file) => format!("the MySQL server at {}", file.display()),
            None => format!("the MySQL server at {}:{}", options.get_host(), options.get_port()),
        }
    }

    async fn obstacle(options: &Options<Self>) -> Option<io::Error> {
        if options.get_socket().is_some() {
            return None;
        }
        connect_once(options.get_host(), options.get_port()).await.err()
    }

    fn query<'q>(statement: &'static str, values: &[Value<'q>]) -> Query<'q, Self, Self::Arguments> {
        let (statement, numbers) = statements::translated(statement);
        let query = sqlx::query(sqlx::AssertSqlSafe(statement));
        numbers.into_iter().fold(query, |query, number| Self::bind(query, values[number - 1]))
    }
}

/// Connects once without sqlx, for the error. sqlx retries and then does not report that error.
#[cfg(any(feature = "mysql", feature = "postgres"))]
async fn connect_once(host: &str, port: u16) -> io::Result<tokio::net::TcpStream> {
    tokio::net::TcpStream::connect((host, port)).await
}
