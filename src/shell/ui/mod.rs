//! The interface in the terminal: keys in, cells out, and one way to the node, the
//! [`client`](crate::shell::client).
//!
//! [`model`] knows and decides, [`mod@view`] draws it, and [`run()`] is the loop: it owns the
//! terminal, waits for keys, signals, events, answers and time, and carries out the effects of the
//! model. Whether the node runs in this process is no affair of it, and drawing never waits for the
//! node.

mod composer;
mod exchange;
mod frames;
mod keys;
pub mod model;
mod options;
mod slash;
mod terminal;
mod unlock;
pub mod view;

use std::pin::Pin;
use std::time::Duration;

use crossterm::event::{Event as TerminalEvent, EventStream, KeyEventKind};
use futures::StreamExt;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};

#[cfg(feature = "inside")]
pub use keys::ScrollAction;
pub use options::{
    ColorSupport, Glyphs, InviteCodec, UiError, UiExit, UiMode, UiOptions, UnlockChoice,
    UnlockMode, UnlockOutcome,
};
pub use terminal::{Screen, terminal_gone};
pub use unlock::{UnlockModel, UnlockStep};
pub use view::unlock::view as unlock_view;

use crate::shell::api::Delivery;
use crate::shell::client::Client;
use exchange::{CallQueue, EventSource, Heard};
use frames::{FRAME, KeyDrawings};
use model::{ClockChange, Model, NodeHost, QuitReason, UiEffect};
use terminal::UiSignal;
use view::{ViewState, view};

/// The time between two looks at clocks and waits.
const SECOND: Duration = Duration::from_secs(1);

/// The time that the node has for the last calls. A guess: longer than the next node takes to start,
/// if this one stops just then.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Runs the interface until its user leaves, a signal comes, or there is no node any more. The
/// connection is its caller's to close. `notice` is said at the beginning.
///
/// # Errors
///
/// The terminal cannot be used.
pub async fn run(
    screen: &mut Screen,
    client: &Client,
    options: UiOptions,
    notice: Option<String>,
) -> Result<UiExit, UiError> {
    let mut model = Model::new(options);
    if let Some(notice) = notice {
        model.say_hint(notice);
    }
    let mut ui = UiLoop {
        model,
        state: ViewState::default(),
        calls: CallQueue::of(client),
        source: EventSource::of(client),
        redraw: Redraw::Needed,
    };
    let mut keys = EventStream::new();
    let (mut frames, mut keys_drawn) = (every(FRAME), KeyDrawings::default());
    let mut seconds = every(SECOND);
    let exit = loop {
        let step = tokio::select! {
            // In this order: a signal is answered at once, a long paste does not freeze the
            // picture, and a flood of events keeps no key waiting.
            biased;
            told = screen.signals.next() => ui.on_signal(screen, told)?,
            _ = frames.tick(), if ui.redraw == Redraw::Needed => ui.draw(screen)?,
            key = keys.next() => {
                if keys_drawn.is_at_once(Instant::now()) {
                    frames.reset_immediately();
                }
                ui.key(screen, key)?
            }
            // Behind the keys: those that wait were typed before the question could be seen.
            () = std::future::ready(()), if ui.shows_unseen_question() => {
                ui.model.on_question_seen();
                None
            }
            (id, reply) = ui.calls.next() => {
                ui.redraw = Redraw::Needed;
                let effects = ui.model.on_answer(id, reply);
                ui.carry_out(screen, effects)?
            }
            heard = ui.source.next() => {
                ui.redraw = Redraw::Needed;
                let effects = ui.hear(client, heard);
                ui.carry_out(screen, effects)?
            }
            _ = seconds.tick() => ui.tick(),
        };
        if let Some(exit) = step {
            break exit;
        }
    };
    // What was typed before the end is not lost.
    if timeout(LAST_WORDS, ui.calls.finish()).await.is_err() {
        tracing::warn!("the node did not take the last calls in time");
    }
    Ok(exit)
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
    calls: CallQueue,
    source: EventSource,
    redraw: Redraw,
}

impl UiLoop {
    fn draw(&mut self, screen: &mut Screen) -> Result<Option<UiExit>, UiError> {
        self.redraw = Redraw::Done;
        screen.draw(|frame| view(&self.model, &mut self.state, frame))?;
        let effects = self.model.on_drawn(self.state.scroll_position());
        self.carry_out(screen, effects)
    }

    /// Whether the screen shows a question, or a mark, that keys do not act on yet.
    fn shows_unseen_question(&self) -> bool {
        self.redraw == Redraw::Done
            && self.state.shows_questions()
            && (self.model.navigation.has_unseen_question()
                || self.model.navigation.has_unseen_mark())
    }

    /// Takes in what the stream of events brought.
    fn hear(&mut self, client: &Client, heard: Heard) -> Vec<UiEffect> {
        match heard {
            Heard::Delivery(Delivery::Event { event, .. }) => self.model.on_event(*event),
            Heard::Delivery(Delivery::Missed { .. }) => {
                self.source = EventSource::of(client);
                Vec::new()
            }
            Heard::Delivery(Delivery::Ended(why)) => {
                tracing::info!("the node ended: {}", why.word());
                self.model.on_node_lost();
                self.source = EventSource::of(client);
                Vec::new()
            }
            Heard::Reached(events) => {
                self.source = EventSource::Streaming(events);
                let host = if client.is_own_node() { NodeHost::Own } else { NodeHost::Another };
                self.model.on_node_reached(host)
            }
            Heard::Gone(why) => {
                self.source = EventSource::Gone;
                self.model.on_node_gone(&why);
                Vec::new()
            }
        }
    }

    fn on_signal(
        &mut self,
        screen: &mut Screen,
        told: UiSignal,
    ) -> Result<Option<UiExit>, UiError> {
        self.redraw = Redraw::Needed;
        match told {
            UiSignal::End(exit) => return Ok(Some(exit)),
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
            return Ok(Some(UiExit::Terminated));
        };
        self.redraw = Redraw::Needed;
        // So that hints and a second Ctrl+C are timed from this key, and not from the last full
        // second.
        self.model.tick((self.model.options.clock)());
        let effects = match event? {
            // Some terminals report the release of a key as well; it would type the letter twice.
            TerminalEvent::Key(key) if key.kind != KeyEventKind::Release => self.model.on_key(key),
            // As one event, because bracketed paste is on: no letter of it is a key. Nothing else is
            // a paste: over a slow line, what hands type arrives in one piece too.
            TerminalEvent::Paste(text) => self.model.paste(&text),
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
                UiEffect::Call(id, call) => self.calls.push(id, call),
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
}

/// Asks at the unlock screen until something is open or its user leaves. `try_open`
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
