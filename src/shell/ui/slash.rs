//! Lines that start with a slash. One that stands alone is never sent: what is not understood is an
//! error. In a longer text such a line is no command, and is asked about before it is sent.

use crate::engine::secret::opaque_debug;

/// A written line: a text or a command.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum InputLine {
    /// To be said, as it stands here.
    Text(String),
    /// To be done.
    Slash(SlashCommand, Option<String>),
    /// To be said only after a question: a line in it looks like a command.
    LikeCommand,
}

opaque_debug!(
    enum InputLine {
        Text,
        Slash,
        LikeCommand,
    }
);

/// The reason why a line that starts with a slash was not understood. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SlashError {
    /// Look the name up; `//` sends a line that starts with a slash.
    #[error("unknown command; nothing was sent. /help lists commands, // sends a slash")]
    Unknown,
    /// Write more letters of it.
    #[error("several commands match: {0}; nothing was sent")]
    Ambiguous(String),
}

/// Everything a slash can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlashCommand {
    Accept,
    Add,
    Block,
    Cancel,
    Close,
    Contacts,
    Decline,
    Go,
    Help,
    Id,
    Invite,
    Life,
    Net,
    New,
    Next,
    Quit,
    ReadMarks,
    Rekey,
    Remove,
    Rename,
    Requests,
    Retry,
    Search,
    Unblock,
    Verify,
    Why,
    Work,
}

/// One command as help shows it.
#[derive(Debug)]
pub(super) struct SlashEntry {
    pub(super) name: &'static str,
    pub(super) takes: &'static str,
    pub(super) does: &'static str,
    slash: SlashCommand,
}

const fn entry(
    name: &'static str,
    takes: &'static str,
    does: &'static str,
    slash: SlashCommand,
) -> SlashEntry {
    SlashEntry { name, takes, does, slash }
}

/// Every command, in the order of the alphabet.
pub(super) const COMMANDS: [SlashEntry; 27] = [
    entry("accept", "[name]", "accept the first contact request", SlashCommand::Accept),
    entry("add", "[invite]", "add a contact", SlashCommand::Add),
    entry("block", "", "block this contact; asks for the name", SlashCommand::Block),
    entry("cancel", "", "cancel the last unsent message", SlashCommand::Cancel),
    entry(
        "close",
        "",
        "end this session and erase its keys; asks for the name",
        SlashCommand::Close,
    ),
    entry("contacts", "", "list contacts", SlashCommand::Contacts),
    entry("decline", "", "decline the first contact request; asks", SlashCommand::Decline),
    entry("go", "[name]", "go to a chat or a page", SlashCommand::Go),
    entry("help", "", "keys and commands", SlashCommand::Help),
    entry("id", "[name]", "switch to another identity", SlashCommand::Id),
    entry("invite", "", "show your own invite", SlashCommand::Invite),
    entry("life", "[6h|day|week]", "lifetime of messages you send here", SlashCommand::Life),
    entry("net", "", "show the network", SlashCommand::Net),
    entry("new", "[name]", "create another identity", SlashCommand::New),
    entry("next", "", "next chat with unread messages", SlashCommand::Next),
    entry("quit", "", "quit", SlashCommand::Quit),
    entry("readmarks", "on|off", "read marks (read receipts) on or off", SlashCommand::ReadMarks),
    entry("rekey", "[invite]", "replace this contact's key", SlashCommand::Rekey),
    entry(
        "remove",
        "",
        "remove this contact and all messages; asks for the name",
        SlashCommand::Remove,
    ),
    entry("rename", "[name]", "rename this contact", SlashCommand::Rename),
    entry("requests", "", "list contact requests", SlashCommand::Requests),
    entry("retry", "", "send the last failed message again", SlashCommand::Retry),
    entry("search", "[words]", "search all chats", SlashCommand::Search),
    entry("unblock", "", "unblock this contact", SlashCommand::Unblock),
    entry("verify", "", "verify this contact", SlashCommand::Verify),
    entry("why", "", "what happened to the last message", SlashCommand::Why),
    entry(
        "work",
        "[1|2|..|256|usual]",
        "most work for this contact, times usual",
        SlashCommand::Work,
    ),
];

/// Reads what is written. First letters of a command are enough if no other starts with them.
pub(super) fn parse(written: &str) -> Result<InputLine, SlashError> {
    // A line end behind a command adds nothing to it.
    let line = written.trim_end();
    let Some(rest) = line.strip_prefix('/').filter(|rest| !rest.contains('\n')) else {
        // Whoever typed a command behind a line end or a blank meant it for the program, and it may
        // hold what must not go out: the three words of a comparison.
        return Ok(match like_command(written) {
            Some(_) => InputLine::LikeCommand,
            None => InputLine::Text(written.to_owned()),
        });
    };
    // So every text can be sent, also one that begins with a slash.
    if rest.starts_with('/') {
        return Ok(InputLine::Text(rest.to_owned()));
    }
    let (name, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let argument = argument.trim();
    // An unknown command is an error and never a text: a slip would send its argument to the
    // contact.
    let slash = find(name)?;
    Ok(InputLine::Slash(slash, (!argument.is_empty()).then(|| argument.to_owned())))
}

/// The first line of a text that starts with a slash, without the blanks around it.
pub(super) fn like_command(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| line.starts_with('/'))
}

