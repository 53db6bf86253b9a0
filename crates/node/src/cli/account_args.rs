use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `account`
#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: AccountCommand,
}

/// `account …`
#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Makes an account and writes its key under a password
    New(AccountNewArgs),
    /// Lists the accounts of the keystore
    List(KeystoreArgs),
    /// Writes the key of a file of 64 hex digits under a password
    Import(AccountImportArgs),
}

/// Where the keys are.
#[derive(Debug, Args)]
pub(crate) struct KeystoreArgs {
    /// Folder of the node's files [default: ~/.local/share/starling/CHAIN]
    #[arg(long, value_name = "DIR")]
    pub datadir: Option<PathBuf>,
    /// Network whose default folder is meant
    #[arg(long, value_name = "NAME", default_value = "mainnet")]
    pub chain: String,
    /// Folder of the key files [default: DATADIR/keystore]
    #[arg(long, value_name = "DIR")]
    pub keystore: Option<PathBuf>,
}

/// `account new`
#[derive(Debug, Args)]
pub(crate) struct AccountNewArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub at: KeystoreArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub under: PasswordArgs,
}

/// `account import`
#[derive(Debug, Args)]
pub(crate) struct AccountImportArgs {
    /// File with the private key, which only its owner can read
    #[arg(value_name = "KEYFILE")]
    pub key: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub at: KeystoreArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub under: PasswordArgs,
}

/// The password of a new key file.
#[derive(Debug, Args)]
pub(crate) struct PasswordArgs {
    /// File with the password
    #[arg(long, value_name = "FILE")]
    pub password: PathBuf,
    /// Derive with 4 MiB of memory instead of 256: quicker, and quicker to guess
    #[arg(long)]
    pub lightkdf: bool,
}
