//! The `lipscope` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    lipscope::cli::main()
}
