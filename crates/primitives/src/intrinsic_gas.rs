/// What a transaction costs before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntrinsicGas {
    /// For its bytes, its access list, its authorizations, and for being one; the gas limit may not be below.
    pub cost: u64,
    /// What it costs at least, whatever it runs (EIP-7623); zero before Prague.
    pub floor: u64,
}
