//! `testkit`: the runners of this crate from the command line. The tests in `tests/` call the same functions.

use std::path::PathBuf;
use std::process::ExitCode;

#[cfg(feature = "conformance")]
use starling_testkit::crash_net;
use starling_testkit::{Outcome, bench, chains, crash, engine, interop, mutate, rpc};

const USAGE: &str = "\
usage: testkit COMMAND

  chains                         import, head, export of every chain at hand
  rpc-compat [--cases DIR]       the published JSON-RPC requests and responses, a table by method
  engine [--record]              a chain as Engine API payloads, and payloads with one thing wrong;
                                 --record asks geth (STARLING_GETH) again and keeps its answers
  crash [--kills N] [--seed S]   imports killed at random moments (20)
  crash-net [--kills N] [--seed S] [--sealers 1|2|3]
                                 a Clique network killed under load (100 kills, shared by networks of 1, 2 and 3 sealers)
  fuzz [--seed S] [--rounds N]   random chains on layers, on plain maps and by geth's evm (on the PATH or STARLING_EVM)
  mutate [RULE…] [-- FLAGS]      changes one rule at a time in a copy; the conformance runner (FLAGS) must fail
  interop suites|sync|cells|others|flock|hostile|mixed|seen
                                 geth's wire suites, chains to and from geth, four nodes by one bootnode, two geths and
                                 two Starlings that seal (mixed [--blocks N]), how soon twenty nodes see a block (seen
                                 [--nodes N] [--blocks N]);
                                 the peers are built by testnet/interop/install
  simulate [SCENARIO] [--small] [--seed S]
                                 a network in virtual time: discovery, discv5 (real nodes), spread, partition, hostile,
                                 outbound; without a name, all
  bench-import [FLAGS]           import speed beside geth; flags go to chainforge's bench-import.py
  bench-engine [FLAGS]           newPayload by chain beside geth, interleaved: --chains, --blocks, --gas, --accounts
  bench-build                    a block of 60 million gas out of 10,000 pending transactions, beside geth
  bench-pool                     insertions a CPU-second, and the time until the pool sees a new head, beside geth
  bench-p2p                      what is served a CPU-second, and a sync, beside geth
  bench-restart                  time to the first answer after SIGKILL, and memory

The program under test is STARLING_BIN, or `starling` of the same build. STARLING_FIXTURES names the folder of
fixtures. Exit status: 0 all held, 1 something failed, 2 wrong usage.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(outcome) = run(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// None if the arguments are not understood.
fn run(arguments: &[String]) -> Option<Outcome> {
    let (command, flags) = arguments.split_first()?;
    match command.as_str() {
        "chains" => flags.is_empty().then(chains::run),
        "rpc-compat" => match flags {
            [] => Some(rpc::run(None)),
            [flag, folder] if flag == "--cases" => Some(rpc::run(Some(&PathBuf::from(folder)))),
            _ => None,
        },
        "engine" => match flags {
            [] => Some(engine::run()),
            [flag] if flag == "--record" => Some(engine::record()),
            _ => None,
        },
        #[cfg(feature = "conformance")]
        "fuzz" => {
            let [seed, rounds] = numbers(flags, [("--seed", None), ("--rounds", Some(100))])?;
            Some(starling_testkit::differential::run(seed, rounds))
        }
        "mutate" => {
            let mut parts = flags.splitn(2, |flag| flag == "--");
            Some(mutate::run(parts.next().unwrap_or_default(), parts.next().unwrap_or_default()))
        }
        "crash" => crash_flags(flags).map(|(kills, seed)| crash::run(kills, seed)),
        #[cfg(feature = "conformance")]
        "crash-net" => {
            let defaults = [("--kills", Some(crash_net::KILLS_DEFAULT)), ("--seed", None), ("--sealers", Some(0))];
            let [kills, seed, sealers] = numbers(flags, defaults)?;
            (sealers <= 3).then(|| crash_net::run(kills, seed, (sealers > 0).then_some(sealers)))
        }
        "interop" => match flags {
            [which] if which == "suites" => Some(interop::suites::run()),
            [which] if which == "sync" => Some(interop::sync::run()),
            #[cfg(feature = "conformance")]
            [which] if which == "cells" => Some(interop::cells::run()),
            [which] if which == "others" => Some(interop::others::run()),
            #[cfg(feature = "conformance")]
            [which] if which == "hostile" => Some(interop::hostile::run()),
            [which] if which == "flock" => Some(interop::flock::run()),
            #[cfg(feature = "conformance")]
            [which, flags @ ..] if which == "seen" => {
                let defaults = [("--nodes", interop::seen::NODES_DEFAULT), ("--blocks", interop::seen::BLOCKS_DEFAULT)];
                let [nodes, blocks] = numbers(flags, defaults.map(|(name, default)| (name, Some(default))))?;
                Some(interop::seen::run(nodes, blocks))
            }
            #[cfg(feature = "conformance")]
            [which, flags @ ..] if which == "mixed" => {
                let defaults = [("--seed", None), ("--blocks", Some(interop::mixed::BLOCKS_DEFAULT))];
                let [seed, blocks] = numbers(flags, defaults)?;
                Some(interop::mixed::run(blocks, seed))
            }
            _ => None,
        },
        #[cfg(feature = "conformance")]
        "simulate" => simulate_flags(flags),
        "bench-import" => Some(bench::import(flags)),
        "bench-engine" => Some(bench::engine(flags)),
        #[cfg(feature = "conformance")]
        "bench-build" => flags.is_empty().then(bench::build),
        #[cfg(feature = "conformance")]
        "bench-pool" => flags.is_empty().then(bench::pool),
        #[cfg(feature = "conformance")]
        "bench-p2p" => flags.is_empty().then(bench::p2p),
        "bench-restart" => flags.is_empty().then(bench::restart),
        _ => None,
    }
}

fn crash_flags(flags: &[String]) -> Option<(usize, u64)> {
    let (mut kills, mut seed) = (crash::KILLS_DEFAULT, rand::random());
    for pair in flags.chunks(2) {
        match pair {
            [flag, number] if flag == "--kills" => kills = number.parse().ok()?,
            [flag, number] if flag == "--seed" => seed = number.parse().ok()?,
            _ => return None,
        }
    }
    Some((kills, seed))
}

#[cfg(feature = "conformance")]
fn simulate_flags(flags: &[String]) -> Option<Outcome> {
    use starling_testkit::simulate::{Size, run};
    let (mut name, mut size, mut seed) = (None, Size::Full, rand::random());
    let mut flags = flags.iter();
    while let Some(flag) = flags.next() {
        match flag.as_str() {
            "--small" => size = Size::Small,
            "--seed" => seed = flags.next()?.parse().ok()?,
            flag if !flag.starts_with('-') && name.is_none() => name = Some(flag),
            _ => return None,
        }
    }
    Some(run(name, size, seed))
}

/// Numbers of flags, each with what it is without its flag: none is drawn.
#[cfg(feature = "conformance")]
fn numbers<const N: usize>(flags: &[String], known: [(&str, Option<u64>); N]) -> Option<[u64; N]> {
    let mut numbers = known.map(|(_, default)| default.unwrap_or_else(rand::random));
    for pair in flags.chunks(2) {
        let [flag, number] = pair else { return None };
        let at = known.iter().position(|(name, _)| name == flag)?;
        numbers[at] = number.parse().ok()?;
    }
    Some(numbers)
}
