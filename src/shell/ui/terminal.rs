//! The terminal as a resource: taken over here, and given back on every way out.
//!
//! It is restored when the guard is dropped, by the panic hook, and before the process stops. After
//! a panic, in whichever thread, it is not taken again.
//! SIGKILL is the one end nobody can answer.

use std::io::{self, IsTerminal as _, Stdout, Write};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::style::Print;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode, size,
};
use crossterm::{cursor, execute};
use ratatui::Frame;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use signal_hook::consts::{SIGCONT, SIGSTOP};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::options::UiExit;
use crate::shell::os::signals::HangUp;

/// Whether the terminal is taken over. Process-wide, like the terminal itself, so that a panic hook
/// can ask.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The panic hook is installed once, whatever is opened how often.
static HOOK: Once = Once::new();

/// The wheel must not walk the history of the composer: "alternate scroll" is saved and switched
/// off, and restored at the end (xterm, ctlseqs, DECSET 1007).
const WHEEL_OFF: &str = "\u{1b}[?1007s\u{1b}[?1007l";
const WHEEL_BACK: &str = "\u{1b}[?1007r";

/// The terminal, taken over.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    pub(super) signals: TerminalSignals,
}

impl Screen {
    /// Takes the terminal over: raw mode, alternate screen, bracketed paste. Must be called inside a
    /// tokio runtime.
    ///
    /// # Errors
    ///
    /// There is no terminal, it has no size, or it cannot be put into raw mode. It is as it was before.
    pub async fn open() -> io::Result<Self> {
        wait_for_size().await?;
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |report| {
                give_back();
                before(report);
            }));
        });
        // Signals are answered before there is anything to restore.
        let signals = TerminalSignals::new(is_there)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        let mut screen = Self { terminal, signals };
        screen.take_over()?;
        Ok(screen)
    }

    fn take_over(&mut self) -> io::Result<()> {
        // Before it is true: whatever fails from here on, giving back too much does no harm.
        TAKEN.store(true, Ordering::SeqCst);
        let taken = enable_raw_mode().and_then(|()| {
            execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, Print(WHEEL_OFF))
        });
        if taken.is_err() {
            give_back();
        }
        taken?;
        self.redraw()
    }

    /// Draws. Once a panic in any thread gave the terminal back there is no drawing over its report.
    ///
    /// # Errors
    ///
    /// The terminal is gone, or a part of the program has panicked.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        if !TAKEN.load(Ordering::SeqCst) {
            return Err(io::Error::other("a part of the program has failed"));
        }
        self.terminal.draw(draw)?;
        Ok(())
    }

    /// Forgets what is on the screen, so that the next drawing draws every cell.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub(super) fn redraw(&mut self) -> io::Result<()> {
        // `Terminal::clear` would ask the terminal where its cursor is, and the answer comes among
        // the keys, which somebody else may be reading.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    /// Wipes the screen, gives the terminal back, stops the process, and goes on when it is
    /// continued.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        // Not SIGTSTP: that is caught here, and would ask to suspend again.
        signal_hook::low_level::raise(SIGSTOP)?;
        self.take_over()
    }

    /// After the process was stopped by others: nobody knows what is on the screen.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub(super) fn continued(&mut self) -> io::Result<()> {
        give_back();
        self.take_over()
    }

    /// Rings.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub(super) fn ring(&self) -> io::Result<()> {
        execute!(io::stdout(), Print('\u{7}'))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Wipes the alternate screen and restores the terminal. Does nothing the second time. What fails
/// here fails because the terminal is gone, and then there is nothing left to restore.
fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    let written = execute!(
        out,
        Clear(ClearType::All),
        Print(WHEEL_BACK),
        DisableBracketedPaste,
        LeaveAlternateScreen,
        cursor::Show
    );
    drop(written);
    drop(disable_raw_mode());
    drop(out.flush());
}

/// The signals a terminal program must answer.
#[derive(Debug)]
pub(super) struct TerminalSignals {
    terminate: Signal,
    hang_up: HangUp,
    interrupt: Signal,
    quit: Signal,
    stop: Signal,
    resume: Signal,
    /// Changes once the terminal is gone, which not every process is sent a signal for.
    gone: watch::Receiver<()>,
    _watch: JoinSet<()>,
}

/// The action that a signal asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum UiSignal {
    End(UiExit),
    Suspend,
    Continued,
}

impl TerminalSignals {
    fn new(is_there: fn() -> bool) -> io::Result<Self> {
        let (sender, gone) = watch::channel(());
        let mut watch = JoinSet::new();
        watch.spawn(watch_terminal(is_there, sender));
        Ok(Self {
            gone,
            _watch: watch,
            terminate: signal(SignalKind::terminate())?,
            hang_up: HangUp::listen()?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            stop: signal(SignalKind::from_raw(signal_hook::consts::SIGTSTP))?,
            resume: signal(SignalKind::from_raw(SIGCONT))?,
        })
    }

    /// Waits for the next one. Nothing is lost if the wait is given up.
    pub(super) async fn next(&mut self) -> UiSignal {
        tokio::select! {
            _ = self.terminate.recv() => UiSignal::End(UiExit::Terminated),
            () = self.hang_up.received() => UiSignal::End(UiExit::Terminated),
            // The watch ends with what it said, and has nothing more to say.
            Ok(()) = self.gone.changed() => UiSignal::End(UiExit::Terminated),
            _ = self.interrupt.recv() => UiSignal::End(UiExit::Interrupted),
            _ = self.quit.recv() => UiSignal::End(UiExit::Interrupted),
            _ = self.stop.recv() => UiSignal::Suspend,
            _ = self.resume.recv() => UiSignal::Continued,
        }
    }
}

/// Waits until the terminal has a size. One in a container gets it a moment after the program began, and a
/// serial line none at all: nothing could be seen there, not even how to leave.
async fn wait_for_size() -> io::Result<()> {
    for _ in 0..LOOKS_FOR_SIZE {
        if !matches!(size()?, (0, _) | (_, 0)) {
            return Ok(());
        }
        sleep(SIZE_AGAIN).await;
    }
    Err(io::Error::other(
        "it says that it has no rows and columns; say how many: stty rows 24 cols 80",
    ))
}

/// Looks at the size of a terminal that has none, and the pause between two. A guess: two seconds.
const LOOKS_FOR_SIZE: u32 = 40;
const SIZE_AGAIN: Duration = Duration::from_millis(50);

/// Whether standard output is a terminal that is there.
fn is_there() -> bool {
    io::stdout().is_terminal()
}

/// Waits until the terminal is gone. The signal for that goes to the leader of a session alone, which may ignore it,
/// and keys are read by a library that reads a terminal without end once it is gone.
pub async fn terminal_gone() {
    until_gone(is_there).await;
}

async fn until_gone(is_there: fn() -> bool) {
    while is_there() {
        sleep(LOOK_AGAIN).await;
    }
}

/// Says when the terminal is gone.
async fn watch_terminal(is_there: fn() -> bool, gone: watch::Sender<()>) {
    until_gone(is_there).await;
    gone.send_replace(());
}

/// How often the terminal is looked at. Often enough that nobody notices the processor it takes until then.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_terminal_that_is_gone_is_as_good_as_a_signal() {
        let mut signals = TerminalSignals::new(|| false).unwrap();
        let told = timeout(Duration::from_secs(10), signals.next()).await;
        assert_eq!(told.unwrap(), UiSignal::End(UiExit::Terminated));
        let mut signals = TerminalSignals::new(|| true).unwrap();
        assert!(timeout(Duration::ZERO, signals.next()).await.is_err());
    }
}
