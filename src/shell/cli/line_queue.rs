//! Lines of data that are written while the rest of the program goes on.

use tokio::sync::{mpsc, oneshot};

use super::output::{not_written, try_print_line};
use crate::shell::failure::Failure;

/// Lines of data that a thread of its own writes: a reader who pauses holds up nothing but the one
/// who waits for room here.
pub(super) struct LineQueue {
    lines: mpsc::Sender<String>,
    written: oneshot::Receiver<std::io::Result<()>>,
}

/// No line is written any more.
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
            let written = loop {
                let Some(line) = waiting.blocking_recv() else { break Ok(()) };
                if let Err(error) = try_print_line(&line) {
                    break Err(error);
                }
            };
            // Before anybody hears that no more lines are taken.
            if done.send(written).is_err() {
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
    /// When none is written any more; [`Self::finish`] says why.
    pub(super) async fn push(&self, line: String) -> Result<(), ReaderGone> {
        self.lines.send(line).await.map_err(|_| ReaderGone)
    }

    /// Waits until no line is written any more.
    pub(super) async fn reader_gone(&self) {
        self.lines.closed().await;
    }

    /// Waits until every line is written.
    ///
    /// # Errors
    /// When one was not: nobody reads any more, or the device takes no more.
    pub(super) async fn finish(self) -> Result<(), Failure> {
        let Self { lines, written } = self;
        drop(lines);
        // A thread that died says nothing.
        written.await.unwrap_or(Ok(())).map_err(|error| not_written(&error))
    }
}

/// Lines that wait to be written. A guess: a burst between two looks of a quick reader.
const LINES_WAITING: usize = 256;
