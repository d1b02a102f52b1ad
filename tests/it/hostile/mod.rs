//! What a hostile ledger, queue, Graph or caller sends.

mod panics;
mod ranges;
