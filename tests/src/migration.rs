//! Sessions and flash messages that move from a former layer, or from another system.

mod between_layers;
mod from_a_system;
mod from_frameworks;
mod from_tower_sessions;
mod guides;
