//! The one table: every key, where it is pressed, what it asks for, and the words help has for it.

use crossterm::event::{KeyCode, KeyModifiers};

use super::{
    Action, Answer, Binding, Browse, Choose, Compare, Context, Deed, Edit, Held, Leave, List,
    Place, Scroll, Step, Write,
};

const NONE: KeyModifiers = KeyModifiers::NONE;
pub(super) const CTRL: KeyModifiers = KeyModifiers::CONTROL;
pub(super) const ALT: KeyModifiers = KeyModifiers::ALT;
pub(super) const SHIFT: KeyModifiers = KeyModifiers::SHIFT;

macro_rules! bindings {
    ($($context:ident: $modifiers:ident $code:ident $(($value:literal))? => $action:expr, $brief:literal $does:literal;)*) => {
        /// Every key there is.
        pub(super) const BINDINGS: &[Binding] = &[$(Binding {
            context: Context::$context,
            code: KeyCode::$code $(($value))?,
            modifiers: $modifiers,
            action: $action,
            brief: $brief,
            does: $does,
        }),*];
    };
}

bindings! {
    Everywhere: NONE F(1) => Action::Show(Place::Help), "help" "help";
    Everywhere: CTRL Char('g') => Action::Show(Place::Help), "help" "";
    Everywhere: CTRL Char('p') => Action::GoTo, "go to" "go to a chat or a page";
    Everywhere: CTRL Char('n') => Action::NextUnread, "next unread" "next chat with unread messages";
    Everywhere: CTRL Up => Action::Step(Step::Above), "chat above" "chat above";
    Everywhere: ALT Up => Action::Step(Step::Above), "chat above" "";
    Everywhere: CTRL Down => Action::Step(Step::Below), "chat below" "chat below";
    Everywhere: ALT Down => Action::Step(Step::Below), "chat below" "";
    Everywhere: NONE F(2) => Action::Show(Place::Chats), "chats" "chats";
    Everywhere: NONE F(3) => Action::Show(Place::Contacts), "contacts" "contacts and requests";
    Everywhere: NONE F(4) => Action::Show(Place::Network), "network" "network";
    Everywhere: NONE F(6) => Action::Show(Place::Identities), "identities" "identities";
    Everywhere: CTRL Char('f') => Action::Search, "search" "search this chat, or all elsewhere";
    Everywhere: CTRL Char('l') => Action::Redraw, "redraw" "draw everything again";
    Everywhere: CTRL Char('z') => Action::Suspend, "suspend" "suspend; the screen is wiped";
    Everywhere: CTRL Char('c') => Action::Interrupt, "clear" "empty the line; twice: leave";
    Everywhere: CTRL Char('q') => Action::Quit, "quit" "quit; asks if something has not left";

    Typing: NONE Enter => Action::Write(Write::Send), "send" "send";
    Typing: ALT Enter => Action::Edit(Edit::Newline), "newline" "new line";
    Typing: CTRL Char('j') => Action::Edit(Edit::Newline), "newline" "";
    Typing: SHIFT Enter => Action::Edit(Edit::Newline), "newline" "";
    Typing: NONE Tab => Action::Write(Write::Complete), "complete" "complete a /command";
    Typing: NONE Up => Action::Write(Write::Up), "earlier" "line above, or what you sent before";
    Typing: NONE Down => Action::Write(Write::Down), "later" "line below, or what you sent after";
    Typing: CTRL Char('r') => Action::Longer, "life" "how long it lives: a day, a week, ..";
    Typing: NONE PageUp => Action::Scroll(Scroll::Up), "scroll" "scroll up";
    Typing: NONE PageDown => Action::Scroll(Scroll::Down), "scroll" "scroll down";
    Typing: CTRL End => Action::Scroll(Scroll::Newest), "newest" "newest message";
    Typing: NONE Esc => Action::Write(Write::Browse), "browse" "browse messages";

    Editing: NONE Left => Action::Edit(Edit::Left), "left" "";
    Editing: NONE Right => Action::Edit(Edit::Right), "right" "";
    Editing: CTRL Left => Action::Edit(Edit::WordLeft), "word left" "word left";
    Editing: ALT Char('b') => Action::Edit(Edit::WordLeft), "word left" "";
    Editing: CTRL Right => Action::Edit(Edit::WordRight), "word right" "word right";
    Editing: ALT Char('f') => Action::Edit(Edit::WordRight), "word right" "";
    Editing: CTRL Char('a') => Action::Edit(Edit::LineStart), "line start" "start of line";
    Editing: NONE Home => Action::Edit(Edit::LineStart), "line start" "";
    Editing: CTRL Char('e') => Action::Edit(Edit::LineEnd), "line end" "end of line";
    Editing: NONE End => Action::Edit(Edit::LineEnd), "line end" "";
    Editing: NONE Backspace => Action::Edit(Edit::EraseBack), "erase" "";
    Editing: NONE Delete => Action::Edit(Edit::EraseForward), "erase" "";
    Editing: CTRL Char('w') => Action::Edit(Edit::EraseWord), "erase word" "erase word";
    Editing: ALT Backspace => Action::Edit(Edit::EraseWord), "erase word" "";
    Editing: CTRL Char('u') => Action::Edit(Edit::EraseToStart), "erase" "erase to start of line";
    Editing: CTRL Char('k') => Action::Edit(Edit::EraseToEnd), "erase" "erase to end of line";
    Editing: CTRL Char('y') => Action::Edit(Edit::PutBack), "put back" "put back what was erased";

    Browsing: NONE Char('j') => Action::Browse(Browse::Down), "down" "message below";
    Browsing: NONE Down => Action::Browse(Browse::Down), "down" "";
    Browsing: NONE Char('k') => Action::Browse(Browse::Up), "up" "message above";
    Browsing: NONE Up => Action::Browse(Browse::Up), "up" "";
    Browsing: NONE Char('g') => Action::Browse(Browse::Oldest), "oldest" "oldest message";
    Browsing: NONE Home => Action::Browse(Browse::Oldest), "oldest" "";
    Browsing: NONE Char('G') => Action::Browse(Browse::Newest), "newest" "newest message";
    Browsing: NONE End => Action::Browse(Browse::Newest), "newest" "";
    Browsing: NONE PageUp => Action::Scroll(Scroll::Up), "scroll" "";
    Browsing: NONE PageDown => Action::Scroll(Scroll::Down), "scroll" "";
    Browsing: NONE Char('v') => Action::Browse(Browse::Why), "why" "what happened to it";
    Browsing: NONE Char('c') => Action::Browse(Browse::Cancel), "cancel" "cancel before it leaves";
    Browsing: NONE Char('R') => Action::Browse(Browse::Retry), "send again" "send again what failed or got no answer";
    Browsing: NONE Char('/') => Action::Search, "search" "search";
    Browsing: NONE Char('i') => Action::Browse(Browse::Type), "type" "back to typing";
    Browsing: NONE Enter => Action::Browse(Browse::Type), "type" "";
    Browsing: NONE Esc => Action::Browse(Browse::Type), "type" "";

    List: NONE Char('j') => Action::List(List::Down), "down" "below";
    List: NONE Down => Action::List(List::Down), "down" "";
    List: NONE Char('k') => Action::List(List::Up), "up" "above";
    List: NONE Up => Action::List(List::Up), "up" "";
    List: NONE Home => Action::List(List::First), "first" "";
    List: NONE End => Action::List(List::Last), "last" "";
    List: NONE Enter => Action::List(List::Row(Deed::Open)), "open" "open";
    List: NONE Tab => Action::List(List::NextTab), "next list" "contacts, requests, blocked";
    List: NONE Char('+') => Action::List(List::Add), "add" "add a contact by invite or key";
    List: NONE Char('i') => Action::List(List::Invite), "invite" "show your own invite";
    List: NONE Char('a') => Action::List(List::Row(Deed::Accept)), "accept" "let a stranger in";
    List: NONE Char('d') => Action::List(List::Row(Deed::Decline)), "decline" "drop a request; they learn nothing";
    List: NONE Char('r') => Action::List(List::Row(Deed::Rename)), "rename" "call a contact something else";
    List: NONE Char('b') => Action::List(List::Row(Deed::Block)), "block" "block, or unblock";
    List: NONE Char('x') => Action::List(List::Row(Deed::Remove)), "remove" "remove, with all messages";
    List: NONE Char('v') => Action::List(List::Row(Deed::Verify)), "verify" "compare words or digits with a contact";
    List: NONE Char('K') => Action::List(List::Row(Deed::Rekey)), "new key" "replace a contact's key";
    List: NONE Char('m') => Action::List(List::Row(Deed::ReadMarks)), "read marks" "read marks on, or off";
    List: NONE Char('n') => Action::List(List::New), "new" "make an identity";
    List: NONE Esc => Action::Back, "back" "back to the chats";

    Field: NONE Enter => Action::Write(Write::Submit), "go on" "";
    Field: NONE Up => Action::Write(Write::Up), "up" "";
    Field: NONE Down => Action::Write(Write::Down), "down" "";
    Field: NONE Esc => Action::Back, "back" "";

    Page: NONE Up => Action::Scroll(Scroll::Up), "scroll up" "";
    Page: NONE Char('k') => Action::Scroll(Scroll::Up), "up" "";
    Page: NONE Down => Action::Scroll(Scroll::Down), "scroll down" "";
    Page: NONE Char('j') => Action::Scroll(Scroll::Down), "down" "";
    Page: NONE PageUp => Action::Scroll(Scroll::Up), "up" "";
    Page: NONE PageDown => Action::Scroll(Scroll::Down), "down" "";
    Page: NONE Esc => Action::Back, "back" "";
    Page: NONE Enter => Action::Back, "back" "";

    Asking: NONE Char('y') => Action::Answer(Answer::Yes), "yes" "";
    Asking: NONE Char('n') => Action::Answer(Answer::No), "no" "";
    Asking: NONE Esc => Action::Answer(Answer::No), "no" "";

    Leaving: NONE Char('w') => Action::Leave(Leave::Wait), "wait" "";
    Leaving: NONE Char('q') => Action::Leave(Leave::Quit), "quit" "";
    Leaving: CTRL Char('q') => Action::Leave(Leave::Quit), "quit" "";
    Leaving: NONE Esc => Action::Back, "stay" "";

    Comparing: NONE Enter => Action::Compare(Compare::Enter), "compare" "compare";
    Comparing: NONE Tab => Action::Compare(Compare::Complete), "complete" "complete a word";
    Comparing: NONE Down => Action::Compare(Compare::Next), "next word" "";
    Comparing: NONE Up => Action::Compare(Compare::Previous), "word before" "";
    Comparing: SHIFT BackTab => Action::Compare(Compare::Previous), "word before" "";
    Comparing: NONE BackTab => Action::Compare(Compare::Previous), "word before" "";
    Comparing: NONE F(7) => Action::Compare(Compare::Digits), "digits" "60 digits in place of words";
    Comparing: NONE F(8) => Action::Compare(Compare::Code), "QR" "show the digits as a QR code";
    Comparing: NONE F(9) => Action::Compare(Compare::Sent), "paste" "paste what they sent";
    Comparing: NONE Esc => Action::Compare(Compare::Back), "back" "";

    Code: NONE Char('i') => Action::Invert, "invert" "";
    Code: NONE F(7) => Action::Compare(Compare::Digits), "digits" "";
    Code: NONE F(9) => Action::Compare(Compare::Sent), "paste" "";
    Code: NONE Esc => Action::Back, "back" "";
    Code: NONE Enter => Action::Back, "back" "";

    Choosing: NONE Up => Action::Choose(Choose::Up), "up" "";
    Choosing: NONE Char('k') => Action::Choose(Choose::Up), "up" "";
    Choosing: NONE Down => Action::Choose(Choose::Down), "down" "";
    Choosing: NONE Char('j') => Action::Choose(Choose::Down), "down" "";
    Choosing: NONE Enter => Action::Choose(Choose::Take), "choose" "";
    Choosing: NONE Esc => Action::Back, "keep held" "";

    Found: NONE Down => Action::Choose(Choose::Down), "older" "older one";
    Found: NONE Char('n') => Action::Choose(Choose::Down), "older" "";
    Found: NONE Char('j') => Action::Choose(Choose::Down), "older" "";
    Found: NONE Up => Action::Choose(Choose::Up), "newer" "newer one";
    Found: NONE Char('N') => Action::Choose(Choose::Up), "newer" "";
    Found: NONE Char('k') => Action::Choose(Choose::Up), "newer" "";
    Found: NONE Enter => Action::Choose(Choose::Take), "go there" "go there";
    Found: NONE Esc => Action::Back, "back" "back";

    Held: NONE Char('v') => Action::Held(Held::Verify), "verify again" "verify again";
    Held: NONE Char('a') => Action::Held(Held::Accept), "accept unverified" "send again, not verified; asks for a word";
    Held: NONE PageUp => Action::Scroll(Scroll::Up), "scroll" "";
    Held: NONE PageDown => Action::Scroll(Scroll::Down), "scroll" "";
    Held: CTRL End => Action::Scroll(Scroll::Newest), "newest" "";
    Held: NONE Esc => Action::Write(Write::Browse), "browse" "";
}
