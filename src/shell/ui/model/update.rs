//! Keys: each action goes to the struct or the chapter that it is for.

use crate::engine::envelope::Lifetime;

use super::super::keys::{
    BrowseAction, ChatStep, CompareAction, ConfirmAnswer, KeyAction, LeaveChoice,
};
use super::{
    Leaving, Model, NodeHost, Overlay, PendingCall, QuitMode, UiEffect, composing, go_to, lists,
    quit, search, verify,
};
use crate::shell::api::calls::{
    AnyCall, Call as _, ContactSet, MessageCancel, MessageRetry, Status,
};
use crate::shell::api::words::WorkLimit;
use crate::shell::text::{lifetime, price};

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
            KeyAction::GoTo => go_to::show(self),
            KeyAction::NextUnread => self.open_next_unread(effects),
            KeyAction::Step(ChatStep::Above) => self.step_chat(-1, effects),
            KeyAction::Step(ChatStep::Below) => self.step_chat(1, effects),
            KeyAction::Redraw => effects.push(UiEffect::Redraw),
            KeyAction::Suspend => effects.push(UiEffect::Suspend),
            KeyAction::Interrupt => self.interrupt(effects),
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
            KeyAction::Choose(key) => verify::choose_remedy(self, key),
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
        let (contact, lifetime) = (chat.id(), chat.choose_lifetime(lifetime));
        let name = self.directory.name_of(contact);
        let cost = self.node.cost(lifetime).map(|cost| format!("; each {}", cost.words()));
        let lives = lifetime::words(lifetime);
        let hint = format!("messages to {name}: lifetime {lives}{}", cost.unwrap_or_default());
        self.say_hint(hint);
    }

    /// Chooses the most work for whatever goes to the open contact from here on, or says it.
    pub(super) fn choose_limit(&mut self, limit: Option<WorkLimit>, effects: &mut Vec<UiEffect>) {
        let Some(chat) = self.current() else {
            self.say_hint("no chat is open; nothing was changed");
            return;
        };
        let highest = limit.map_or(chat.contact.highest, WorkLimit::step);
        let most = price::work(highest.unwrap_or(self.node.usual_limit()));
        let asked = self.node.asked(chat.lifetime, highest);
        let asked = asked.filter(|asked| !asked.is_usual());
        let usual = self.node.usual_limit();
        let is_more = highest.unwrap_or(usual) > chat.contact.highest.unwrap_or(usual);
        let view = &chat.contact.view;
        let is_freed = is_more && !(view.waiting.is_empty() && view.in_line.is_empty());
        let now = match asked {
            Some(asked) if asked.is_too_high() => format!("; messages wait: {}", asked.brief()),
            _ if is_freed => "; what waits is sent".to_owned(),
            None => String::new(),
            Some(asked) => format!("; {}", asked.brief()),
        };
        let contact = chat.id();
        // In one row of 80 columns, so without the name of the chat, which stands above.
        self.say_hint(format!("here: at most {most}{now}"));
        if limit.is_some() {
            let contact = contact.into();
            let set = ContactSet { contact, read_marks: None, max_work: limit };
            self.ask(set.into_any(), PendingCall::Other, effects);
        }
    }

    /// Keys while a message is chosen.
    fn browse(&mut self, key: BrowseAction, effects: &mut Vec<UiEffect>) {
        let Some(chat) = self.current_mut() else { return };
        let chosen = chat.chosen;
        match key {
            BrowseAction::Why => self.navigation.overlay = chosen.map(Overlay::Why),
            BrowseAction::Cancel => {
                let cancel = |message| MessageCancel { message }.into_any();
                self.ask_or_say(chosen.map(|id| cancel(id.into())), NOTHING_WAITS, effects);
            }
            BrowseAction::Retry => {
                let retry = |message| MessageRetry { message }.into_any();
                self.ask_or_say(chosen.map(|id| retry(id.into())), NOTHING_FAILED, effects);
            }
            BrowseAction::Up
            | BrowseAction::Down
            | BrowseAction::Oldest
            | BrowseAction::Newest
            | BrowseAction::Type => chat.browse(key),
        }
    }

    /// Makes a call whose answer needs no memory; says something if there is none to make.
    pub(super) fn ask_or_say(
        &mut self,
        call: Option<AnyCall>,
        otherwise: &str,
        effects: &mut Vec<UiEffect>,
    ) {
        match call {
            Some(call) => {
                self.ask(call, PendingCall::Other, effects);
            }
            None => self.say_hint(otherwise),
        }
    }

    fn answer(&mut self, answer: ConfirmAnswer, effects: &mut Vec<UiEffect>) {
        if let Some(Overlay::Confirm(confirm)) = self.navigation.overlay.take()
            && answer == ConfirmAnswer::Yes
        {
            self.ask(confirm.call, PendingCall::Other, effects);
        }
    }

    fn interrupt(&mut self, effects: &mut Vec<UiEffect>) {
        let now = self.status.now;
        let again = self.interrupted.is_some_and(|then| now.0 <= then.0 + INTERRUPT_SECONDS);
        self.interrupted = Some(now);
        // As in a shell, the first Ctrl+C clears the line. None ends the program without the
        // question.
        let held_text = self.field().is_some_and(|field| !field.take().is_empty());
        if again && !held_text && self.node.host == NodeHost::Another {
            quit(effects);
        } else if again && !held_text {
            self.navigation.overlay = Some(Overlay::Leaving(Leaving::new(0)));
            self.ask(Status {}.into_any(), PendingCall::Quit, effects);
        } else if !held_text && self.navigation.overlay.take().is_none() {
            self.say_hint("Ctrl+C again asks to quit");
        }
    }

    /// Ends the interface if the node goes on without it, or if every message has left this machine
    /// and nobody else uses the node; asks otherwise.
    pub(super) fn ask_to_quit(&mut self, effects: &mut Vec<UiEffect>) {
        if self.node.host == NodeHost::Another {
            return quit(effects);
        }
        // The second time the person does not wait for a node that stands still.
        let is_second = self.quit_mode == QuitMode::WhenKnown;
        if self.unsent() > 0 || is_second {
            self.navigation.overlay = Some(Overlay::Leaving(Leaving::new(0)));
        }
        if is_second {
            return;
        }
        if self.ask(Status {}.into_any(), PendingCall::Quit, effects) {
            self.quit_mode = QuitMode::WhenKnown;
        } else {
            self.navigation.overlay = Some(Overlay::Leaving(Leaving::new(0)));
        }
    }

    /// Goes on with leaving, now that it is known how many other clients use the node.
    pub(super) fn on_other_clients(&mut self, others: usize, effects: &mut Vec<UiEffect>) {
        let waited = self.quit_mode == QuitMode::WhenKnown;
        if waited {
            self.quit_mode = QuitMode::No;
        }
        if let Some(Overlay::Leaving(known)) = &mut self.navigation.overlay {
            // With another count it is another question.
            if known.others != others {
                *known = Leaving::new(others);
            }
        } else if !waited {
            // The person went on with something else meanwhile.
        } else if others == 0 && self.unsent() == 0 {
            // Nothing would be lost or late, so there is nothing to ask.
            quit(effects);
        } else {
            self.navigation.overlay = Some(Overlay::Leaving(Leaving::new(others)));
        }
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
