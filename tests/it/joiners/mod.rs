//! Joiners, from the sweep to the mail.

mod account_use;
mod accounts;
mod advice;
mod alerts;
mod cancelled;
mod cap;
mod changes;
mod cost;
mod flow;
mod follow_up;
mod guard;
mod installations;
mod interleavings;
mod late;
mod mailbox;
mod manager;
mod names;
mod owners;
mod parts;
mod privileges;
mod scope;
mod second_chance;
mod shared;
mod unclear_mails;
mod working_days;
mod zones;
