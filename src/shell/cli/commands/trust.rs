//! What is compared with a contact, and what follows when it differs. The engine compares; nothing
//! here does.

use std::io::IsTerminal as _;

use crate::engine::crypto::sas::{Half, WORDS_PER_HALF};
use crate::engine::event::ContactView;
use crate::shell::cli::args::GlobalArgs;
use crate::shell::cli::{input, output};
use crate::shell::failure::{Failure, FailureCode, FailureText, shell_word};

/// The words and digits to compare with a contact, in lines for a person.
pub(super) fn to_compare(view: &ContactView) -> String {
    let read = match &view.sas {
        None => "none yet: they are available once a session is ready".to_owned(),
        Some(own) => {
            let words = own.words.map(|word| word.to_string()).join(" ");
            let (ours, theirs) = (numbers(own.half), numbers(own.half.other()));
            format!("you read {ours}: {words}; they read you {theirs}")
        }
    };
    format!("  safety number  {}\n  words          {read}", view.safety_number)
}

fn numbers(half: Half) -> String {
    let first = half.first_number();
    format!("{first} to {}", first + WORDS_PER_HALF - 1)
}

/// The failure of a comparison: the words or digits differ, and sending is paused. `word` is the
/// first that differs, as people count the six; `left` is the number of tries that are left.
pub(super) fn mismatch(name: &str, word: Option<usize>, left: u8) -> Failure {
    let why = word.map_or_else(
        || "the safety number does not match: someone may be intercepting your messages".to_owned(),
        |word| format!("word {word} does not match: you misheard it, or someone is intercepting your messages"),
    );
    let safe = match left {
        0 => format!("sending to {name} is paused, and the session was erased"),
        1 => format!("sending to {name} is paused; 1 try is left before the session is erased"),
        left => {
            format!(
                "sending to {name} is paused; {left} tries are left before the session is erased"
            )
        }
    };
    let name = shell_word(name);
    let next =
        format!("undertone contact verify {name} --words WORD WORD WORD, or --digits DIGITS");
    let what = "the contact was not verified";
    Failure::new(FailureCode::Mismatch, FailureText { what, why: &why, safe: &safe, next: &next })
}

/// Asks a person to type the word that resumes sending without verification.
///
/// # Errors
/// When prompting is not possible, and when another word was typed.
pub(super) fn ask_to_accept(global: &GlobalArgs, name: &str) -> Result<(), Failure> {
    let refused = |code, why: &str| {
        let text = FailureText {
            what: "nothing was accepted",
            why,
            safe: "sending stays paused",
            next: "add --yes-accept",
        };
        Err(Failure::new(code, text))
    };
    let input = std::io::stdin().lock();
    // A pipe confirms nothing: the author of a script has to write the flag, and so to decide.
    if global.no_input || !input.is_terminal() {
        return refused(
            FailureCode::NoInput,
            "it needs a confirmation, and prompting is not possible here",
        );
    }
    output::print_message(&format!(
        "Sending to {name} resumes, although you have not verified whose key it is.\n\
         Type accept to confirm:"
    ));
    let typed = input::line(input, LONGEST_WORD)?;
    // A whole word, because Enter and `y` are typed without reading.
    if typed.trim_ascii() == b"accept" {
        return Ok(());
    }
    refused(FailureCode::NotConfirmed, "the word typed was not \"accept\"")
}

/// More than anybody types for a word.
const LONGEST_WORD: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_that_failed_says_what_holds_and_how_often_one_may_try() {
        let differs = |word, left| mismatch("mira", word, left);
        assert_eq!(differs(Some(5), 2).code(), Some(FailureCode::Mismatch));
        assert!(differs(Some(5), 2).why.starts_with("word 5 does not match"));
        assert!(differs(None, 1).safe.contains("1 try is left"));
        let next = mismatch("mira; rm x", None, 1).next;
        assert!(next.starts_with("undertone contact verify 'mira; rm x' --words"), "{next}");
        assert!(differs(None, 0).safe.contains("the session was erased"));
    }
}
