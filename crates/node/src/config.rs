//! Layers of configuration: defaults < `--config FILE.toml` < `STARLING_…` environment < flags.
//!
//! A file's values become the defaults of the flags, and the environment is clap's own, so that every layer is
//! read by the same parsers and refused with the same words.

use crate::{
    cli::{Cli, unavailable},
    failure::Failure,
};
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches, parser::ValueSource};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::{Path, PathBuf},
};

/// What a command line came to.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// A command to run, and its flags as clap saw them.
    Run(Box<Cli>, Box<ArgMatches>),
    /// Help, version, or wrong usage: clap says it.
    Say(clap::Error),
}

/// Reads the command line with all layers beneath it.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed, Failure> {
    let args: Vec<OsString> = args.into_iter().collect();
    let command = command();
    let mut matches = match command.clone().try_get_matches_from(&args) {
        Ok(matches) => matches,
        Err(error) => return Ok(Parsed::Say(error)),
    };
    if let Some(path) = config_path(&matches) {
        let file = read_file(&path, &known_names(&command))?;
        matches = match with_defaults(command, &file).try_get_matches_from(&args) {
            Ok(matches) => matches,
            Err(error) => return Ok(Parsed::Say(error)),
        };
    }
    refuse_unavailable(leaf(&matches))?;
    Ok(match Cli::from_arg_matches(&matches) {
        Ok(cli) => Parsed::Run(Box::new(cli), Box::new(matches)),
        Err(error) => Parsed::Say(error),
    })
}

/// The whole command line: derived commands, the environment, and the flags that are not available yet.
fn command() -> Command {
    let mut command = Cli::command();
    let configurable = configurable(&command);
    for sub in command.get_subcommands_mut() {
        *sub = prepare(std::mem::take(sub), &configurable);
    }
    command
}

fn prepare(command: Command, configurable: &BTreeSet<String>) -> Command {
    let takes_all = takes_all(&command);
    let mut command = command.mut_args(|arg| match arg.get_long() {
        Some(name) if configurable.contains(name) => {
            let variable = variable(name);
            arg.env(variable).hide_env(true)
        }
        _ => arg,
    });
    for sub in command.get_subcommands_mut() {
        *sub = prepare(std::mem::take(sub), configurable);
    }
    if takes_all {
        command = unavailable::augment(command).mut_args(|arg| match arg.is_hide_set() {
            true => {
                let variable = variable(arg.get_id().as_str());
                arg.env(variable).hide_env(true)
            }
            false => arg,
        });
    }
    command
}

/// `node` and `config dump` take every flag that can be configured.
fn takes_all(command: &Command) -> bool {
    command.get_arguments().any(|arg| arg.get_long() == Some("authrpc.port"))
}

/// Names of the flags that file and environment may set: those of `node`.
fn configurable(command: &Command) -> BTreeSet<String> {
    let node = command.get_subcommands().find(|sub| takes_all(sub));
    let shown = node.into_iter().flat_map(Command::get_arguments).filter(|arg| !arg.is_hide_set());
    shown.filter_map(Arg::get_long).map(String::from).collect()
}

fn known_names(command: &Command) -> BTreeSet<String> {
    configurable(command).into_iter().filter(|name| name != "config" && name != "help").collect()
}

/// `http.port` is `STARLING_HTTP_PORT`.
fn variable(flag: &str) -> String {
    let upper = flag.to_ascii_uppercase().replace(['.', '-'], "_");
    format!("STARLING_{upper}")
}

fn leaf(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, sub)| leaf(sub))
}

fn config_path(matches: &ArgMatches) -> Option<PathBuf> {
    leaf(matches).try_get_one::<PathBuf>("config").ok().flatten().cloned()
}

fn refuse_unavailable(matches: &ArgMatches) -> Result<(), Failure> {
    for (flag, feature) in unavailable::flags() {
        let source = matches.try_contains_id(flag).is_ok().then(|| matches.value_source(flag)).flatten();
        let whence = match source {
            None => continue,
            Some(ValueSource::EnvVariable) => format!("{} is set", variable(flag)),
            Some(_) => format!("--{flag} is given"),
        };
        return Err(not_available(&whence, feature));
    }
    Ok(())
}

