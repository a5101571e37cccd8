//! Signals that ask a command without an interface to end.

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
