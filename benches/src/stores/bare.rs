//! The same without a store: what our stores ask their servers, asked by hand. The statements and the scripts are ours;
//! what comes back is not looked at.

use std::ops::Range;

use redis::{Cmd, Script, Value, aio::ConnectionManager, cmd};
use session_core::store::RecordKey;
use sqlx::{PgConnection, SqliteConnection};

use super::{
    DAY, Failure, now,
    sides::{Side, Step},
};

/// A record that our store made.
pub struct BareRedis {
    connection: ConnectionManager,
    name: String,
    script: String,
    record: Vec<u8>,
}

impl BareRedis {
    pub async fn new(mut connection: ConnectionManager, key: RecordKey) -> Result<Self, Failure> {
        let id = format!("{:032x}", u128::from_be_bytes(*key.id().as_bytes()));
        let name = format!("session:{{{}}}:{id}", &id[..4]);
        let record = cmd("GET").arg(&name).query_async(&mut connection).await?;
        Ok(Self { connection, name, script: Script::new(UPDATE).get_hash().to_owned(), record })
    }

    /// The record with the next version, and a number in place of another of the same length.
    fn update_command(&mut self) -> Result<Cmd, Failure> {
        let version: u64 = std::str::from_utf8(&self.record[VERSION])?.parse()?;
        let base = self.record[VERSION].to_vec();
        self.record[VERSION].copy_from_slice(format!("{:020}", version + 1).as_bytes());
        let (hash, before, after) = (&self.record[HASH], &self.record[..VERSION.end], &self.record[CREATED_AT..]);
        let (now, end) = (format!("{:020}", now()), format!("{:020}", now() + DAY));
        let mut command = cmd("EVALSHA");
        command.arg(&self.script).arg(2).arg(&self.name).arg(&self.name).arg(now).arg(hash).arg(hash).arg(base);
        // No nonce, and the later end counts. No tombstone.
        command.arg("").arg(end).arg("").arg(before).arg(after).arg("");
        Ok(command)
    }
}

impl Side for BareRedis {
    fn load(&mut self) -> Step<'_> {
        Box::pin(async move {
            let value: Value = cmd("GET").arg(&self.name).query_async(&mut self.connection).await?;
            if matches!(value, Value::BulkString(_)) { Ok(()) } else { Err("no record".into()) }
        })
    }

    fn update(&mut self) -> Step<'_> {
        Box::pin(async move {
            let value: Value = self.update_command()?.query_async(&mut self.connection).await?;
            if matches!(value, Value::Int(_)) { Ok(()) } else { Err("nothing was written".into()) }
        })
    }
}

const HASH: Range<usize> = 2..34;
const VERSION: Range<usize> = 34..54;
const CREATED_AT: usize = 94;

const UPDATE: &str = concat!(
    include_str!("../../../session-stores/src/redis_store/record.lua"),
    include_str!("../../../session-stores/src/redis_store/update.lua"),
);

/// sqlx's queries are generic over the database only with a page of bounds.
macro_rules! bare {
    ($side:ident, $connection:ty) => {
        /// A record that our store made.
        pub struct $side {
            connection: $connection,
            key: RecordKey,
            data: String,
            version: i64,
        }

        impl $side {
            pub fn new(connection: $connection, key: RecordKey) -> Self {
                let data = serde_json::to_string(&guard::Session::small()).unwrap_or_default();
                Self { connection, key, data, version: 1 }
            }
        }

        impl Side for $side {
            fn load(&mut self) -> Step<'_> {
                Box::pin(async move {
                    let query = sqlx::query(SELECT).bind(&self.key.hash()[..]);
                    let rows = query.fetch_all(&mut self.connection).await?;
                    rows.first().map(drop).ok_or_else(|| "no record".into())
                })
            }

            fn update(&mut self) -> Step<'_> {
                Box::pin(async move {
                    let query = sqlx::query(UPDATE_ROW)
                        .bind(&self.key.hash()[..])
                        .bind(self.version)
                        .bind(now() as i64)
                        .bind(&self.data)
                        .bind((now() + DAY) as i64)
                        .bind(0_i64)
                        .bind("")
                        .bind(None::<&str>)
                        .bind(None::<&str>);
                    let written = query.execute(&mut self.connection).await?.rows_affected();
                    self.version += 1;
                    if written == 1 { Ok(()) } else { Err("nothing was written".into()) }
                })
            }
        }
    };
}

bare!(BarePostgres, PgConnection);
bare!(BareSqlite, SqliteConnection);

const SELECT: &str = "SELECT key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, \
    ended, successor FROM session_records WHERE key = $1";

const UPDATE_ROW: &str = "UPDATE session_records SET data = $4, version = version + 1, \
    seen_at = CASE WHEN seen_at < $3 THEN $3 ELSE seen_at END, \
    expires_at = CASE WHEN $6 = 1 OR expires_at < $5 THEN $5 ELSE expires_at END, \
    application = $7, owner = $8, label = $9 \
    WHERE key = $1 AND version = $2 AND expires_at >= $3 AND ended IS NULL AND format = 1";
