//! The interface in the terminal: keys in, cells out, and one edge to the runtime
//! ([`api`](crate::shell::api)).
//!
//! [`model`] knows and decides, [`mod@view`] draws it, and [`run()`] is the loop: it owns the
//! terminal, waits for keys, signals, events and time, and carries out the effects of the model. It
//! touches neither the network nor the store nor the engine, and drawing never waits for them.

mod composer;
mod keys;
pub mod model;
mod slash;
mod terminal;
mod unlock;
pub mod view;

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use crossterm::event::{Event as TerminalEvent, EventStream, KeyEventKind};
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, Sleep, interval, sleep, timeout};

pub use keys::ScrollAction;
pub use terminal::Screen;
pub use unlock::{UnlockModel, UnlockStep};
pub use view::unlock::view as unlock_view;

use crate::shell::api::{
    ClientEvent, ClientRequest, UiError, UiExit, UiOptions, UnlockChoice, UnlockMode, UnlockOutcome,
};
use model::{ClockChange, EnterMode, Model, QuitReason, UiEffect};
use terminal::UiSignal;
use view::{ViewState, view};

/// At most 30 drawings a second: more are not seen.
const FRAME: Duration = Duration::from_millis(33);

/// The time between two looks at clocks and waits.
const SECOND: Duration = Duration::from_secs(1);

/// For so long after a paste, Enter starts a line. Measured: what a broken paste types
/// comes within microseconds.
const AFTER_PASTE: Duration = Duration::from_millis(150);

/// Keys closer together than this were not typed by hands. Measured: 3 to 50 us in a
/// paste, 60 ms and more by hand.
const BETWEEN_KEYS: Duration = Duration::from_millis(5);

/// Keys without a pause from which on they are a paste in disguise. A guess.
const BURST: usize = 3;

/// The time that the runtime has for the last requests. A guess: it stores nothing slower.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Most requests that wait for the runtime. A guess: a person cannot ask faster than it answers.
const MAX_PENDING: usize = 1_024;

/// Runs the interface until its user leaves, a signal comes, or the runtime is gone.
///
/// # Errors
///
/// The terminal cannot be used, or the runtime has let go of its end of the channels.
pub async fn run(
    screen: &mut Screen,
    mut events: mpsc::Receiver<ClientEvent>,
    requests: mpsc::Sender<ClientRequest>,
    options: UiOptions,
) -> Result<UiExit, UiError> {
    let mut ui = UiLoop {
        model: Model::new(options),
        state: ViewState::default(),
        pending: VecDeque::new(),
        pace: KeyPace::new(),
        redraw: Redraw::Needed,
    };
    let mut keys = EventStream::new();
    let mut frames = every(FRAME);
    let mut seconds = every(SECOND);
    let exit = loop {
        let step = tokio::select! {
            // In this order: a signal is answered at once, a long paste does not freeze the
            // picture, and a flood of events keeps no key waiting.
            biased;
            told = screen.signals.next() => ui.on_signal(screen, told)?,
            _ = frames.tick(), if ui.redraw == Redraw::Needed => ui.draw(screen)?,
            key = keys.next() => ui.key(screen, key)?,
            () = ui.pace.settled() => { ui.pace.settle(); None }
            permit = requests.reserve(), if !ui.pending.is_empty() => {
                let permit = permit.map_err(|_| UiError::RuntimeGone)?;
                if let Some(request) = ui.pending.pop_front() {
                    permit.send(request);
                }
                None
            }
            event = events.recv() => {
                let event = event.ok_or(UiError::RuntimeGone)?;
                ui.redraw = Redraw::Needed;
                let effects = ui.model.on_event(event);
                ui.carry_out(screen, effects)?
            }
            _ = seconds.tick() => ui.tick(),
        };
        if let Some(exit) = step {
            break exit;
        }
    };
    if timeout(LAST_WORDS, flush(ui.pending, events, requests)).await.is_err() {
        tracing::warn!("the node did not take the last requests in time");
    }
    Ok(exit)
}

