//! Lines of data that are written while the rest of the program goes on.

use std::io;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::output::{self, not_written, try_print_line};
use crate::engine::secret::opaque_debug;
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::exit_code::ExitCode;

/// Lines of data that a thread of its own writes: a reader who pauses holds up nothing but the one
/// who waits for room here.
pub(super) struct LineQueue {
    lines: mpsc::Sender<String>,
    written: oneshot::Receiver<io::Result<()>>,
}

/// No line is written any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReaderGone;

impl LineQueue {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn start() -> io::Result<Self> {
        Self::start_telling(|_| {})
    }

    /// The same; `lost` is told at once that a line could not be written.
    fn start_telling(lost: impl FnOnce(&io::Error) + Send + 'static) -> io::Result<Self> {
        let (lines, mut waiting) = mpsc::channel::<String>(LINES_WAITING);
        let (done, written) = oneshot::channel();
        // Not one of the runtime, whose end would wait for it: a write to a pipe that nobody reads
        // is never over.
        std::thread::Builder::new().name("output".to_owned()).spawn(move || {
            let written = loop {
                let Some(line) = waiting.blocking_recv() else { break Ok(()) };
                if let Err(error) = try_print_line(&line) {
                    lost(&error);
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

/// The lines that wait are left unwritten: whoever is to read them has paused.
pub(super) fn abandoned() -> Failure {
    output::abandon();
    let text = FailureText {
        what: "the last lines were not written",
        why: "whoever reads standard output has paused, and takes nothing",
        safe: "what the command did is done and saved; only these lines are lost",
        next: "see what is there: undertone history NAME",
    };
    Failure::new(FailureCode::Output, text)
}

/// Lines of data of a node that serves others, too: it goes on when they cannot be written, or when
/// nobody takes them.
pub(super) struct NodeLines(LineQueue);

opaque_debug!(struct NodeLines(_));

impl NodeLines {
    /// Starts the thread that writes them. That they cannot be written is said once.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn start() -> io::Result<Self> {
        let lost = |error: &io::Error| {
            let failure = not_written(error);
            if failure.exit() == ExitCode::Output {
                output::print_message(&format!("{}; the node goes on", failure.why));
            }
        };
        LineQueue::start_telling(lost).map(Self)
    }

    /// Adds a line, once there is room for it.
    pub(super) async fn print(&self, text: &str) {
        if self.0.push(text.to_owned()).await == Err(ReaderGone) {
            tracing::debug!("a line was not written");
        }
    }

    /// The end of the lines; those that wait have a moment.
    ///
    /// # Errors
    /// When one of them was not written.
    pub(super) async fn finish(self) -> Result<(), Failure> {
        timeout(LAST_LINES, self.0.finish()).await.unwrap_or_else(|_| Err(abandoned()))
    }
}

/// Lines that wait to be written. A guess: a burst between two looks of a quick reader.
const LINES_WAITING: usize = 256;

/// The time for the lines that wait once it is to end. A guess: who reads takes them at once.
pub(super) const LAST_LINES: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_nobody_takes_are_no_success_and_no_fault_of_the_home_folder() {
        let failure = abandoned();
        assert_eq!((failure.code(), failure.exit()), (Some(FailureCode::Output), ExitCode::Output));
        let told = failure.with_home(std::path::Path::new("/home/ann")).render();
        assert!(!told.contains("/home/ann"), "{told}");
    }

    #[test]
    fn lines_of_a_node_show_nothing_of_themselves() {
        let (queue, _lines) = LineQueue::of_test();
        assert_eq!(format!("{:?}", NodeLines(queue)), "NodeLines");
    }
}
