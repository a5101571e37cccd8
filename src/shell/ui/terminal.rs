//! The terminal as a resource: taken over here, and given back on every way out.
//!
//! It is restored when the guard is dropped, by the panic hook, and before the process stops. After
//! a panic, in whichever thread, it is not taken again.
//! SIGKILL is the one end nobody can answer.

use std::io::{self, Stdout, Write};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::style::Print;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute};
use ratatui::Frame;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use signal_hook::consts::{SIGCONT, SIGSTOP};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::options::UiExit;

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
    /// There is no terminal, or it cannot be put into raw mode. It is as it was before.
    pub fn open() -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |report| {
                give_back();
                before(report);
            }));
        });
        // Signals are answered before there is anything to restore.
        let signals = TerminalSignals::new()?;
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
    hang_up: Signal,
    interrupt: Signal,
    quit: Signal,
    stop: Signal,
    resume: Signal,
}

/// The action that a signal asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum UiSignal {
    End(UiExit),
    Suspend,
    Continued,
}

impl TerminalSignals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
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
            _ = self.hang_up.recv() => UiSignal::End(UiExit::Terminated),
            _ = self.interrupt.recv() => UiSignal::End(UiExit::Interrupted),
            _ = self.quit.recv() => UiSignal::End(UiExit::Interrupted),
            _ = self.stop.recv() => UiSignal::Suspend,
            _ = self.resume.recv() => UiSignal::Continued,
        }
    }
}
