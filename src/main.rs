//! The binary. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    firstpass::cli::main()
}
