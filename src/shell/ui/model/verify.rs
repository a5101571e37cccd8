//! Comparing with a contact: the page on which it is done, its result, and what to do about a
//! contact on hold. The node compares; the page shows one half and asks for the other, so that
//! nobody can confirm a comparison without having listened.

use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::crypto::sas::{SasWord, WORDS_PER_HALF};
use crate::engine::event::SasHalf;
use crate::engine::id::ContactId;

use super::super::composer::{Composer, LineMode};
use super::super::keys::{ChooseAction, CompareAction, HeldAction};
use super::overlay::QuestionSight;
use super::{Erasure, Model, Overlay, PendingCall, PromptPurpose, UiEffect, refusal, sentence};
use crate::shell::api::calls::{AnyCall, AnyReply, Call as _, Comparison, ContactVerify};
use crate::shell::failure::Failure;

/// The page on which one compares with a contact.
pub(in crate::shell::ui) struct Verify {
    pub(in crate::shell::ui) contact: ContactId,
    pub(in crate::shell::ui) way: CompareMethod,
    /// The three words that the contact reads out, as they are typed.
    pub(in crate::shell::ui) words: [Composer; WORDS_PER_HALF],
    /// The index of the word that is being typed.
    pub(in crate::shell::ui) at: usize,
    /// The digits, or the text that was sent.
    pub(in crate::shell::ui) line: Composer,
    /// The fault of the last try.
    pub(in crate::shell::ui) error: Option<String>,
}

/// A way to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell::ui) enum CompareMethod {
    /// The contact reads out three words, which are typed.
    Words,
    /// The contact reads out 60 digits, which are typed.
    Digits,
    /// The contact reads a code off this screen.
    Code,
    /// The words or digits came another way and are pasted.
    Sent,
}

/// What a contact read out, as it was typed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TypedProof {
    /// The three words of their half.
    Words([SasWord; WORDS_PER_HALF]),
    /// The digits of the safety number.
    Digits(SafetyNumber),
}

impl TypedProof {
    /// The call that compares it.
    fn compare(self, contact: ContactId) -> AnyCall {
        let (words, digits) = match self {
            Self::Words(words) => (Some(words.iter().map(SasWord::to_string).collect()), None),
            Self::Digits(number) => (None, Some(number.digits())),
        };
        ContactVerify { contact: contact.into(), words, digits }.into_any()
    }
}

/// The result of a comparison that failed, and what to do about it.
pub(in crate::shell::ui) struct Mismatch {
    pub(in crate::shell::ui) contact: ContactId,
    /// The number of the first wrong word, and the word that was typed for it.
    pub(in crate::shell::ui) word: Option<(usize, String)>,
    /// How many tries are left before the session is erased; 0 if it was.
    pub(in crate::shell::ui) left: u8,
    pub(in crate::shell::ui) row: usize,
    pub(super) sight: QuestionSight,
}

/// The step that a key asks for on the page on which one compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum VerifyStep {
    /// Nothing more.
    Stay,
    /// To leave the page.
    Close,
    /// To compare what was typed.
    Submit,
}

/// A remedy after a comparison that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell::ui) enum Remedy {
    Again,
    Close,
    Keys,
}

