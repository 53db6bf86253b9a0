//! SIGINT and SIGTERM: the first asks for an end, the second ends at once.

use crate::failure::{Context, Exit, Failure};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// Whether an end was asked for. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown {
    asked: Arc<AtomicBool>,
    watch: watch::Receiver<bool>,
}

impl Shutdown {
    /// Listens for signals on a thread of its own. Once a process.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let asked = Arc::new(AtomicBool::new(false));
        let (sender, watch) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let runtime = runtime.context("cannot listen for signals")?;
        let shutdown = Self { asked, watch };
        let listening = shutdown.clone();
        let signals = {
            let _guard = runtime.enter();
            Signals::new().context("cannot listen for signals")?
        };
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || runtime.block_on(listening.watch_signals(signals, sender)))
            .context("cannot listen for signals")?;
        Ok(shutdown)
    }

    /// Whether an end was asked for.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Waits until an end is asked for.
    pub(crate) async fn asked(&mut self) {
        // An error means that the listening thread is gone, and nobody can ask any more.
        if self.watch.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn watch_signals(self, mut signals: Signals, sender: watch::Sender<bool>) {
        signals.next().await;
        self.asked.store(true, Ordering::Relaxed);
        sender.send_replace(true);
        signals.next().await;
        std::process::exit(Exit::Interrupted as i32);
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
