//! Comparing with a contact: what is typed, what came of it, and what is done about a contact that
//! is held. The engine compares; a page shows one half and asks for the other, so that nobody can
//! say yes without having listened.

use crate::engine::command::{Command, CommandError, Proof, Reply};
use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::crypto::sas::{SasWord, WORDS_PER_HALF};
use crate::engine::id::ContactId;

use super::super::composer::{Composer, LineMode};
use super::super::keys::{ChooseAction, CompareAction, HeldAction};
use super::{EnterMode, Model, Overlay, PendingCommand, PromptPurpose, UiEffect};

/// The page on which one compares with a contact.
pub(in crate::shell::ui) struct Verify {
    pub(in crate::shell::ui) contact: ContactId,
    pub(in crate::shell::ui) way: CompareMethod,
    /// The three words that are heard, as they are typed.
    pub(in crate::shell::ui) words: [Composer; WORDS_PER_HALF],
    /// Which of them is being typed.
    pub(in crate::shell::ui) at: usize,
    /// The digits, or whatever was sent.
    pub(in crate::shell::ui) line: Composer,
    /// What was wrong with the last try.
    pub(in crate::shell::ui) error: Option<String>,
}

/// How one compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell::ui) enum CompareMethod {
    /// Three words are heard and typed.
    Words,
    /// 60 digits are heard and typed.
    Digits,
    /// The contact reads a code off this screen.
    Code,
    /// What came another way is pasted.
    Sent,
}

/// What came of a comparison that failed, and what to do.
pub(in crate::shell::ui) struct Mismatch {
    pub(in crate::shell::ui) contact: ContactId,
    /// The number of the first wrong word, and what was typed for it.
    pub(in crate::shell::ui) word: Option<(usize, String)>,
    /// How many tries are left before the session is erased; 0 if it was.
    pub(in crate::shell::ui) left: u8,
    pub(in crate::shell::ui) row: usize,
}

/// What to do after a comparison failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell::ui) enum Remedy {
    Again,
    Close,
    Keys,
}

impl Mismatch {
    /// What there is to choose from.
    pub(in crate::shell::ui) const fn remedies(&self) -> &'static [Remedy] {
        match self.left {
            0 => &[Remedy::Again, Remedy::Keys],
            _ => &[Remedy::Again, Remedy::Close, Remedy::Keys],
        }
    }
}

/// The longest word has 8 letters; blanks may stand around it.
const MAX_WORD_BYTES: usize = 24;

/// 60 digits with any blanks between them.
const MAX_LINE_BYTES: usize = 240;

impl Verify {
    fn new(contact: ContactId, way: CompareMethod) -> Self {
        Self {
            contact,
            way,
            words: [const { Composer::new(LineMode::One, MAX_WORD_BYTES) }; WORDS_PER_HALF],
            at: 0,
            line: Composer::new(LineMode::One, MAX_LINE_BYTES),
            error: None,
        }
    }

    /// Where what is typed goes.
    pub(super) fn field(&mut self) -> Option<&mut Composer> {
        match self.way {
            CompareMethod::Words => self.words.get_mut(self.at),
            CompareMethod::Digits | CompareMethod::Sent => Some(&mut self.line),
            CompareMethod::Code => None,
        }
    }

    /// What was typed, if it is something to compare.
    fn proof(&self, first: usize) -> Result<Proof, String> {
        match self.way {
            CompareMethod::Words => {
                let words = self.words.each_ref().map(|field| field.text());
                three(words, first).map(Proof::Sas)
            }
            CompareMethod::Digits | CompareMethod::Code => {
                digits(self.line.text()).map(Proof::SafetyNumber)
            }
            CompareMethod::Sent => {
                let text = self.line.text();
                if let Some(number) = SafetyNumber::parse(text) {
                    return Ok(Proof::SafetyNumber(number));
                }
                let mut words = text.split_whitespace();
                match [words.next(), words.next(), words.next(), words.next()] {
                    [Some(one), Some(two), Some(last), None] => {
                        three([one, two, last], first).map(Proof::Sas)
                    }
                    _ => Err("these are neither three words nor 60 digits".to_owned()),
                }
            }
        }
    }

