//! Overlays in front of a page: fields, questions, and the name of a first identity.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear};

use crate::engine::envelope::Lifetime;
use crate::engine::event::WaitsFor;
use crate::engine::id::{ContactId, IdentityId, RequestId};
use crate::engine::text::UntrustedText;

use super::super::composer::Composer;
use super::super::model::{
    Erasure, GoToPicker, GoneSubject, Model, Overlay, Prompt, PromptPurpose, label,
};
use super::super::slash;
use super::contacts::whole_key;
use super::message_details::why;
use super::search::found;
use super::theme::Theme;
use super::transcript::ViewState;
use super::verify;
use super::wrap::{cut, fit, wrap};
use crate::shell::api::Persistence;
use crate::shell::text::lifetime::{WorkCost, span};

/// Columns of a box, where there is room.
const BOX_COLUMNS: u16 = 74;

/// Under so many rows the first words are fewer.
const ROWS_FOR_WELCOME: u16 = 14;

/// Columns of a line that is asked about: enough to know it again.
const LINE_COLUMNS: usize = 40;

/// Most rows of the picker's list.
const PICKER_ROWS: usize = 10;

/// Draws the overlay, if there is one.
pub(super) fn draw(model: &Model, state: &mut ViewState, frame: &mut Frame<'_>, area: Rect) {
    match &model.navigation.overlay {
        Some(Overlay::Prompt(prompt)) => ask(model, prompt, frame, area),
        Some(Overlay::GoTo(picker)) => go_to(model, picker, frame, area),
        Some(Overlay::Search(search)) => found(model, search, frame, area),
        Some(Overlay::Why(message)) => why(model, state, *message, frame, area),
        Some(Overlay::Invite(identity)) => invite(model, *identity, frame, area),
        Some(Overlay::Verify(page)) => verify::compare(model, page, frame, area),
        Some(Overlay::Mismatch(failed)) => verify::mismatch(model, failed, frame, area),
        Some(Overlay::Keys(contact)) => verify::keys(model, state, *contact, frame, area),
        Some(Overlay::Leaving(question)) => leaving(model, state, question.others, frame, area),
        Some(Overlay::Gone(what)) => gone(model, state, *what, frame, area),
        Some(Overlay::Fatal(reason)) => fatal(model, state, reason, frame, area),
        Some(Overlay::Confirm(_)) | None => {}
    }
}

/// A box of text, which is scrolled if it does not fit.
pub(super) fn page(
    model: &Model,
    state: &mut ViewState,
    frame: &mut Frame<'_>,
    area: Rect,
    (title, text): (&str, &str),
) {
    let rows = wrap(text, usize::from(inner_width(area)));
    let inner = open_box(model, frame, area, (title, rows.len()));
    let rows = rows.into_iter().map(Line::raw).collect();
    let (rows, below) = state.in_view(rows, usize::from(inner.height));
    super::rows(frame, inner, rows);
    super::below(frame, Rect { y: inner.bottom(), height: 1, ..inner }, below);
    super::cursor(frame, inner, (0, 0));
}

pub(super) fn inner_width(area: Rect) -> u16 {
    area.width.min(BOX_COLUMNS).saturating_sub(4)
}

/// Draws an empty box for so many rows in the middle; gives the area inside.
pub(super) fn open_box(
    model: &Model,
    frame: &mut Frame<'_>,
    area: Rect,
    (title, rows): (&str, usize),
) -> Rect {
    let theme = Theme::new(&model.options);
    let height = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(2).min(area.height);
    let width = area.width.min(BOX_COLUMNS);
    let outer = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 3,
        width,
        height,
    };
    frame.render_widget(Clear, outer);
    let title = Line::styled(format!(" {title} "), theme.strong());
    frame.render_widget(Block::bordered().border_set(theme.border()).title(title), outer);
    Rect {
        x: outer.x + 2,
        y: outer.y + 1,
        width: width.saturating_sub(4),
        height: height.saturating_sub(2),
    }
}

