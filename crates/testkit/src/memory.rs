//! How much anonymous memory a process holds, watched while it runs; and the CPU time it has spent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the watcher looks.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(20);

/// Watches one process until it is asked.
#[derive(Debug)]
pub struct Watch {
    peak_bytes: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to watch.
    pub fn start(pid: u32) -> Self {
        let (peak_bytes, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (peak, end) = (peak_bytes.clone(), ended.clone());
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                peak.fetch_max(anonymous_bytes(pid).unwrap_or_default(), Ordering::Relaxed);
                std::thread::sleep(SAMPLE_INTERVAL);
            }
        });
        Self { peak_bytes, ended, thread: Some(thread) }
    }

    /// The most that was seen, in bytes; zero where the system has no `/proc`.
    pub fn peak_bytes(&self) -> u64 {
        self.peak_bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// `RssAnon` of a process in bytes, where `/proc` tells it.
pub fn anonymous_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// CPU time that a process has spent so far, in and out of the kernel, where `/proc` tells it.
pub fn cpu(pid: u32) -> Option<Duration> {
    cpu_time(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The same out of a file `stat` of a process or a thread.
pub(crate) fn cpu_time(stat: &str) -> Option<Duration> {
    // The kernel counts in hundredths of a second on every platform that has this file.
    const TICK: Duration = Duration::from_millis(10);
    // The name in parentheses may hold anything; the numbers come after it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks: u32 = fields.next()?.parse::<u32>().ok()?.checked_add(fields.next()?.parse().ok()?)?;
    Some(TICK * ticks)
}

/// Bytes as mebibytes, for people.
pub fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