    /// Fills the fields from the current one on, a word each; what no field takes is left out.
    fn paste_words(&mut self, pasted: &str) {
        let at = self.at;
        let fields = self.words.iter_mut().skip(at);
        for (count, (field, word)) in fields.zip(pasted.split_whitespace()).enumerate() {
            field.take();
            if field.paste(word).is_ok() {
                self.at = (at + count).min(WORDS_PER_HALF - 1);
            }
        }
    }
}

fn three(words: [&str; WORDS_PER_HALF], first: usize) -> Result<[SasWord; WORDS_PER_HALF], String> {
    let mut read = words.iter().enumerate().map(|(place, text)| {
        SasWord::parse(text).ok_or_else(|| match text.trim() {
            "" => format!("word {} is missing; nothing was compared", first + place),
            _ => format!("word {} is not on the list; nothing was compared", first + place),
        })
    });
    let mut next = || read.next().unwrap_or_else(|| Err("a word is missing".to_owned()));
    Ok([next()?, next()?, next()?])
}

fn digits(text: &str) -> Result<SafetyNumber, String> {
    SafetyNumber::parse(text).ok_or_else(|| {
        let found = text.chars().filter(char::is_ascii_digit).count();
        format!("60 digits are compared, and these are {found}; nothing was compared")
    })
}

impl Model {
    /// Opens the page on which one compares.
    pub(super) fn open_verify(&mut self, contact: ContactId) {
        let Some(chat) = self.directory.chats.get(&contact) else { return };
        let way =
            if chat.contact.sas.is_some() { CompareMethod::Words } else { CompareMethod::Digits };
        self.navigation.overlay = Some(Overlay::Verify(Verify::new(contact, way)));
    }

    /// Keys on that page.
    pub(super) fn compare(&mut self, key: CompareAction, effects: &mut Vec<UiEffect>) {
        let Some(Overlay::Verify(verify)) = &mut self.navigation.overlay else { return };
        let has_words = self
            .directory
            .chats
            .get(&verify.contact)
            .is_some_and(|chat| chat.contact.sas.is_some());
        verify.error = None;
        match key {
            CompareAction::Digits => verify.way = CompareMethod::Digits,
            CompareAction::Code => verify.way = CompareMethod::Code,
            CompareAction::Sent => verify.way = CompareMethod::Sent,
            CompareAction::Previous => verify.at = verify.at.saturating_sub(1),
            CompareAction::Next => verify.at = (verify.at + 1).min(WORDS_PER_HALF - 1),
            CompareAction::Complete => {
                // "sad" begins "saddle" too: whoever goes on means the word that stands there.
                let typed = verify.field().map(|field| field.text().to_owned()).unwrap_or_default();
                let word = SasWord::complete(&typed).or_else(|| SasWord::parse(&typed));
                if let (CompareMethod::Words, Some(word)) = (verify.way, word) {
                    if let Some(field) = verify.field() {
                        field.replace(&word.to_string());
                    }
                    verify.at = (verify.at + 1).min(WORDS_PER_HALF - 1);
                }
            }
            CompareAction::Back => match verify.way {
                CompareMethod::Words => self.navigation.overlay = None,
                CompareMethod::Digits if !has_words => self.navigation.overlay = None,
                CompareMethod::Digits | CompareMethod::Code | CompareMethod::Sent if has_words => {
                    verify.way = CompareMethod::Words
                }
                CompareMethod::Digits | CompareMethod::Code | CompareMethod::Sent => {
                    verify.way = CompareMethod::Digits
                }
            },
            CompareAction::Enter => self.compare_now(effects),
        }
    }