/// The title of a prompt, and what it says above its field.
fn words(model: &Model, purpose: PromptPurpose) -> (&'static str, String) {
    let (title, text) = match purpose {
        PromptPurpose::Erase(erasure) => return erasure_words(model, erasure),
        PromptPurpose::Send(contact) => return send_words(model, contact),
        PromptPurpose::NewIdentity => (
            "New identity",
            "Choose a name; only you see it. Others see its key, under a name they choose.",
        ),
        PromptPurpose::AddKey(_) => {
            ("Add a contact", "Paste their invite, or their key (66 hexadecimal digits).")
        }
        PromptPurpose::AddName(..) => (
            "Add a contact",
            "Choose a name for them; only you see it. A contact request is sent next.",
        ),
        PromptPurpose::Accept(request) => return accept_words(model, request),
        PromptPurpose::Rename(_) => ("Rename", "Choose a name for them; only you see it."),
        PromptPurpose::Rekey(_) => (
            "New key",
            "Paste their new invite. The session ends, and nothing is sent to them until you \
             verify or accept it.",
        ),
        PromptPurpose::Search(None) => {
            ("Search", "Words to find, in any chat. The search runs on this computer only.")
        }
        PromptPurpose::Search(Some(_)) => {
            ("Search this chat", "Words to find. The search runs on this computer only.")
        }
        PromptPurpose::AcceptUnverified(_) => (
            "Accept without verifying",
            "Your messages go to the owner of this key, and you have not verified who that is. \
             Type accept to resume sending.",
        ),
    };
    (title, text.to_owned())
}

/// The same about something that cannot be undone. The name stands once: it may be long.
fn erasure_words(model: &Model, erasure: Erasure) -> (&'static str, String) {
    let (title, what) = match erasure {
        Erasure::Contact(_) => {
            ("Remove a contact", "This deletes all messages with them here, and cannot be undone.")
        }
        Erasure::Session(_) => {
            ("End a session", "This erases the keys of the session, and cannot be undone.")
        }
        Erasure::Block(_) => {
            ("Block a contact", "This erases the session; unblocking does not bring it back.")
        }
        Erasure::Identity(_) => (
            "Delete an identity",
            "This deletes its key, contacts and messages, and cannot be undone.",
        ),
    };
    let name = erasure.name(&model.directory).map(label).unwrap_or_default();
    (title, format!("{what} Type the name to confirm: {name}"))
}

/// The same about a stranger. Their key is said here: the list behind may go on to somebody else.
fn accept_words(model: &Model, request: RequestId) -> (&'static str, String) {
    const TITLE: &str = "Accept a request";
    let Some(request) = model.directory.request(request) else {
        return (TITLE, "This request is gone: it was answered elsewhere or withdrawn.".to_owned());
    };
    let text = format!(
        "Choose a name for them; only you see it. Accepting is the first thing that is sent to \
         them.\nTheir key {}",
        whole_key(&request.key)
    );
    (TITLE, text)
}

/// The same about a text with a line in it that looks like a command.
fn send_words(model: &Model, contact: ContactId) -> (&'static str, String) {
    let Some(chat) = model.directory.chat(contact) else { return ("Send as text?", String::new()) };
    let written = chat.chat.composer.text();
    let line = cut(&label(slash::like_command(written).unwrap_or_default()), LINE_COLUMNS);
    let name = label(&chat.contact.petname);
    let text = format!(
        "This line looks like a command and would be sent to {name}: {line}\nType send to send \
         the message, or press Esc to change it."
    );
    ("Send as text?", text)
}

