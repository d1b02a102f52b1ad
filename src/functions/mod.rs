//! The three functions: parse, call the domain, answer.

pub mod create_tap;
pub mod on_group_add;
pub mod sweep_joiners;
