//! firstpass and the Functions host: the wire format, processes, and the host's time limits.

mod captures;
mod contract;
mod failures;
mod kill;
mod local_port;
mod local_process;
mod orphan;
mod startup;
