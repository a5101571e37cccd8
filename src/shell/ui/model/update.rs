//! What a key does.

use crate::engine::command::Command;
use crate::engine::envelope::Lifetime;
use crate::engine::id::{IdentityId, MessageId};
use crate::engine::record::MessageState;

use super::super::composer::{CaretMove, Composer, ComposerFull};
use super::super::keys::{
    BrowseAction, ChatStep, CompareAction, ConfirmAnswer, EditAction, KeyAction, KeyContext,
    LeaveChoice, ScrollAction, UiPage, WriteAction,
};
use super::super::slash;
use super::super::text::lifetime;
use super::{
    ContactFilter, EnterMode, GoToPicker, Model, Overlay, PendingCommand, QuitMode, UiEffect,
    prompt, search, verify,
};

/// A second Ctrl+C within so many seconds asks to leave. A guess.
const INTERRUPT_SECONDS: u64 = 2;

/// A paste of more lines says what it is and waits: about a screenful.
const LONG_PASTE_LINES: usize = 20;

impl Model {
    pub(super) fn update(&mut self, action: KeyAction, effects: &mut Vec<UiEffect>) {
        match action {
            KeyAction::Show(page) => self.show(page),
            KeyAction::GoTo => self.navigation.overlay = Some(Overlay::GoTo(GoToPicker::new())),
            KeyAction::NextUnread => self.next_unread(effects),
            KeyAction::Step(ChatStep::Above) => self.step_chat(-1, effects),
            KeyAction::Step(ChatStep::Below) => self.step_chat(1, effects),
            KeyAction::Redraw => effects.push(UiEffect::Redraw),
            KeyAction::Suspend => effects.push(UiEffect::Suspend),
            KeyAction::Interrupt => self.interrupt(),
            KeyAction::Quit => self.ask_to_quit(effects),
            KeyAction::Leave(LeaveChoice::Quit) => Self::quit(effects),
            KeyAction::Leave(LeaveChoice::Wait) => {
                self.leaving = QuitMode::WhenAllHasLeft;
                self.navigation.overlay = None;
                self.say_hint("leaving as soon as everything has left; Ctrl+Q asks again");
            }
            KeyAction::Back if matches!(self.navigation.overlay, Some(Overlay::Verify(_))) => {
                verify::press(self, CompareAction::Back, effects);
            }
            KeyAction::Back => self.navigation.back(),
            KeyAction::Insert(letter) => self.insert(letter),
            KeyAction::Answer(answer) => self.answer(answer, effects),
            KeyAction::Scroll(scroll) => effects.push(UiEffect::Scroll(scroll)),
            KeyAction::Edit(edit) => self.edit(edit),
            KeyAction::Write(key) => self.write(key, effects),
            KeyAction::Browse(key) => self.browse(key, effects),
            KeyAction::List(key) => self.act_on_list(key, effects),
            KeyAction::Compare(key) => verify::press(self, key, effects),
            KeyAction::Choose(key)
                if matches!(self.navigation.overlay, Some(Overlay::Search(_))) =>
            {
                search::choose(self, key, effects);
            }
            KeyAction::Choose(key) => verify::choose_remedy(self, key, effects),
            KeyAction::Search => self.navigation.prompt_search(),
            KeyAction::Longer => self.choose_life(None),
            KeyAction::Held(key) => verify::act_on_held(self, key),
            KeyAction::Invert => self.ink = self.ink.other(),
        }
    }

    pub(super) fn show(&mut self, page: UiPage) {
        self.leave_chat();
        self.navigation.show(page);
    }

    fn insert(&mut self, letter: char) {
        if self.context() == KeyContext::Browsing {
            self.leave_browsing();
        }
        if letter == ' '
            && let Some(Overlay::Verify(verify)) = &mut self.navigation.overlay
            && verify.take_blank()
        {
            return;
        }
        let Some(field) = self.field() else { return };
        let taken = field.insert_char(letter);
        self.note_full(taken);
        self.filter_changed();
    }

