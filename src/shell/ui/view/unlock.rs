//! The screen before anything is opened.

use ratatui::Frame;
use ratatui::text::Line;

use super::super::unlock::{FirstRunChoice, UnlockModel, UnlockPage};
use super::theme::Theme;
use super::wrap::{cut, wrap};

/// Draws the unlock screen.
pub fn view(model: &UnlockModel, frame: &mut Frame<'_>) {
    let area = frame.area();
    let theme = Theme::new(&model.options);
    let width = usize::from(area.width);
    let mut rows = vec![Line::styled(" undertone", theme.strong()), Line::raw("")];
    let mut caret = (0, 0);
    match model.page {
        UnlockPage::Choose(keep) => {
            push(&mut rows, "Nothing has been sent anywhere yet.", width);
            rows.push(Line::raw(""));
            for (way, name) in [
                (FirstRunChoice::Sealed, "Save all, encrypted with a passphrase"),
                (FirstRunChoice::Nothing, "Save nothing: all is lost on quitting"),
            ] {
                if way == keep {
                    caret = (0, rows.len());
                    rows.push(Line::styled(cut(&format!("> {name}"), width), theme.marked()));
                } else {
                    rows.push(Line::raw(cut(&format!("  {name}"), width)));
                }
            }
            push_error(model, &mut rows, theme, width);
            hint(&mut rows, "Up/Down choose  Enter continue  Ctrl+Q quit", theme, width);
        }
        UnlockPage::Create | UnlockPage::CreateAgain | UnlockPage::Unlock => {
            let name = match model.page {
                UnlockPage::CreateAgain => "Repeat the passphrase",
                UnlockPage::Create => {
                    "Choose a passphrase. If you forget it, nobody can recover your data"
                }
                UnlockPage::Choose(_) | UnlockPage::Unlock | UnlockPage::Opening(_) => "Passphrase",
            };
            push(&mut rows, name, width);
            // The caret stays in view.
            let stars = model.secret.characters().min(width.saturating_sub(4));
            caret = (3 + stars, rows.len());
            rows.push(Line::raw(format!(" > {}", "*".repeat(stars))));
            if let Some(advice) = model.advice() {
                push(&mut rows, advice, width);
            }
            push_error(model, &mut rows, theme, width);
            if model.page == UnlockPage::Unlock {
                if model.wait() > 0 {
                    push(&mut rows, &format!("Try again in {} s.", model.wait()), width);
                }
                push(&mut rows, "Your identities are not shown before you unlock.", width);
            }
            hint(&mut rows, "Enter continue  Esc back  Ctrl+Q quit", theme, width);
        }
        UnlockPage::Opening(_) => {
            push(&mut rows, "Opening. It takes a second, to slow down guessing.", width);
        }
    }
    super::rows(frame, area, rows);
    super::cursor(frame, area, caret);
}

fn push(rows: &mut Vec<Line<'static>>, text: &str, width: usize) {
    let wrapped = wrap(text, width.saturating_sub(2).min(76));
    rows.extend(wrapped.into_iter().map(|row| Line::raw(format!(" {row}"))));
}

fn push_error(model: &UnlockModel, rows: &mut Vec<Line<'static>>, theme: Theme, width: usize) {
    let Some(error) = &model.error else { return };
    let wrapped = wrap(error, width.saturating_sub(2));
    rows.extend(wrapped.into_iter().map(|row| Line::styled(format!(" {row}"), theme.call())));
}

fn hint(rows: &mut Vec<Line<'static>>, text: &str, theme: Theme, width: usize) {
    rows.push(Line::raw(""));
    let wrapped = wrap(text, width.saturating_sub(2));
    rows.extend(wrapped.into_iter().map(|row| Line::styled(format!(" {row}"), theme.quiet())));
}