fn find(name: &str) -> Result<SlashCommand, SlashError> {
    let fitting = starting_with(name);
    match fitting.as_slice() {
        [] => Err(SlashError::Unknown),
        [only] => Ok(only.slash),
        // The alphabet puts a whole name before the longer ones that begin with it.
        [first, ..] if first.name == name => Ok(first.slash),
        several => {
            let names: Vec<_> = several.iter().map(|entry| format!("/{}", entry.name)).collect();
            Err(SlashError::Ambiguous(names.join(" ")))
        }
    }
}

/// The commands whose names start with `letters`.
pub(super) fn starting_with(letters: &str) -> Vec<&'static SlashEntry> {
    COMMANDS.iter().filter(|entry| entry.name.starts_with(letters)).collect()
}

/// The whole command a line of first letters stands for, ready for its argument.
pub(super) fn complete(line: &str) -> Option<String> {
    let letters = line.strip_prefix('/')?;
    match starting_with(letters).as_slice() {
        // Without a blank behind it, Enter is all that is left to press.
        [only] if only.takes.is_empty() => Some(format!("/{}", only.name)),
        [only] => Some(format!("/{} ", only.name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_text};

    #[test]
    fn text_is_text_and_two_slashes_say_one() {
        assert_eq!(parse("hello /help"), Ok(InputLine::Text("hello /help".to_owned())));
        assert_eq!(parse("//help"), Ok(InputLine::Text("/help".to_owned())));
    }

    #[test]
    fn a_line_like_a_command_is_asked_about_wherever_it_stands() {
        for text in [
            "ok\n/verify",
            "ok\r\n/verify",
            "ok\n  /verify walnut",
            " /verify",
            "\n/v",
            "/quit\nok",
            "//a\nok",
        ] {
            assert_eq!(parse(text), Ok(InputLine::LikeCommand), "{text:?}");
        }
        assert_eq!(like_command("ok\n \t/verify walnut \n/net"), Some("/verify walnut"));
    }

    #[test]
    fn a_line_end_behind_a_command_changes_nothing() {
        assert_eq!(parse("/quit\n"), Ok(InputLine::Slash(SlashCommand::Quit, None)));
        assert_eq!(parse("either/or\nboth"), Ok(InputLine::Text("either/or\nboth".to_owned())));
        assert_eq!(parse("one\ntwo\n"), Ok(InputLine::Text("one\ntwo\n".to_owned())));
    }

    #[test]
    fn first_letters_are_enough_when_they_fit_one_command() {
        assert_eq!(parse("/q"), Ok(InputLine::Slash(SlashCommand::Quit, None)));
        assert_eq!(
            parse("/ren  Ana "),
            Ok(InputLine::Slash(SlashCommand::Rename, Some("Ana".to_owned())))
        );
        assert_eq!(
            parse("/re"),
            Err(SlashError::Ambiguous(
                "/readmarks /rekey /remove /rename /requests /retry".to_owned()
            ))
        );
    }

    #[test]
    fn an_unknown_command_is_never_text() {
        assert_eq!(parse("/sned secret"), Err(SlashError::Unknown));
        assert_eq!(parse("/"), Err(find("").unwrap_err()));
        assert!(parse("/ secret").is_err());
    }

    #[test]
    fn every_command_is_reached_by_its_own_name() {
        for entry in &COMMANDS {
            assert_eq!(parse(&format!("/{}", entry.name)), Ok(InputLine::Slash(entry.slash, None)));
        }
    }

    #[test]
    fn tab_completes_what_is_unique() {
        assert_eq!(complete("/ad"), Some("/add ".to_owned()));
        assert_eq!(complete("/q"), Some("/quit".to_owned()));
        assert_eq!(complete("/re"), None);
        assert_eq!(complete("hello"), None);
    }

    proptest! {
        #[test]
        fn a_line_with_one_slash_is_never_said(line in "/[^/].*") {
            prop_assert!(!matches!(parse(&line), Ok(InputLine::Text(_))));
        }

        #[test]
        fn no_line_with_one_slash_is_said_without_a_question(
            before in "(?s).*", blanks in "[ \t]*", rest in "[^/]*", after in "(?s).*",
        ) {
            let text = format!("{before}\n{blanks}/{rest}\n{after}");
            prop_assert!(!matches!(parse(&text), Ok(InputLine::Text(_))));
        }

        #[test]
        fn parsing_never_panics(line in any::<String>()) {
            drop(parse(&line));
        }
    }

    #[test]
    fn changed_at_random_a_line_is_a_text_a_command_or_refused() {
        let names = COMMANDS.each_ref().map(|entry| format!("/{} ben", entry.name));
        let seeds: Vec<&str> =
            names.iter().map(String::as_str).chain(["hello", "//help"]).collect();
        each_text(&seeds, |line| {
            let read = parse(line);
            let is_said = matches!(read, Ok(InputLine::Text(_)));
            let is_one = !line.trim_end().contains('\n');
            let is_meant = line.starts_with("//") && is_one;
            assert_eq!(is_said, is_meant || like_command(line).is_none());
            assert!(complete(line).is_none_or(|whole| parse(&whole).is_ok()));
            Reading::of(read)
        });
    }
}
