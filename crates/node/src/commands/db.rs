//! `db stats`, `db verify`, `db history`.

use super::{
    named_datadir,
    rpc_client::{Endpoint, call},
    say,
};
use crate::{
    cli::{DbCommand, DbHistoryArgs, DbStatsArgs, DbVerifyArgs, Overrides},
    failure::{Context, Failure},
    logging,
    shutdown::Shutdown,
    store::{IfMissing, Store},
    verify::{Verified, Verifier},
};
use serde_json::Value;

pub(super) fn run(command: DbCommand) -> Result<(), Failure> {
    match command {
        DbCommand::Stats(args) => print_stats(&args),
        DbCommand::Verify(args) => verify(&args),
        DbCommand::History(args) => history(&args),
    }
}

/// From the database, or from the running node that holds it.
fn print_stats(args: &DbStatsArgs) -> Result<(), Failure> {
    let datadir = named_datadir(&args.datadir)?;
    if datadir.is_locked() {
        let response = call(&Endpoint::Ipc(datadir.ipc()), "debug_dbStats", &[])?;
        let stats = response.get("result").and_then(Value::as_str);
        let stats = stats.ok_or_else(|| Failure::new(format_args!("the running node says {response}")))?;
        return say(stats.trim_end());
    }
    let store = Store::open(&args.datadir, None, &Overrides::default(), IfMissing::Refuse)?;
    say(store.database.stats().failed()?.to_string().trim_end())
}

fn verify(args: &DbVerifyArgs) -> Result<(), Failure> {
    let _log = logging::start(&args.log)?;
    let shutdown = Shutdown::listen()?;
    let store = Store::open(&args.datadir, None, &Overrides::default(), IfMissing::Refuse)?;
    let Verified { blocks, accounts, slots, trie_rows } = Verifier::new(&store.database, &shutdown)?.run(args.from)?;
    say(&format!("sound: {blocks} blocks, {accounts} accounts, {slots} slots, {trie_rows} trie rows"))
}

fn history(args: &DbHistoryArgs) -> Result<(), Failure> {
    let _log = logging::start(&args.log)?;
    let store = Store::open(&args.datadir, None, &Overrides::default(), IfMissing::Refuse)?;
    let oldest = store.database.prune_history(args.keep).context("cannot drop history")?;
    say(&format!("state is kept from block {oldest} on"))
}
