//! How firstpass handles errors, replication lag and slowness of Microsoft Graph.

mod replication;
mod retries;
mod time_limits;