    /// Something was pasted. It is never sent by the paste itself.
    pub fn paste(&mut self, pasted: &str) -> Vec<UiEffect> {
        if self.context() == KeyContext::Browsing {
            self.leave_browsing();
        }
        if let Some(Overlay::Verify(verify)) = &mut self.navigation.overlay {
            verify.paste(pasted);
            return Vec::new();
        }
        let Some(field) = self.field() else { return Vec::new() };
        let (before, room) = (field.text().len(), field.room());
        if field.paste(pasted).is_err() {
            self.say_hint(format!(
                "pasted {} bytes, {room} fit here; nothing was inserted",
                pasted.len()
            ));
            return Vec::new();
        }
        let field = self.field().map_or("", |field| field.text());
        let lines = field.lines().count();
        let bytes = field.len().saturating_sub(before);
        if lines > LONG_PASTE_LINES {
            self.say_hint(format!(
                "pasted {lines} lines, {bytes} bytes; nothing was sent. Enter sends them as one"
            ));
        }
        self.filter_changed();
        Vec::new()
    }

    fn filter_changed(&mut self) {
        if let Some(Overlay::GoTo(picker)) = &mut self.navigation.overlay {
            picker.index = 0;
        }
    }

    fn note_full(&mut self, taken: Result<(), ComposerFull>) {
        if taken.is_err() {
            let limit = self.options.max_text;
            self.say_hint(format!("no more fits; a message carries {limit} bytes"));
        }
    }

    /// Keys where text is written.
    fn write(&mut self, key: WriteAction, effects: &mut Vec<UiEffect>) {
        match key {
            WriteAction::Send => self.enter(effects),
            WriteAction::Submit => prompt::submit(self, effects),
            WriteAction::Complete => self.complete(),
            WriteAction::Browse => self.start_browsing(),
            WriteAction::Up => self.line_up(),
            WriteAction::Down => self.line_down(),
        }
    }

    fn edit(&mut self, edit: EditAction) {
        let Some(field) = self.field() else { return };
        let taken = field.edit(edit);
        self.note_full(taken);
        self.filter_changed();
    }

    fn line_up(&mut self) {
        if let Some(Overlay::GoTo(picker)) = &mut self.navigation.overlay {
            picker.mark_above();
            return;
        }
        if self.field().map(Composer::up) == Some(CaretMove::Edge)
            && let Some(chat) = self.current_mut()
        {
            chat.recall_earlier();
        }
    }

    fn line_down(&mut self) {
        let targets = self.targets().len();
        if let Some(Overlay::GoTo(picker)) = &mut self.navigation.overlay {
            picker.mark_below(targets);
            return;
        }
        if self.field().map(Composer::down) == Some(CaretMove::Edge)
            && let Some(chat) = self.current_mut()
        {
            chat.recall_later();
        }
    }

    fn complete(&mut self) {
        let Some(field) = self.field() else { return };
        if let Some(whole) = slash::complete(field.text()) {
            field.replace(&whole);
        }
    }

    /// Enter in the composer: say it, do it, or hold it.
    fn enter(&mut self, effects: &mut Vec<UiEffect>) {
        if self.enter == EnterMode::Held {
            let taken = self.field().map_or(Ok(()), Composer::newline);
            self.note_full(taken);
            self.say_hint("paste held an Enter; nothing was sent");
            return;
        }
        let written = self.field().map(|field| field.text().to_owned()).unwrap_or_default();
        if written.trim().is_empty() {
            return;
        }
        match slash::parse(&written) {
            Err(error) => self.say_hint(error.to_string()),
            Ok(slash::InputLine::Text(text)) => self.say(text, effects),
            Ok(slash::InputLine::Slash(slash, argument)) => {
                if let Some(field) = self.field() {
                    field.take();
                }
                self.obey(slash, argument, effects);
            }
        }
    }

    fn say(&mut self, text: String, effects: &mut Vec<UiEffect>) {
        let Some(chat) = self.current_mut() else {
            self.say_hint("no chat is open, nothing was sent. F3 lists contacts, + adds one");
            return;
        };
        let (contact, lifetime) = (chat.id(), chat.lifetime);
        chat.take_text();
        effects.push(UiEffect::Scroll(ScrollAction::Newest));
        let about = PendingCommand::Say(contact, text.clone());
        self.ask(Command::Say { contact, text, lifetime }, about, effects);
    }

    /// Chooses how long what is sent to the open contact lives from here on: this, or the next.
    pub(super) fn choose_life(&mut self, lifetime: Option<Lifetime>) {
        let Some(chat) = self.current_mut() else {
            self.say_hint("no chat is open; nothing was changed");
            return;
        };
        chat.lifetime = lifetime.unwrap_or_else(|| lifetime::after(chat.lifetime));
        let (lifetime, name) = (chat.lifetime, chat.name());
        let cost = self.node.cost(lifetime).map(|cost| format!("; each {}", cost.words()));
        let lives = lifetime::words(lifetime);
        let hint = format!("what you send to {name} lives {lives}{}", cost.unwrap_or_default());
        self.say_hint(hint);
    }

