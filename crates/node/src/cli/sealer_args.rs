use super::node_args::parse_duration;
use alloy_primitives::Bytes;
use clap::Args;
use starling_builder::{BuildOptions, GAS_LIMIT_TARGET_DEFAULT};
use starling_primitives::Address;
use std::{path::PathBuf, time::Duration};

/// Blocks of our own.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Building and sealing")]
pub(crate) struct SealerArgs {
    /// Development chain: this node alone seals, accounts with ether are printed with their keys
    #[arg(id = "dev", long = "dev", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub dev: bool,
    /// A block every so often on the development chain; 0s: as soon as there is a transaction
    #[arg(id = "dev.period", long = "dev.period", value_name = "TIME", default_value = "0s", value_parser = parse_period)]
    pub dev_period: Duration,
    /// Let others than this machine call a node that signs for whoever asks
    #[arg(id = "allow-insecure-unlock", long = "allow-insecure-unlock", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub allow_insecure_unlock: bool,
    /// Seal blocks of proof of authority: a key file, or an address whose key lies in DATADIR/keystore
    #[arg(id = "sealer", long = "sealer", value_name = "KEYFILE|ADDRESS")]
    pub sealer: Option<String>,
    /// Seal without having met a peer: the key has signed on no other datadir, or nobody else keeps this chain
    #[arg(id = "sealer.alone", long = "sealer.alone", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub alone: bool,
    /// Accounts of DATADIR/keystore that sign for whoever asks (eth_sendTransaction, eth_sign); --password opens them
    #[arg(id = "unlock", long = "unlock", value_name = "ADDRESS,…", value_delimiter = ',')]
    pub unlock: Vec<Address>,
    /// File with the password of the sealer's and the unlocked keys
    #[arg(id = "password", long = "password", value_name = "FILE")]
    pub password: Option<PathBuf>,
    /// Extra data of blocks built here, at most 32 bytes [default: starling/VERSION]
    #[arg(id = "miner.extradata", long = "miner.extradata", value_name = "TEXT|0xHEX", value_parser = parse_extra_data)]
    pub extra_data: Option<Bytes>,
    /// Gas limit that blocks built here move to
    #[arg(id = "miner.gaslimit", long = "miner.gaslimit", value_name = "GAS", default_value_t = GAS_LIMIT_TARGET_DEFAULT)]
    pub gas_limit: u64,
    /// Least tip of transactions in blocks built here, in wei per gas
    #[arg(id = "miner.gasprice", long = "miner.gasprice", value_name = "WEI", default_value = "0")]
    pub gas_price: u128,
    /// Most blobs of blocks built here [default: what the fork allows]
    #[arg(id = "miner.maxblobs", long = "miner.maxblobs", value_name = "COUNT")]
    pub blobs_max: Option<u64>,
    /// Who gets the fees of the development chain's blocks [default: its first account]
    #[arg(id = "miner.etherbase", long = "miner.etherbase", value_name = "ADDRESS")]
    pub etherbase: Option<Address>,
}

/// Most bytes of a header's extra data.
const EXTRA_DATA_BYTES_MAX: usize = 32;

impl SealerArgs {
    /// What blocks that are built here aim at.
    pub(crate) fn options(&self) -> BuildOptions {
        let says = || Bytes::from(concat!("starling/", env!("CARGO_PKG_VERSION")).as_bytes());
        BuildOptions {
            gas_limit_target: self.gas_limit,
            extra_data: self.extra_data.clone().unwrap_or_else(says),
            blobs_max: self.blobs_max,
            tip_min: self.gas_price,
        }
    }
}

fn parse_extra_data(text: &str) -> Result<Bytes, String> {
    let bytes = match text.strip_prefix("0x") {
        Some(digits) => Bytes::from(alloy_primitives::hex::decode(digits).map_err(|error| error.to_string())?),
        None => Bytes::copy_from_slice(text.as_bytes()),
    };
    match bytes.len() <= EXTRA_DATA_BYTES_MAX {
        true => Ok(bytes),
        false => Err(format!("{} bytes, at most {EXTRA_DATA_BYTES_MAX} fit", bytes.len())),
    }
}

/// A time, or bare seconds as geth takes them.
fn parse_period(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).or_else(|_| parse_duration(text))
}
