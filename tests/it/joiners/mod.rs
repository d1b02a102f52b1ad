//! Joiners, from the sweep to the mail.

mod account_use;
mod alerts;
mod cap;
mod flow;
mod guard;
mod interleavings;
mod privileges;
mod scope;
mod zones;
