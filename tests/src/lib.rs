//! The whole system from outside, a module a topic.

#[cfg(test)]
mod app_examples;
#[cfg(test)]
mod asvs;
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod beyond_requests;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod browser_races;
#[cfg(test)]
mod caching_proxy;
#[cfg(test)]
mod cancellation;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod cookies;
#[cfg(test)]
mod derive;
#[cfg(test)]
mod diagnostics;
#[cfg(test)]
mod each_store;
#[cfg(test)]
mod every_engine;
#[cfg(test)]
mod flash;
#[cfg(test)]
mod former_systems;
#[cfg(test)]
mod forms;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod golden_files;
#[cfg(test)]
mod guards;
#[cfg(test)]
mod guides;
#[cfg(test)]
mod late_requests;
#[cfg(test)]
mod lifetimes;
#[cfg(test)]
mod log_in_examples;
#[cfg(test)]
mod manuals;
#[cfg(test)]
mod migration;
#[cfg(test)]
mod model;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod observability;
#[cfg(test)]
mod outcomes;
#[cfg(doctest)]
mod pages;
#[cfg(test)]
mod pictures;
#[cfg(test)]
mod proxy_buffers;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod saved_values;
#[cfg(test)]
mod saving;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod sealed_values;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod services;
#[cfg(test)]
mod sessions_in_a_store;
#[cfg(test)]
mod setup_warnings;
#[cfg(test)]
mod support;
#[cfg(test)]
mod template_examples;
#[cfg(test)]
mod templates;
#[cfg(test)]
mod testing_kit;
#[cfg(test)]
mod tickets;
#[cfg(test)]
mod troubleshooting;
#[cfg(test)]
mod twin_cookies;
#[cfg(test)]
mod two_sessions;
#[cfg(test)]
mod typed;
#[cfg(test)]
mod values;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod wire_format;
#[cfg(test)]
mod within_a_request;