/// A box with some text, a field under it, and the fault of the last try.
fn ask(model: &Model, prompt: &Prompt, frame: &mut Frame<'_>, area: Rect) {
    let (title, text) = words(model, prompt.purpose);
    let mut rows = wrap(&text, usize::from(inner_width(area)));
    let error = prompt.error.clone().unwrap_or_default();
    let below = wrap(&error, usize::from(inner_width(area)));
    // In a small window the first words give way: whom it is about stands last, and the fault counts.
    let room = usize::from(area.height).saturating_sub(3 + below.len());
    if prompt.error.is_some() {
        rows.drain(..rows.len().saturating_sub(room));
    }
    if prompt.error.is_none() || rows.len() < room {
        rows.push(String::new());
    }
    let above = rows.len();
    let inner = open_box(model, frame, area, (title, above + 1 + below.len()));
    super::rows(frame, inner, rows.into_iter().map(Line::raw).collect());
    let above = u16::try_from(above).unwrap_or(0).min(inner.height.saturating_sub(1));
    let place = Rect { y: inner.y + above, height: 1, ..inner };
    let theme = Theme::new(&model.options);
    let said =
        Rect { y: place.bottom(), height: inner.bottom().saturating_sub(place.bottom()), ..inner };
    super::rows(
        frame,
        said,
        below.into_iter().map(|row| Line::styled(row, theme.call())).collect(),
    );
    field(&prompt.field, frame, place);
}

/// A field of one row; its text moves so that the caret is in view.
fn field(composer: &Composer, frame: &mut Frame<'_>, area: Rect) {
    let width = usize::from(area.width).saturating_sub(3);
    let layout = composer.layout(width);
    let row = layout.rows.get(layout.row).cloned().unwrap_or_default();
    frame.render_widget(Line::from(vec![Span::raw("> "), Span::raw(row)]), area);
    super::cursor(frame, area, (2 + layout.column, 0));
}

/// The page while there is no identity.
pub(super) fn welcome(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = Theme::new(&model.options);
    let kept = match model.node.persistence {
        Some(Persistence::MemoryOnly) => "Nothing is saved: it is lost when you quit.",
        Some(Persistence::Sealed) | None => {
            "It is a key on this computer. Lost without a backup, it cannot be recovered."
        }
    };
    let text = if area.height < ROWS_FOR_WELCOME {
        "Create an identity: a random key. Choose a name for it; only you see it.".to_owned()
    } else {
        format!(
            "Nothing has been sent anywhere yet.\n\nCreate an identity: a random key, without a \
             name, email address or phone number that others could see. {kept}\n\nChoose a name \
             for it; only you see it."
        )
    };
    let mut rows = vec![Line::styled(" Welcome to undertone", theme.strong()), Line::raw("")];
    let wrapped = wrap(&text, usize::from(area.width).saturating_sub(4).min(70));
    rows.extend(wrapped.into_iter().map(|row| Line::raw(format!("  {row}"))));
    let above = u16::try_from(rows.len()).unwrap_or(0).min(area.height.saturating_sub(2));
    super::rows(frame, area, rows);
    let place =
        Rect { x: area.x + 2, y: area.y + above, width: area.width.saturating_sub(4), height: 1 };
    // On few rows the words reach down to the field, which must stay readable.
    frame.render_widget(Clear, place);
    field(&model.welcome.field, frame, place);
}

fn go_to(model: &Model, picker: &GoToPicker, frame: &mut Frame<'_>, area: Rect) {
    let theme = Theme::new(&model.options);
    let targets = picker.targets(&model.directory, model.navigation.speaking);
    let shown = targets.len().clamp(1, PICKER_ROWS);
    let inner = open_box(model, frame, area, ("Go to", shown + 1));
    let room = usize::from(inner.height).saturating_sub(1);
    let marked = picker.row(&targets);
    let first = marked.map_or(0, |row| (row + 1).saturating_sub(room));
    let width = usize::from(inner.width);
    let mut rows = vec![Line::raw("")];
    rows.extend(targets.iter().enumerate().skip(first).take(room).map(|(index, target)| {
        let name = target.name(&model.directory);
        if Some(index) == marked {
            Line::styled(fit(&format!("> {name}"), width), theme.marked())
        } else {
            Line::raw(fit(&format!("  {name}"), width))
        }
    }));
    if targets.is_empty() {
        rows.push(Line::styled("  no match", theme.quiet()));
    }
    super::rows(frame, inner, rows);
    field(&picker.filter, frame, Rect { height: inner.height.min(1), ..inner });
}

