//! The edge: one readable line on stderr, and the exit status.

use std::fmt;

/// Exit statuses of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did not work, and the line on stderr says why.
    Failed = 1,
    /// The command line, the environment or the configuration file is wrong.
    Usage = 2,
    /// A signal ended it.
    Interrupted = 130,
}

/// What went wrong and what to do about it, in one line for a reader.
#[derive(Debug)]
pub struct Failure {
    what: String,
    remedy: Option<String>,
    exit: Exit,
}

impl Failure {
    /// It did not work.
    pub fn new(what: impl fmt::Display) -> Self {
        Self { what: what.to_string(), remedy: None, exit: Exit::Failed }
    }

    /// It was asked for wrongly.
    pub fn usage(what: impl fmt::Display) -> Self {
        Self { exit: Exit::Usage, ..Self::new(what) }
    }

    /// A signal ended it.
    pub fn interrupted(what: impl fmt::Display) -> Self {
        Self { exit: Exit::Interrupted, ..Self::new(what) }
    }

    /// What the reader can do now.
    pub fn remedy(mut self, remedy: impl fmt::Display) -> Self {
        self.remedy = Some(remedy.to_string());
        self
    }

    /// With which status the process ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One line, whatever a library put into its message.
        let mut line = self.what.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(remedy) = &self.remedy {
            line.push_str("; ");
            line.push_str(remedy);
        }
        f.write_str(&line)
    }
}

/// Says during what an error came up.
pub(crate) trait Context<T> {
    /// `WHAT: error`.
    fn context(self, what: impl fmt::Display) -> Result<T, Failure>;
    /// The error alone.
    fn failed(self) -> Result<T, Failure>;
}

impl<T, E: fmt::Display> Context<T> for Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(format_args!("{what}: {error}")))
    }

    fn failed(self) -> Result<T, Failure> {
        self.map_err(Failure::new)
    }
}
