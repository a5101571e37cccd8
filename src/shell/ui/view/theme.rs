//! Marks, lines and styles, in the characters and colours that were asked for.
//!
//! Nothing depends on colour: marked text is reversed, quiet text is dim.

use ratatui::style::{Color, Modifier, Style};

use crate::engine::event::SessionStatus;
use crate::engine::record::MessageState;
use crate::shell::text::marks;

use super::super::options::{ColorSupport, Glyphs, UiOptions};

/// Columns of the widest mark.
pub(super) const MARK_COLUMNS: usize = 2;

/// The characters and styles of a drawing.
#[derive(Clone, Copy, Debug)]
pub(in crate::shell) struct Theme {
    glyphs: Glyphs,
    color: ColorSupport,
}

impl Theme {
    pub(super) const fn new(options: &UiOptions) -> Self {
        Self { glyphs: options.glyphs, color: options.color }
    }

    const fn pick(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        match self.glyphs {
            Glyphs::Unicode => unicode,
            Glyphs::Ascii => ascii,
        }
    }

    /// The mark of a message of ours: at most [`MARK_COLUMNS`] wide in every width
    /// table.
    pub(in crate::shell) const fn mark(self, state: MessageState) -> &'static str {
        let mark = marks::of_message(state);
        self.pick(mark.unicode, mark.ascii)
    }

    /// A horizontal line.
    pub(super) const fn rule(self) -> &'static str {
        self.pick("─", "-")
    }

    /// A vertical line.
    pub(super) const fn bar(self) -> &'static str {
        self.pick("│", "|")
    }

    /// The start of a line of the program under a message.
    pub(super) const fn note(self) -> &'static str {
        self.pick("└", "`")
    }

    /// The border of a box: corners, then the lines.
    pub(super) const fn border(self) -> ratatui::symbols::border::Set<'static> {
        match self.glyphs {
            Glyphs::Unicode => ratatui::symbols::border::PLAIN,
            Glyphs::Ascii => ratatui::symbols::border::Set {
                top_left: "+",
                top_right: "+",
                bottom_left: "+",
                bottom_right: "+",
                vertical_left: "|",
                vertical_right: "|",
                horizontal_top: "-",
                horizontal_bottom: "-",
            },
        }
    }

    const fn colored(self, style: Style, color: Color) -> Style {
        match self.color {
            ColorSupport::On => style.fg(color),
            ColorSupport::Off => style,
        }
    }

    /// Names, titles.
    pub(super) const fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Text that may be overlooked.
    pub(super) const fn quiet(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// The marked row.
    pub(super) const fn marked(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Text that wants to be seen: unread counts, hints.
    pub(super) const fn call(self) -> Style {
        self.colored(Style::new().add_modifier(Modifier::BOLD), Color::Cyan)
    }

    /// The style of a message mark.
    pub(super) const fn mark_style(self, state: MessageState) -> Style {
        match state {
            MessageState::Delivered | MessageState::Read => {
                self.colored(Style::new(), Color::Green)
            }
            MessageState::Failed => {
                self.colored(Style::new().add_modifier(Modifier::BOLD), Color::Red)
            }
            MessageState::Unacknowledged => {
                self.colored(Style::new().add_modifier(Modifier::BOLD), Color::Yellow)
            }
            MessageState::Queued
            | MessageState::Mining
            | MessageState::Sent
            | MessageState::Cancelled => Style::new(),
        }
    }
}

/// A link state in one column, for the list of chats.
pub(super) const fn link_mark(link: SessionStatus) -> &'static str {
    match link {
        SessionStatus::Established => " ",
        SessionStatus::OfferQueued
        | SessionStatus::OfferSent
        | SessionStatus::AwaitingConfirmation => "~",
        SessionStatus::None => "-",
        SessionStatus::Blocked => "x",
    }
}
