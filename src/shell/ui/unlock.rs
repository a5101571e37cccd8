//! The unlock screen, before anything is opened: a passphrase, or whether to keep anything at all.
//!
//! Pure state, like the model behind it. Which identities a store holds is not shown before it
//! opens; a wrong passphrase costs a wait that grows.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use zeroize::Zeroizing;

use crate::engine::env::UnixSeconds;
use crate::engine::secret::opaque_debug;
use crate::engine::text::UntrustedText;

use super::options::{UiOptions, UnlockChoice, UnlockMode};

/// Most bytes of a passphrase. The field never grows, so that no copy is left behind.
const MAX_PASSPHRASE_BYTES: usize = 256;

/// Shorter passphrases are called weak. A guess: 12 random letters are about 56 bits.
const WEAK_CHARACTERS: usize = 12;

/// The wait after wrong tries doubles up to 2^6 = 64 seconds. A guess, on top of Argon2's second.
const MAX_WAIT_DOUBLINGS: u32 = 6;

/// The state of the unlock screen.
pub struct UnlockModel {
    pub(super) options: UiOptions,
    pub(super) page: UnlockPage,
    pub(super) secret: SecretField,
    /// The passphrase typed first, while it is typed again.
    first: Option<Zeroizing<String>>,
    /// The fault of the last try.
    pub(super) error: Option<String>,
    wrong: u32,
    /// No try before this moment.
    not_before: UnixSeconds,
    now: UnixSeconds,
}

opaque_debug!(struct UnlockModel { options, page, secret, first, error, wrong, not_before, now });

/// The page of the unlock screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnlockPage {
    /// Keep it sealed, or keep nothing.
    Choose(FirstRunChoice),
    /// A passphrase for a new store.
    Create,
    /// The same once more.
    CreateAgain,
    /// The passphrase of the store that is there.
    Unlock,
    /// The runtime is opening; where to go back if it fails.
    Opening(StoreOrigin),
}

/// The two ways of a first run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FirstRunChoice {
    Sealed,
    Nothing,
}

/// Which store is being opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreOrigin {
    New,
    Existing,
}

/// The step that the unlock screen asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum UnlockStep {
    /// Nothing but drawing.
    Draw,
    /// Try to open this way.
    Try(UnlockChoice),
    /// Draw every cell again.
    Redraw,
    /// Give the terminal back and stop until continued.
    Suspend,
    /// Leave.
    Quit,
}

impl UnlockModel {
    /// The unlock screen of a first run, or of a store that is there.
    #[must_use]
    pub fn new(options: UiOptions, state: UnlockMode) -> Self {
        let page = match state {
            UnlockMode::FirstRun => UnlockPage::Choose(FirstRunChoice::Sealed),
            UnlockMode::Locked => UnlockPage::Unlock,
        };
        Self {
            page,
            secret: SecretField::new(),
            first: None,
            error: None,
            wrong: 0,
            not_before: UnixSeconds(0),
            now: (options.clock)(),
            options,
        }
    }

    /// Time has passed.
    pub const fn tick(&mut self, now: UnixSeconds) {
        self.now = now;
    }

    /// Seconds until the next try is possible.
    pub(super) const fn wait(&self) -> u64 {
        self.not_before.0.saturating_sub(self.now.0)
    }

    /// The try did not succeed; why, for a person to read.
    pub fn failed(&mut self, why: &str) {
        self.error = Some(UntrustedText::new(why.to_owned()).sanitize_for_line().text);
        // Nobody can see where in the stars the slip was, so it is typed anew.
        self.secret = SecretField::new();
        self.page = match self.page {
            // Nothing was guessed, so there is no wait.
            UnlockPage::Opening(StoreOrigin::New) => UnlockPage::Choose(FirstRunChoice::Sealed),
            UnlockPage::Opening(StoreOrigin::Existing) => {
                // Slows down a person who guesses at this keyboard. Why it failed is only text
                // here, so other failures cost the wait too.
                self.wrong = self.wrong.saturating_add(1);
                let wait = 1_u64 << self.wrong.min(MAX_WAIT_DOUBLINGS);
                self.not_before = UnixSeconds(self.now.0.saturating_add(wait));
                UnlockPage::Unlock
            }
            UnlockPage::Choose(_)
            | UnlockPage::Create
            | UnlockPage::CreateAgain
            | UnlockPage::Unlock => self.page,
        };
    }

    /// Something was pasted: a passphrase, up to its first line end.
    pub fn paste(&mut self, pasted: &str) {
        // Password managers copy a line end with the passphrase. It is no Enter: a person still
        // sees the stars and decides.
        let line = pasted.split(['\r', '\n']).next().unwrap_or_default();
        if self.takes_text() {
            line.chars().for_each(|character| self.secret.push(character));
        }
    }

