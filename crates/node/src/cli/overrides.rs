use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};
use starling_chainspec::Fork;

/// Forks whose time a flag may move, and the flags' names.
const FORKS: [(Fork, &str); 10] = [
    (Fork::Shanghai, "shanghai"),
    (Fork::Cancun, "cancun"),
    (Fork::Prague, "prague"),
    (Fork::Osaka, "osaka"),
    (Fork::Bpo1, "bpo1"),
    (Fork::Bpo2, "bpo2"),
    (Fork::Bpo3, "bpo3"),
    (Fork::Bpo4, "bpo4"),
    (Fork::Bpo5, "bpo5"),
    (Fork::Amsterdam, "amsterdam"),
];

/// `--override.FORK TIME`: forks that begin at another time than the chain says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Overrides(
    /// Fork and unix seconds.
    pub Vec<(Fork, u64)>,
);

fn id(name: &str) -> String {
    format!("override.{name}")
}

impl FromArgMatches for Overrides {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let time = |name| matches.get_one::<u64>(&id(name)).copied();
        Ok(Self(FORKS.iter().filter_map(|(fork, name)| Some((*fork, time(name)?))).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Overrides {
    fn augment_args(command: Command) -> Command {
        FORKS.iter().fold(command, |command, (_, name)| {
            command.arg(
                Arg::new(id(name))
                    .long(id(name))
                    .value_name("TIME")
                    .value_parser(value_parser!(u64))
                    .help_heading("Forks")
                    .help(format!("Unix time at which {name} begins")),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
