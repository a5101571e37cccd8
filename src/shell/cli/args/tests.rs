//! Whole command lines: what is given before a command and after it, and what help says.

use super::*;
use crate::engine::env::Millis;
use crate::engine::price::Step;
use crate::engine::settings::{DEFAULT_HIGHEST_STEP, RELAY_POOL};
use crate::engine::testing::mutate::{Reading, each_slow_text};
use crate::shell::client::GivenOption;

pub(super) fn network_of(line: &str) -> Result<NetworkArgs, String> {
    let mut cli = Cli::of_words(line.split(' ')).map_err(|error| error.to_string())?;
    let flags = cli.action.as_mut().and_then(CliCommand::network_mut).cloned();
    Ok(flags.unwrap_or(cli.network).into())
}

#[test]
fn the_long_help_ends_with_the_exit_codes_and_the_codes_of_errors() {
    let help = Cli::of_words(["undertone", "--help"]).unwrap_err().to_string();
    assert!(help.ends_with(&format!("\n\n{}\n", failure::help())), "{help}");
    let short = Cli::of_words(["undertone", "-h"]).unwrap_err().to_string();
    assert!(!short.contains("Exit codes"), "{short}");
}

#[test]
fn settings_of_a_node_count_before_the_command_and_after_it_where_they_win() {
    let [near, far] = ["/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.2/tcp/1"];
    for command in ["listen", "send bob hi", "relay run", "node run"] {
        let line = format!(
            "undertone --network one --floor 28 --line 9 --junk 60/min --lan --peer {near} \
             --mining-threads 1 {command} --floor 5 --line 7 --peer {far} --mining-threads 2"
        );
        let node = network_of(&line).unwrap();
        assert_eq!(node.network.to_string(), "one", "{command}");
        assert_eq!((node.floor, node.line.get(), node.lan), (5, 7, true), "{command}");
        assert_eq!(node.mining_threads, Some(2), "{command}");
        assert!(node.given.contains(&GivenOption::MiningThreads), "{command}");
        assert_eq!(node.junk, Some(RateArg(Millis(1_000))), "{command}");
        assert_eq!(node.peers, [near.parse().unwrap(), far.parse().unwrap()], "{command}");
    }
    assert_eq!(network_of("undertone --floor 28").unwrap().floor, 28);
}

#[test]
fn settings_of_a_node_are_refused_by_a_command_that_runs_none() {
    let flags = [
        "--network x",
        "--floor 3",
        "--line 3",
        "--junk 1/h",
        "--mining-threads 1",
        "--lan",
        "--peer /ip4/1.2.3.4/tcp/1",
    ];
    for flag in flags.into_iter().chain(["--listen /ip4/1.2.3.4/tcp/1"]) {
        for command in
            ["contact list", "status", "node stop", "demo", "export - --all", "identity list"]
        {
            let message = network_of(&format!("undertone {flag} {command}")).unwrap_err();
            let (name, _) = flag.split_once(' ').unwrap_or((flag, ""));
            let (first, _) = command.split_once(' ').unwrap_or((command, ""));
            let expected = format!("'{name}' cannot be used with 'undertone {first}'");
            assert!(message.contains(&expected), "{message}");
        }
    }
}

#[test]
fn an_option_that_would_change_nothing_in_what_a_command_does_is_refused_with_the_reason() {
    let key = "'--identity' cannot be used with";
    for (line, sentence) in [
        ("undertone relay run --max-work 4", "without '--junk': a relay does work for nothing"),
        ("undertone --max-work 4 relay run", "without '--junk': a relay does work for nothing"),
        ("undertone relay run --mining-threads 1", "'--mining-threads' cannot be used with"),
        ("undertone --verbose status", "'--verbose' is about the log, so it needs '--log"),
        ("undertone status -v", "'--verbose' is about the log, so it needs '--log"),
        ("undertone status --memory", "it is about what is stored in the home folder"),
        ("undertone --memory contact list", "it is about what is stored in the home folder"),
        ("undertone send bob hi --memory", "it is about what is stored in the home folder"),
        ("undertone identity new bob --memory", "it is about what is stored"),
        ("undertone -i bob", "F6 is where you choose whom to speak as"),
        ("undertone listen -i bob", key),
        ("undertone -i bob relay run", key),
        ("undertone node stop -i bob", key),
        ("undertone -i bob message show 1a2b", "named by its id"),
        ("undertone --memory completions bash", "it prints a script"),
        ("undertone backup create f --identity bob", "about all identities of the home folder"),
        ("undertone identity use ann -i bob", "named without an option"),
        ("undertone identity show ann -i bob", "named without an option"),
    ] {
        let message = network_of(line).unwrap_err();
        assert!(message.contains(sentence), "{line}: {message}");
    }
    for line in [
        "undertone relay run --max-work 4 --junk 1/h",
        "undertone --junk 1/h relay run --max-work 4",
        "undertone relay run --mining-threads 1 --junk 1/h",
        "undertone --verbose status --log f",
        "undertone identity show -i bob",
        "undertone contact list -i bob",
        "undertone node run --memory",
        "undertone relay run --memory",
        "undertone demo --memory",
        "undertone --memory",
    ] {
        assert!(network_of(line).is_ok(), "{line}");
    }
}

