//! How firstpass handles errors, replication lag and slowness of Microsoft Graph.

mod clouds;
mod replication;
mod retries;
mod time_limits;
