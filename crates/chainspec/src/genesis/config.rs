//! The `config` object of a genesis file: geth's chain configuration, read strictly.

use super::{
    GenesisError,
    json::{Field, Fields},
};
use crate::{Activation, BlobSchedule, Consensus, Fork};
use alloy_primitives::Address;

/// Fields that geth writes or once wrote and that decide nothing here.
const IGNORED: [&str; 6] =
    ["ethash", "terminalTotalDifficultyPassed", "eip150Hash", "ewasmBlock", "catalystBlock", "mergeForkBlock"];

/// Fields of geth for forks that are not made yet: naming one is asking for rules that are not here.
const UNSUPPORTED: [&str; 5] = ["bogotaTime", "ubtTime", "verkleTime", "enableVerkleAtGenesis", "enableUBTAtGenesis"];

/// geth's default when `config.clique` names no epoch.
const CLIQUE_EPOCH_BLOCKS: u64 = 30_000;

/// What `config` says.
pub(super) struct Config {
    pub(super) chain_id: u64,
    pub(super) forks: Vec<(Fork, Activation)>,
    pub(super) blob_schedule: Vec<(Fork, BlobSchedule)>,
    pub(super) consensus: Consensus,
    pub(super) deposit_contract: Option<Address>,
    pub(super) merge_netsplit_block: Option<u64>,
    pub(super) dao_fork_refused_block: Option<u64>,
}

impl Config {
    pub(super) fn read(mut fields: Fields<'_>) -> Result<Self, GenesisError> {
        let chain_id = fields.need("chainId")?.u64()?;
        let dao_fork_refused_block = read_dao_refused(&mut fields)?;
        let forks = read_forks(&mut fields, dao_fork_refused_block.is_some())?;
        let consensus = read_consensus(&mut fields)?;
        check_order(&forks, &consensus)?;
        let blob_schedule = read_blob_schedule(&mut fields, &forks)?;
        let deposit_contract = fields.take("depositContractAddress")?.map(|field| field.address()).transpose()?;
        let merge_netsplit_block = fields.take("mergeNetsplitBlock")?.map(|field| field.u64()).transpose()?;
        for name in IGNORED {
            fields.take(name)?;
        }
        for name in UNSUPPORTED {
            if let Some(field) = fields.take(name)?.filter(|field| field.raw.get() != "false") {
                return Err(field.wrong("asks for a fork that this version does not know"));
            }
        }
        fields.finish()?;
        Ok(Self {
            chain_id,
            forks,
            blob_schedule,
            consensus,
            deposit_contract,
            merge_netsplit_block,
            dao_fork_refused_block,
        })
    }
}

/// `daoForkSupport: false` beside a `daoForkBlock`: this chain stayed without the fork.
fn read_dao_refused(fields: &mut Fields<'_>) -> Result<Option<u64>, GenesisError> {
    let supported = fields.take("daoForkSupport")?.map(|field| field.bool()).transpose()?.unwrap_or(false);
    if supported {
        return Ok(None);
    }
    fields.take("daoForkBlock")?.map(|field| field.u64()).transpose()
}

fn read_forks(fields: &mut Fields<'_>, dao_refused: bool) -> Result<Vec<(Fork, Activation)>, GenesisError> {
    let mut forks = Vec::new();
    for fork in Fork::ALL {
        let Some(key) = fork.config_key() else { continue };
        if fork == Fork::Dao && dao_refused {
            continue;
        }
        if let Some(field) = fields.take(key)? {
            let at = field.u64()?;
            forks.push((fork, if fork.is_by_time() { Activation::Time(at) } else { Activation::Block(at) }));
        }
    }
    imply_petersburg(&mut forks);
    // geth has one more field for what is one fork here
    if let Some(field) = fields.take("eip155Block")? {
        let spurious_dragon = forks.iter().find(|(fork, _)| *fork == Fork::SpuriousDragon);
        if spurious_dragon.map(|(_, at)| *at) != Some(Activation::Block(field.u64()?)) {
            return Err(field.wrong("differs from config.eip158Block; both begin with Spurious Dragon"));
        }
    }
    Ok(forks)
}

/// A configuration that names Constantinople and not Petersburg has both at once, as in geth.
fn imply_petersburg(forks: &mut Vec<(Fork, Activation)>) {
    if forks.iter().any(|(fork, _)| *fork == Fork::Petersburg) {
        return;
    }
    if let Some(index) = forks.iter().position(|(fork, _)| *fork == Fork::Constantinople) {
        let at = forks[index].1;
        forks.insert(index + 1, (Fork::Petersburg, at));
    }
}

