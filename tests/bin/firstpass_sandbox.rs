//! The binary `firstpass-sandbox`, built with the tests of this package.

use std::process::ExitCode;

fn main() -> ExitCode {
    firstpass_sandbox::cli::main()
}