    // While a store opens nothing is typed: it would be part of the next try unseen.
    const fn takes_text(&self) -> bool {
        matches!(self.page, UnlockPage::Create | UnlockPage::CreateAgain | UnlockPage::Unlock)
    }

    /// A key was pressed.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an enum of another crate; other keys do nothing"
    )]
    pub fn on_key(&mut self, event: KeyEvent) -> UnlockStep {
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        match event.code {
            // Without a question: nothing is open that could be lost.
            KeyCode::Char('q' | 'c') if control => return UnlockStep::Quit,
            KeyCode::Char('z') if control => return UnlockStep::Suspend,
            KeyCode::Char('l') if control => return UnlockStep::Redraw,
            KeyCode::Char('u') if control => self.secret = SecretField::new(),
            // A chord that means nothing here is no letter of a passphrase.
            KeyCode::Char(_) if event.modifiers.intersects(CONTROL_OR_ALT) => {}
            KeyCode::Char(letter) if self.takes_text() => self.secret.push(letter),
            KeyCode::Backspace if self.takes_text() => self.secret.pop(),
            KeyCode::Up | KeyCode::Down | KeyCode::Tab => self.other_way(),
            KeyCode::Esc => self.back(),
            KeyCode::Enter => return self.enter(),
            _ => {}
        }
        UnlockStep::Draw
    }

    const fn other_way(&mut self) {
        if let UnlockPage::Choose(keep) = self.page {
            self.page = UnlockPage::Choose(match keep {
                FirstRunChoice::Sealed => FirstRunChoice::Nothing,
                FirstRunChoice::Nothing => FirstRunChoice::Sealed,
            });
        }
    }

    fn back(&mut self) {
        if matches!(self.page, UnlockPage::Create | UnlockPage::CreateAgain) {
            self.page = UnlockPage::Choose(FirstRunChoice::Sealed);
            self.secret = SecretField::new();
            self.first = None;
            self.error = None;
        }
    }

    fn enter(&mut self) -> UnlockStep {
        match self.page {
            // Without a question: nothing exists yet that could be lost by it.
            UnlockPage::Choose(FirstRunChoice::Nothing) => {
                self.page = UnlockPage::Opening(StoreOrigin::New);
                return UnlockStep::Try(UnlockChoice::Memory);
            }
            UnlockPage::Choose(FirstRunChoice::Sealed) => {
                self.error = None;
                self.page = UnlockPage::Create;
            }
            // One try at a time.
            UnlockPage::Opening(_) => {}
            // An Enter too many is no guess, and costs no wait.
            UnlockPage::Create | UnlockPage::CreateAgain | UnlockPage::Unlock
                if self.secret.is_empty() =>
            {
                self.error = Some("the passphrase is empty; nothing was done".to_owned());
            }
            UnlockPage::Create => {
                self.first = Some(self.secret.take());
                self.error = None;
                self.page = UnlockPage::CreateAgain;
            }
            UnlockPage::CreateAgain => return self.enter_again(),
            // What was typed stays: only the try has to wait.
            UnlockPage::Unlock if self.wait() > 0 => {}
            UnlockPage::Unlock => {
                self.page = UnlockPage::Opening(StoreOrigin::Existing);
                self.error = None;
                return UnlockStep::Try(UnlockChoice::Unlock(self.secret.take()));
            }
        }
        UnlockStep::Draw
    }

    fn enter_again(&mut self) -> UnlockStep {
        let again = self.secret.take();
        if self.first.take().is_some_and(|first| first == again) {
            self.page = UnlockPage::Opening(StoreOrigin::New);
            return UnlockStep::Try(UnlockChoice::Create(again));
        }
        // Both are typed again, because the slip may have been in the first.
        self.error =
            Some("the passphrases do not match; nothing was created. Try again:".to_owned());
        self.page = UnlockPage::Create;
        UnlockStep::Draw
    }

    /// The advice on the passphrase that is typed.
    pub(super) fn advice(&self) -> Option<&'static str> {
        // Advice and no refusal: the person decides.
        let weak = self.page == UnlockPage::Create
            && !self.secret.is_empty()
            && self.secret.characters() < WEAK_CHARACTERS;
        weak.then_some("easy to guess: a few random words are better")
    }
}

const CONTROL_OR_ALT: KeyModifiers = KeyModifiers::CONTROL.union(KeyModifiers::ALT);

/// A passphrase while it is typed: wiped when dropped, never printed.
pub(super) struct SecretField(Zeroizing<String>);

