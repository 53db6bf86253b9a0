//! Flags that the interface promises and whose feature is not there yet: refused, never ignored.

use clap::{Arg, ArgAction, Command};

/// What is missing, and the flags that need it.
const TABLE: [(&str, &[&str]); 3] = [
    ("proofs at any depth", &["history.proofs"]),
    ("a journal of transactions elsewhere (it is in the datadir, always on)", &["txpool.journal", "txpool.rejournal"]),
    ("the dashboard", &["dashboard", "dashboard.port"]),
];

/// Every flag with what it waits for.
pub(crate) fn flags() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.iter().flat_map(|(feature, flags)| flags.iter().map(|flag| (*flag, *feature)))
}

/// Adds the flags to a command, unseen.
pub(crate) fn augment(command: Command) -> Command {
    flags().fold(command, |command, (flag, _)| {
        command.arg(Arg::new(flag).long(flag).num_args(0..).action(ArgAction::Append).hide(true))
    })
}

/// The line of the help that names them.
pub(crate) fn help() -> String {
    let names = flags().map(|(flag, _)| format!("--{flag}")).collect::<Vec<_>>().join(" ");
    format!("Not available yet, and refused: {names}")
}
