//! Genesis blocks: geth's file format read (strictly) and written, the accounts, the state root.
//!
//! ```text
//! genesis.json ──config──► forks, blobs, consensus
//!              ──header──► genesis header ◄── state root
//!              ──alloc───► accounts ──root──┘
//! ```
//!
//! Deviations from geth's reading, all towards saying no: unknown fields are errors, so that a misspelt
//! fork does not silently never happen; `eip155Block` must equal `eip158Block`; a field that stands
//! twice is an error. Beyond geth's fields, `config.dev: {}` marks a chain that seals its own blocks.

mod alloc;
mod config;
mod dump;
mod error;
mod header;
mod json;
mod root;
mod state;

pub use error::GenesisError;
pub use root::state_root;
pub use state::GenesisState;

use crate::ChainSpec;
use alloy_primitives::B256;
use config::Config;
use json::Fields;
use starling_primitives::{Header, MemoryState};

impl ChainSpec {
    /// Reads a genesis file in geth's format and computes its state root. `name` is for people.
    pub fn from_genesis_json(name: &str, text: &str) -> Result<Self, GenesisError> {
        let (mut spec, accounts) = read(name, text)?;
        let state = alloc::read(accounts)?;
        spec.genesis_header.state_root = state_root(&state);
        spec.genesis_state = state.into();
        Ok(spec)
    }

    /// Reads a chain configuration as [`ChainSpec::config_json`] wrote it, for a chain whose genesis
    /// block is known already. The genesis accounts stay empty: they lie in the database by then.
    pub fn from_config_json(name: &str, config: &str, genesis_header: Header) -> Result<Self, GenesisError> {
        let config = Config::read(Fields::read("config", config)?)?;
        Ok(with_header(name, config, genesis_header))
    }

    /// A network that this program carries: its state root is known, its accounts are read when asked for.
    pub(crate) fn built_in(name: &str, text: &'static str, state_root: B256) -> Result<Self, GenesisError> {
        let (mut spec, _) = read(name, text)?;
        spec.genesis_header.state_root = state_root;
        spec.genesis_state = GenesisState::lazy(move || {
            let accounts = read("", text).and_then(|(_, accounts)| alloc::read(accounts));
            accounts.expect("built-in genesis files are read by the tests")
        });
        Ok(spec)
    }
}

/// Everything but the accounts and the state root.
fn read<'a>(name: &str, text: &'a str) -> Result<(ChainSpec, Fields<'a>), GenesisError> {
    let mut fields = Fields::read("", text)?;
    let config = Config::read(fields.need("config")?.object()?)?;
    let header = header::read(&mut fields, &config)?;
    let accounts = fields.need("alloc")?.object()?;
    fields.finish()?;
    Ok((with_header(name, config, header), accounts))
}

fn with_header(name: &str, config: Config, genesis_header: Header) -> ChainSpec {
    ChainSpec {
        name: name.into(),
        chain_id: config.chain_id,
        forks: config.forks,
        blob_schedule: config.blob_schedule,
        consensus: config.consensus,
        deposit_contract: config.deposit_contract,
        merge_netsplit_block: config.merge_netsplit_block,
        dao_fork_refused_block: config.dao_fork_refused_block,
        builder_requests: true,
        genesis_header,
        genesis_state: MemoryState::default().into(),
    }
}
