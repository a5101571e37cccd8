//! The meaning of keys: one table, from which keys are read and help is written.
//!
//! Three rules hold: nothing is on Alt alone, nothing on keys that are others on the
//! wire (Ctrl+H, I, M, `[`, `/`), and Esc neither quits nor discards what was written.

mod table;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use table::{ALT, BINDINGS, CTRL, SHIFT};

/// The action that a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyAction {
    Show(UiPage),
    GoTo,
    NextUnread,
    Step(ChatStep),
    Redraw,
    Suspend,
    Interrupt,
    Quit,
    Back,
    Scroll(ScrollAction),
    Insert(char),
    Edit(EditAction),
    Write(WriteAction),
    Browse(BrowseAction),
    List(ListAction),
    Answer(ConfirmAnswer),
    Leave(LeaveChoice),
    Compare(CompareAction),
    Choose(ChooseAction),
    Held(HeldAction),
    /// Search what was written.
    Search,
    /// Choose the next lifetime for what is sent.
    Longer,
    /// Draw codes the other way round.
    Invert,
}

/// The pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UiPage {
    Chats,
    Contacts,
    Network,
    Identities,
    Help,
}

/// The chat before or after the open one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChatStep {
    Above,
    Below,
}

/// A move of the part that is in view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScrollAction {
    /// A page up.
    Up,
    /// A page down.
    Down,
    /// To the end.
    Newest,
}

/// Changes to the text, and moves of the caret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EditAction {
    Newline,
    Left,
    Right,
    WordLeft,
    WordRight,
    LineStart,
    LineEnd,
    EraseBack,
    EraseForward,
    EraseWord,
    EraseToStart,
    EraseToEnd,
    PutBack,
}

/// Other actions where text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteAction {
    Send,
    Submit,
    Complete,
    Browse,
    Up,
    Down,
}

/// Actions on messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BrowseAction {
    Up,
    Down,
    Oldest,
    Newest,
    Why,
    Cancel,
    Retry,
    Type,
}

/// Actions in lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListAction {
    Up,
    Down,
    First,
    Last,
    NextTab,
    Add,
    New,
    Invite,
    /// Something about the marked row.
    Row(RowAction),
}

/// Actions on the marked row of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowAction {
    Open,
    Accept,
    Decline,
    Rename,
    Block,
    Remove,
    Verify,
    Rekey,
    ReadMarks,
}

/// The answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConfirmAnswer {
    Yes,
    No,
}

/// The answer to the question before leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeaveChoice {
    Wait,
    Quit,
}

/// Actions on the page on which one compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CompareAction {
    Digits,
    Code,
    Sent,
    Complete,
    Next,
    Previous,
    Enter,
    Back,
}

/// Actions in a list of remedies or results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChooseAction {
    Up,
    Down,
    Take,
}

/// Actions on a contact that is on hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeldAction {
    Verify,
    Accept,
}

/// The context in which a key is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyContext {
    /// In every place.
    Everywhere,
    /// In every place where text is written.
    Editing,
    /// In the composer of a chat.
    Typing,
    /// Choosing a message.
    Browsing,
    /// In a list of people or identities.
    List,
    /// In a field of one line.
    Field,
    /// On a page to read.
    Page,
    /// A question waits for yes or no.
    Asking,
    /// The question before leaving.
    Leaving,
    /// Comparing words or digits with a contact.
    Comparing,
    /// On a page that shows a code.
    Code,
    /// Choosing what to do.
    Choosing,
    /// In the chat with a contact that is held.
    Held,
    /// In the list of what was found.
    Found,
}

