//! A contender as a process of its own, which answers on 127.0.0.1 and tells how long the processor worked for it.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    thread,
};

use axum::Router;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;

use crate::contender::Contender;

/// Prints the address, then answers until standard input ends.
pub fn run(contender: &Contender) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?);
    thread::spawn(report);
    contender.serve(listener)
}

/// Answers every line with nanoseconds. No server outlives whoever started it: the lines end with them.
fn report() {
    for _ in io::stdin().lines() {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        println!("{}", i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec));
    }
    std::process::exit(0)
}

/// Serves on the runtime that [`main`](crate::main) made, which has one thread for it.
pub fn axum(router: Router, listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    Handle::current().block_on(async { axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await })
}
