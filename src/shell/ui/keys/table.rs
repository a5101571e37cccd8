//! The one table: every key, where it is pressed, what it asks for, and the words help has for it.

use crossterm::event::{KeyCode, KeyModifiers};

use super::{
    BrowseAction, ChatStep, ChooseAction, CompareAction, ConfirmAnswer, EditAction, HeldAction,
    KeyAction, KeyBinding, KeyContext, LeaveChoice, ListAction, RowAction, ScrollAction, UiPage,
    WriteAction,
};

const NONE: KeyModifiers = KeyModifiers::NONE;
pub(super) const CTRL: KeyModifiers = KeyModifiers::CONTROL;
pub(super) const ALT: KeyModifiers = KeyModifiers::ALT;
pub(super) const SHIFT: KeyModifiers = KeyModifiers::SHIFT;

macro_rules! bindings {
    ($($context:ident: $modifiers:ident $code:ident $(($value:literal))? => $action:expr, $brief:literal $does:literal;)*) => {
        /// Every key there is.
        pub(super) const BINDINGS: &[KeyBinding] = &[$(KeyBinding {
            context: KeyContext::$context,
            code: KeyCode::$code $(($value))?,
            modifiers: $modifiers,
            action: $action,
            brief: $brief,
            does: $does,
        }),*];
    };
}

