//! Every format that is no chain of blocks: transactions, RLP, tries, seals, key files, curves, precompiles, and
//! the real blocks that come with all they need.
//!
//! | module | through |
//! |---|---|
//! | [`transaction`] | decoding, sender recovery, validation's and execution's checks on a rich sender |
//! | [`rlp`], [`basic`], [`keystore`], [`kzg`], [`published`] | the library or crate that the node uses for it |
//! | [`trie`] | the partial trie of witnesses, and the rows of the state's own tries where the values are accounts |
//! | [`difficulty`], [`pow`] | validation |
//! | [`precompile`], [`vm`] | execution |
//! | [`beacon`] | the Engine API |
//! | [`stateless`], [`prestate`], [`bodies`], [`trace`] | validation and execution, over a witness or over the state that is given |

mod basic;
mod beacon;
mod bodies;
mod difficulty;
mod fields;
mod keystore;
mod kzg;
mod pow;
mod precompile;
mod prestate;
mod published;
mod rlp;
mod rpc_block;
pub mod stateless;
mod trace;
mod transaction;
mod trie;
mod vm;
mod yaml;

use super::{
    archive::Member,
    cases::{Cases, Verdict},
};

/// Why trace cases wait.
const TRACES: &str = "traces and simulation come later";

/// How the cases of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Format {
    Transaction,
    Rlp,
    Trie,
    Difficulty,
    Pow,
    Keystore,
    Basic,
    Kzg,
    Precompile,
    Vm,
    BeaconBlock,
    Witness,
    BlockOnPrestate,
    Body,
    MainnetTrace,
    Published,
    /// What a tracer says of a transaction.
    TracerGeth,
    /// Requests for traces and their answers.
    RpcTrace,
    /// A file that belongs to an archive and holds no case: a trusted setup, a chain.
    Beside,
}

/// The format of each archive that is known by name. Archives of blocks and of state tests are not here.
const ARCHIVES: [(&str, Format); 18] = [
    ("ethereum-tests-transaction", Format::Transaction),
    ("ethereum-tests-rlp", Format::Rlp),
    ("ethereum-tests-trie", Format::Trie),
    ("ethereum-tests-difficulty", Format::Difficulty),
    ("ethereum-tests-pow", Format::Pow),
    ("ethereum-tests-keystore", Format::Keystore),
    ("ethereum-tests-basic", Format::Basic),
    ("kzg", Format::Kzg),
    ("precompiles", Format::Precompile),
    ("legacy-vmtests", Format::Vm),
    ("beacon-blocks", Format::BeaconBlock),
    ("mainnet-witness", Format::Witness),
    ("mainnet-blocks-prestate", Format::BlockOnPrestate),
    ("mainnet-bodies", Format::Body),
    ("mainnet-trace", Format::MainnetTrace),
    ("vectors", Format::Published),
    ("tracer-geth", Format::TracerGeth),
    ("rpc-trace-besu", Format::RpcTrace),
];

/// Folders by which the files of an archive with another name are known.
const FOLDERS: [(&str, Format); 11] = [
    ("TransactionTests/", Format::Transaction),
    ("RLPTests/", Format::Rlp),
    ("TrieTests/", Format::Trie),
    ("DifficultyTests/", Format::Difficulty),
    ("PoWTests/", Format::Pow),
    ("KeyStoreTests/", Format::Keystore),
    ("BasicTests/", Format::Basic),
    ("GenesisTests/", Format::Basic),
    ("/kzg-mainnet/", Format::Kzg),
    ("JSONSchema/", Format::Basic),
    ("VMTests/", Format::Vm),
];

/// Member names by which files are known that lie in no telling folder.
const MARKS: [(&str, Format); 6] = [
    ("\"ExpectedError\"", Format::Precompile),
    ("\"postStateChecked\"", Format::Witness),
    ("\"preState\"", Format::BlockOnPrestate),
    ("\"receiptsEth69\"", Format::Body),
    ("\"bls_to_execution_changes\"", Format::BeaconBlock),
    ("\"Expected\"", Format::Precompile),
];

/// The format of a file of an archive that is known by name; none of another archive's.
pub fn format_by_name(archive: &str, path: &str) -> Option<Format> {
    let (_, format) = ARCHIVES.iter().find(|(name, _)| *name == archive)?;
    Some(if format.reads(path) { *format } else { Format::Beside })
}

/// The format of a file; none if it is none of these.
pub fn format_of(archive: &str, path: &str, bytes: &[u8]) -> Option<Format> {
    if let Some(format) = format_by_name(archive, path) {
        return Some(format);
    }
    if let Some((_, format)) = FOLDERS.iter().find(|(folder, _)| path.contains(folder)) {
        return Some(if format.reads(path) { *format } else { Format::Beside });
    }
    let text = std::str::from_utf8(bytes).ok()?;
    MARKS.iter().find(|(mark, _)| text.contains(mark)).map(|(_, format)| *format)
}

/// Whether the files of an archive need each other, so that none of them may be passed over.
pub fn is_whole(archive: &str) -> bool {
    ARCHIVES.iter().any(|(name, format)| *name == archive && format.whole())
}

impl Format {
    /// Whether a file of an archive of this format holds cases.
    fn reads(self, path: &str) -> bool {
        match self {
            Self::Kzg => path.ends_with("/data.yaml"),
            Self::Published => published::NAMES.contains(&path),
            // The chains that the requests are about.
            Self::RpcTrace => path.ends_with(".json") && !path.contains("chain-data/"),
            _ => path.ends_with(".json"),
        }
    }

    /// Whether the files of an archive need each other, so that they must be handed over together.
    pub fn whole(self) -> bool {
        self == Self::MainnetTrace
    }

    /// Runs the cases of a file, or of all files of an archive that is [`Format::whole`]. The first member is
    /// the one that `cases` was made for.
    pub fn run(self, members: &[Member], cases: &mut Cases<'_>) {
        if self == Self::MainnetTrace {
            return trace::run(members, cases);
        }
        for member in members {
            if let Err(why) = self.run_file(member, cases) {
                cases.case("file", "", || Verdict::Failed(why.into()));
            }
        }
    }

    fn run_file(self, member: &Member, cases: &mut Cases<'_>) -> Result<(), String> {
        match self {
            Self::Transaction => transaction::run(member, cases),
            Self::Rlp => rlp::run(member, cases),
            Self::Trie => trie::run(member, cases),
            Self::Difficulty => difficulty::run(member, cases),
            Self::Pow => pow::run(member, cases),
            Self::Keystore => keystore::run(member, cases),
            Self::Basic => basic::run(member, cases),
            Self::Kzg => kzg::run(member, cases),
            Self::Precompile => precompile::run(member, cases),
            Self::Vm => vm::run(member, cases),
            Self::BeaconBlock => beacon::run(member, cases),
            Self::Witness => stateless::run(member, cases),
            Self::BlockOnPrestate => prestate::run(member, cases),
            Self::Body => bodies::run(member, cases),
            Self::Published => published::run(member, cases),
            Self::Beside => Ok(()),
            Self::MainnetTrace => Err("its files go together".into()),
            Self::TracerGeth | Self::RpcTrace => {
                cases.case("", "", || Verdict::Later(TRACES));
                Ok(())
            }
        }
    }
}
