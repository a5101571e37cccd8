//! Trust in a contact as JSON, and the outcome of a verification. The engine compares; nothing here
//! does.

use std::io::{BufRead as _, IsTerminal as _};

use serde_json::{Value, json};

use crate::engine::command::{Proof, Reply};
use crate::engine::crypto::safety_number::SafetyNumber;
use crate::engine::crypto::sas::{Half, SasWord, WORDS_PER_HALF};
use crate::engine::event::{ContactView, SasHalf};
use crate::engine::record::{HoldReason, Trust};
use crate::shell::cli::args::GlobalArgs;
use crate::shell::cli::output;
use crate::shell::failure::{Failure, FailureCode, FailureText, shell_word};
use crate::shell::text::trust::means;

/// Trust as JSON.
pub(super) fn to_json(trust: Trust) -> Value {
    match trust {
        Trust::Unverified => json!({ "state": "unverified" }),
        Trust::Verified { at, by } => {
            json!({ "state": "verified", "at": at.0, "by": means(by) })
        }
        Trust::OnHold { since, reason, attempts } => {
            let (why, verified) = match reason {
                HoldReason::KeyChanged { verified } => ("key_changed", verified),
                HoldReason::Mismatch => ("mismatch", None),
            };
            json!({
                "state": "held",
                "since": since.0,
                "why": why,
                "verified_before": verified.map(|at| at.0),
                "tries": attempts,
            })
        }
    }
}

/// Our own half of the words as JSON.
pub(super) fn own_words_json(own: &SasHalf) -> Value {
    json!({ "first": own.half.first_number(), "read": own.words.map(|word| word.to_string()) })
}

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

/// The words or digits that a contact read out, as they were typed.
pub(super) fn proof(words: &[String], digits: Option<&str>) -> Result<Proof, Failure> {
    if let Some(digits) = digits {
        let parsed = SafetyNumber::parse(digits).map(Proof::SafetyNumber);
        return parsed.ok_or_else(|| no_proof("a safety number has 60 digits and nothing else"));
    }
    let mut parsed = words.iter().map(|word| {
        // The word may have been pasted from anywhere.
        let quoted =
            crate::engine::text::UntrustedText::new(word.clone()).sanitize_for_label().text;
        SasWord::parse(word)
            .ok_or_else(|| no_proof(&format!("{quoted:?} is not on the list of words")))
    });
    let mut next =
        || parsed.next().unwrap_or_else(|| Err(no_proof("exactly three words are needed")));
    Ok(Proof::Sas([next()?, next()?, next()?]))
}

fn no_proof(why: &str) -> Failure {
    let next = "ask them to read it again";
    Failure::new(
        FailureCode::NotAProof,
        FailureText { what: "nothing was compared", why, safe: "nothing was changed", next },
    )
}

/// Turns a mismatch into an error.
///
/// # Errors
/// When the words or digits do not match; sending is paused then.
pub(super) fn outcome(name: &str, reply: Option<&Reply>) -> Result<(), Failure> {
    let Some(Reply::Differs { word, attempts_left: left }) = reply else { return Ok(()) };
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
    Err(Failure::new(
        FailureCode::Mismatch,
        FailureText { what: "the contact was not verified", why: &why, safe: &safe, next: &next },
    ))
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
    let mut input = std::io::stdin().lock();
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
    let mut typed = String::new();
    input.read_line(&mut typed)?;
    // A whole word, because Enter and `y` are typed without reading.
    if typed.trim() == "accept" {
        return Ok(());
    }
    refused(FailureCode::NotConfirmed, "the word typed was not \"accept\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(words: &[String], digits: Option<&str>) -> String {
        proof(words, digits).unwrap_err().why
    }

    #[test]
    fn words_and_digits_are_read_or_refused_with_a_reason() {
        let typed = |words: [&str; 3]| words.map(str::to_owned).to_vec();
        let Ok(Proof::Sas([first, ..])) = proof(&typed(["WALN", "violin", "harbor"]), None) else {
            panic!("three words of the list");
        };
        assert_eq!(first.to_string(), "walnut");
        assert_eq!(
            why(&typed(["walnut", "x\u{1b}", "harbor"]), None),
            "\"x␛\" is not on the list of words"
        );
        assert_eq!(
            why(&typed(["walnut", "violin", "harbor"])[..2], None),
            "exactly three words are needed"
        );
        assert_eq!(why(&[], Some("123")), "a safety number has 60 digits and nothing else");
        assert!(matches!(proof(&[], Some(&"12345 ".repeat(12))), Ok(Proof::SafetyNumber(_))));
    }

    #[test]
    fn a_comparison_that_failed_says_what_holds_and_how_often_one_may_try() {
        assert!(outcome("mira", Some(&Reply::Verified)).is_ok());
        let differs = |word, left| {
            outcome("mira", Some(&Reply::Differs { word, attempts_left: left })).unwrap_err()
        };
        assert_eq!(differs(Some(5), 2).code(), Some(FailureCode::Mismatch));
        assert!(differs(Some(5), 2).why.starts_with("word 5 does not match"));
        assert!(differs(None, 1).safe.contains("1 try is left"));
        let hostile = Reply::Differs { word: None, attempts_left: 1 };
        let next = outcome("mira; rm x", Some(&hostile)).unwrap_err().next;
        assert!(next.starts_with("undertone contact verify 'mira; rm x' --words"), "{next}");
        assert!(differs(None, 0).safe.contains("the session was erased"));
    }
}