bindings! {
    Everywhere: NONE F(1) => KeyAction::Show(UiPage::Help), "help" "help";
    Everywhere: CTRL Char('g') => KeyAction::Show(UiPage::Help), "help" "";
    Everywhere: CTRL Char('p') => KeyAction::GoTo, "go to" "go to a chat or a page";
    Everywhere: CTRL Char('n') => KeyAction::NextUnread, "next unread" "next chat with unread messages";
    Everywhere: CTRL Up => KeyAction::Step(ChatStep::Above), "chat above" "chat above";
    Everywhere: ALT Up => KeyAction::Step(ChatStep::Above), "chat above" "";
    Everywhere: CTRL Down => KeyAction::Step(ChatStep::Below), "chat below" "chat below";
    Everywhere: ALT Down => KeyAction::Step(ChatStep::Below), "chat below" "";
    Everywhere: NONE F(2) => KeyAction::Show(UiPage::Chats), "chats" "chats";
    Everywhere: NONE F(3) => KeyAction::Show(UiPage::Contacts), "contacts" "contacts and requests";
    Everywhere: NONE F(4) => KeyAction::Show(UiPage::Network), "network" "network";
    Everywhere: NONE F(6) => KeyAction::Show(UiPage::Identities), "identities" "identities";
    Everywhere: CTRL Char('f') => KeyAction::Search, "search" "search this chat, or all elsewhere";
    Everywhere: CTRL Char('l') => KeyAction::Redraw, "redraw" "draw everything again";
    Everywhere: CTRL Char('z') => KeyAction::Suspend, "suspend" "suspend; the screen is cleared";
    Everywhere: CTRL Char('c') => KeyAction::Interrupt, "clear" "clear the line; twice: quit";
    Everywhere: CTRL Char('q') => KeyAction::Quit, "quit" "quit; asks if messages are unsent";

    Typing: NONE Enter => KeyAction::Write(WriteAction::Send), "send" "send";
    Typing: ALT Enter => KeyAction::Edit(EditAction::Newline), "newline" "new line";
    Typing: CTRL Char('j') => KeyAction::Edit(EditAction::Newline), "newline" "";
    Typing: SHIFT Enter => KeyAction::Edit(EditAction::Newline), "newline" "";
    Typing: NONE Tab => KeyAction::Write(WriteAction::Complete), "complete" "complete a /command";
    Typing: NONE Up => KeyAction::Write(WriteAction::Up), "earlier" "line above, or what you sent before";
    Typing: NONE Down => KeyAction::Write(WriteAction::Down), "later" "line below, or what you sent after";
    Typing: CTRL Char('r') => KeyAction::Longer, "lifetime" "lifetime of your messages: day, week, ..";
    Typing: NONE PageUp => KeyAction::Scroll(ScrollAction::Up), "scroll" "scroll up";
    Typing: NONE PageDown => KeyAction::Scroll(ScrollAction::Down), "scroll" "scroll down";
    Typing: CTRL End => KeyAction::Scroll(ScrollAction::Newest), "newest" "newest message";
    Typing: NONE Esc => KeyAction::Write(WriteAction::Browse), "browse" "browse messages";

    Editing: NONE Left => KeyAction::Edit(EditAction::Left), "left" "";
    Editing: NONE Right => KeyAction::Edit(EditAction::Right), "right" "";
    Editing: CTRL Left => KeyAction::Edit(EditAction::WordLeft), "word left" "word left";
    Editing: ALT Char('b') => KeyAction::Edit(EditAction::WordLeft), "word left" "";
    Editing: CTRL Right => KeyAction::Edit(EditAction::WordRight), "word right" "word right";
    Editing: ALT Char('f') => KeyAction::Edit(EditAction::WordRight), "word right" "";
    Editing: CTRL Char('a') => KeyAction::Edit(EditAction::LineStart), "line start" "start of line";
    Editing: NONE Home => KeyAction::Edit(EditAction::LineStart), "line start" "";
    Editing: CTRL Char('e') => KeyAction::Edit(EditAction::LineEnd), "line end" "end of line";
    Editing: NONE End => KeyAction::Edit(EditAction::LineEnd), "line end" "";
    Editing: NONE Backspace => KeyAction::Edit(EditAction::EraseBack), "erase" "";
    Editing: NONE Delete => KeyAction::Edit(EditAction::EraseForward), "erase" "";
    Editing: CTRL Char('w') => KeyAction::Edit(EditAction::EraseWord), "erase word" "erase word";
    Editing: ALT Backspace => KeyAction::Edit(EditAction::EraseWord), "erase word" "";
    Editing: CTRL Char('u') => KeyAction::Edit(EditAction::EraseToStart), "erase" "erase to start of line";
    Editing: CTRL Char('k') => KeyAction::Edit(EditAction::EraseToEnd), "erase" "erase to end of line";
    Editing: CTRL Char('y') => KeyAction::Edit(EditAction::PutBack), "put back" "put back what was erased";

    Browsing: NONE Char('j') => KeyAction::Browse(BrowseAction::Down), "down" "message below";
    Browsing: NONE Down => KeyAction::Browse(BrowseAction::Down), "down" "";
    Browsing: NONE Char('k') => KeyAction::Browse(BrowseAction::Up), "up" "message above";
    Browsing: NONE Up => KeyAction::Browse(BrowseAction::Up), "up" "";
    Browsing: NONE Char('g') => KeyAction::Browse(BrowseAction::Oldest), "oldest" "oldest message";
    Browsing: NONE Home => KeyAction::Browse(BrowseAction::Oldest), "oldest" "";
    Browsing: NONE Char('G') => KeyAction::Browse(BrowseAction::Newest), "newest" "newest message";
    Browsing: NONE End => KeyAction::Browse(BrowseAction::Newest), "newest" "";
    Browsing: NONE PageUp => KeyAction::Scroll(ScrollAction::Up), "scroll" "";
    Browsing: NONE PageDown => KeyAction::Scroll(ScrollAction::Down), "scroll" "";
    Browsing: NONE Char('v') => KeyAction::Browse(BrowseAction::Why), "why" "what happened to it";
    Browsing: NONE Char('c') => KeyAction::Browse(BrowseAction::Cancel), "cancel" "cancel before it is sent";
    Browsing: NONE Char('R') => KeyAction::Browse(BrowseAction::Retry), "retry" "send again: failed or not acknowledged";
    Browsing: NONE Char('/') => KeyAction::Search, "search" "search";
    Browsing: NONE Char('i') => KeyAction::Browse(BrowseAction::Type), "type" "back to typing";
    Browsing: NONE Enter => KeyAction::Browse(BrowseAction::Type), "type" "";
    Browsing: NONE Esc => KeyAction::Browse(BrowseAction::Type), "type" "";

List: NONE Char('j') => KeyAction::List(ListAction::Down), "down" "below";
List: NONE Down => KeyAction::List(ListAction::Down), "down" "";
List: NONE Char('k') => KeyAction::List(ListAction::Up), "up" "above";
List: NONE Up => KeyAction::List(ListAction::Up), "up" "";
List: NONE Home => KeyAction::List(ListAction::First), "first" "";
List: NONE End => KeyAction::List(ListAction::Last), "last" "";
List: NONE Enter => KeyAction::List(ListAction::Row(RowAction::Open)), "open" "open";
List: NONE Tab => KeyAction::List(ListAction::NextTab), "next list" "contacts, requests, blocked";
List: NONE Char('+') => KeyAction::List(ListAction::Add), "add" "add a contact by invite or key";
List: NONE Char('i') => KeyAction::List(ListAction::Invite), "invite" "show your own invite";
List: NONE Char('a') => KeyAction::List(ListAction::Row(RowAction::Accept)), "accept" "accept a contact request";
List: NONE Char('d') => KeyAction::List(ListAction::Row(RowAction::Decline)), "decline" "decline a request; asks; they are not notified";
List: NONE Char('r') => KeyAction::List(ListAction::Row(RowAction::Rename)), "rename" "rename a contact";
List: NONE Char('b') => KeyAction::List(ListAction::Row(RowAction::Block)), "block" "block, which asks for the name; or unblock";
List: NONE Char('x') => KeyAction::List(ListAction::Row(RowAction::Remove)), "remove" "remove, with all messages; asks for the name";
List: NONE Char('v') => KeyAction::List(ListAction::Row(RowAction::Verify)), "verify" "verify a contact: compare words or digits";
List: NONE Char('K') => KeyAction::List(ListAction::Row(RowAction::Rekey)), "new key" "replace a contact's key";
List: NONE Char('m') => KeyAction::List(ListAction::Row(RowAction::ReadMarks)), "read marks" "read marks on, or off";
List: NONE Char('n') => KeyAction::List(ListAction::New), "new" "create an identity";
List: NONE Esc => KeyAction::Back, "back" "back to the chats";

    Field: NONE Enter => KeyAction::Write(WriteAction::Submit), "continue" "";
    Field: NONE Up => KeyAction::Write(WriteAction::Up), "up" "";
    Field: NONE Down => KeyAction::Write(WriteAction::Down), "down" "";
    Field: NONE Esc => KeyAction::Back, "back" "";

    Page: NONE Up => KeyAction::Scroll(ScrollAction::Up), "scroll up" "";
    Page: NONE Char('k') => KeyAction::Scroll(ScrollAction::Up), "up" "";
    Page: NONE Down => KeyAction::Scroll(ScrollAction::Down), "scroll down" "";
    Page: NONE Char('j') => KeyAction::Scroll(ScrollAction::Down), "down" "";
    Page: NONE PageUp => KeyAction::Scroll(ScrollAction::Up), "up" "";
    Page: NONE PageDown => KeyAction::Scroll(ScrollAction::Down), "down" "";
    Page: NONE Esc => KeyAction::Back, "back" "";
    Page: NONE Enter => KeyAction::Back, "back" "";

    Asking: NONE Char('y') => KeyAction::Answer(ConfirmAnswer::Yes), "yes" "";
    Asking: NONE Char('n') => KeyAction::Answer(ConfirmAnswer::No), "no" "";
    Asking: NONE Esc => KeyAction::Answer(ConfirmAnswer::No), "no" "";

    Leaving: NONE Char('w') => KeyAction::Leave(LeaveChoice::Wait), "wait" "";
    Leaving: NONE Char('q') => KeyAction::Leave(LeaveChoice::Quit), "quit" "";
    Leaving: CTRL Char('q') => KeyAction::Leave(LeaveChoice::Quit), "quit" "";
    Leaving: NONE Esc => KeyAction::Back, "stay" "";

    Comparing: NONE Enter => KeyAction::Compare(CompareAction::Enter), "compare" "compare";
    Comparing: NONE Tab => KeyAction::Compare(CompareAction::Complete), "complete" "complete a word";
    Comparing: NONE Down => KeyAction::Compare(CompareAction::Next), "next word" "";
    Comparing: NONE Up => KeyAction::Compare(CompareAction::Previous), "word before" "";
    Comparing: SHIFT BackTab => KeyAction::Compare(CompareAction::Previous), "word before" "";
    Comparing: NONE BackTab => KeyAction::Compare(CompareAction::Previous), "word before" "";
    Comparing: NONE F(7) => KeyAction::Compare(CompareAction::Digits), "digits" "60 digits instead of words";
    Comparing: NONE F(8) => KeyAction::Compare(CompareAction::Code), "QR" "show the digits as a QR code";
    Comparing: NONE F(9) => KeyAction::Compare(CompareAction::Sent), "paste" "paste what they sent";
    Comparing: NONE Esc => KeyAction::Compare(CompareAction::Back), "back" "";

    Code: NONE Char('i') => KeyAction::Invert, "invert" "";
    Code: NONE F(7) => KeyAction::Compare(CompareAction::Digits), "digits" "";
    Code: NONE F(9) => KeyAction::Compare(CompareAction::Sent), "paste" "";
    Code: NONE Esc => KeyAction::Back, "back" "";
    Code: NONE Enter => KeyAction::Back, "back" "";

    Choosing: NONE Up => KeyAction::Choose(ChooseAction::Up), "up" "";
    Choosing: NONE Char('k') => KeyAction::Choose(ChooseAction::Up), "up" "";
    Choosing: NONE Down => KeyAction::Choose(ChooseAction::Down), "down" "";
    Choosing: NONE Char('j') => KeyAction::Choose(ChooseAction::Down), "down" "";
    Choosing: NONE Enter => KeyAction::Choose(ChooseAction::Take), "choose" "";
    Choosing: NONE Esc => KeyAction::Back, "keep paused" "";

    Found: NONE Down => KeyAction::Choose(ChooseAction::Down), "older" "older one";
    Found: NONE Char('n') => KeyAction::Choose(ChooseAction::Down), "older" "";
    Found: NONE Char('j') => KeyAction::Choose(ChooseAction::Down), "older" "";
    Found: NONE Up => KeyAction::Choose(ChooseAction::Up), "newer" "newer one";
    Found: NONE Char('N') => KeyAction::Choose(ChooseAction::Up), "newer" "";
    Found: NONE Char('k') => KeyAction::Choose(ChooseAction::Up), "newer" "";
    Found: NONE Enter => KeyAction::Choose(ChooseAction::Take), "go there" "go there";
    Found: NONE Esc => KeyAction::Back, "back" "back";

Held: NONE Char('v') => KeyAction::Held(HeldAction::Verify), "verify again" "verify again";
Held: NONE Char('a') => KeyAction::Held(HeldAction::Accept), "accept unverified" "resume sending, not verified; asks for a word";
Held: NONE PageUp => KeyAction::Scroll(ScrollAction::Up), "scroll" "";
Held: NONE PageDown => KeyAction::Scroll(ScrollAction::Down), "scroll" "";
Held: CTRL End => KeyAction::Scroll(ScrollAction::Newest), "newest" "";
Held: NONE Esc => KeyAction::Write(WriteAction::Browse), "browse" "";
}
