//! Joiners, from the sweep to the mail.

mod account_use;
mod accounts;
mod advice;
mod alerts;
mod cap;
mod cost;
mod flow;
mod follow_up;
mod guard;
mod interleavings;
mod late;
mod mailbox;
mod privileges;
mod scope;
mod second_chance;
mod working_days;
mod zones;