/// Hands the runtime what still waits, and listens meanwhile so that it is never stuck telling us.
async fn flush(
    mut pending: VecDeque<ClientRequest>,
    mut events: mpsc::Receiver<ClientEvent>,
    requests: mpsc::Sender<ClientRequest>,
) {
    while !pending.is_empty() {
        tokio::select! {
            permit = requests.reserve() => match (permit, pending.pop_front()) {
                (Ok(permit), Some(request)) => permit.send(request),
                (_, _) => return,
            },
            event = events.recv() => if event.is_none() {
                return;
            },
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Whether the screen shows what the model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Redraw {
    Done,
    Needed,
}

/// The state of the loop.
struct UiLoop {
    model: Model,
    state: ViewState,
    pending: VecDeque<ClientRequest>,
    pace: KeyPace,
    redraw: Redraw,
}

impl UiLoop {
    fn draw(&mut self, screen: &mut Screen) -> Result<Option<UiExit>, UiError> {
        self.redraw = Redraw::Done;
        screen.draw(|frame| view(&self.model, &mut self.state, frame))?;
        let effects = self.model.on_drawn(self.state.scroll_position());
        self.carry_out(screen, effects)
    }

    fn on_signal(
        &mut self,
        screen: &mut Screen,
        told: UiSignal,
    ) -> Result<Option<UiExit>, UiError> {
        self.redraw = Redraw::Needed;
        match told {
            UiSignal::End(exit) => {
                // The runtime ends as it does when a person quits.
                self.push(ClientRequest::Quit);
                return Ok(Some(exit));
            }
            UiSignal::Suspend => screen.suspend()?,
            UiSignal::Continued => screen.continued()?,
        }
        Ok(None)
    }

    fn key(
        &mut self,
        screen: &mut Screen,
        event: Option<std::io::Result<TerminalEvent>>,
    ) -> Result<Option<UiExit>, UiError> {
        let Some(event) = event else {
            // The terminal is gone, as if it had hung up.
            self.push(ClientRequest::Quit);
            return Ok(Some(UiExit::Terminated));
        };
        self.redraw = Redraw::Needed;
        // So that hints and a second Ctrl+C are timed from this key, and not from the last full
        // second.
        self.model.tick((self.model.options.clock)());
        let effects = match event? {
            // Some terminals report the release of a key as well; it would type the letter twice.
            TerminalEvent::Key(key) if key.kind != KeyEventKind::Release => {
                self.pace.key();
                self.model.set_enter(self.pace.enter());
                self.model.on_key(key)
            }
            // As one event, because bracketed paste is on: no letter of it is a key.
            TerminalEvent::Paste(text) => {
                self.pace.paste();
                self.model.paste(&text)
            }
            TerminalEvent::Resize(_, _) => Vec::new(),
            TerminalEvent::Key(_)
            | TerminalEvent::Mouse(_)
            | TerminalEvent::FocusGained
            | TerminalEvent::FocusLost => return Ok(None),
        };
        self.carry_out(screen, effects)
    }

    fn tick(&mut self) -> Option<UiExit> {
        // What looks the same is not drawn again: who watches the terminal's link sees nothing.
        if self.model.tick((self.model.options.clock)()) == ClockChange::Visible {
            self.redraw = Redraw::Needed;
        }
        None
    }

    fn carry_out(
        &mut self,
        screen: &mut Screen,
        effects: Vec<UiEffect>,
    ) -> Result<Option<UiExit>, UiError> {
        let mut exit = None;
        for effect in effects {
            match effect {
                UiEffect::Request(request) => self.push(request),
                UiEffect::Scroll(scroll) => self.state.scroll(&self.model, scroll),
                UiEffect::Redraw => screen.redraw()?,
                UiEffect::Suspend => screen.suspend()?,
                UiEffect::Bell => screen.ring()?,
                UiEffect::Quit(QuitReason::Asked) => exit = Some(UiExit::Asked),
                UiEffect::Quit(QuitReason::Fatal) => exit = Some(UiExit::Fatal),
            }
        }
        Ok(exit)
    }

    fn push(&mut self, request: ClientRequest) {
        if self.pending.len() < MAX_PENDING {
            self.pending.push_back(request);
        }
    }
}

/// The pace of keys, which shows whether an Enter may have been pressed by a paste.
struct KeyPace {
    run: usize,
    quiet: Pin<Box<Sleep>>,
    state: InputLull,
}

/// Whether the keys have rested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InputLull {
    Yes,
    AfterKey,
    AfterPaste,
}

impl KeyPace {
    fn new() -> Self {
        Self { run: 0, quiet: Box::pin(sleep(Duration::ZERO)), state: InputLull::Yes }
    }

    fn key(&mut self) {
        self.run = if self.state == InputLull::Yes { 1 } else { self.run + 1 };
        // Keys do not shorten the time after a paste: they may be the rest of it, if the pasted
        // text contained the sequence by which a terminal ends a paste.
        if self.state != InputLull::AfterPaste {
            self.state = InputLull::AfterKey;
            self.quiet.set(sleep(BETWEEN_KEYS));
        }
    }

    fn paste(&mut self) {
        self.state = InputLull::AfterPaste;
        self.quiet.set(sleep(AFTER_PASTE));
    }

    fn enter(&self) -> EnterMode {
        // A copied page that brings its own Enter would otherwise send in a person's name.
        let held = self.state == InputLull::AfterPaste || self.run >= BURST;
        if held { EnterMode::Held } else { EnterMode::Sends }
    }

    /// Waits until the keys have rested; for ever if they have.
    async fn settled(&mut self) {
        match self.state {
            InputLull::Yes => std::future::pending().await,
            InputLull::AfterKey | InputLull::AfterPaste => self.quiet.as_mut().await,
        }
    }

    fn settle(&mut self) {
        self.state = InputLull::Yes;
        self.run = 0;
    }
}

/// Asks at the unlock screen until the runtime has opened something or its user leaves. `try_open`
/// says why it could not, for a person to read; the slow part belongs on a blocking thread.
///
/// # Errors
///
/// The terminal cannot be used.
pub async fn unlock<T, Opening>(
    screen: &mut Screen,
    state: UnlockMode,
    options: UiOptions,
    mut try_open: impl FnMut(UnlockChoice) -> Opening,
) -> Result<UnlockOutcome<T>, UiError>
where
    Opening: Future<Output = Result<T, String>>,
{
    let mut model = UnlockModel::new(options, state);
    let mut keys = EventStream::new();
    let mut seconds = every(SECOND);
    let mut opening: Option<Pin<Box<Opening>>> = None;
    loop {
        screen.draw(|frame| unlock_view(&model, frame))?;
        let step = tokio::select! {
            // A signal ends it even while a store opens, which takes a second or more.
            biased;
            told = screen.signals.next() => match told {
                UiSignal::End(exit) => return Ok(UnlockOutcome::Left(exit)),
                UiSignal::Suspend => UnlockStep::Suspend,
                UiSignal::Continued => { screen.continued()?; UnlockStep::Redraw }
            },
            opened = result(&mut opening) => {
                opening = None;
                match opened {
                    Ok(opened) => return Ok(UnlockOutcome::Opened(opened)),
                    Err(why) => model.failed(&why),
                }
                UnlockStep::Draw
            }
            event = keys.next() => {
                let Some(event) = event else { return Ok(UnlockOutcome::Left(UiExit::Terminated)) };
                unlock_key(&mut model, event?)
            }
            _ = seconds.tick() => { model.tick((model.options.clock)()); UnlockStep::Draw }
        };
        match step {
            UnlockStep::Draw => {}
            UnlockStep::Redraw => screen.redraw()?,
            UnlockStep::Suspend => screen.suspend()?,
            UnlockStep::Quit => return Ok(UnlockOutcome::Left(UiExit::Asked)),
            UnlockStep::Try(choice) => opening = Some(Box::pin(try_open(choice))),
        }
    }
}

async fn result<F: Future>(opening: &mut Option<Pin<Box<F>>>) -> F::Output {
    match opening {
        Some(opening) => opening.await,
        None => std::future::pending().await,
    }
}

fn unlock_key(model: &mut UnlockModel, event: TerminalEvent) -> UnlockStep {
    match event {
        TerminalEvent::Key(key) if key.kind != KeyEventKind::Release => model.on_key(key),
        TerminalEvent::Paste(text) => {
            model.paste(&text);
            UnlockStep::Draw
        }
        TerminalEvent::Key(_)
        | TerminalEvent::Mouse(_)
        | TerminalEvent::FocusGained
        | TerminalEvent::FocusLost
        | TerminalEvent::Resize(_, _) => UnlockStep::Draw,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keys_faster_than_hands_hold_the_enter_until_they_rest() {
        let mut pace = KeyPace::new();
        pace.key();
        assert_eq!(pace.enter(), EnterMode::Sends);
        pace.key();
        assert_eq!(pace.enter(), EnterMode::Sends);
        pace.key();
        assert_eq!(pace.enter(), EnterMode::Held);
        pace.settle();
        pace.key();
        assert_eq!(pace.enter(), EnterMode::Sends);
    }

    #[tokio::test]
    async fn a_paste_holds_the_enter_that_may_have_come_with_it() {
        let mut pace = KeyPace::new();
        pace.paste();
        pace.key();
        assert_eq!(pace.enter(), EnterMode::Held);
        pace.settle();
        pace.key();
        assert_eq!(pace.enter(), EnterMode::Sends);
    }

    #[tokio::test]
    async fn the_last_requests_reach_a_host_that_is_busy_telling() {
        let (tell, events) = mpsc::channel(1);
        let (requests, mut asked) = mpsc::channel(1);
        let pending = VecDeque::from([
            ClientRequest::Search { contact: None, words: "noon".to_owned() },
            ClientRequest::Quit,
        ]);
        let host = async move {
            for _ in 0..8 {
                tell.send(ClientEvent::Persistence(crate::shell::api::Persistence::Sealed))
                    .await
                    .expect("somebody listens");
            }
            let first = asked.recv().await;
            (first.is_some(), asked.recv().await)
        };
        let ((), taken) = tokio::join!(flush(pending, events, requests), host);
        assert_eq!(taken, (true, Some(ClientRequest::Quit)));
    }
}
