//! The same without a store: what our stores ask their servers, asked by hand. The statements and the scripts are ours;
//! what comes back is not looked at.

use redis::{Cmd, Script, Value, aio::ConnectionManager, cmd};
use session_core::{base64url, store::RecordKey};
use sqlx::{PgConnection, SqliteConnection};

use super::{
    DAY, now,
    sides::{Side, Step},
};

/// A record that our store made.
pub struct BareRedis {
    connection: ConnectionManager,
    name: String,
    hash: String,
    script: String,
}

impl BareRedis {
    pub fn new(connection: ConnectionManager, key: RecordKey) -> Self {
        let id = format!("{:032x}", u128::from_be_bytes(*key.id().as_bytes()));
        let name = format!("session:{{{}}}:{id}", &id[..4]);
        Self { connection, name, hash: base64url(key.hash()), script: Script::new(UPDATE).get_hash().to_owned() }
    }

    fn update_command(&self) -> Cmd {
        let mut command = cmd("EVALSHA");
        command.arg(&self.script).arg(1).arg(&self.name).arg(now()).arg(now() + DAY).arg(&self.hash);
        // No owner before or after, no version, no nonce, nothing cleared, something left, and one field to set.
        command.arg(&["", "", "", "", "", "1", "2"]).arg("visits").arg(guard::next_visit());
        command
    }
}

impl Side for BareRedis {
    fn load(&mut self) -> Step<'_> {
        Box::pin(async move {
            let value: Value = cmd("HGETALL").arg(&self.name).query_async(&mut self.connection).await?;
            value.as_map_iter().and_then(|mut pairs| pairs.next()).map(drop).ok_or_else(|| "no record".into())
        })
    }

    fn update(&mut self) -> Step<'_> {
        Box::pin(async move {
            let value: Value = self.update_command().query_async(&mut self.connection).await?;
            if matches!(value, Value::Int(_)) { Ok(()) } else { Err("nothing was written".into()) }
        })
    }
}

const UPDATE: &str = concat!(
    include_str!("../../../session-stores/src/redis/record.lua"),
    include_str!("../../../session-stores/src/redis/write.lua"),
    include_str!("../../../session-stores/src/redis/update.lua"),
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
                    let query = sqlx::query(SELECT).bind(&self.key.hash()[..]).bind(now() as i64);
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

const SELECT: &str = "SELECT id, format, data, version, created_at, seen_at, expires_at, owner, label \
    FROM session_records WHERE key = $1 AND expires_at >= $2";

const UPDATE_ROW: &str = "UPDATE session_records SET data = $4, version = version + 1, \
    seen_at = CASE WHEN seen_at < $3 THEN $3 ELSE seen_at END, expires_at = $5, owner = $6, label = $7 \
    WHERE key = $1 AND version = $2 AND expires_at >= $3 AND format = 1";
