//! The binary `firstpass-sandbox`. The library holds everything else.

use std::process::ExitCode;

fn main() -> ExitCode {
    firstpass_sandbox::cli::main()
}
