//! Joiners, from the sweep to the mail.

mod alerts;
mod flow;
mod interleavings;
mod scope;
mod zones;
