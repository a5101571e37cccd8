//! Texts that would do things to a terminal, all the way from one person to the other.

use std::time::Instant;

use crate::support::{Home, Network, Running, deadline, finish, parse};

/// Moves the cursor, sets a title, colours, reverses, hides, joins, and stacks.
pub(crate) const HOSTILE: &str = "\u{1b}]0;gotcha\u{7}title \u{1b}[31mred\rEVIL \u{202e}backwards\u{202c} \
    \u{2066}isolated\u{2069} z\u{200b}ero \u{9b}31m \u{feff} \u{7f} \u{e0041} \"quoted\\\"\n\
    2026-01-01 00:00:00 ann: a line that is not hers";

/// Whether a character may do something to a terminal or to the order of what is shown.
pub(crate) fn acts(character: char) -> bool {
    let marks = ['\u{61c}', '\u{200b}', '\u{200e}', '\u{200f}', '\u{feff}', '\u{2028}', '\u{2029}'];
    character.is_control()
        || marks.contains(&character)
        || ('\u{202a}'..='\u{202e}').contains(&character)
        || ('\u{2060}'..='\u{206f}').contains(&character)
        || ('\u{e0000}'..='\u{e007f}').contains(&character)
}

fn next_bytes(node: &Running, until: Instant) -> Vec<u8> {
    node.next_line(until).expect("another line")
}

#[test]
fn hostile_text_arrives_unchanged_for_programs_and_harmless_for_people() {
    let network = Network::new();
    let relays = Home::new();
    let (_relay, address) = relays.relay(&network, "/ip4/127.0.0.1/tcp/0", &[]);
    let (ann, ben) = (Home::new(), Home::new());
    let (from_ann, from_ben) = (ann.identity("ann"), ben.identity("ben"));
    ann.ask(&["contact", "add", &from_ben.invite, "--name", "ben"]);
    ben.ask(&["contact", "add", &from_ann.invite, "--name", "ann"]);
    let at_ann = ann.listen(&network, &address, &["--json"]);
    let at_ben = ben.listen(&network, &address, &["--json"]);
    at_ann.wait_for_session();
    at_ben.wait_for_session();

    // From standard input, where no list of processes shows it.
    let said = || {
        let output = finish(ann.command(&["send", "ben", "--json", "--wait", "queued"]), HOSTILE);
        assert_eq!(parse(&output.stdout)["ok"], true);
    };
    said();
    assert_eq!(at_ben.messages(1), [(0, HOSTILE.to_owned())]);
    assert_eq!(at_ben.end("TERM"), Some(143));

    let at_ben = ben.listen(&network, &address, &["--count", "1"]);
    ben.wait_until_ready();
    said();
    let until = deadline();
    let line = String::from_utf8(next_bytes(&at_ben, until)).expect("UTF-8");
    let line = line.strip_suffix('\n').expect("a whole line");
    assert!(line.contains("gotcha") && line.contains("a line that is not hers"), "{line:?}");
    let acting: Vec<char> = line.chars().filter(|character| acts(*character)).collect();
    assert!(acting.is_empty(), "{acting:?} in {line:?}");
    assert_eq!(at_ben.next_line(until), None, "one message is one line");
    assert_eq!(at_ben.ended(), Some(0));
}

#[test]
fn hostile_arguments_of_a_command_do_not_reach_the_terminal_in_its_errors() {
    let home = Home::new();
    home.identity("ann");
    // A word of the command line cannot hold a zero byte, and here it need not.
    for args in [
        &["send", HOSTILE, "hello"][..],
        &["contact", "show", HOSTILE],
        &["contact", "add", HOSTILE, "--name", "x"],
        &["identity", "new", HOSTILE],
        &["request", "accept", HOSTILE, "--name", "x"],
        &["send", "x", "--timeout", HOSTILE],
        &["history", HOSTILE],
        &["message", "show", HOSTILE],
        &["relay", "run", "--peer", HOSTILE],
        &[HOSTILE],
    ] {
        let output = home.run(args);
        assert_ne!(output.status.code(), Some(0));
        for bytes in [output.stdout, output.stderr] {
            let text = String::from_utf8(bytes).expect("UTF-8");
            let acting: Vec<char> =
                text.chars().filter(|character| acts(*character) && *character != '\n').collect();
            assert!(acting.is_empty(), "{acting:?} in {text:?}");
        }
    }
}