impl KeyContext {
    /// The tables that are asked, in this order.
    const fn chain(self) -> &'static [Self] {
        match self {
            Self::Everywhere => &[Self::Everywhere],
            Self::Editing => &[Self::Editing, Self::Everywhere],
            Self::Typing => &[Self::Typing, Self::Editing, Self::Everywhere],
            Self::Field => &[Self::Field, Self::Editing, Self::Everywhere],
            Self::Browsing => &[Self::Browsing, Self::Everywhere],
            Self::List => &[Self::List, Self::Everywhere],
            Self::Page => &[Self::Page, Self::Everywhere],
            Self::Asking => &[Self::Asking, Self::Everywhere],
            Self::Leaving => &[Self::Leaving, Self::Everywhere],
            Self::Comparing => &[Self::Comparing, Self::Editing, Self::Everywhere],
            Self::Code => &[Self::Code, Self::Everywhere],
            Self::Choosing => &[Self::Choosing, Self::Everywhere],
            Self::Held => &[Self::Held, Self::Everywhere],
            Self::Found => &[Self::Found, Self::Everywhere],
        }
    }

    /// Its name in help.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Everywhere => "Everywhere",
            Self::Editing => "Writing",
            Self::Typing => "Typing",
            Self::Browsing => "Browsing (press Esc)",
            Self::List => "Lists",
            Self::Field => "Fields",
            Self::Page => "Pages",
            Self::Asking => "Questions",
            Self::Leaving => "Quitting",
            Self::Comparing => "Verifying",
            Self::Code => "Codes",
            Self::Choosing => "Choosing",
            Self::Held => "Paused contacts",
            Self::Found => "Search",
        }
    }
}

/// The contexts help lists, in its order.
pub(super) const HELP_ORDER: [KeyContext; 8] = [
    KeyContext::Typing,
    KeyContext::Browsing,
    KeyContext::Found,
    KeyContext::List,
    KeyContext::Comparing,
    KeyContext::Held,
    KeyContext::Everywhere,
    KeyContext::Editing,
];

/// One key in one context.
#[derive(Debug)]
pub(super) struct KeyBinding {
    pub(super) context: KeyContext,
    pub(super) code: KeyCode,
    pub(super) modifiers: KeyModifiers,
    pub(super) action: KeyAction,
    /// A few words for the hint line.
    pub(super) brief: &'static str,
    /// The words in help. Empty for a second key of the same action.
    pub(super) does: &'static str,
}

impl KeyBinding {
    /// The key as people write it.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an enum of another crate; the rest is alike"
    )]
    pub(super) fn key(&self) -> String {
        let mut name = String::new();
        if self.modifiers.contains(KeyModifiers::CONTROL) {
            name.push_str("Ctrl+");
        }
        if self.modifiers.contains(KeyModifiers::ALT) {
            name.push_str("Alt+");
        }
        if self.modifiers.contains(KeyModifiers::SHIFT) {
            name.push_str("Shift+");
        }
        match self.code {
            KeyCode::Char(letter) if self.modifiers.contains(KeyModifiers::CONTROL) => {
                name.extend(letter.to_uppercase());
            }
            KeyCode::Char(letter) => name.push(letter),
            KeyCode::F(number) => name.push_str(&format!("F{number}")),
            KeyCode::PageUp => name.push_str("PgUp"),
            KeyCode::PageDown => name.push_str("PgDn"),
            other => name.push_str(&other.to_string()),
        }
        name
    }
}

/// The action of a key in a context, if it has one.
#[expect(clippy::wildcard_enum_match_arm, reason = "an enum of another crate; the rest is alike")]
pub(super) fn action(context: KeyContext, event: KeyEvent) -> Option<KeyAction> {
    let (code, modifiers) = spoken(event);
    let bound = context
        // The special table first, so that Esc or Enter can mean something else on one page.
        .chain()
        .iter()
        .flat_map(|context| BINDINGS.iter().filter(move |binding| binding.context == *context))
        .find(|binding| binding.code == code && binding.modifiers == modifiers);
    if let Some(binding) = bound {
        return Some(binding.action);
    }
    match code {
        // Never with Ctrl or Alt: a chord of another program must not become text.
        KeyCode::Char(letter) if !modifiers.intersects(CTRL | ALT) => {
            Some(KeyAction::Insert(letter))
        }
        _ => None,
    }
}

