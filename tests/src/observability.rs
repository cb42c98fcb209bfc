//! docs/observability.md: what is counted, what is logged, and that no error is silent.

mod counters;
mod events;
mod unanswered;