impl SecretField {
    fn new() -> Self {
        Self(Zeroizing::new(String::with_capacity(MAX_PASSPHRASE_BYTES)))
    }

    fn push(&mut self, character: char) {
        let fits = self.0.len() + character.len_utf8() <= MAX_PASSPHRASE_BYTES;
        if fits && !character.is_control() {
            self.0.push(character);
        }
    }

    fn pop(&mut self) {
        self.0.pop();
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of stars to show.
    pub(super) fn characters(&self) -> usize {
        self.0.chars().count()
    }

    fn take(&mut self) -> Zeroizing<String> {
        core::mem::replace(self, Self::new()).0
    }
}

impl core::fmt::Debug for SecretField {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SecretField")
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::{ColorSupport, Glyphs, InviteCodec, UiMode};
    use super::*;

    fn unlock_model(state: UnlockMode) -> UnlockModel {
        UnlockModel::new(
            UiOptions {
                mode: UiMode::Normal,
                glyphs: Glyphs::Unicode,
                color: ColorSupport::On,
                max_text: 1_900,
                clock: || UnixSeconds(1_000),
                zone: jiff::tz::TimeZone::UTC,
                invites: InviteCodec { write: |_| String::new(), read: |_| Err(String::new()) },
            },
            state,
        )
    }

    fn press(model: &mut UnlockModel, code: KeyCode) -> UnlockStep {
        model.on_key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn write(model: &mut UnlockModel, text: &str) {
        for letter in text.chars() {
            assert_eq!(press(model, KeyCode::Char(letter)), UnlockStep::Draw);
        }
    }

    #[test]
    fn a_passphrase_is_made_only_when_typed_twice_alike() {
        let mut model = unlock_model(UnlockMode::FirstRun);
        press(&mut model, KeyCode::Enter);
        write(&mut model, "correct horse");
        press(&mut model, KeyCode::Enter);
        write(&mut model, "correct house");
        assert_eq!(press(&mut model, KeyCode::Enter), UnlockStep::Draw);
        assert_eq!(model.page, UnlockPage::Create);
        for _ in 0..2 {
            write(&mut model, "correct horse");
            let step = press(&mut model, KeyCode::Enter);
            if model.page != UnlockPage::CreateAgain {
                let made = UnlockChoice::Create(Zeroizing::new("correct horse".to_owned()));
                assert_eq!(step, UnlockStep::Try(made));
            }
        }
        assert_eq!(model.page, UnlockPage::Opening(StoreOrigin::New));
    }

    #[test]
    fn an_empty_passphrase_opens_and_makes_nothing() {
        let mut locked = unlock_model(UnlockMode::Locked);
        assert_eq!(press(&mut locked, KeyCode::Enter), UnlockStep::Draw);
        assert!(locked.error.is_some());
    }

    #[test]
    fn each_wrong_passphrase_costs_a_longer_wait() {
        let mut locked = unlock_model(UnlockMode::Locked);
        let mut waits = Vec::new();
        for _ in 0..8 {
            write(&mut locked, "guess");
            assert!(matches!(press(&mut locked, KeyCode::Enter), UnlockStep::Try(_)));
            locked.failed("the passphrase is wrong");
            waits.push(locked.wait());
            write(&mut locked, "early");
            assert_eq!(press(&mut locked, KeyCode::Enter), UnlockStep::Draw);
            locked.secret = SecretField::new();
            locked.tick(UnixSeconds(locked.now.0 + locked.wait()));
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 64, 64]);
    }

    #[test]
    fn keeping_nothing_asks_for_no_passphrase() {
        let mut first = unlock_model(UnlockMode::FirstRun);
        press(&mut first, KeyCode::Down);
        assert_eq!(press(&mut first, KeyCode::Enter), UnlockStep::Try(UnlockChoice::Memory));
    }

    #[test]
    fn nothing_prints_a_passphrase() {
        let mut locked = unlock_model(UnlockMode::Locked);
        locked.paste("hunter2\nsecond line");
        assert_eq!(locked.secret.characters(), 7);
        assert_eq!(format!("{locked:?} {:?}", locked.secret), "UnlockModel SecretField");
        let choice = UnlockChoice::Unlock(Zeroizing::new("hunter2".to_owned()));
        assert_eq!(format!("{choice:?}"), "Unlock");
    }

    #[test]
    fn a_passphrase_field_never_grows() {
        let mut locked = unlock_model(UnlockMode::Locked);
        locked.paste(&"日".repeat(1_000));
        assert_eq!(locked.secret.0.capacity(), MAX_PASSPHRASE_BYTES);
    }
}
