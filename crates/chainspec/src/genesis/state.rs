use starling_primitives::MemoryState;
use std::{
    fmt,
    ops::Deref,
    sync::{Arc, LazyLock},
};

type Load = Box<dyn FnOnce() -> MemoryState + Send + Sync>;

/// The accounts of a genesis block, cheap to clone. Reading one goes through [`Deref`]; a built-in
/// network's are parsed at that moment, so that a start on an existing database never pays for it.
#[derive(Clone)]
pub struct GenesisState(Arc<LazyLock<MemoryState, Load>>);

impl GenesisState {
    /// Accounts that are made when first read.
    pub fn lazy(load: impl FnOnce() -> MemoryState + Send + Sync + 'static) -> Self {
        Self(Arc::new(LazyLock::new(Box::new(load))))
    }
}

impl Deref for GenesisState {
    type Target = MemoryState;

    fn deref(&self) -> &MemoryState {
        &self.0
    }
}

impl From<MemoryState> for GenesisState {
    fn from(state: MemoryState) -> Self {
        Self::lazy(move || state)
    }
}

impl fmt::Debug for GenesisState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GenesisState")
    }
}
