//! The `tripline` binary.

use std::process::ExitCode;

/// Parsing a webhook is mostly small allocations, which this one makes faster
/// than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tripline::cli::main()
}
