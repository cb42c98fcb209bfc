//! The table of a former system, in a database of the application.

use std::sync::Arc;

use session_core::store::{StoreError, StoreFuture};

use super::{connections::Connections, dialect::Dialect};

/// A table with the columns `id` and `data`.
#[derive(Clone)]
pub(crate) struct FormerTable {
    database: Arc<dyn Rows>,
    /// Where the table is; `None` if the database finds it by its name alone.
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
}

impl FormerTable {
    #[cfg(feature = "sqlite")]
    pub(crate) fn sqlite(pool: sqlx::SqlitePool, name: &str) -> Self {
        Self { database: Arc::new(Connections::shared(pool)), schema: None, name: name.to_owned() }
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn postgres(pool: sqlx::PgPool, schema: &str, name: &str) -> Self {
        let schema = Some(schema.to_owned());
        Self { database: Arc::new(Connections::shared(pool)), schema, name: name.to_owned() }
    }

    #[cfg(feature = "mysql")]
    pub(crate) fn mysql(pool: sqlx::MySqlPool, schema: &str, name: &str) -> Self {
        let schema = Some(schema.to_owned());
        Self { database: Arc::new(Connections::shared(pool)), schema, name: name.to_owned() }
    }

    /// Returns the data of a row.
    pub(crate) async fn read(&self, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.database.read(self.place(), id).await
    }

    /// Deletes a row.
    pub(crate) async fn delete(&self, id: &str) -> Result<(), StoreError> {
        self.database.delete(self.place(), id).await
    }

    /// Returns the name of the table in quotes.
    fn place(&self) -> String {
        let name = self.database.quoted(&self.name);
        match &self.schema {
            Some(schema) => format!("{}.{name}", self.database.quoted(schema)),
            None => name,
        }
    }
}

/// The rows of any table of a database.
trait Rows: Send + Sync {
    fn read<'a>(&'a self, table: String, id: &'a str) -> StoreFuture<'a, Option<Vec<u8>>>;

    fn delete<'a>(&'a self, table: String, id: &'a str) -> StoreFuture<'a, ()>;

    /// Returns a name in quotes. A quote inside the name is doubled.
    fn quoted(&self, name: &str) -> String;
}

impl<D: Dialect> Rows for Connections<D> {
    fn read<'a>(&'a self, table: String, id: &'a str) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let mut lease = self.to_read().await?;
            let data = lease.former(format!("SELECT data FROM {table} WHERE id = {}", D::FIRST_VALUE), id).await?;
            lease.give_back();
            Ok(data)
        })
    }

    fn delete<'a>(&'a self, table: String, id: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mut lease = self.to_write().await?;
            lease.former(format!("DELETE FROM {table} WHERE id = {}", D::FIRST_VALUE), id).await?;
            lease.give_back();
            Ok(())
        })
    }

    fn quoted(&self, name: &str) -> String {
        let quote = D::NAME_QUOTE;
        format!("{quote}{}{quote}", name.replace(quote, &format!("{quote}{quote}")))
    }
}