/// An invite, at the left edge and without a border, so that it can be copied, and as a code.
fn invite(model: &Model, id: IdentityId, frame: &mut Frame<'_>, area: Rect) {
    let Some(identity) = model.directory.identity(id) else { return };
    let written =
        UntrustedText::new((model.options.invites.write)(&identity.key)).sanitize_for_line().text;
    let rows = wrap(&written, usize::from(area.width));
    let text = "Anyone who has it can send you a contact request; you decide. Send it over a channel \
                you trust. The other side enters it with F3, then +, or:\n  undertone contact add \
                INVITE --name NAME\n\nEsc goes back; i inverts a code that does not scan.";
    let title = format!("Invite of {}", label(&identity.name));
    verify::with_code(model, (&title, &written, &rows), text, frame, area);
}

fn leaving(model: &Model, state: &mut ViewState, others: usize, frame: &mut Frame<'_>, area: Rect) {
    let said = match model.unsent() {
        0 => "All your messages have been sent.".to_owned(),
        1 => "1 message has not been sent yet.".to_owned(),
        unsent => format!("{unsent} messages have not been sent yet."),
    };
    let others = match others {
        0 => String::new(),
        1 => "\n\n1 other client uses this node, which ends with this window. The client goes on with \
              a node of its own if it can start one."
            .to_owned(),
        others => format!(
            "\n\n{others} other clients use this node, which ends with this window. Those that can \
             start another node go on with it."
        ),
    };
    let text = format!(
        "{said}{others}\n\n  w    wait until all are sent{}\n  q    {}\n  Esc  stay",
        wait_words(model),
        model.node.fate_of_unsent()
    );
    page(model, state, frame, area, ("Quit", &text));
}

/// The time that leaving would wait, if it is known: the work of a day's lifetime for each.
fn wait_words(model: &Model) -> String {
    // Nobody knows how long a price stays high.
    if model.unsent() > 0 && model.is_held_back(WaitsFor::Acknowledgement) {
        return ", which may take days: some wait until a contact answers".to_owned();
    }
    if model.unsent() > 0 && model.is_held_back(WaitsFor::Price) {
        return ", which may take hours: the network is busy".to_owned();
    }
    if model.unsent() > 0 && model.is_held_back(WaitsFor::Turn) {
        return ", which may take minutes each: they leave one by one".to_owned();
    }
    let seconds = model.node.cost(Lifetime::Day).and_then(WorkCost::seconds).unwrap_or_default();
    let unsent = u64::try_from(model.unsent()).unwrap_or(u64::MAX);
    match seconds.saturating_mul(unsent) {
        0 => String::new(),
        seconds => format!(", {} of work or more", span(seconds)),
    }
}

/// What stands in the place of a page about something that is gone.
fn gone(
    model: &Model,
    state: &mut ViewState,
    what: GoneSubject,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let text = match what {
        GoneSubject::Contact => "This contact was removed meanwhile. Nothing more was done.",
        GoneSubject::Message => "This message was deleted meanwhile.",
        GoneSubject::Identity => "This identity was deleted meanwhile.",
    };
    page(model, state, frame, area, ("Gone", text));
}

fn fatal(model: &Model, state: &mut ViewState, reason: &str, frame: &mut Frame<'_>, area: Rect) {
    // It may quote the names of files, or an error of the system.
    let reason = UntrustedText::new(reason.to_owned()).sanitize_for_cell().text;
    let safe = match model.node.persistence {
        Some(Persistence::MemoryOnly) => "Nothing was saved on this computer.",
        Some(Persistence::Sealed) | None => "Everything accepted before is saved.",
    };
    let text =
        format!("The node behind this window has stopped:\n\n{reason}\n\n{safe} Ctrl+Q quits.");
    page(model, state, frame, area, ("Stopped", &text));
}
