/// Why a genesis file, or a stored chain configuration, is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GenesisError {
    /// Not JSON, or not an object where one must stand.
    #[error("{path} is not a JSON object: {why}")]
    Json {
        /// Where: `genesis`, `config`, `alloc.0x…`.
        path: String,
        /// The parser's words.
        why: String,
    },
    /// A field that must be there is not.
    #[error("{path} is missing")]
    Missing {
        /// Its name with the path to it.
        path: String,
    },
    /// No such field; a misspelt fork would otherwise never happen.
    #[error("{path} is not a known field")]
    Unknown {
        /// Its name with the path to it.
        path: String,
    },
    /// A name stands twice in one object.
    #[error("{path} stands there twice")]
    Twice {
        /// Its name with the path to it.
        path: String,
    },
    /// A value that the field cannot have.
    #[error("{path} {value} {why}")]
    Value {
        /// The field's name with the path to it.
        path: String,
        /// The value as it stands there, cut short.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A fork begins before one that it builds on.
    #[error("config.{fork} {at} is before config.{earlier} {earlier_at}")]
    Order {
        /// The later fork's field.
        fork: &'static str,
        /// Its block or time.
        at: u64,
        /// The earlier fork's field.
        earlier: &'static str,
        /// Its block or time.
        earlier_at: u64,
    },
    /// A fork is scheduled, and one that it builds on is not.
    #[error("config.{fork} is set but config.{earlier} is not")]
    Gap {
        /// The later fork's field.
        fork: &'static str,
        /// The missing field.
        earlier: &'static str,
    },
    /// Fields that contradict each other.
    #[error("{0}")]
    Conflict(String),
}
