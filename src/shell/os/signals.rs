//! Signals that ask a command without an interface to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit_code::Exit;

/// SIGINT, SIGTERM and SIGHUP.
#[derive(Debug)]
pub(in crate::shell) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Stop {
    /// Listens from here on; the signals do not kill the process any more.
    pub(in crate::shell) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one of them.
    pub(in crate::shell) async fn asked(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
            _ = self.hangup.recv() => Exit::Terminated,
        }
    }
}
