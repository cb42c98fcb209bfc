//! The whole system from outside, a module a topic.

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod compile_fail;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod cookies;
#[cfg(test)]
mod derive;
#[cfg(test)]
mod engines;
#[cfg(test)]
mod flash;
#[cfg(test)]
mod forms;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod lifetimes;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod outcomes;
#[cfg(doctest)]
mod pages;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod saving;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod services;
#[cfg(test)]
mod setup;
#[cfg(test)]
mod stored;
#[cfg(test)]
mod stores;
#[cfg(test)]
mod support;
#[cfg(test)]
mod typed;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod wire_format;
#[cfg(test)]
mod within_a_request;