/// The key without what terminals disagree about: whether a capital letter is a shifted one.
#[expect(clippy::wildcard_enum_match_arm, reason = "an enum of another crate; the rest is alike")]
fn spoken(event: KeyEvent) -> (KeyCode, KeyModifiers) {
    let modifiers = event.modifiers & (CTRL | ALT | SHIFT);
    match event.code {
        // Most terminals send one byte for Ctrl+letter, with Shift and without.
        KeyCode::Char(letter) if modifiers.contains(CTRL) => {
            (KeyCode::Char(letter.to_ascii_lowercase()), modifiers - SHIFT)
        }
        // The letter says by itself whether it is a capital.
        KeyCode::Char(letter) => (KeyCode::Char(letter), modifiers - SHIFT),
        code => (code, modifiers),
    }
}

/// The first key of an action in a context, for the hint line.
pub(super) fn binding(context: KeyContext, action: KeyAction) -> Option<&'static KeyBinding> {
    context
        .chain()
        .iter()
        .flat_map(|context| BINDINGS.iter().filter(move |binding| binding.context == *context))
        .find(|binding| binding.action == action)
}

/// The lines help shows for a context: keys of one action together, and what they do.
pub(super) fn help(context: KeyContext) -> Vec<(String, &'static str)> {
    let here = |binding: &&KeyBinding| binding.context == context;
    BINDINGS
        .iter()
        .filter(here)
        .filter(|binding| !binding.does.is_empty())
        .map(|binding| {
            let keys: Vec<_> = BINDINGS
                .iter()
                .filter(here)
                .filter(|other| other.action == binding.action)
                .map(KeyBinding::key)
                .collect();
            (keys.join(" "), binding.does)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXTS: [KeyContext; 14] = [
        KeyContext::Everywhere,
        KeyContext::Editing,
        KeyContext::Typing,
        KeyContext::Browsing,
        KeyContext::List,
        KeyContext::Field,
        KeyContext::Page,
        KeyContext::Asking,
        KeyContext::Leaving,
        KeyContext::Comparing,
        KeyContext::Code,
        KeyContext::Choosing,
        KeyContext::Held,
        KeyContext::Found,
    ];

    #[test]
    fn no_key_means_two_things_in_one_context() {
        for context in CONTEXTS {
            let here: Vec<_> = BINDINGS.iter().filter(|one| one.context == context).collect();
            for (index, one) in here.iter().enumerate() {
                for other in &here[index + 1..] {
                    assert!(
                        (one.code, one.modifiers) != (other.code, other.modifiers),
                        "{} in {context:?}",
                        one.key()
                    );
                }
            }
        }
    }

    #[test]
    fn every_action_has_a_key_without_alt() {
        for binding in BINDINGS {
            let plain = BINDINGS.iter().any(|other| {
                other.action == binding.action && !other.modifiers.contains(KeyModifiers::ALT)
            });
            assert!(plain, "{:?}", binding.action);
        }
    }

    #[test]
    fn no_key_is_bound_that_is_another_one_on_the_wire() {
        for binding in BINDINGS.iter().filter(|binding| binding.modifiers.contains(CTRL)) {
            let twin = matches!(binding.code, KeyCode::Char('h' | 'i' | 'm' | '[' | '/' | '7'));
            assert!(!twin, "{}", binding.key());
        }
    }

    #[test]
    fn letters_are_letters_where_text_is_written_and_commands_elsewhere() {
        let key = KeyEvent::new(KeyCode::Char('R'), SHIFT);
        assert_eq!(action(KeyContext::Typing, key), Some(KeyAction::Insert('R')));
        assert_eq!(action(KeyContext::Browsing, key), Some(KeyAction::Browse(BrowseAction::Retry)));
        let control = KeyEvent::new(KeyCode::Char('x'), CTRL);
        assert_eq!(action(KeyContext::Typing, control), None);
    }

    #[test]
    fn help_names_every_key_of_an_action() {
        let typing = help(KeyContext::Typing);
        assert!(typing.contains(&("Alt+Enter Ctrl+J Shift+Enter".to_owned(), "new line")));
    }
}
