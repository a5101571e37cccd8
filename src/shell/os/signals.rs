//! Signals that ask a command without an interface to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit_code::ExitCode;

/// SIGINT, SIGTERM and SIGHUP.
#[derive(Debug)]
pub(in crate::shell) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    hangup: HangUp,
}

impl StopSignals {
    /// Listens from here on; the signals do not kill the process any more.
    pub(in crate::shell) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: HangUp::listen()?,
        })
    }

    /// Waits for one of them.
    ///
    /// A closed terminal ends a command like `kill` does: nothing is left to print to.
    pub(in crate::shell) async fn received(&mut self) -> ExitCode {
        tokio::select! {
            _ = self.interrupt.recv() => ExitCode::Interrupted,
            _ = self.terminate.recv() => ExitCode::Terminated,
            () = self.hangup.received() => ExitCode::Terminated,
        }
    }
}

/// SIGHUP, unless the process was started with it ignored, as `nohup` does and a shell after `trap '' HUP`:
/// whoever said so wants it to outlive the terminal. Other signals are heard all the same, because a shell
/// ignores SIGINT for everything that a script starts in the background.
#[derive(Debug)]
pub(in crate::shell) struct HangUp(Option<Signal>);

impl HangUp {
    /// Listens from here on.
    pub(in crate::shell) fn listen() -> std::io::Result<Self> {
        if is_ignored(SIGHUP) {
            return Ok(Self(None));
        }
        Ok(Self(Some(signal(SignalKind::hangup())?)))
    }

    /// Waits for it; for ever if it is ignored.
    pub(in crate::shell) async fn received(&mut self) {
        match &mut self.0 {
            Some(signal) => {
                signal.recv().await;
            }
            None => std::future::pending().await,
        }
    }
}

/// Whether this process ignores a signal. Only Linux says so; elsewhere none is taken for ignored.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status");
    status.is_ok_and(|status| ignored_in(&status).is_some_and(|mask| mask >> (signal - 1) & 1 == 1))
}

/// The signals that a process ignores, as its `status` says: a bit for each, the first for signal 1.
fn ignored_in(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// Makes a file that would become larger than is allowed (`ulimit -f`, `LimitFSIZE=`) an error of whoever writes
/// it. Left alone, the system kills the process.
///
/// # Errors
/// The system's.
pub(in crate::shell) fn survive_file_limits() -> std::io::Result<()> {
    // A signal that is caught interrupts nothing here; what counts is that the write fails then.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    Ok(())
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
        if !is_ignored(SIGHUP) {
            signal_hook::flag::register(SIGHUP, Arc::clone(&flag.terminated))?;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signals_that_a_process_ignores_are_read_by_their_numbers() {
        let status =
            "Name:\tcat\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001003\nSigCgt:\t0\n";
        let mask = ignored_in(status).unwrap();
        let ignored = |signal: i32| mask >> (signal - 1) & 1 == 1;
        assert!(ignored(SIGHUP) && ignored(SIGINT) && !ignored(SIGTERM));
        for nothing in ["", "SigIgn:", "SigIgn:\tx", "Name:\tSigIgn:\n"] {
            assert_eq!(ignored_in(nothing), None, "{nothing:?}");
        }
    }
}
