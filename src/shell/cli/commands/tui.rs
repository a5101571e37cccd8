//! The full-screen interface with a node behind it: the unlock screen, the client, and the end of
//! both.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use zeroize::Zeroizing;

use crate::engine::crypto::invite;
use crate::engine::session::MAX_TEXT;
use crate::shell::api::{ClientInfo, ClientKind, Stay};
use crate::shell::cli::args::{ColorMode, GlobalArgs, NetworkArgs, NetworkFlags};
use crate::shell::cli::connect::{close, home, notice_of_unused, online, say_unused, store};
use crate::shell::client::{Client, Connect, CreateStore, HomeOptions, StoreOptions};
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::os::clock::{wall, zone};
use crate::shell::os::exit_code::ExitCode;
use crate::shell::os::passphrase::Passphrase;
use crate::shell::os::signals::StopSignals;
use crate::shell::store::Store;
use crate::shell::ui::{
    self, ColorSupport, Glyphs, InviteCodec, Screen, UiError, UiExit, UiMode, UiOptions,
    UnlockChoice, UnlockMode, UnlockOutcome,
};

/// `undertone`
pub(super) async fn open(global: &GlobalArgs, network: NetworkFlags) -> Result<(), Failure> {
    // Reached before the screen is taken over: a failure is reported by a line in the shell.
    let reached = match reach(global, &network).await? {
        Some(client) => Reached::Before(client),
        None => {
            let home = UnlockedHome { path: home(global)?, network: network.clone().into() };
            // What cannot be is said before a passphrase is asked for.
            online(StoreOptions::Memory, &home.network, Stay::Long)?;
            Reached::AtUnlock(home)
        }
    };
    let mut screen = screen().await?;
    let _watch = watch_end()?;
    let client = match reached {
        Reached::Before(client) => client,
        Reached::AtUnlock(home) => {
            let opened = home.unlock(&mut screen, options(global, UiMode::Normal)).await?;
            match opened {
                UnlockOutcome::Opened(client) => client,
                // The terminal is given back before anything is printed on it.
                UnlockOutcome::Left(exit) => {
                    drop(screen);
                    return left(exit);
                }
            }
        }
    };
    let notice =
        if client.is_own_node() { None } else { notice_of_unused(&network, &client.hello()) };
    let shown = ui::run(&mut screen, &client, options(global, UiMode::Normal), notice).await;
    drop(screen);
    let mut stop = StopSignals::listen()?;
    // The error of the node first: that of the interface only follows from it.
    close(client, &mut stop).await?;
    left(ended(shown)?)
}

/// Watches over an end that does not come, until this is dropped.
fn watch_end() -> Result<JoinSet<()>, Failure> {
    let mut watch = JoinSet::new();
    watch.spawn(end_at_last(StopSignals::listen()?));
    Ok(watch)
}

/// Ends the process some seconds after a signal, or after the terminal was gone, if it has not ended: a
/// terminal that takes nothing (Ctrl+S) holds up whoever draws on it, and no node; and one that is gone is
/// read without end by the library that reads keys. What was accepted is saved, as when it is killed.
async fn end_at_last(mut stop: StopSignals) {
    let exit = tokio::select! {
        exit = stop.received() => exit,
        () = ui::terminal_gone() => ExitCode::Terminated,
    };
    sleep(ENDS_WITHIN).await;
    tracing::warn!("the interface did not end by itself, and was ended");
    // At once: what waits to be printed would wait for the terminal, too.
    signal_hook::low_level::exit(i32::from(exit as u8));
}

/// The way to the node of the interface.
enum Reached {
    /// No question was needed.
    Before(Client),
    /// A person has to unlock the home folder.
    AtUnlock(UnlockedHome),
}

/// Reaches a node without a question to a person, if that can be.
async fn reach(global: &GlobalArgs, network: &NetworkFlags) -> Result<Option<Client>, Failure> {
    let who = ClientInfo::new(ClientKind::Person);
    let silent = global.memory
        || global.passphrase_fd.is_some()
        || global.passphrase_file.is_some()
        || global.passphrase_cmd.is_some();
    let to = if silent {
        let store = store(global, CreateStore::Yes)?;
        Connect::AttachOrStart(online(store, &network.clone().into(), Stay::Long)?)
    } else {
        // A node that runs needs no passphrase.
        Connect::Attach(home(global)?)
    };
    let attached = match Client::connect(to, who).await {
        Err(failure) if !silent && failure.code() == Some(FailureCode::NoNode) => return Ok(None),
        attached => attached,
    };
    let (client, hello) = attached?;
    // It runs for one command, and gives way to the one that is started at the unlock screen.
    if !silent && hello.stay == Stay::Brief {
        client.close().await?;
        return Ok(None);
    }
    if !client.is_own_node() {
        say_unused(network, &hello);
    }
    Ok(Some(client))
}

