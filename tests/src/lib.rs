//! The whole system from outside, a module a topic.

#[cfg(test)]
mod compile_fail;
#[cfg(test)]
mod derive;
#[cfg(test)]
mod support;
#[cfg(test)]
mod versions;
