//! The full-screen interface with a node behind it: the unlock screen, the runtime, and the end of
//! both.

use std::io::IsTerminal as _;

use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::control::{self, ControlSocket};
use super::{net_settings, node_settings};
use crate::engine::crypto::invite;
use crate::engine::session::MAX_TEXT;
use crate::engine::settings::NodeRole;
use crate::shell::api::{
    ClientEvent, ClientRequest, ColorSupport, Glyphs, InviteCodec, UiError, UiExit, UiMode,
    UiOptions, UnlockChoice, UnlockMode, UnlockOutcome,
};
use crate::shell::cli::args::{ColorMode, GlobalArgs, NetworkArgs};
use crate::shell::cli::open_store;
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::clock::{wall, zone};
use crate::shell::os::passphrase::Passphrase;
use crate::shell::runtime::Runtime;
use crate::shell::store::Store;
use crate::shell::ui::{self, Screen};

/// `undertone`
pub(super) async fn open(global: &GlobalArgs, network: &NetworkArgs) -> Result<(), Failure> {
    let options = options(global, UiMode::Normal);
    // No question is needed then: opened before the screen is taken over, a store that fails is
    // reported by a line in the shell.
    let silent = global.memory
        || global.passphrase_fd.is_some()
        || global.passphrase_file.is_some()
        || global.passphrase_cmd.is_some();
    let given = if silent { Some(open_store::open_or_create(global)?) } else { None };
    let mut screen = screen()?;
    let opened = match given {
        Some(store) => UnlockOutcome::Opened(store),
        None => unlock_store(global, &mut screen, options.clone()).await?,
    };
    let store = match opened {
        UnlockOutcome::Opened(store) => store,
        // The terminal is given back before anything is printed on it.
        UnlockOutcome::Left(exit) => {
            drop(screen);
            return left(exit);
        }
    };
    // A store in memory has no home, whichever way it was chosen.
    let kept = GlobalArgs {
        memory: store.kept() == crate::shell::store::StoreMode::MemoryOnly,
        ..global.clone()
    };
    let mut runtime =
        Runtime::start(node_settings(network, NodeRole::Messenger), net_settings(network), store)?;
    let (events, incoming) = mpsc::channel(CHANNEL);
    let (requests, asked) = mpsc::channel(CHANNEL);
    runtime.subscriptions().subscribe(events).await;
    let socket = ControlSocket::for_node(&kept, &mut runtime, &requests)?;
    let shown = async {
        let ended = ui::run(&mut screen, incoming, requests.clone(), options).await;
        drop(screen);
        // The runtime ends with the interface, even if commands still have a sender.
        if requests.send(ClientRequest::Quit).await.is_err() {
            tracing::debug!("the runtime stopped first");
        }
        ended
    };
    let (shown, hosted) = tokio::join!(shown, control::run_with_socket(runtime, asked, socket));
    // The error of the runtime first: that of the interface only follows from it.
    hosted?;
    left(shown.map_err(ui_failed)?)
}

/// Shows the interface on a runtime that runs already.
pub(super) async fn show(
    global: &GlobalArgs,
    mode: UiMode,
    events: mpsc::Receiver<ClientEvent>,
    requests: mpsc::Sender<ClientRequest>,
) -> Result<(), Failure> {
    let mut screen = screen()?;
    let ended = ui::run(&mut screen, events, requests, options(global, mode)).await;
    drop(screen);
    left(ended.map_err(ui_failed)?)
}

/// Asks for the passphrase, or for a new one, until something is open.
async fn unlock_store(
    global: &GlobalArgs,
    screen: &mut Screen,
    options: UiOptions,
) -> Result<UnlockOutcome<Store>, Failure> {
    let home = open_store::home(global)?;
    let state = if Store::exists(&home) { UnlockMode::Locked } else { UnlockMode::FirstRun };
    let passed = ui::unlock(screen, state, options, |choice| {
        let home = home.clone();
        async move {
            // Argon2 takes a second by design, in which the screen still answers.
            let opened = tokio::task::spawn_blocking(move || match choice {
                UnlockChoice::Memory => Store::in_memory().map_err(|error| error.to_string()),
                UnlockChoice::Create(text) => {
                    let passphrase = passphrase(text)?;
                    Store::create(&home, &passphrase).map_err(|error| error.to_string())
                }
                UnlockChoice::Unlock(text) => {
                    let passphrase = passphrase(text)?;
                    Store::open(&home, &passphrase).map_err(|error| error.to_string())
                }
            });
            opened.await.unwrap_or_else(|error| Err(error.to_string()))
        }
    });
    passed.await.map_err(ui_failed)
}

fn passphrase(text: Zeroizing<String>) -> Result<Passphrase, String> {
    Passphrase::new(text).map_err(|error| error.to_string())
}

fn screen() -> Result<Screen, Failure> {
    // Checked before anything is drawn: the reader of a pipe has no use for cursor movements.
    if !std::io::stdout().is_terminal() {
        return Err(ui_failed(UiError::Terminal(std::io::Error::other(
            "standard output is not one",
        ))));
    }
    Screen::open().map_err(|error| ui_failed(UiError::Terminal(error)))
}

fn ui_failed(error: UiError) -> Failure {
    let next = "run it in a terminal, or use undertone send and undertone listen";
    let safe = "everything accepted before is saved";
    let text = FailureText { what: "the interface stopped", why: &error.to_string(), safe, next };
    Failure::new(FailureCode::Interface, text)
}

/// Turns the way in which the interface ended into the result of the process.
fn left(exit: UiExit) -> Result<(), Failure> {
    let code = match exit {
        UiExit::Asked => return Ok(()),
        UiExit::Interrupted => FailureCode::Interrupted,
        UiExit::Terminated => FailureCode::Terminated,
        UiExit::Fatal => FailureCode::NodeEnded,
    };
    let text = FailureText {
        what: "stopped",
        why: "a signal or an error ended it",
        safe: "everything accepted is saved",
        next: "start it again: undertone",
    };
    Err(Failure::new(code, text))
}

fn options(global: &GlobalArgs, mode: UiMode) -> UiOptions {
    // Any value but an empty one (https://no-color.org). A flag wins over it.
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let color = match global.color {
        ColorMode::Always => ColorSupport::On,
        ColorMode::Auto if !plain => ColorSupport::On,
        ColorMode::Auto | ColorMode::Never => ColorSupport::Off,
    };
    UiOptions {
        mode,
        glyphs: if global.ascii { Glyphs::Ascii } else { Glyphs::Unicode },
        color,
        max_text: MAX_TEXT,
        clock: wall,
        zone: zone(),
        invites: InviteCodec {
            write: invite::encode,
            read: |text| invite::decode(text).map_err(|error| error.to_string()),
        },
    }
}

/// A screen or two of events and as many keys.
const CHANNEL: usize = 1_024;
