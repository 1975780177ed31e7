//! The `lipscope` program: it reads the arguments, prints help, version, completions and man page, renders finished
//! reports, and becomes `lipscope-engine` for everything else.
//!
//! The dynamic loader takes some tenths of a second over libtorch before `main` begins. So this program is not linked with
//! it: it uses `lipscope-core` alone.

use lipscope_core::cli::{self, output};
use std::io::{Error, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const ENGINE: &str = "lipscope-engine";

/// What tells the threads of OpenMP how to wait for each other, read when the library is loaded.
const WAITING: [&str; 3] = ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "KMP_BLOCKTIME"];

/// How often they look again before they sleep, where the user has not said otherwise. GNU's default, 300,000, costs several
/// times the work beside other busy processes; never looking again costs a quarter on an idle machine, and this nothing.
const LOOKS: &str = "1000";

fn main() -> ExitCode {
    let parsed = cli::parse();
    match cli::run(&parsed) {
        Some(done) => cli::exit(done),
        None => become_engine(),
    }
}

/// Replaces this program by its engine: same process, arguments and name, so that signals, pipes and exit codes are the
/// engine's own. Returns only where there is no engine to be started.
fn become_engine() -> ExitCode {
    let engine = match engine() {
        Ok(engine) => engine,
        Err(e) => return refuse(&format!("lipscope cannot find out where it lies ({e}). Call it by its full path.")),
    };
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| "lipscope".into());
    let mut command = std::process::Command::new(&engine);
    if !WAITING.iter().any(|name| std::env::var_os(name).is_some()) {
        command.env(WAITING[0], LOOKS);
    }
    let failure = command.arg0(name).args(arguments).exec();
    refuse(&why_not(&engine, &failure))
}

/// The engine lies beside this program, wherever links to it lie.
fn engine() -> std::io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    // A program that is replaced while it starts has no canonical path any more, but still its folder.
    Ok(program.canonicalize().unwrap_or(program).with_file_name(ENGINE))
}

fn why_not(engine: &Path, failure: &Error) -> String {
    let engine = engine.display();
    match failure.kind() {
        ErrorKind::NotFound => format!(
            "{engine} is missing: lipscope computes through that program, which is built with it and belongs in the \
             same folder. Run `./x install` in lipscope's sources to install both, or copy {ENGINE} there too."
        ),
        _ => format!("{engine} does not start ({failure}). Check its permissions, or run `./x install` again."),
    }
}

fn refuse(message: &str) -> ExitCode {
    output::complain("error", message);
    ExitCode::from(2)
}
