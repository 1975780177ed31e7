//! What follows from the arguments alone: completion scripts and the man page.

use super::args::Cli;
use clap::CommandFactory;
use clap_complete::Shell;

/// A completion script.
pub fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "lipscope", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The man page in roff.
pub fn man() -> std::io::Result<String> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
