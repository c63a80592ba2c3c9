//! The command line of both programs: parsed, its files looked at, run; completions and manual pages.

use crate::errors::wrong_use;
use crate::terminal::{finish, note, say, take_output, unescaped};
use crate::{files, guard};
use anyhow::Result;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser};
use clap_complete::Shell;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options that name what is written.
const OUTPUTS: [&str; 4] = ["out", "export_vectors", "suspects", "c"];
/// Options that name a program's own folders: it reads and writes there as it likes.
const OWN: [&str; 3] = ["cache", "folder", "drive"];

/// Parses the command line and runs what it asks for; an output that is an input is refused before anything is done.
pub fn run<C: Parser>(command: impl FnOnce(&C) -> Result<()>) -> ExitCode {
    let matches = match C::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) if error.use_stderr() => {
            note(error.render().to_string().trim_end());
            return ExitCode::from(2);
        }
        Err(help) => {
            let text = help.render();
            let colours = std::io::stdout().is_terminal();
            let text = if colours { text.ansi().to_string() } else { text.to_string() };
            return finish(unescaped(text.as_bytes()).map_err(Into::into));
        }
    };
    finish(look_at_files(&matches).and_then(|()| {
        let cli = C::from_arg_matches(&matches);
        command(&cli.map_err(|error| wrong_use(error.to_string().trim_end()))?)
    }))
}

/// Remembers the files that the options name as inputs, and checks the outputs against them.
fn look_at_files(matches: &ArgMatches) -> Result<()> {
    let mut outputs: Vec<PathBuf> = Vec::new();
    let mut next = Some(matches);
    while let Some(matches) = next {
        for id in matches.ids().map(clap::Id::as_str).filter(|id| !OWN.contains(id)) {
            let paths = matches.try_get_many::<PathBuf>(id).ok().flatten();
            let paths = paths.into_iter().flatten().cloned();
            if OUTPUTS.contains(&id) {
                outputs.extend(paths);
                continue;
            }
            // Some options take a file or something else: a text counts where it is a file's name.
            let texts = matches.try_get_many::<String>(id).ok().flatten();
            let files = texts.into_iter().flatten().map(PathBuf::from).filter(|p| p.is_file());
            guard::reads(paths.chain(files));
        }
        next = matches.subcommand().map(|(_, matches)| matches);
    }
    if outputs.iter().any(|path| guard::is_standard(path)) {
        take_output();
    }
    guard::writes(&outputs)
}

/// Options that are laid over their defaults, for commands without a settings file.
#[derive(Clone, Debug, Default)]
pub struct OverDefaults<T>(pub T);

impl<T> std::ops::Deref for OverDefaults<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: FromArgMatches + Default> FromArgMatches for OverDefaults<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut options = T::default();
        options.update_from_arg_matches(matches)?;
        Ok(Self(options))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl<T: Args + Default> Args for OverDefaults<T> {
    fn augment_args(command: clap::Command) -> clap::Command {
        T::augment_args_for_update(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        T::augment_args_for_update(command)
    }
}

/// Write a script that completes commands and options in a shell
///
/// Example: qdllm completions bash > ~/.local/share/bash-completion/completions/qdllm
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

impl CompletionsArgs {
    pub fn run<C: CommandFactory>(&self) -> Result<()> {
        let (mut command, mut script) = (C::command(), Vec::new());
        let name = command.get_name().to_owned();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        Ok(unescaped(&script)?)
    }
}

/// Write manual pages: of every command into a folder, else the first one to standard output
#[derive(Args, Debug)]
pub struct ManArgs {
    /// The folder; made if absent
    #[arg(long, short, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
}

impl ManArgs {
    pub fn run<C: CommandFactory>(&self) -> Result<()> {
        let mut command = C::command();
        command.build();
        let Some(folder) = &self.out else { return Ok(unescaped(&page(command)?)?) };
        files::create_folder(folder)?;
        let pages = pages(command, folder)?;
        say(format_args!("{}: {pages} pages", folder.display()))
    }
}

fn page(command: clap::Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(page)
}

/// Writes the page of a command and those of its own; how many there are.
fn pages(command: clap::Command, folder: &Path) -> Result<usize> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut count = 1;
    for below in command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        count += pages(below.clone(), folder)?;
    }
    files::write(&folder.join(format!("{name}.1")), page(command)?)?;
    Ok(count)
}
