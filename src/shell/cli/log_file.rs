//! The log file, written by a thread: a disk that stands still holds up nothing that logs.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use crate::engine::secret::opaque_debug;

/// A log. Lines that its thread cannot write in time are left out, and counted. Cheap to clone.
#[derive(Clone)]
pub(super) struct LogFile {
    orders: SyncSender<LogOrder>,
    lost: Arc<AtomicU64>,
}

opaque_debug!(struct LogFile { orders, lost });

/// What the thread is to do.
enum LogOrder {
    Write(Vec<u8>),
    /// Say that all before this was written.
    Tell(SyncSender<()>),
}

impl LogFile {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn start(file: impl Write + Send + 'static) -> io::Result<Self> {
        let (orders, ordered) = sync_channel(LINES_WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        let thread = std::thread::Builder::new().name("log".to_owned());
        thread.spawn(move || write_lines(file, &ordered, &counted))?;
        Ok(Self { orders, lost })
    }

    /// Waits until all lines are written, for a moment.
    pub(super) fn finish(&self) {
        let (written, heard) = sync_channel(1);
        // Where there is no room, or no answer, the disk stands still: nothing can be said of it there.
        if self.orders.try_send(LogOrder::Tell(written)).is_ok() {
            heard.recv_timeout(LAST_LINES).ok();
        }
    }
}

impl Write for LogFile {
    /// Takes a line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.orders.try_send(LogOrder::Write(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_lines(mut file: impl Write, orders: &Receiver<LogOrder>, lost: &AtomicU64) {
    while let Ok(order) = orders.recv() {
        let line = match order {
            LogOrder::Write(line) => line,
            LogOrder::Tell(written) => {
                written.send(()).ok();
                continue;
            }
        };
        let left_out = lost.swap(0, Ordering::Relaxed);
        let written = match left_out {
            0 => file.write_all(&line),
            count => {
                writeln!(file, "{count} lines were left out: the disk of the log was too slow")
                    .and_then(|()| file.write_all(&line))
            }
        };
        if written.is_err() {
            // Said once there is room for it.
            lost.fetch_add(left_out.saturating_add(1), Ordering::Relaxed);
        }
    }
}

/// Lines that wait to be written: a second of a busy node that logs in detail. A guess.
const LINES_WAITING: usize = 4_096;

/// The time for the lines that wait at the end of the process. A guess: a disk takes them at once.
const LAST_LINES: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_log_that_takes_nothing_holds_up_nobody_and_says_later_what_was_left_out() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut log = LogFile::start(writer).unwrap();
        // More than a pipe holds, and more lines than wait.
        let line = [&[b'x'; 99][..], b"\n"].concat();
        for _ in 0..3 * LINES_WAITING {
            log.write_all(&line).unwrap();
        }
        assert!(log.lost.load(Ordering::Relaxed) > 0);
        log.finish();
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        // The last line finds room once the others are written.
        while log.orders.try_send(LogOrder::Write(b"last\n".to_vec())).is_err() {
            std::thread::yield_now();
        }
        assert_eq!(format!("{log:?}"), "LogFile");
        drop(log);
        let text = reading.join().unwrap();
        let (said, lines): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.contains("lines were left out"));
        let count = |said: &&str| said.split(' ').next().unwrap().parse::<usize>().unwrap();
        let left_out: usize = said.iter().map(count).sum();
        assert_eq!(lines.len() + left_out, 3 * LINES_WAITING + 1);
        assert!(left_out > 0);
        assert!(text.ends_with("last\n"));
    }

    #[test]
    fn all_lines_are_written_before_the_end() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut log = LogFile::start(writer).unwrap();
        for number in 0..100 {
            writeln!(log, "line {number}").unwrap();
        }
        log.finish();
        let mut bytes = [0; 4_096];
        let read = reader.read(&mut bytes).unwrap();
        assert!(String::from_utf8_lossy(&bytes[..read]).ends_with("line 99\n"));
    }
}