/// A configuration file: flag names and their values as text.
type FileValues = BTreeMap<String, Vec<String>>;

fn read_file(path: &Path, known: &BTreeSet<String>) -> Result<FileValues, Failure> {
    let name = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| Failure::usage(format_args!("cannot read {name}: {error}")))?;
    let table: toml::Table = text.parse().map_err(|error| {
        Failure::usage(format_args!("{name} is not TOML: {error}"))
            .remedy("write names with dots in quotes, like \"http.port\" = 8545")
    })?;
    let mut values = FileValues::new();
    flatten(&table, "", &mut values).map_err(|why| Failure::usage(format_args!("{name}: {why}")))?;
    match values.keys().find(|key| !known.contains(*key)) {
        None => Ok(values),
        Some(key) => match unavailable::flags().find(|(flag, _)| flag == key) {
            Some((_, feature)) => Err(not_available(&format!("{name}: {key} is set"), feature)),
            None => {
                Err(Failure::usage(format_args!("{name}: there is no flag --{key}")).remedy("see starling node --help"))
            }
        },
    }
}

fn not_available(whence: &str, feature: &str) -> Failure {
    Failure::usage(format_args!("{whence}, and {feature} is not available yet in Starling {}", crate::version::SHORT))
        .remedy("leave it out")
}

/// `[http] port = 1` and `"http.port" = 1` say the same.
fn flatten(table: &toml::Table, prefix: &str, out: &mut FileValues) -> Result<(), String> {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        match value {
            toml::Value::Table(inner) => flatten(inner, &format!("{name}."), out)?,
            toml::Value::Array(items) => {
                let items = items.iter().map(|item| scalar(&name, item)).collect::<Result<_, _>>()?;
                out.insert(name, items);
            }
            value => {
                let text = scalar(&name, value)?;
                out.insert(name, vec![text]);
            }
        }
    }
    Ok(())
}

fn scalar(name: &str, value: &toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => Ok(value.to_string()),
        _ => Err(format!("{name} must be text, a number, true or false, or a list of these")),
    }
}

fn with_defaults(mut command: Command, file: &FileValues) -> Command {
    command = command.mut_args(|arg| match arg.get_long().and_then(|name| file.get(name)) {
        Some(values) if arg.get_value_delimiter().is_some() => arg.default_value(values.join(",")),
        Some(values) => arg.default_values(values.clone()),
        None => arg,
    });
    for sub in command.get_subcommands_mut() {
        *sub = with_defaults(std::mem::take(sub), file);
    }
    command
}

/// The flags in force as a file for `--config`.
pub(crate) fn dump(matches: &ArgMatches) -> String {
    let command = command();
    let mut lines = vec!["# starling node --config THIS.toml".to_string()];
    let matches = leaf(matches);
    for name in known_names(&command) {
        let id = id_of(&command, &name);
        let Ok(Some(values)) = matches.try_get_raw(&id) else { continue };
        let values: Vec<_> = values.map(|value| value.to_string_lossy().into_owned()).collect();
        // a count has no text of its own
        let values = if name == "verbose" { vec![matches.get_count(&id).to_string()] } else { values };
        let value = match values.as_slice() {
            [one] if is_list(&command, &name) => format!("[{}]", list(one.split(','))),
            [one] => literal(one),
            many => format!("[{}]", list(many.iter().map(String::as_str))),
        };
        lines.push(format!("{:?} = {value}", name));
    }
    lines.join("\n") + "\n"
}

fn node_arg<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    let node = command.get_subcommands().find(|sub| takes_all(sub))?;
    node.get_arguments().find(|arg| arg.get_long() == Some(name))
}

fn id_of(command: &Command, name: &str) -> String {
    node_arg(command, name).map(|arg| arg.get_id().to_string()).unwrap_or_default()
}

fn is_list(command: &Command, name: &str) -> bool {
    node_arg(command, name).is_some_and(|arg| arg.get_value_delimiter().is_some())
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    items.map(literal).collect::<Vec<_>>().join(", ")
}

fn literal(text: &str) -> String {
    let plain = matches!(text, "true" | "false") || text.parse::<i64>().is_ok();
    if plain { text.into() } else { toml::Value::String(text.into()).to_string() }
}

#[cfg(test)]
mod tests;
