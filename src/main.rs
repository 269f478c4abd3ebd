//! The `tripline` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    tripline::cli::main()
}
