//! What the stores cost, apart from any request.

mod bare;
mod memory;
mod sides;
mod trips;
mod writers;

use std::{
    error::Error,
    io,
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::runtime::Builder;

/// The tables.
pub fn measure() -> io::Result<String> {
    let measured = || -> Result<String, Failure> {
        // First: what others leave in memory would be counted.
        let memory = memory::measure()?;
        let trips = Builder::new_current_thread().enable_all().build()?.block_on(trips::measure())?;
        let writers = Builder::new_multi_thread().enable_all().build()?.block_on(writers::measure())?;
        Ok(format!("{trips}\n{memory}\n{writers}"))
    };
    measured().map_err(io::Error::other)
}

type Failure = Box<dyn Error + Send + Sync>;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

const DAY: u64 = 24 * 60 * 60;
