//! Keys: each action goes to the struct or the chapter that it is for.

use crate::engine::command::Command;
use crate::engine::envelope::Lifetime;

use super::super::keys::{
    BrowseAction, ChatStep, CompareAction, ConfirmAnswer, KeyAction, LeaveChoice,
};
use super::{
    GoToPicker, Model, Overlay, PendingCommand, QuitMode, UiEffect, composing, lists, quit, search,
    verify,
};
use crate::shell::text::lifetime;

/// A second Ctrl+C within so many seconds asks to leave. A guess.
const INTERRUPT_SECONDS: u64 = 2;

/// Said where a message was to be cancelled.
pub(super) const NOTHING_WAITS: &str = "no message is waiting here; nothing was cancelled";

/// Said where a message was to be sent again.
pub(super) const NOTHING_FAILED: &str =
    "no message here failed, was cancelled or was not acknowledged";

impl Model {
    /// Does what a key stands for.
    pub(super) fn update(&mut self, action: KeyAction, effects: &mut Vec<UiEffect>) {
        match action {
            KeyAction::Show(page) => self.show(page),
            KeyAction::GoTo => self.navigation.overlay = Some(Overlay::GoTo(GoToPicker::new())),
            KeyAction::NextUnread => self.open_next_unread(effects),
            KeyAction::Step(ChatStep::Above) => self.step_chat(-1, effects),
            KeyAction::Step(ChatStep::Below) => self.step_chat(1, effects),
            KeyAction::Redraw => effects.push(UiEffect::Redraw),
            KeyAction::Suspend => effects.push(UiEffect::Suspend),
            KeyAction::Interrupt => self.interrupt(),
            KeyAction::Quit => self.ask_to_quit(effects),
            KeyAction::Leave(LeaveChoice::Quit) => quit(effects),
            KeyAction::Leave(LeaveChoice::Wait) => {
                self.quit_mode = QuitMode::WhenAllHasLeft;
                self.navigation.overlay = None;
                self.say_hint("quitting as soon as everything is sent; Ctrl+Q asks again");
            }
            // Esc takes back one way to compare before it closes the page.
            KeyAction::Back if matches!(self.navigation.overlay, Some(Overlay::Verify(_))) => {
                verify::press(self, CompareAction::Back, effects);
            }
            KeyAction::Back => self.navigation.back(),
            KeyAction::Insert(letter) => composing::insert(self, letter),
            KeyAction::Answer(answer) => self.answer(answer, effects),
            KeyAction::Scroll(scroll) => effects.push(UiEffect::Scroll(scroll)),
            KeyAction::Edit(edit) => composing::edit(self, |field| field.edit(edit)),
            KeyAction::Write(key) => composing::press(self, key, effects),
            KeyAction::Browse(key) => self.browse(key, effects),
            KeyAction::List(key) => lists::act(self, key, effects),
            KeyAction::Compare(key) => verify::press(self, key, effects),
            KeyAction::Choose(key)
                if matches!(self.navigation.overlay, Some(Overlay::Search(_))) =>
            {
                search::choose(self, key, effects);
            }
            KeyAction::Choose(key) => verify::choose_remedy(self, key, effects),
            KeyAction::Search => self.navigation.prompt_search(),
            KeyAction::Longer => self.choose_lifetime(None),
            KeyAction::Held(key) => verify::act_on_held(self, key),
            KeyAction::Invert => self.qr_polarity = self.qr_polarity.other(),
        }
    }

    /// Chooses the lifetime of messages to the open contact from here on: this one, or the next in
    /// the row.
    pub(super) fn choose_lifetime(&mut self, lifetime: Option<Lifetime>) {
        let Some(chat) = self.current_mut() else {
            self.say_hint("no chat is open; nothing was changed");
            return;
        };
        let (lifetime, name) = (chat.choose_lifetime(lifetime), chat.name());
        let cost = self.node.cost(lifetime).map(|cost| format!("; each {}", cost.words()));
        let lives = lifetime::words(lifetime);
        let hint = format!("messages to {name}: lifetime {lives}{}", cost.unwrap_or_default());
        self.say_hint(hint);
    }

    /// Keys while a message is chosen.
    fn browse(&mut self, key: BrowseAction, effects: &mut Vec<UiEffect>) {
        let Some(chat) = self.current_mut() else { return };
        let chosen = chat.chosen;
        match key {
            BrowseAction::Why => self.navigation.overlay = chosen.map(Overlay::Why),
            BrowseAction::Cancel => {
                let command = chosen.map(|message| Command::Cancel { message });
                self.ask_or_say(command, NOTHING_WAITS, effects);
            }
            BrowseAction::Retry => {
                let command = chosen.map(|message| Command::Retry { message });
                self.ask_or_say(command, NOTHING_FAILED, effects);
            }
            BrowseAction::Up
            | BrowseAction::Down
            | BrowseAction::Oldest
            | BrowseAction::Newest
            | BrowseAction::Type => chat.browse(key),
        }
    }

    /// Sends a command whose answer needs no memory; says something if there is none to send.
    pub(super) fn ask_or_say(
        &mut self,
        command: Option<Command>,
        otherwise: &str,
        effects: &mut Vec<UiEffect>,
    ) {
        match command {
            Some(command) => self.ask(command, PendingCommand::Other, effects),
            None => self.say_hint(otherwise),
        }
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
        // As in a shell, the first Ctrl+C clears the line. None ends the program without the
        // question.
        let held_text = self.field().is_some_and(|field| !field.take().is_empty());
        if again && !held_text {
            self.navigation.overlay = Some(Overlay::Leaving);
        } else if !held_text && self.navigation.overlay.take().is_none() {
            self.say_hint("Ctrl+C again asks to quit");
        }
    }

    /// Ends the interface if every message has left this machine; asks otherwise.
    pub(super) fn ask_to_quit(&mut self, effects: &mut Vec<UiEffect>) {
        // Nothing would be lost or late, so there is nothing to ask.
        if self.unsent() == 0 {
            return quit(effects);
        }
        self.navigation.overlay = Some(Overlay::Leaving);
    }

    pub(super) fn open_next_unread(&mut self, effects: &mut Vec<UiEffect>) {
        let (speaking, here) = (self.navigation.speaking, self.navigation.open);
        match self.directory.next_unread(speaking, here) {
            Some(next) => self.open_chat(next, effects),
            None => self.say_hint("no unread messages"),
        }
    }

    fn step_chat(&mut self, step: isize, effects: &mut Vec<UiEffect>) {
        let (speaking, here) = (self.navigation.speaking, self.navigation.open);
        if let Some(contact) = self.directory.neighbour(speaking, here, step) {
            self.open_chat(contact, effects);
        }
    }
}
