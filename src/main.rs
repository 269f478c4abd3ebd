//! The `tripline` binary.

fn main() {}
