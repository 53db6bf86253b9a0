//! `--override.FORK TIME`: a fork moved from the command line.

use crate::{Activation, ChainSpec, Fork, GenesisError};

impl ChainSpec {
    /// The same chain with one fork moved to (or added at) a timestamp. Only forks by time can be moved,
    /// and the order of forks must still hold.
    pub fn with_override(mut self, fork: Fork, timestamp: u64) -> Result<Self, GenesisError> {
        if !fork.is_by_time() {
            return Err(GenesisError::Conflict(format!(
                "{fork} begins at a block; only forks by time can be overridden"
            )));
        }
        let activation = Activation::Time(timestamp);
        match self.forks.binary_search_by_key(&fork, |(fork, _)| *fork) {
            Ok(index) => self.forks[index].1 = activation,
            Err(index) => self.forks.insert(index, (fork, activation)),
        }
        // reading back what was written holds the result to every rule of a genesis file
        let checked = Self::from_config_json(&self.name, &self.config_json(), self.genesis_header.clone())?;
        Ok(Self { genesis_state: self.genesis_state, ..checked })
    }
}
