//! The screen before anything is opened.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use insta::assert_snapshot;
use undertone::shell::ui::{Glyphs, UnlockMode, UnlockModel, unlock_view};

use crate::support::{options, see};

fn press(model: &mut UnlockModel, code: KeyCode) {
    drop(model.on_key(KeyEvent::new(code, KeyModifiers::NONE)));
}

fn show(model: &UnlockModel, columns: u16, rows: u16) -> String {
    see(columns, rows, |frame| unlock_view(model, frame))
}

#[test]
fn a_first_run_offers_a_seal_or_nothing() {
    let mut model = UnlockModel::new(options(Glyphs::Unicode), UnlockMode::FirstRun);
    assert_snapshot!("first_run_80x24", show(&model, 80, 24));
    assert_snapshot!("first_run_40x10", show(&model, 40, 10));
    press(&mut model, KeyCode::Enter);
    model.paste("short");
    assert_snapshot!("create_80x24", show(&model, 80, 24));
    press(&mut model, KeyCode::Enter);
    model.paste("other");
    press(&mut model, KeyCode::Enter);
    assert_snapshot!("differ_80x24", show(&model, 80, 24));
}

#[test]
fn a_locked_store_shows_no_identity_and_no_passphrase() {
    let mut model = UnlockModel::new(options(Glyphs::Unicode), UnlockMode::Locked);
    model.paste("hunter2");
    let seen = show(&model, 80, 24);
    assert!(!seen.contains("hunter2") && seen.contains("> *******"));
    press(&mut model, KeyCode::Enter);
    assert_snapshot!("opening_80x24", show(&model, 80, 24));
    model.failed("the passphrase is wrong");
    assert_snapshot!("wrong_80x24", show(&model, 80, 24));
    assert_snapshot!("wrong_40x10", show(&model, 40, 10));
}

#[test]
fn the_unlock_screen_is_drawn_at_every_size() {
    for state in [UnlockMode::FirstRun, UnlockMode::Locked] {
        let mut model = UnlockModel::new(options(Glyphs::Ascii), state);
        for code in [KeyCode::Char('x'), KeyCode::Enter, KeyCode::Char('y'), KeyCode::Enter] {
            for (columns, rows) in [(1, 1), (7, 3), (40, 10), (300, 100)] {
                show(&model, columns, rows);
            }
            press(&mut model, code);
        }
    }
}
