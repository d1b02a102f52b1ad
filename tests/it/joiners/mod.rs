//! Joiners, from the sweep to the mail.

mod account_use;
mod alerts;
mod flow;
mod interleavings;
mod privileges;
mod scope;
mod zones;
