//! Logs go to stderr, as text for people or as JSON lines, and also into a file that is kept small.

use crate::{
    cli::LogArgs,
    failure::{Context, Failure},
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{EnvFilter, Layer, Registry, layer::SubscriberExt, util::SubscriberInitExt};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Writes the last lines when dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct LogGuard {
    _file: Option<WorkerGuard>,
}

/// Starts logging. Once a process.
pub(crate) fn start(args: &LogArgs) -> Result<LogGuard, Failure> {
    let mut layers = vec![layer(args.format, io::stderr, io::stderr().is_terminal())];
    let mut guard = None;
    if let Some(path) = &args.file {
        let file = CappedFile::open(path, args.maxsize.0)
            .context(format_args!("cannot write the log file {}", path.display()))?;
        let (writer, worker) = tracing_appender::non_blocking(file);
        layers.push(layer(args.format, writer, false));
        guard = Some(worker);
    }
    tracing_subscriber::registry().with(layers.with_filter(filter(args.verbose))).try_init().failed()?;
    Ok(LogGuard { _file: guard })
}

fn filter(verbosity: u8) -> EnvFilter {
    // What strangers send makes these two complain, line after line.
    EnvFilter::new(match verbosity {
        0 => "info,discv5=off,hickory_resolver=off",
        // Every crate of ours.
        1 => "info,discv5=off,hickory_resolver=off,starling=debug",
        2 => "debug",
        _ => "trace",
    })
}

fn layer<W>(format: LogFormat, writer: W, colour: bool) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let plain = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colour).with_target(false);
    match format {
        LogFormat::Text => plain.boxed(),
        LogFormat::Json => plain.json().flatten_event(true).boxed(),
    }
}

/// A file that is put aside as `NAME.1` when it is full, so that two files of the bound are the most there is.
#[derive(Debug)]
struct CappedFile {
    path: PathBuf,
    file: File,
    size_bytes: u64,
    size_bytes_max: u64,
}

impl CappedFile {
    fn open(path: &Path, size_bytes_max: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let size_bytes = file.metadata()?.len();
        Ok(Self { path: path.to_path_buf(), file, size_bytes, size_bytes_max })
    }

    fn put_aside(&mut self) -> io::Result<()> {
        let mut aside = self.path.clone().into_os_string();
        aside.push(".1");
        fs::rename(&self.path, aside)?;
        *self = Self::open(&self.path, self.size_bytes_max)?;
        Ok(())
    }
}

impl Write for CappedFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.size_bytes > 0 && self.size_bytes + line.len() as u64 > self.size_bytes_max {
            self.put_aside()?;
        }
        let written = self.file.write(line)?;
        self.size_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.log");
        let mut file = CappedFile::open(&path, 10).unwrap();
        for line in ["one two\n", "three\n", "four\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "four\n");
        assert_eq!(fs::read_to_string(folder.path().join("node.log.1")).unwrap(), "three\n");
    }
}
