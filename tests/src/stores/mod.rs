//! The stores, each on a real server.

mod redis;
mod redis_cluster;
