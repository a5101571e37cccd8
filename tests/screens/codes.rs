//! QR codes on the screen: the picture that a terminal would show is decoded again.

use crossterm::event::KeyCode;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::Color;
use undertone::engine::crypto::invite;
use undertone::engine::crypto::safety_number::SafetyNumber;
use undertone::shell::ui::{ColorSupport, Glyphs, UiOptions};

use crate::support::{Stage, key, options};

/// The brightness of a terminal's own foreground and background.
#[derive(Clone, Copy)]
struct Terminal {
    foreground: u8,
    background: u8,
}

const DARK: Terminal = Terminal { foreground: 220, background: 15 };
const LIGHT: Terminal = Terminal { foreground: 30, background: 240 };

/// Pixels of one half of a cell in each direction.
const SCALE: usize = 4;

fn brightness(color: Color, own: u8) -> u8 {
    if color == Color::Black {
        0
    } else if color == Color::White {
        255
    } else {
        own
    }
}

/// The upper and the lower half of each column of a cell.
fn halves(cell: &Cell, terminal: Terminal) -> (u8, u8) {
    let drawn = brightness(cell.fg, terminal.foreground);
    let blank = brightness(cell.bg, terminal.background);
    match cell.symbol() {
        "█" | "#" => (drawn, drawn),
        "▀" => (drawn, blank),
        "▄" => (blank, drawn),
        _ => (blank, blank),
    }
}

/// The text that a telephone reads off a terminal.
fn read(screen: &Buffer, terminal: Terminal) -> Option<String> {
    let (width, height) = (usize::from(screen.area.width), usize::from(screen.area.height));
    let at = |x: usize, y: usize| {
        let place = (u16::try_from(x / SCALE).ok()?, u16::try_from(y / (2 * SCALE)).ok()?);
        let (above, below) = halves(screen.cell(place)?, terminal);
        Some(if (y / SCALE).is_multiple_of(2) { above } else { below })
    };
    let mut image =
        rqrr::PreparedImage::prepare_from_greyscale(width * SCALE, height * 2 * SCALE, |x, y| {
            at(x, y).unwrap_or(terminal.background)
        });
    let grids = image.detect_grids();
    grids.iter().find_map(|grid| grid.decode().ok()).map(|(_, text)| text)
}

fn stage(color: ColorSupport) -> Stage {
    Stage::chatting(UiOptions { color, ..options(Glyphs::Unicode) })
}

fn show_invite(stage: &mut Stage) {
    stage.press(KeyCode::F(6));
    stage.press(KeyCode::Char('i'));
}

#[test]
fn an_invite_is_read_off_a_window_of_24_rows_on_any_terminal() {
    let written = invite::encode(&key(0));
    let mut coloured = stage(ColorSupport::On);
    show_invite(&mut coloured);
    let screen = coloured.cells(80, 24);
    assert_eq!(read(&screen, DARK).as_ref(), Some(&written));
    assert_eq!(read(&screen, LIGHT).as_ref(), Some(&written));
    let mut bare = stage(ColorSupport::Off);
    show_invite(&mut bare);
    assert_eq!(read(&bare.cells(80, 24), DARK).as_ref(), Some(&written));
    bare.press(KeyCode::Char('i'));
    assert_eq!(read(&bare.cells(80, 24), LIGHT).as_ref(), Some(&written));
}

#[test]
fn the_digits_are_read_off_a_window_of_24_rows() {
    let digits = SafetyNumber::of(&key(0), &key(1)).digits();
    for color in [ColorSupport::On, ColorSupport::Off] {
        let mut stage = stage(color);
        stage.write("/verify");
        stage.press(KeyCode::Enter);
        stage.press(KeyCode::F(8));
        assert_eq!(read(&stage.cells(80, 24), DARK), Some(digits.clone()));
    }
}

#[test]
fn in_ascii_a_code_is_drawn_larger_and_still_read() {
    let ascii = UiOptions { color: ColorSupport::Off, ..options(Glyphs::Ascii) };
    let mut stage = Stage::chatting(ascii);
    show_invite(&mut stage);
    let screen = stage.cells(120, 50);
    assert!(screen.content.iter().all(|cell| cell.symbol() != "█"));
    assert_eq!(read(&screen, DARK), Some(invite::encode(&key(0))));
}