    fn compare_now(&mut self, effects: &mut Vec<UiEffect>) {
        if self.enter == EnterMode::Held {
            self.say_hint("paste held an Enter; nothing was compared");
            return;
        }
        let Some(Overlay::Verify(verify)) = &mut self.navigation.overlay else { return };
        let (contact, way) = (verify.contact, verify.way);
        let typing = verify.words.iter().position(|field| field.text().trim().is_empty());
        if let (CompareMethod::Words, Some(empty)) = (way, typing)
            && verify.at < WORDS_PER_HALF - 1
        {
            verify.at = empty;
            return;
        }
        let own = self.directory.chats.get(&contact).and_then(|chat| chat.contact.sas);
        let first = own.map_or(1, |own| own.half.other().first_number());
        match verify.proof(first) {
            Err(error) => verify.error = Some(error),
            Ok(proof) => {
                let about = PendingCommand::Verify(contact, proof);
                self.ask(Command::Verify { contact, proof }, about, effects);
            }
        }
    }

    /// The engine has compared.
    pub(super) fn compared(
        &mut self,
        (contact, proof): (ContactId, Proof),
        reply: Result<Reply, CommandError>,
    ) {
        let name = self.directory.name_of(contact);
        match reply {
            Ok(Reply::Differs { word, attempts_left: left }) => {
                let typed = |number: usize| match proof {
                    Proof::Sas(words) => {
                        words.get((number - 1) % WORDS_PER_HALF).map(SasWord::to_string)
                    }
                    Proof::SafetyNumber(_) => None,
                };
                let word = word.and_then(|number| Some((number, typed(number)?)));
                self.navigation.overlay =
                    Some(Overlay::Mismatch(Mismatch { contact, word, left, row: 0 }));
            }
            Ok(_) => {
                if matches!(self.navigation.overlay, Some(Overlay::Verify(_))) {
                    self.navigation.overlay = None;
                }
                self.say_hint(format!("{name} is [v] verified, on this machine only"));
            }
            Err(error) => match &mut self.navigation.overlay {
                Some(Overlay::Verify(verify)) => verify.error = Some(error.to_string()),
                Some(_) | None => self.say_hint(error.to_string()),
            },
        }
    }

    /// Keys after a comparison that failed.
    pub(super) fn choose(&mut self, key: ChooseAction, effects: &mut Vec<UiEffect>) {
        let Some(Overlay::Mismatch(mismatch)) = &mut self.navigation.overlay else { return };
        let last = mismatch.remedies().len().saturating_sub(1);
        match key {
            ChooseAction::Up => mismatch.row = mismatch.row.saturating_sub(1),
            ChooseAction::Down => mismatch.row = (mismatch.row + 1).min(last),
            ChooseAction::Take => {
                let contact = mismatch.contact;
                match mismatch.remedies().get(mismatch.row) {
                    Some(Remedy::Again) => self.open_verify(contact),
                    Some(Remedy::Close) => {
                        self.navigation.overlay = None;
                        self.ask(Command::CloseSession { contact }, PendingCommand::Other, effects);
                    }
                    Some(Remedy::Keys) => self.navigation.overlay = Some(Overlay::Keys(contact)),
                    None => self.navigation.overlay = None,
                }
            }
        }
    }

    /// Keys where the composer of a held contact would be.
    pub(super) fn act_held(&mut self, key: HeldAction) {
        let Some(contact) = self.navigation.open else { return };
        match key {
            HeldAction::Verify => self.open_verify(contact),
            HeldAction::Accept => self.navigation.prompt(PromptPurpose::AcceptUnverified(contact)),
        }
    }

    /// A paste into that page. Words are put into their fields; nothing is compared by it.
    pub(super) fn paste_proof(&mut self, pasted: &str) {
        let Some(Overlay::Verify(verify)) = &mut self.navigation.overlay else { return };
        if verify.way == CompareMethod::Words {
            verify.paste_words(pasted);
            return;
        }
        let taken = verify.field().map_or(Ok(()), |field| field.paste(pasted));
        if taken.is_err() {
            verify.error = Some("that is longer than anything to compare".to_owned());
        }
    }

    /// A blank between words goes on to the next one.
    pub(super) fn blank_between_words(&mut self) -> bool {
        let Some(Overlay::Verify(verify)) = &mut self.navigation.overlay else { return false };
        let here = verify.words.get(verify.at);
        if verify.way != CompareMethod::Words || here.is_none_or(Composer::is_empty) {
            return verify.way == CompareMethod::Words;
        }
        verify.at = (verify.at + 1).min(WORDS_PER_HALF - 1);
        true
    }
}