    fn start_browsing(&mut self) {
        match self.current_mut() {
            Some(chat) if !chat.messages.is_empty() => chat.choose_newest(),
            Some(_) | None => {}
        }
    }

    fn leave_browsing(&mut self) {
        if let Some(chat) = self.current_mut() {
            chat.chosen = None;
        }
    }

    /// Keys while a message is chosen.
    fn browse(&mut self, key: BrowseAction, effects: &mut Vec<UiEffect>) {
        let Some(chat) = self.current_mut() else { return };
        let chosen = chat.chosen;
        match key {
            BrowseAction::Up => chat.choose(-1),
            BrowseAction::Down => chat.choose(1),
            BrowseAction::Oldest => chat.choose_oldest(),
            BrowseAction::Newest => chat.choose_newest(),
            BrowseAction::Type => self.leave_browsing(),
            BrowseAction::Why => self.navigation.overlay = chosen.map(Overlay::Why),
            BrowseAction::Cancel => self.cancel(chosen, effects),
            BrowseAction::Retry => self.retry(chosen, effects),
        }
    }

    pub(super) fn cancel(&mut self, message: Option<MessageId>, effects: &mut Vec<UiEffect>) {
        match message {
            Some(message) => self.ask(Command::Cancel { message }, PendingCommand::Other, effects),
            None => self.say_hint("no message waits here; nothing was cancelled"),
        }
    }

    pub(super) fn retry(&mut self, message: Option<MessageId>, effects: &mut Vec<UiEffect>) {
        match message {
            Some(message) => self.ask(Command::Retry { message }, PendingCommand::Other, effects),
            None => self.say_hint("no message failed, was cancelled or was not acknowledged here"),
        }
    }

    pub(super) fn newest_waiting(&self) -> Option<MessageId> {
        let waits = |state| matches!(state, MessageState::Queued | MessageState::Mining);
        self.current()?.newest_ours(waits)
    }

    pub(super) fn newest_failed(&self) -> Option<MessageId> {
        let failed = |state| {
            matches!(
                state,
                MessageState::Failed | MessageState::Cancelled | MessageState::Unacknowledged
            )
        };
        self.current()?.newest_ours(failed)
    }

    fn answer(&mut self, answer: ConfirmAnswer, effects: &mut Vec<UiEffect>) {
        if let Some(Overlay::Confirm(confirm)) = self.navigation.overlay.take()
            && answer == ConfirmAnswer::Yes
        {
            self.ask(confirm.command, PendingCommand::Other, effects);
        }
    }

    fn interrupt(&mut self) {
        let now = self.status.now;
        let again = self.interrupted.is_some_and(|then| now.0 <= then.0 + INTERRUPT_SECONDS);
        self.interrupted = Some(now);
        let field = self.field();
        let held_text = field.is_some_and(|field| !field.take().is_empty());
        if again && !held_text {
            self.navigation.overlay = Some(Overlay::Leaving);
        } else if !held_text && self.navigation.overlay.take().is_none() {
            self.say_hint("Ctrl+C again asks to leave");
        }
    }

    /// Leaves at once if everything has left; asks otherwise.
    pub(super) fn ask_to_quit(&mut self, effects: &mut Vec<UiEffect>) {
        if self.unsent() == 0 {
            return Self::quit(effects);
        }
        self.navigation.overlay = Some(Overlay::Leaving);
    }

    pub(super) fn next_unread(&mut self, effects: &mut Vec<UiEffect>) {
        match self.directory.next_unread(self.navigation.speaking, self.navigation.open) {
            Some(next) => self.open_chat(next, effects),
            None => self.say_hint("nothing is unread"),
        }
    }

    fn step_chat(&mut self, step: isize, effects: &mut Vec<UiEffect>) {
        if let Some(contact) =
            self.directory.neighbour(self.navigation.speaking, self.navigation.open, step)
        {
            self.open_chat(contact, effects);
        }
    }

    /// Changes which identity speaks; its first conversation opens.
    pub(super) fn speak_as(&mut self, identity: Option<IdentityId>, effects: &mut Vec<UiEffect>) {
        self.leave_chat();
        self.navigation.speak_as(identity);
        let first = self.contacts(ContactFilter::Listened).first().map(|chat| chat.id());
        if let Some(first) = first {
            self.open_chat(first, effects);
        }
    }
}
