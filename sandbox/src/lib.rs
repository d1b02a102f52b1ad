//! A simulated tenant and a simulated Functions host, for the demo of firstpass and for its tests.
//!
//! Nothing of this is part of the product: the package `firstpass` does not depend on it.
//!
//! - [`tenant`]: Microsoft Graph, the identity endpoint, Exchange and Event Grid.
//! - [`functions_host`]: the Azure Functions host with its storage account.
//! - [`demo`]: the sample tenant with the product on it, and the page.
//! - [`serve`]: the product's handler for a sandbox in another process.
//! - [`cli`]: the commands.
//!
//! `tenant` and `functions_host` do not know each other; the others use both.

mod azure;
pub mod cli;
pub mod demo;
pub mod functions_host;
pub mod sandbox_command;
pub mod serve;
pub mod tenant;