#[test]
fn what_is_missing_is_named_with_all_that_would_do() {
    for (line, ways) in [
        ("undertone export chat", ["--contact", "--all"]),
        ("undertone contact verify bob", ["--words", "--digits"]),
    ] {
        let message = network_of(line).unwrap_err();
        assert!(ways.iter().all(|way| message.contains(way)), "{message}");
    }
    for line in [
        "undertone export chat --all --contact bob",
        "undertone contact verify bob --words a b c --digits 1",
    ] {
        assert!(network_of(line).unwrap_err().contains("cannot be used with"), "{line}");
    }
    for line in ["undertone export - --all", "undertone contact verify bob --digits 1"] {
        assert!(network_of(line).is_ok(), "{line}");
    }
}

#[test]
fn help_names_the_defaults_that_apply() {
    let node = network_of("undertone listen").unwrap();
    let help = Cli::command().render_help().to_string();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for default in [node.network.to_string(), node.floor.to_string(), node.line.to_string()] {
        assert!(help.contains(&format!("[default: {default}]")), "{help}");
    }
    assert!(help.contains("at most this many envelopes of 2 KiB per second"), "{help}");
    assert!(help.contains("before \"send\" also the limit of its message"), "{help}");
    assert!(help.contains("runs on its battery [default: all but one]"), "{help}");
    let send = Cli::of_words(["undertone", "send", "--help"]).unwrap_err().to_string();
    let send = send.split_whitespace().collect::<Vec<_>>().join(" ");
    let most = DEFAULT_HIGHEST_STEP.times();
    assert!(
        send.contains(&format!(
            "[default: that of the contact (contact max-work), else that of the node, {most}]"
        )),
        "{send}"
    );
    assert!(send.contains("for the message, in times of the usual; until"), "{send}");
    let relay = Cli::of_words(["undertone", "relay", "run", "--help"]).unwrap_err().to_string();
    assert!(relay.contains("293,000 envelopes") && RELAY_POOL.places == 293_000, "{relay}");
}

#[test]
fn a_limit_of_work_after_send_is_that_of_the_message_and_before_it_that_of_its_node_too() {
    let limits = |line: &str| {
        let sends = Cli::of_words(line.split(' ')).unwrap().action;
        let Some(CliCommand::Send { max_work, network, .. }) = sends else { panic!("{line}") };
        (max_work, NetworkArgs::from(network).max_work)
    };
    let [usual, four, all] = [DEFAULT_HIGHEST_STEP, Step::new(2), Step::MAX];
    assert_eq!(limits("undertone send bob hi"), (None, usual));
    assert_eq!(limits("undertone send bob hi --max-work 256"), (Some(all), usual));
    assert_eq!(limits("undertone --max-work 4 send bob hi"), (Some(four), four));
    assert_eq!(limits("undertone --max-work 4 send bob hi --max-work 256"), (Some(all), four));
    let node = Cli::of_words(["undertone", "node", "run", "--max-work", "256"]).unwrap().action;
    let Some(CliCommand::Node { action: NodeAction::Run { network } }) = node else {
        panic!("it runs a node")
    };
    assert_eq!(NetworkArgs::from(network).max_work, all);
    let refused = Cli::of_words(["undertone", "--max-work", "4", "status"]).unwrap_err();
    assert!(refused.to_string().contains("'--max-work' cannot be used"), "{refused}");
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn changed_at_random_a_command_line_is_read_or_refused_with_a_sentence() {
    let seeds = [
        "undertone --network one send bob hi --life day --max-work 8",
        "undertone relay run --pool 64MiB --line 16 --floor 8 --listen /ip4/1.2.3.4/tcp/1",
        "undertone listen --timeout 5m --count 3 --junk 2/min --peer /memory/7",
        "undertone contact verify bob --words a b c",
    ];
    each_slow_text(&seeds, |line| {
        let read = Cli::of_words(line.split(' '));
        assert!(read.as_ref().map_or_else(|error| !error.to_string().is_empty(), |_| true));
        Reading::of(read)
    });
}
