//! firstpass gives every new joiner their first way into Microsoft Entra ID: a Temporary Access Pass, made at the
//! right moment and delivered to the right person.
//!
//! In the order to read it:
//!
//! 1. [`pass`]: the domain. Who gets a pass, when it works, and [`pass::issue`], the one flow that makes and
//!    delivers it. It runs on [`pass::Services`].
//! 2. [`functions`]: the three ways into that flow: a sweep, a queue, an HTTP call.
//!    `digest` tells admins what happened, [`doctor`] what is missing.
//! 3. [`graph`], [`ledger`], [`mail`], [`queue`]: the client for Microsoft Graph, one record per user, the mails, the
//!    queue of jobs and its poison queue. [`webhook`]: the endpoints that take codes and alerts.
//! 4. [`settings`], [`app`], [`startup`]: the settings, and the [`app::App`] that they become.
//! 5. [`host`]: the wire contract of the Azure Functions host. No other module knows it.
//! 6. [`cli`]: the command line.
//! 7. [`budget`]: every time-out, and the proof that their sums stay below the limits of the platform.
//!
//! Below them: [`telemetry`] (the log), [`brand`] (how mails look), `language` (which one a tag means), [`azure`] (connection strings and signatures of storage accounts), [`zone`] (time
//! zones), [`rate_limiter`], [`mail_limiter`], [`templates`], [`code`] (the secret of a pass), [`address`] (a checked mail address),
//! [`foreign`] (a text of another system), [`range`] (times that can be), `text` (which characters a name may have),
//! [`transport`] (the limits of answers), [`clock`], [`environment`], [`errors`], [`hash`]. `tests/it/layers.rs` checks that no
//! module uses one above it.

pub mod address;
pub mod app;
pub mod azure;
pub mod brand;
pub mod budget;
pub mod cli;
pub mod clock;
pub mod cloud;
pub mod code;
mod digest;
pub mod doctor;
pub mod environment;
pub mod errors;
pub mod foreign;
pub mod functions;
pub mod graph;
pub mod hash;
pub mod host;
mod language;
pub mod ledger;
pub mod mail;
pub mod mail_limiter;
mod memory;
pub mod pass;
pub mod queue;
pub mod range;
pub mod rate_limiter;
pub mod settings;
pub mod startup;
pub mod telemetry;
pub mod templates;
mod text;
pub mod transport;
pub mod webhook;
pub mod working_days;
pub mod zone;
