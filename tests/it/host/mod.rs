//! firstpass and the Functions host: the wire format, processes, and the host's time limits.

mod contract;
mod kill;
mod local_process;
mod startup;