impl Mismatch {
    /// The remedies to choose from.
    pub(in crate::shell::ui) const fn remedies(&self) -> &'static [Remedy] {
        match self.left {
            // The session is erased already.
            0 => &[Remedy::Again, Remedy::Keys],
            _ => &[Remedy::Again, Remedy::Close, Remedy::Keys],
        }
    }

    /// Marks a row, or the last one if there are fewer.
    fn mark(&mut self, row: usize) {
        self.row = row.min(self.remedies().len().saturating_sub(1));
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

    /// The field that is being typed in, if there is one.
    pub(super) fn field(&mut self) -> Option<&mut Composer> {
        match self.way {
            CompareMethod::Words => self.words.get_mut(self.at),
            CompareMethod::Digits | CompareMethod::Sent => Some(&mut self.line),
            CompareMethod::Code => None,
        }
    }

    /// The words or digits that were typed, or why they cannot be compared.
    fn proof(&self, first: usize) -> Result<TypedProof, String> {
        match self.way {
            CompareMethod::Words => {
                let words = self.words.each_ref().map(|field| field.text());
                three(words, first).map(TypedProof::Words)
            }
            CompareMethod::Digits | CompareMethod::Code => {
                digits(self.line.text()).map(TypedProof::Digits)
            }
            CompareMethod::Sent => {
                let text = self.line.text();
                if let Some(number) = SafetyNumber::parse(text) {
                    return Ok(TypedProof::Digits(number));
                }
                let mut words = text.split_whitespace();
                match [words.next(), words.next(), words.next(), words.next()] {
                    [Some(one), Some(two), Some(last), None] => {
                        three([one, two, last], first).map(TypedProof::Words)
                    }
                    _ => Err("these are neither three words nor 60 digits".to_owned()),
                }
            }
        }
    }

    /// Does what a key on the page says. `own` is our half of the words, if the session has any.
    fn press(&mut self, key: CompareAction, own: Option<SasHalf>) -> VerifyStep {
        self.error = None;
        match key {
            CompareAction::Digits => self.way = CompareMethod::Digits,
            CompareAction::Code => self.way = CompareMethod::Code,
            CompareAction::Sent => self.way = CompareMethod::Sent,
            CompareAction::Previous => self.at = self.at.saturating_sub(1),
            CompareAction::Next => self.next_word(),
            CompareAction::Complete => self.complete_word(),
            CompareAction::Back => match (self.way, own) {
                (CompareMethod::Words, _) | (CompareMethod::Digits, None) => {
                    return VerifyStep::Close;
                }
                (CompareMethod::Digits | CompareMethod::Code | CompareMethod::Sent, Some(_)) => {
                    self.way = CompareMethod::Words;
                }
                (CompareMethod::Code | CompareMethod::Sent, None) => {
                    self.way = CompareMethod::Digits;
                }
            },
            CompareAction::Enter => return VerifyStep::Submit,
        }
        VerifyStep::Stay
    }

    fn next_word(&mut self) {
        self.at = (self.at + 1).min(WORDS_PER_HALF - 1);
    }

    /// Writes the word out that the letters begin, and goes on to the next one.
    fn complete_word(&mut self) {
        let typed = self.field().map(|field| field.text().to_owned()).unwrap_or_default();
        // "sad" begins "saddle" too: a person who goes on means the word that stands there.
        let word = SasWord::complete(&typed).or_else(|| SasWord::parse(&typed));
        if let (CompareMethod::Words, Some(word)) = (self.way, word) {
            if let Some(field) = self.field() {
                field.replace(&word.to_string());
            }
            self.next_word();
        }
    }

    /// The words or digits to compare. If a word is missing and the last field was not reached, the
    /// first missing word is typed next; if they cannot be compared, the page says why.
    fn submit(&mut self, own: Option<SasHalf>) -> Option<TypedProof> {
        // An Enter after each word is a habit and no comparison: it must not cost a try.
        let missing = self.words.iter().position(|field| field.text().trim().is_empty());
        if let (CompareMethod::Words, Some(missing)) = (self.way, missing)
            && self.at < WORDS_PER_HALF - 1
        {
            self.at = missing;
            return None;
        }
        let first = own.map_or(1, |own| own.half.other().first_number());
        match self.proof(first) {
            Ok(proof) => Some(proof),
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
    }

    /// Takes a blank that was typed: between words it goes on to the next one. Answers whether it
    /// was taken, and is not to be inserted.
    pub(super) fn take_blank(&mut self) -> bool {
        if self.way != CompareMethod::Words {
            return false;
        }
        if self.words.get(self.at).is_some_and(|field| !field.is_empty()) {
            self.next_word();
        }
        true
    }

    /// Takes a paste in. Words are put into their fields; nothing is compared by it.
    pub(super) fn paste(&mut self, pasted: &str) {
        if self.way == CompareMethod::Words {
            self.paste_words(pasted);
            return;
        }
        let taken = self.field().map_or(Ok(()), |field| field.paste(pasted));
        if taken.is_err() {
            self.error = Some("that is too long to compare".to_owned());
        }
    }

    /// Fills the fields from the current one on, a word each; words beyond the last field are
    /// dropped.
    fn paste_words(&mut self, pasted: &str) {
        let at = self.at;
        let fields = self.words.iter_mut().skip(at);
        for (count, (field, word)) in fields.zip(pasted.split_whitespace()).enumerate() {
            // A word pasted over another replaces it.
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
        format!("60 digits are needed, and these are {found}; nothing was compared")
    })
}

/// Opens the page on which one compares.
pub(super) fn open(model: &mut Model, contact: ContactId) {
    let Some(chat) = model.directory.chat(contact) else { return };
    // Words need a session, the digits only the two keys.
    let way = if chat.contact.sas.is_some() { CompareMethod::Words } else { CompareMethod::Digits };
    model.navigation.overlay = Some(Overlay::Verify(Verify::new(contact, way)));
}

/// Keys on that page.
pub(super) fn press(model: &mut Model, key: CompareAction, effects: &mut Vec<UiEffect>) {
    let Some(Overlay::Verify(verify)) = &mut model.navigation.overlay else { return };
    let contact = verify.contact;
    let own = model.directory.chat(contact).and_then(|chat| chat.contact.sas);
    match verify.press(key, own) {
        VerifyStep::Stay => {}
        VerifyStep::Close => model.navigation.overlay = None,
        VerifyStep::Submit => {
            if let Some(proof) = verify.submit(own) {
                let about = PendingCall::Verify(contact, proof);
                model.ask(proof.compare(contact), about, effects);
            }
        }
    }
}

/// Shows the result of a comparison.
pub(super) fn on_compared(
    model: &mut Model,
    (contact, proof): (ContactId, TypedProof),
    reply: Result<AnyReply, Failure>,
) {
    let overlay = &mut model.navigation.overlay;
    match reply {
        Ok(AnyReply::ContactVerify(Comparison::Differs { word, left })) => {
            let typed = |number: usize| match proof {
                TypedProof::Words(words) => {
                    // It comes from another process: no number of a word is 0.
                    words.get(number.checked_sub(1)? % WORDS_PER_HALF).map(SasWord::to_string)
                }
                TypedProof::Digits(_) => None,
            };
            let word = word.and_then(|number| Some((number, typed(number)?)));
            // In front of whatever is shown: sending is paused from here on, and somebody may be
            // intercepting.
            let sight = QuestionSight::Unseen;
            *overlay = Some(Overlay::Mismatch(Mismatch { contact, word, left, row: 0, sight }));
        }
        Ok(_) => {
            // The person may have gone on to another page meanwhile, which stays open.
            if matches!(overlay, Some(Overlay::Verify(_))) {
                *overlay = None;
            }
            let name = model.directory.name_of(contact);
            model.say_hint(format!("{name} is [v] verified, on this computer only"));
        }
        Err(error) => match overlay {
            Some(Overlay::Verify(verify)) => verify.error = Some(sentence(&error.why)),
            Some(_) | None => model.say_hint(refusal(&error, "nothing was compared")),
        },
    }
}

/// Keys after a comparison that failed.
pub(super) fn choose_remedy(model: &mut Model, key: ChooseAction) {
    let Some(Overlay::Mismatch(mismatch)) = &mut model.navigation.overlay else { return };
    let contact = mismatch.contact;
    match key {
        ChooseAction::Up => mismatch.mark(mismatch.row.saturating_sub(1)),
        ChooseAction::Down => mismatch.mark(mismatch.row + 1),
        ChooseAction::Take => match mismatch.remedies().get(mismatch.row) {
            Some(Remedy::Again) => open(model, contact),
            Some(Remedy::Close) => {
                model.navigation.prompt(PromptPurpose::Erase(Erasure::Session(contact)));
            }
            Some(Remedy::Keys) => model.navigation.overlay = Some(Overlay::Keys(contact)),
            None => model.navigation.overlay = None,
        },
    }
}

/// Keys where the composer of a contact on hold would be.
pub(super) fn act_on_held(model: &mut Model, key: HeldAction) {
    let Some(contact) = model.navigation.open else { return };
    match key {
        HeldAction::Verify => open(model, contact),
        HeldAction::Accept => model.navigation.prompt(PromptPurpose::AcceptUnverified(contact)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::crypto::sas::Half;

    const OWN: [&str; WORDS_PER_HALF] = ["copper", "violin", "bridge"];

    fn own() -> SasHalf {
        let words = OWN.map(|word| SasWord::parse(word).expect("a word"));
        SasHalf { half: Half::Second, words }
    }

    fn page(way: CompareMethod) -> Verify {
        Verify::new(ContactId(10), way)
    }

    #[test]
    fn going_back_leads_over_the_words_if_there_are_any() {
        for way in [CompareMethod::Digits, CompareMethod::Code, CompareMethod::Sent] {
            let mut verify = page(way);
            assert_eq!(verify.press(CompareAction::Back, Some(own())), VerifyStep::Stay);
            assert_eq!(verify.way, CompareMethod::Words);
            assert_eq!(verify.press(CompareAction::Back, Some(own())), VerifyStep::Close);
        }
        for way in [CompareMethod::Code, CompareMethod::Sent] {
            let mut verify = page(way);
            assert_eq!(verify.press(CompareAction::Back, None), VerifyStep::Stay);
            assert_eq!(verify.way, CompareMethod::Digits);
            assert_eq!(verify.press(CompareAction::Back, None), VerifyStep::Close);
        }
    }

    #[test]
    fn enter_goes_to_the_first_missing_word_and_compares_behind_the_last_one() {
        let mut verify = page(CompareMethod::Words);
        verify.paste(OWN[0]);
        assert!(verify.submit(Some(own())).is_none());
        assert_eq!((verify.at, verify.error.as_deref()), (1, None));
        verify.paste(&OWN[1..].join(" "));
        assert!(verify.submit(Some(own())) == Some(TypedProof::Words(own().words)));
    }

    #[test]
    fn a_word_that_is_not_on_the_list_is_named_by_the_number_it_is_read_out_under() {
        let mut verify = page(CompareMethod::Sent);
        verify.paste("copper violn bridge");
        assert!(verify.submit(Some(own())).is_none());
        let first = own().half.other().first_number();
        let said = verify.error.as_deref().expect("an error");
        assert!(said.contains(&format!("word {} is not on the list", first + 1)), "{said}");
    }

    #[test]
    fn a_blank_goes_on_from_a_word_and_is_never_one() {
        let mut verify = page(CompareMethod::Words);
        assert!(verify.take_blank());
        assert_eq!(verify.at, 0);
        verify.paste(OWN[0]);
        assert!(verify.take_blank());
        assert_eq!(verify.at, 1);
        assert!(!page(CompareMethod::Digits).take_blank(), "digits are written with blanks");
    }

    #[test]
    fn a_session_that_was_erased_cannot_be_closed() {
        let sight = QuestionSight::Unseen;
        let failed = |left| Mismatch { contact: ContactId(10), word: None, left, row: 0, sight };
        assert!(failed(1).remedies().contains(&Remedy::Close));
        assert!(!failed(0).remedies().contains(&Remedy::Close));
    }
}