fn read_consensus(fields: &mut Fields<'_>) -> Result<Consensus, GenesisError> {
    let terminal_total_difficulty = fields.take("terminalTotalDifficulty")?.map(|field| field.u256()).transpose()?;
    let clique = fields.take("clique")?;
    let dev = fields.take("dev")?;
    match (clique, dev) {
        (Some(_), Some(_)) => Err(GenesisError::Conflict("config.clique and config.dev exclude each other".into())),
        (Some(clique), None) => read_clique(&clique, terminal_total_difficulty),
        (None, Some(dev)) => {
            dev.object()?.finish()?;
            match terminal_total_difficulty {
                Some(difficulty) if !difficulty.is_zero() => Err(GenesisError::Conflict(format!(
                    "config.dev needs config.terminalTotalDifficulty 0, not {difficulty}"
                ))),
                _ => Ok(Consensus::Dev),
            }
        }
        (None, None) => Ok(Consensus::Ethereum { terminal_total_difficulty }),
    }
}

fn read_clique(
    clique: &Field<'_>,
    terminal_total_difficulty: Option<alloy_primitives::U256>,
) -> Result<Consensus, GenesisError> {
    let mut fields = clique.object()?;
    let period = fields.need("period")?.u64()?;
    let epoch = match fields.take("epoch")? {
        Some(field) => match field.u64()? {
            0 => CLIQUE_EPOCH_BLOCKS,
            epoch => epoch,
        },
        None => CLIQUE_EPOCH_BLOCKS,
    };
    fields.finish()?;
    Ok(Consensus::Clique { period, epoch, terminal_total_difficulty })
}

/// Forks must begin in order, none that a later one builds on may be missing, and what stands on the
/// merge needs to know of it.
fn check_order(forks: &[(Fork, Activation)], consensus: &Consensus) -> Result<(), GenesisError> {
    for pair in forks.windows(2) {
        let [(earlier, earlier_at), (fork, at)] = pair else { continue };
        let before = match (earlier_at, at) {
            (Activation::Block(a), Activation::Block(b)) | (Activation::Time(a), Activation::Time(b)) => {
                (b < a).then_some((*a, *b))
            }
            _ => None,
        };
        if let Some((earlier_at, at)) = before {
            return Err(GenesisError::Order { fork: key(*fork), at, earlier: key(*earlier), earlier_at });
        }
    }
    let Some((last, _)) = forks.last() else { return Ok(()) };
    let missing = Fork::ALL.into_iter().take_while(|fork| fork < last).find(|fork| {
        fork.config_key().is_some() && !fork.is_optional() && !forks.iter().any(|(other, _)| other == fork)
    });
    if let Some(missing) = missing {
        let after = forks.iter().find(|(fork, _)| *fork > missing).map_or(*last, |(fork, _)| *fork);
        return Err(GenesisError::Gap { fork: key(after), earlier: key(missing) });
    }
    let never_merges = matches!(consensus, Consensus::Ethereum { terminal_total_difficulty: None });
    match forks.iter().find(|(fork, _)| fork.is_by_time()) {
        Some((fork, _)) if never_merges => {
            Err(GenesisError::Gap { fork: key(*fork), earlier: "terminalTotalDifficulty" })
        }
        _ => Ok(()),
    }
}

fn read_blob_schedule(
    fields: &mut Fields<'_>,
    forks: &[(Fork, Activation)],
) -> Result<Vec<(Fork, BlobSchedule)>, GenesisError> {
    let Some(field) = fields.take("blobSchedule")? else {
        return Ok(default_blob_schedule(forks));
    };
    let mut entries = field.object()?;
    let mut schedule = Vec::new();
    for fork in Fork::ALL.into_iter().filter(|fork| *fork >= Fork::Cancun) {
        let scheduled = forks.iter().any(|(other, _)| *other == fork);
        match entries.take(fork.name())? {
            Some(entry) => schedule.push((fork, read_blob_entry(&entry)?)),
            // these forks are nothing but their entry
            None if scheduled && (Fork::Bpo1..=Fork::Bpo5).contains(&fork) => {
                return Err(GenesisError::Missing { path: format!("config.blobSchedule.{fork}") });
            }
            None if scheduled && schedule.is_empty() => {
                return Err(GenesisError::Missing { path: format!("config.blobSchedule.{fork}") });
            }
            None => {}
        }
    }
    entries.finish()?;
    Ok(schedule)
}

fn read_blob_entry(entry: &Field<'_>) -> Result<BlobSchedule, GenesisError> {
    let mut fields = entry.object()?;
    let target = fields.need("target")?.u64()?;
    let max = fields.need("max")?;
    let fraction = fields.need("baseFeeUpdateFraction")?;
    let schedule = BlobSchedule { target, max: max.u64()?, base_fee_update_fraction: fraction.u64()? };
    fields.finish()?;
    if schedule.max < target {
        return Err(max.wrong("is below the target"));
    }
    if schedule.base_fee_update_fraction == 0 {
        return Err(fraction.wrong("would divide by zero"));
    }
    Ok(schedule)
}

fn default_blob_schedule(forks: &[(Fork, Activation)]) -> Vec<(Fork, BlobSchedule)> {
    forks.iter().filter_map(|(fork, _)| Some((*fork, BlobSchedule::default_of(*fork)?))).collect()
}

fn key(fork: Fork) -> &'static str {
    fork.config_key().unwrap_or("terminalTotalDifficulty")
}
