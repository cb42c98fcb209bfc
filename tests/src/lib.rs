//! The whole system from outside, a module a topic.

#[cfg(test)]
mod compile_fail;
