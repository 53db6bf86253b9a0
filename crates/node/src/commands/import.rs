//! `import`.

use super::say;
use crate::{
    cli::ImportArgs,
    failure::{Context, Failure},
    import::Importer,
    logging,
    memory::MemoryBudget,
    process,
    shutdown::Shutdown,
    store::{IfMissing, Store},
};
use starling_chain::ChainConfig;
use std::{sync::Arc, time::Instant};

pub(super) fn run(args: ImportArgs) -> Result<(), Failure> {
    let _log = logging::start(&args.log)?;
    process::raise_open_files();
    let shutdown = Shutdown::listen()?;
    let budget = MemoryBudget::new(args.storage.memory);
    let store = Store::open(&args.datadir, Some(&args.storage), &args.overrides, IfMissing::Create)?;
    budget.log();
    let core = store.chain_within(&budget, ChainConfig::default())?;
    let importer = Importer {
        core,
        pool: Arc::new(process::pool("import")?),
        shutdown,
        room_size_bytes: budget.import_size_bytes(),
    };
    let began = Instant::now();
    let (core, imported, result) = importer.run(args.files).context("cannot import")?;
    let took = began.elapsed();
    let head = core.head();
    tracing::debug!("importing thread: {}", core.times());
    // The last handle to go syncs the journal.
    drop((core, store));
    let seconds = took.as_secs_f64();
    say(&format!(
        "imported {} blocks ({} transactions, {:.1} Mgas) in {took:.1?}: {:.0} blocks/s, {:.1} Mgas/s; {} known already; \
         head {head}",
        imported.blocks,
        imported.transactions,
        imported.gas as f64 / 1e6,
        imported.blocks as f64 / seconds,
        imported.gas as f64 / 1e6 / seconds,
        imported.known,
    ))?;
    result
}
