//! The whole system from outside, a module a topic.

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod compile_fail;
#[cfg(test)]
mod derive;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod support;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod wire_format;
