//! The program behind `lipscope`: the same arguments, and everything that needs libtorch.

use std::process::ExitCode;

fn main() -> ExitCode {
    lipscope::cli::main()
}
