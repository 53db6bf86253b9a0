//! `init` and `dump-genesis`.

use super::{named_datadir, say};
use crate::{
    cli::{DumpGenesisArgs, InitArgs, Overrides},
    failure::{Context, Failure},
    logging,
    store::{IfMissing, NamedChain, Store},
};
use starling_chainspec::ChainSpec;

pub(super) fn init(args: &InitArgs) -> Result<(), Failure> {
    let _log = logging::start(&args.log)?;
    if args.genesis.is_some() && args.datadir.chain.is_some() {
        return Err(Failure::usage("a genesis file and --chain are both given").remedy("give one of them"));
    }
    let chain = match (&args.genesis, &args.datadir.chain) {
        (Some(path), _) => NamedChain::read(path)?,
        (None, Some(name)) => NamedChain::find(name)?,
        (None, None) => return Err(Failure::usage("no genesis is given").remedy("name a file, or --chain NAME")),
    };
    let store = Store::open_chain(&args.datadir, Some(chain), None, &Overrides::default(), IfMissing::Create)?;
    let verb = if store.created { "wrote" } else { "already holds" };
    say(&format!(
        "{}: {verb} genesis {} of chain {} ({})",
        store.datadir.root().display(),
        store.spec.genesis_hash(),
        store.spec.chain_id,
        store.spec.name,
    ))
}

pub(super) fn dump(args: &DumpGenesisArgs) -> Result<(), Failure> {
    let datadir = named_datadir(&args.datadir)?;
    // A chain that was named is printed as this program has it; otherwise the datadir's own.
    let held = args.datadir.chain.is_none() && datadir.database().exists();
    if !held {
        let chain = NamedChain::find(args.datadir.chain.as_deref().unwrap_or("mainnet"))?;
        return say(&chain.spec.genesis_json());
    }
    let path = datadir.genesis_json();
    if path.exists() {
        let text = std::fs::read_to_string(&path).context(format_args!("cannot read {}", path.display()))?;
        return say(text.trim_end());
    }
    let store = Store::open(&args.datadir, None, &Overrides::default(), IfMissing::Refuse)?;
    match ChainSpec::named(&store.spec.name) {
        Some(named) => say(&named.genesis_json()),
        None => Err(Failure::new(
            "this chain's genesis file is not kept in the datadir (it may have been larger than 2 MiB)",
        )
        .remedy("use the file that the chain was initialised with")),
    }
}
