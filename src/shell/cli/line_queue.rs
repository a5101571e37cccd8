//! Lines of data that are written while the rest of the program goes on.

use tokio::sync::{mpsc, oneshot};

use super::output::try_print_line;

/// Lines of data that a thread of its own writes: a reader who pauses holds up nothing but the one
/// who waits for room here.
pub(super) struct LineQueue {
    lines: mpsc::Sender<String>,
    written: oneshot::Receiver<()>,
}

/// Nobody reads standard output any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReaderGone;

impl LineQueue {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn start() -> std::io::Result<Self> {
        let (lines, mut waiting) = mpsc::channel::<String>(LINES_WAITING);
        let (done, written) = oneshot::channel();
        // Not one of the runtime, whose end would wait for it: a write to a pipe that nobody reads
        // is never over.
        std::thread::Builder::new().name("output".to_owned()).spawn(move || {
            while let Some(line) = waiting.blocking_recv() {
                if try_print_line(&line).is_err() {
                    return;
                }
            }
            if done.send(()).is_err() {
                tracing::debug!("nobody waits for the last line");
            }
        })?;
        Ok(Self { lines, written })
    }

    /// A queue with room for one line, whose reader is a test.
    #[cfg(test)]
    pub(super) fn of_test() -> (Self, mpsc::Receiver<String>) {
        let (lines, waiting) = mpsc::channel(1);
        (Self { lines, written: oneshot::channel().1 }, waiting)
    }

    /// Adds a line, once there is room for it.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub(super) async fn push(&self, line: String) -> Result<(), ReaderGone> {
        self.lines.send(line).await.map_err(|_| ReaderGone)
    }

    /// Waits until nobody reads any more.
    pub(super) async fn reader_gone(&self) {
        self.lines.closed().await;
    }

    /// Waits until every line is written, or nobody reads any more.
    pub(super) async fn finish(self) {
        let Self { lines, written } = self;
        drop(lines);
        if written.await.is_err() {
            tracing::debug!("nobody reads standard output");
        }
    }
}

/// Lines that wait to be written. A guess: a burst between two looks of a quick reader.
const LINES_WAITING: usize = 256;
