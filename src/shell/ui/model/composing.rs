//! Keys and pastes where text is written: in the composer of a chat, and in every field.

use super::super::composer::{CaretMove, Composer, ComposerFull};
use super::super::keys::{BrowseAction, KeyContext, ScrollAction, WriteAction};
use super::super::slash;
use super::{Chat, Model, Overlay, PendingCall, PromptPurpose, UiEffect, prompt, slash_actions};
use crate::engine::id::ContactId;
use crate::shell::api::calls::{Call as _, MessageSend};

/// A paste of more lines says what it is and waits: about a screenful.
const LONG_PASTE_LINES: usize = 20;

/// Said where a text has nobody to go to.
const NO_CHAT: &str = "no chat is open, nothing was sent. F3 lists contacts, + adds one";

/// Takes a paste in. The paste itself never sends anything.
pub(super) fn paste(model: &mut Model, pasted: &str) {
    stop_browsing(model);
    if let Some(Overlay::Verify(verify)) = &mut model.navigation.overlay {
        verify.paste(pasted);
        return;
    }
    // Where no text is asked for a paste is nothing: its letters answer no question.
    let Some(field) = model.field() else { return };
    let (before, room) = (field.text().len(), field.room());
    if field.paste(pasted).is_err() {
        model.say_hint(format!(
            "pasted {} bytes, {room} fit here; nothing was inserted",
            pasted.len()
        ));
        return;
    }
    let lines = field.text().lines().count();
    let bytes = field.text().len().saturating_sub(before);
    // So that a person looks again before a whole document goes out.
    if lines > LONG_PASTE_LINES {
        model.say_hint(format!(
            "pasted {lines} lines, {bytes} bytes; nothing was sent. Enter sends one message"
        ));
    }
    model.navigation.mark_first_target(&model.directory);
}

/// Takes a typed letter in.
pub(super) fn insert(model: &mut Model, letter: char) {
    stop_browsing(model);
    // People type the three words as they hear them, with blanks between.
    if letter == ' '
        && let Some(Overlay::Verify(verify)) = &mut model.navigation.overlay
        && verify.take_blank()
    {
        return;
    }
    edit(model, |field| field.insert_char(letter));
}

/// Changes the text of the field that is typed in; a hint says so if no more fits.
pub(super) fn edit(
    model: &mut Model,
    change: impl FnOnce(&mut Composer) -> Result<(), ComposerFull>,
) {
    let Some(field) = model.field() else { return };
    if change(field).is_err() {
        let limit = model.options.max_text;
        model.say_hint(format!("too long: a message has at most {limit} bytes"));
    }
    model.navigation.mark_first_target(&model.directory);
}

/// Other keys where text is written.
pub(super) fn press(model: &mut Model, key: WriteAction, effects: &mut Vec<UiEffect>) {
    match key {
        WriteAction::Send => enter(model, effects),
        WriteAction::Submit => prompt::submit(model, effects),
        WriteAction::Complete => {
            let Some(field) = model.field() else { return };
            // Only where one command fits: Enter must not carry out a guess.
            if let Some(whole) = slash::complete(field.text()) {
                field.replace(&whole);
            }
        }
        WriteAction::Browse => {
            if let Some(chat) = model.current_mut() {
                chat.choose_newest();
            }
        }
        WriteAction::Up => match &mut model.navigation.overlay {
            Some(Overlay::GoTo(picker)) => {
                picker.step(-1, &model.directory, model.navigation.speaking);
            }
            Some(_) | None => move_line(model, Composer::up, Chat::recall_earlier),
        },
        WriteAction::Down => match &mut model.navigation.overlay {
            Some(Overlay::GoTo(picker)) => {
                picker.step(1, &model.directory, model.navigation.speaking);
            }
            Some(_) | None => move_line(model, Composer::down, Chat::recall_later),
        },
    }
}

/// Moves the caret by a line; beyond the first or last line of a chat's composer, brings back texts
/// that were sent before.
fn move_line(model: &mut Model, step: fn(&mut Composer) -> CaretMove, beyond: fn(&mut Chat)) {
    if model.field().map(step) == Some(CaretMove::Edge)
        && let Some(chat) = model.current_mut()
    {
        beyond(chat);
    }
}

/// Ends browsing: a person who types goes on in the composer.
fn stop_browsing(model: &mut Model) {
    if model.context() == KeyContext::Browsing
        && let Some(chat) = model.current_mut()
    {
        chat.browse(BrowseAction::Type);
    }
}

/// Enter in the composer: say it, do it, or ask about it.
fn enter(model: &mut Model, effects: &mut Vec<UiEffect>) {
    let written = model.field().map(|field| field.text().to_owned()).unwrap_or_default();
    if written.trim().is_empty() {
        return;
    }
    match slash::parse(&written) {
        // The line stays in the composer, to be corrected.
        Err(error) => model.say_hint(error.to_string()),
        Ok(slash::InputLine::Text(text)) => say(model, text, effects),
        // The text stays in the composer, and what is typed next answers nothing by itself.
        Ok(slash::InputLine::LikeCommand) => match model.navigation.open {
            Some(contact) => model.navigation.prompt(PromptPurpose::Send(contact)),
            None => model.say_hint(NO_CHAT),
        },
        Ok(slash::InputLine::Slash(slash, argument)) => {
            if let Some(field) = model.field() {
                // Before the command: it may go to another chat, and this field would be out of
                // reach.
                field.take();
            }
            slash_actions::obey(model, slash, argument, effects);
        }
    }
}

/// Says what is written, now that its person has confirmed that lines of it are no commands.
pub(super) fn say_as_written(model: &mut Model, contact: ContactId, effects: &mut Vec<UiEffect>) {
    // The question was about this contact: what it was about is said to nobody else, and to nobody
    // who is on hold by now.
    let asked = model.current().filter(|chat| chat.id() == contact && !chat.is_held());
    match asked.map(|chat| chat.chat.composer.text().to_owned()) {
        Some(text) => say(model, text, effects),
        None => model.say_hint(NO_CHAT),
    }
}

/// Says something to the contact whose chat is open.
fn say(model: &mut Model, text: String, effects: &mut Vec<UiEffect>) {
    let Some(chat) = model.current_mut() else {
        model.say_hint(NO_CHAT);
        return;
    };
    let (contact, life) = (chat.id(), chat.lifetime);
    // Before the node has accepted it, so that the next text can be typed meanwhile.
    let written = chat.take_text();
    effects.push(UiEffect::Scroll(ScrollAction::Newest));
    // Remembered until the node has accepted it; a refused text goes back into the composer.
    let about = PendingCall::Say(contact, written.clone());
    // What may be paid for the contact counts: the node knows it.
    let call = MessageSend { contact: contact.into(), text, life, max_work: None };
    if !model.ask(call.into_any(), about, effects)
        && let Some(chat) = model.current_mut()
    {
        chat.composer.replace(&written);
    }
}
