//! `sluicegate man [DIR]`: the manual pages, made of what the command line says of itself.
//!
//! Must never put a page where nobody asked for it: into the folder that is named, or to standard output.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_mangen::Man as Page;

/// The arguments of `man`.
#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// The folder for one page per command, for instance ~/.local/share/man/man1; without it the page of
    /// `sluicegate` itself goes to standard output
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(command: &Man) -> anyhow::Result<ExitCode> {
    match &command.dir {
        Some(dir) => write(dir).with_context(|| format!("cannot write to `{}`", dir.display()))?,
        None => {
            let mut page = Vec::new();
            Page::new(super::Cli::command()).render(&mut page)?;
            std::io::stdout().write_all(&page)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    clap_mangen::generate_to(super::Cli::command(), dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command that is shown, by the name of its page, with its sentence.
    fn commands(command: &clap::Command, path: &str, found: &mut Vec<(String, String)>) {
        let path = if path.is_empty() {
            command.get_name().to_owned()
        } else {
            format!("{path}-{}", command.get_name())
        };
        found.push((format!("{path}.1"), command.get_about().map(ToString::to_string).unwrap_or_default()));
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            commands(sub, &path, found);
        }
    }

    #[test]
    fn every_command_that_is_shown_has_a_page_that_says_what_it_does() {
        let dir = tempfile::tempdir().unwrap();
        let man1 = dir.path().join("share/man1");
        write(&man1).unwrap();
        let mut found = Vec::new();
        commands(&crate::cli::Cli::command(), "", &mut found);
        assert!(found.len() > 10, "{found:?}");
        for (name, about) in found {
            assert!(!about.is_empty(), "{name} says nothing of itself");
            let page =
                std::fs::read_to_string(man1.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            let plain = page.replace("\\-", "-").replace("\\", "");
            assert!(plain.contains(&about), "{name}: {plain}");
        }
    }

    #[test]
    fn completions_know_every_command_that_is_shown() {
        let mut script = Vec::new();
        let mut command = crate::cli::Cli::command();
        clap_complete::generate(clap_complete::Shell::Bash, &mut command, "sluicegate", &mut script);
        let script = String::from_utf8(script).unwrap();
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            assert!(script.contains(&format!("sluicegate,{})", sub.get_name())), "{}", sub.get_name());
        }
    }
}
