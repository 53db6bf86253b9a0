//! The networks that this program carries.

use crate::{Activation, BlobSchedule, ChainSpec, Consensus, Fork, genesis::state_root};
use alloy_primitives::{B256, U256, b256};
use starling_primitives::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header, MemoryState};

/// Names that [`ChainSpec::named`] knows.
pub const NETWORKS: [&str; 6] = ["mainnet", "sepolia", "hoodi", "dev", "testnet", "testnet-geth"];

struct Network {
    genesis: &'static str,
    // computed from the genesis file once; a test computes them again
    state_root: B256,
}

const MAINNET: Network = Network {
    genesis: include_str!("../../../genesis/mainnet.json"),
    state_root: b256!("d7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544"),
};
const SEPOLIA: Network = Network {
    genesis: include_str!("../../../genesis/sepolia.json"),
    state_root: b256!("5eb6e371a698b8d68f665192350ffcecbbbf322916f4b51bd79bb6887da3f494"),
};
const HOODI: Network = Network {
    genesis: include_str!("../../../genesis/hoodi.json"),
    state_root: b256!("da87d7f5f91c51508791bbcbd4aa5baf04917830b86985eeb9ad3d5bfb657576"),
};
const DEV: Network = Network {
    genesis: include_str!("../../../genesis/dev.json"),
    state_root: b256!("6f6ad738afd9972aa66297bd6f9dce0e7ee23b20ac09cb60765aedfbcca25309"),
};
const TESTNET: Network = Network {
    genesis: include_str!("../../../genesis/testnet.json"),
    state_root: b256!("4dfc76827fd5792a2ab4a6c106c3dc58d68b38a5bc66e6213577c559aaf6a679"),
};
const TESTNET_GETH: Network = Network {
    genesis: include_str!("../../../genesis/testnet-geth.json"),
    state_root: b256!("e914d7e6a70676d0aecddd6b3e1110d78639f4e45a167334b8ba589316f48632"),
};

impl ChainSpec {
    /// A built-in network, none if no network has that name. Takes a few milliseconds: its accounts are
    /// not read yet.
    pub fn named(name: &str) -> Option<Self> {
        let network = match name {
            "mainnet" => MAINNET,
            "sepolia" => SEPOLIA,
            "hoodi" => HOODI,
            "dev" => DEV,
            "testnet" => TESTNET,
            "testnet-geth" => TESTNET_GETH,
            _ => return None,
        };
        let spec = Self::built_in(name, network.genesis, network.state_root);
        Some(spec.expect("built-in genesis files are read by the tests"))
    }

    /// A chain with chain id 1 that has every fork up to `fork` from its first block and an empty
    /// genesis: what tests and conformance runners start from. With Paris or later it is proof of stake.
    pub fn up_to(fork: Fork) -> Self {
        let forks: Vec<_> = Fork::ALL
            .into_iter()
            .filter(|other| *other <= fork && (*other == fork || !is_special(*other)))
            .filter(|other| other.config_key().is_some())
            .map(|fork| (fork, if fork.is_by_time() { Activation::Time(0) } else { Activation::Block(0) }))
            .collect();
        let blob_schedule =
            forks.iter().filter_map(|(fork, _)| Some((*fork, BlobSchedule::default_of(*fork)?))).collect();
        let terminal_total_difficulty = (fork >= Fork::Paris).then_some(U256::ZERO);
        Self {
            name: format!("up to {fork}"),
            chain_id: 1,
            forks,
            blob_schedule,
            consensus: Consensus::Ethereum { terminal_total_difficulty },
            deposit_contract: None,
            merge_netsplit_block: None,
            dao_fork_refused_block: None,
            builder_requests: true,
            genesis_header: Header {
                ommers_hash: EMPTY_OMMER_ROOT_HASH,
                state_root: state_root(&MemoryState::default()),
                transactions_root: EMPTY_ROOT_HASH,
                receipts_root: EMPTY_ROOT_HASH,
                ..Default::default()
            },
            genesis_state: MemoryState::default().into(),
        }
    }
}

/// The DAO fork moves real accounts, and the later blob forks have no values that all networks share:
/// only who names them has them.
fn is_special(fork: Fork) -> bool {
    matches!(fork, Fork::Dao | Fork::Bpo3 | Fork::Bpo4 | Fork::Bpo5)
}
