//! firstpass gives every new joiner their first way into Microsoft Entra ID: a Temporary Access Pass, made at the
//! right moment and delivered to the right person.
//!
//! In the order to read it:
//!
//! 1. [`pass`]: the domain. Who gets a pass, when it works, and [`pass::issue`], the one flow that makes and
//!    delivers it.
//! 2. [`functions`]: the three ways into that flow: a daily sweep, a queue, an HTTP call.
//! 3. [`graph`], [`ledger`], [`mail`], [`queue`]: what the flow stands on. Microsoft Graph; one small record per user;
//!    the mails; what the host gave up.
//! 4. [`settings`], [`app`], [`startup`]: what an admin sets, and how it becomes a running App.
//! 5. [`host`]: the wire contract of the Azure Functions host, and nothing else.
//! 6. [`cli`]: the command line; [`jobs`], a command for what was given up.
//!
//! Small words used everywhere: [`code::Code`] is the secret of a pass, [`address::Address`] a checked mail
//! address, [`clock::Clock`] the time, [`zone::zone_for`] a joiner's time zone, [`hash::sha256`] a text's fingerprint,
//! [`rate_limiter::RateLimiter`] how often somebody may call.

pub mod address;
pub mod app;
pub mod azure;
pub mod budget;
pub mod cli;
pub mod clock;
pub mod code;
pub mod environment;
pub mod errors;
pub mod functions;
pub mod graph;
pub mod hash;
pub mod host;
pub mod ledger;
pub mod mail;
pub mod pass;
pub mod queue;
pub mod rate_limiter;
pub mod settings;
pub mod startup;
pub mod telemetry;
pub mod templates;
pub mod zone;
