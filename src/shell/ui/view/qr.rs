//! QR codes (ISO 18004) in half blocks: two modules to a cell, with the margin readers need.
//!
//! With colour a code is black on white whatever the terminal's colours are. Without, what is drawn
//! is the terminal's foreground, so light modules are drawn and a dark terminal is assumed until its
//! user says otherwise. Measured.

use qrcode::{Color as Module, EcLevel, QrCode};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};

use super::super::model::QrPolarity;
use super::super::options::{ColorSupport, Glyphs, UiOptions};

/// Light modules around a code; ISO 18004 asks for four.
const MARGIN: usize = 4;

/// A code ready to be drawn.
#[derive(Debug)]
pub(super) struct QrDrawing {
    /// Row by row; the margin is in it.
    modules: Vec<Vec<Module>>,
    /// The characters to the width of a module, and the modules to the height of a row.
    cell: (usize, usize),
    color: ColorSupport,
    ink: QrPolarity,
}

impl QrDrawing {
    /// The code of a text, at the lowest level of correction: a screen has no stains. `None` if the
    /// text is longer than codes are.
    pub(super) fn new(text: &str, options: &UiOptions, ink: QrPolarity) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
        let size = code.width() + 2 * MARGIN;
        let mut modules = vec![vec![Module::Light; size]; size];
        let inside = modules.iter_mut().skip(MARGIN);
        for (row, inner) in inside.zip(code.to_colors().chunks(code.width())) {
            for (to, module) in row.iter_mut().skip(MARGIN).zip(inner) {
                *to = *module;
            }
        }
        // ASCII has no half blocks: a module is two characters wide, about a square.
        let cell = match options.glyphs {
            Glyphs::Unicode => (1, 2),
            Glyphs::Ascii => (2, 1),
        };
        Some(Self { modules, cell, color: options.color, ink })
    }

    /// Columns it takes.
    pub(super) fn columns(&self) -> usize {
        self.modules.len() * self.cell.0
    }

    /// Rows it takes.
    pub(super) fn rows(&self) -> usize {
        self.modules.len().div_ceil(self.cell.1)
    }

    /// The code, row by row.
    pub(super) fn lines(&self) -> Vec<Line<'static>> {
        let (wide, high) = self.cell;
        // An odd last row has margin under it.
        let none = vec![Module::Light; self.modules.len()];
        self.modules
            .chunks(high)
            .map(|rows| {
                let above = rows.first().unwrap_or(&none);
                let below = rows.get(1).unwrap_or(if high == 1 { above } else { &none });
                let cells = above.iter().zip(below);
                Line::from_iter(cells.map(|(above, below)| self.cell((*above, *below), wide)))
            })
            .collect()
    }

    /// One cell: its upper and its lower module.
    fn cell(&self, (above, below): (Module, Module), wide: usize) -> Span<'static> {
        let wanted = match (self.color, self.ink) {
            (ColorSupport::On, QrPolarity::Dark) | (ColorSupport::Off, QrPolarity::Light) => {
                Module::Dark
            }
            (ColorSupport::On, QrPolarity::Light) | (ColorSupport::Off, QrPolarity::Dark) => {
                Module::Light
            }
        };
        let drawn = |module| module == wanted;
        let glyph = match (drawn(above), drawn(below)) {
            (false, false) => " ",
            (true, true) if wide > 1 => "#",
            (true, true) => "█",
            (true, false) => "▀",
            (false, true) => "▄",
        };
        let style = match self.color {
            ColorSupport::On => Style::new().fg(Color::Black).bg(Color::White),
            ColorSupport::Off => Style::new(),
        };
        Span::styled(glyph.repeat(wide), style)
    }
}