/// Shows the interface on a node that runs already.
pub(super) async fn show(
    global: &GlobalArgs,
    mode: UiMode,
    client: &Client,
) -> Result<(), Failure> {
    let mut screen = screen().await?;
    let _watch = watch_end()?;
    let shown = ui::run(&mut screen, client, options(global, mode), None).await;
    drop(screen);
    left(ended(shown)?)
}

/// A home folder whose passphrase a person types, and the network of its node.
struct UnlockedHome {
    path: PathBuf,
    network: NetworkArgs,
}

impl UnlockedHome {
    /// Asks for the passphrase, or for a new one, until a node is reached.
    async fn unlock(
        &self,
        screen: &mut Screen,
        options: UiOptions,
    ) -> Result<UnlockOutcome<Client>, Failure> {
        let state =
            if Store::exists(&self.path)? { UnlockMode::Locked } else { UnlockMode::FirstRun };
        // Argon2 takes a second by design, in which the screen still answers.
        let passed = ui::unlock(screen, state, options, |choice| self.open(choice));
        passed.await.map_err(ui_failed)
    }

    /// Reaches a node as a person chose; the error is for the screen.
    async fn open(&self, choice: UnlockChoice) -> Result<Client, String> {
        let node = |store| online(store, &self.network, Stay::Long).map_err(|failure| failure.why);
        let to = match choice {
            UnlockChoice::Memory => Connect::Start(node(StoreOptions::Memory)?),
            UnlockChoice::Create(text) => {
                Connect::AttachOrStart(node(self.sealed(text, CreateStore::Yes)?)?)
            }
            UnlockChoice::Unlock(text) => {
                Connect::AttachOrStart(node(self.sealed(text, CreateStore::No)?)?)
            }
        };
        let connected = Client::connect(to, ClientInfo::new(ClientKind::Person)).await;
        connected.map(|(client, _)| client).map_err(|failure| failure.why)
    }

    fn sealed(&self, text: Zeroizing<String>, create: CreateStore) -> Result<StoreOptions, String> {
        let mut home = HomeOptions::with_passphrase(&self.path, passphrase(text)?);
        home.create = create;
        Ok(StoreOptions::Home(home))
    }
}

fn passphrase(text: Zeroizing<String>) -> Result<Passphrase, String> {
    Passphrase::new(text).map_err(|error| error.to_string())
}

async fn screen() -> Result<Screen, Failure> {
    let no_terminal = |why| ui_failed(UiError::Terminal(std::io::Error::other(why)));
    // Checked before anything is drawn: the reader of a pipe has no use for cursor movements.
    if !std::io::stdout().is_terminal() {
        return Err(no_terminal("standard output is not one"));
    }
    // Nor has a terminal that cannot move its cursor, such as the shell in an editor.
    if std::env::var_os("TERM").is_some_and(|kind| kind == "dumb") {
        return Err(no_terminal("it cannot move its cursor (TERM is dumb)"));
    }
    Screen::open().await.map_err(|error| ui_failed(UiError::Terminal(error)))
}

fn ui_failed(error: UiError) -> Failure {
    let next = "run it in a terminal, or use undertone send and undertone listen";
    let safe = "everything accepted before is saved";
    let text = FailureText { what: "the interface stopped", why: &error.to_string(), safe, next };
    Failure::new(FailureCode::Interface, text)
}

/// How the interface ended. What could not be drawn because the terminal is gone is no fault of it.
fn ended(shown: Result<UiExit, UiError>) -> Result<UiExit, Failure> {
    shown.or_else(|error| {
        if std::io::stdout().is_terminal() { Err(ui_failed(error)) } else { Ok(UiExit::Terminated) }
    })
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

/// The time in which the interface and its node end. A guess: longer than the last calls and replies
/// of the node take together.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
