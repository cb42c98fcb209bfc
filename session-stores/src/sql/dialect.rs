//! What SQLite and Postgres do not say alike. Everything above it speaks to both.

use sqlx::{Database, Error, FromRow as _, query::Query};

use super::row::{InfoRow, RecordRow};

/// How to speak with a database.
pub(super) trait Dialect: Database {
    /// Makes the table.
    const SCHEMA: &'static str;
    /// Keeps two who migrate at once apart; inside of a transaction.
    const ALONE: &'static str;
    /// Begins a transaction that will write.
    const BEGIN: &'static str;
    /// Reads a record, and keeps other writers from it until the transaction ends.
    const READ_LOCKED: &'static str;
    /// Removes some expired records.
    const DELETE_EXPIRED: &'static str;
    /// Whether the database takes one writer at a time, so that the others had better queue here.
    const ONE_WRITER: bool;

    /// The statement with its values.
    fn query<'q>(statement: &'static str, values: &[Value<'q>]) -> Query<'q, Self, Self::Arguments>;

    /// Runs a statement, and answers how many rows it changed.
    fn execute(
        connection: &mut Self::Connection,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Runs a statement that reads.
    fn fetch(
        connection: &mut Self::Connection,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<Vec<Self::Row>, Error>> + Send;

    /// Runs several statements that have no values.
    fn run(connection: &mut Self::Connection, script: &'static str) -> impl Future<Output = Result<(), Error>> + Send;

    /// The columns of a record.
    fn record(row: &Self::Row) -> Result<RecordRow, Error>;

    /// The columns of what an owner may see of a record.
    fn info(row: &Self::Row) -> Result<InfoRow, Error>;
}

/// What takes the place of a `$1`.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Bytes(&'a [u8]),
    Text(&'a str),
    TextOrNull(Option<&'a str>),
    /// Both databases count to 2^63; what is later is never.
    Number(u64),
}

/// The same words for both: sqlx's queries are generic over the database only with a page of bounds.
macro_rules! speaks {
    ($database:ty, $($constants:tt)*) => {
        impl Dialect for $database {
            $($constants)*

            fn query<'q>(statement: &'static str, values: &[Value<'q>]) -> Query<'q, Self, Self::Arguments> {
                values.iter().fold(sqlx::query(statement), |query, value| match *value {
                    Value::Bytes(bytes) => query.bind(bytes),
                    Value::Text(text) => query.bind(text),
                    Value::TextOrNull(text) => query.bind(text),
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

            fn info(row: &Self::Row) -> Result<InfoRow, Error> {
                InfoRow::from_row(row)
            }
        }
    };
}

#[cfg(feature = "sqlite")]
speaks! {
    sqlx::Sqlite,
    const SCHEMA: &'static str = include_str!("sqlite.sql");
    const ALONE: &'static str = "";
    // A transaction that reads first and then wants to write is refused when somebody wrote in between.
    const BEGIN: &'static str = "BEGIN IMMEDIATE";
    const READ_LOCKED: &'static str = super::statements::READ;
    const DELETE_EXPIRED: &'static str = super::statements::delete_expired!("");
    const ONE_WRITER: bool = true;
}

#[cfg(feature = "postgres")]
speaks! {
    sqlx::Postgres,
    const SCHEMA: &'static str = include_str!("postgres.sql");
    // `IF NOT EXISTS` looks and makes in two steps. The number is ours: `sessions` in ASCII.
    const ALONE: &'static str =
        "SET LOCAL client_min_messages = warning; SELECT pg_advisory_xact_lock(x'73657373696f6e73'::bigint)";
    const BEGIN: &'static str = "BEGIN";
    const READ_LOCKED: &'static str = super::statements::read!(" FOR UPDATE");
    const DELETE_EXPIRED: &'static str = super::statements::delete_expired!(" FOR UPDATE SKIP LOCKED");
    const ONE_WRITER: bool = false;
}
