//! A simulated tenant and a simulated Azure Functions host: the demo of firstpass, and what its tests run on.
//!
//! The product, package `firstpass`, does not depend on this package.
//!
//! - [`tenant`]: Microsoft Graph, the identity endpoint, Exchange and Event Grid.
//! - [`functions_host`]: the Azure Functions host and its storage account.
//! - [`demo`]: firstpass on a sample tenant, with a web page.
//! - [`serve`]: the product's handler, connected to a sandbox in another process.
//! - [`sandbox_command`]: the sandbox as a server.
//! - [`cli`]: the command line.
//!
//! `tenant` and `functions_host` do not import each other; the other modules import both.

mod azure;
pub mod cli;
pub mod demo;
pub mod functions_host;
pub mod sandbox_command;
pub mod serve;
pub mod tenant;
