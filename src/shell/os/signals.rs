//! Signals that ask a command without an interface to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit_code::ExitCode;

/// SIGINT, SIGTERM and SIGHUP.
#[derive(Debug)]
pub(in crate::shell) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl StopSignals {
    /// Listens from here on; the signals do not kill the process any more.
    pub(in crate::shell) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one of them.
    ///
    /// A closed terminal ends a command like `kill` does: nothing is left to print to.
    pub(in crate::shell) async fn received(&mut self) -> ExitCode {
        tokio::select! {
            _ = self.interrupt.recv() => ExitCode::Interrupted,
            _ = self.terminate.recv() => ExitCode::Terminated,
            _ = self.hangup.recv() => ExitCode::Terminated,
        }
    }
}

/// The same signals for work that looks, from time to time, whether it is to end.
#[derive(Debug, Default)]
pub(in crate::shell) struct StopFlag {
    interrupted: Arc<AtomicBool>,
    terminated: Arc<AtomicBool>,
}

impl StopFlag {
    /// Notes signals from here on; they do not kill the process any more.
    pub(in crate::shell) fn listen() -> std::io::Result<Self> {
        let flag = Self::default();
        signal_hook::flag::register(SIGINT, Arc::clone(&flag.interrupted))?;
        signal_hook::flag::register(SIGTERM, Arc::clone(&flag.terminated))?;
        signal_hook::flag::register(SIGHUP, Arc::clone(&flag.terminated))?;
        Ok(flag)
    }

    /// How the process is to end, if a signal came.
    pub(in crate::shell) fn raised(&self) -> Option<ExitCode> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Some(ExitCode::Interrupted);
        }
        self.terminated.load(Ordering::Relaxed).then_some(ExitCode::Terminated)
    }

    /// One that was raised by SIGTERM.
    #[cfg(test)]
    pub(in crate::shell) fn terminated() -> Self {
        let flag = Self::default();
        flag.terminated.store(true, Ordering::Relaxed);
        flag
    }
}
