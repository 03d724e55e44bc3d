//! `supctl completions SHELL`

use clap::CommandFactory as _;
use clap_complete::{generate, shells};

use crate::cli::{Cli, Shell};
use crate::error::Error;
use crate::output::Screen;

/// Prints the script.
pub(super) fn print(screen: &Screen, shell: Shell) -> Result<(), Error> {
    screen.data(&script(shell))
}

fn script(shell: Shell) -> String {
    let mut command = Cli::command();
    let mut script = Vec::new();
    match shell {
        Shell::Bash => generate(shells::Bash, &mut command, "supctl", &mut script),
        Shell::Zsh => generate(shells::Zsh, &mut command, "supctl", &mut script),
        Shell::Fish => generate(shells::Fish, &mut command, "supctl", &mut script),
    }
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_completes_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell:?} {}", command.get_name());
            }
        }
    }
}
