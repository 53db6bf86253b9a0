use std::{fmt, str::FromStr};

/// A set of rules, in order: each holds all that came before it.
///
/// Source: the forks of [execution-specs](https://github.com/ethereum/execution-specs) and the blob
/// parameter only forks of [EIP-7892](https://eips.ethereum.org/EIPS/eip-7892).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Fork {
    Frontier,
    Homestead,
    Dao,
    Tangerine,
    SpuriousDragon,
    Byzantium,
    Constantinople,
    Petersburg,
    Istanbul,
    MuirGlacier,
    Berlin,
    London,
    ArrowGlacier,
    GrayGlacier,
    Paris,
    Shanghai,
    Cancun,
    Prague,
    Osaka,
    Bpo1,
    Bpo2,
    Bpo3,
    Bpo4,
    Bpo5,
    Amsterdam,
}

impl Fork {
    /// Every fork, rising.
    pub const ALL: [Self; 25] = [
        Self::Frontier,
        Self::Homestead,
        Self::Dao,
        Self::Tangerine,
        Self::SpuriousDragon,
        Self::Byzantium,
        Self::Constantinople,
        Self::Petersburg,
        Self::Istanbul,
        Self::MuirGlacier,
        Self::Berlin,
        Self::London,
        Self::ArrowGlacier,
        Self::GrayGlacier,
        Self::Paris,
        Self::Shanghai,
        Self::Cancun,
        Self::Prague,
        Self::Osaka,
        Self::Bpo1,
        Self::Bpo2,
        Self::Bpo3,
        Self::Bpo4,
        Self::Bpo5,
        Self::Amsterdam,
    ];

    /// The name in lower case, as in `--override.FORK` and in `blobSchedule`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frontier => "frontier",
            Self::Homestead => "homestead",
            Self::Dao => "dao",
            Self::Tangerine => "tangerine",
            Self::SpuriousDragon => "spuriousdragon",
            Self::Byzantium => "byzantium",
            Self::Constantinople => "constantinople",
            Self::Petersburg => "petersburg",
            Self::Istanbul => "istanbul",
            Self::MuirGlacier => "muirglacier",
            Self::Berlin => "berlin",
            Self::London => "london",
            Self::ArrowGlacier => "arrowglacier",
            Self::GrayGlacier => "grayglacier",
            Self::Paris => "paris",
            Self::Shanghai => "shanghai",
            Self::Cancun => "cancun",
            Self::Prague => "prague",
            Self::Osaka => "osaka",
            Self::Bpo1 => "bpo1",
            Self::Bpo2 => "bpo2",
            Self::Bpo3 => "bpo3",
            Self::Bpo4 => "bpo4",
            Self::Bpo5 => "bpo5",
            Self::Amsterdam => "amsterdam",
        }
    }

    /// The field of geth's chain configuration that says when the fork begins. None for Frontier,
    /// which is from the start, and for Paris, which follows from the terminal total difficulty.
    pub const fn config_key(self) -> Option<&'static str> {
        Some(match self {
            Self::Frontier | Self::Paris => return None,
            Self::Homestead => "homesteadBlock",
            Self::Dao => "daoForkBlock",
            Self::Tangerine => "eip150Block",
            Self::SpuriousDragon => "eip158Block",
            Self::Byzantium => "byzantiumBlock",
            Self::Constantinople => "constantinopleBlock",
            Self::Petersburg => "petersburgBlock",
            Self::Istanbul => "istanbulBlock",
            Self::MuirGlacier => "muirGlacierBlock",
            Self::Berlin => "berlinBlock",
            Self::London => "londonBlock",
            Self::ArrowGlacier => "arrowGlacierBlock",
            Self::GrayGlacier => "grayGlacierBlock",
            Self::Shanghai => "shanghaiTime",
            Self::Cancun => "cancunTime",
            Self::Prague => "pragueTime",
            Self::Osaka => "osakaTime",
            Self::Bpo1 => "bpo1Time",
            Self::Bpo2 => "bpo2Time",
            Self::Bpo3 => "bpo3Time",
            Self::Bpo4 => "bpo4Time",
            Self::Bpo5 => "bpo5Time",
            Self::Amsterdam => "amsterdamTime",
        })
    }

    /// Whether a chain may leave the fork out and still take later ones: the DAO fork, those that
    /// only move the difficulty bomb, those that only change blob parameters.
    pub const fn is_optional(self) -> bool {
        use Fork::*;
        matches!(self, Dao | MuirGlacier | ArrowGlacier | GrayGlacier | Bpo1 | Bpo2 | Bpo3 | Bpo4 | Bpo5)
    }

    /// Whether the fork begins at a timestamp (Shanghai and later) and not at a block number.
    pub const fn is_by_time(self) -> bool {
        self as u8 >= Self::Shanghai as u8
    }
}

impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no fork.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no fork is named {0:?}")]
pub struct UnknownFork(String);

impl FromStr for Fork {
    type Err = UnknownFork;

    fn from_str(name: &str) -> Result<Self, UnknownFork> {
        Self::ALL
            .into_iter()
            .find(|fork| fork.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| UnknownFork(name.into()))
    }
}
