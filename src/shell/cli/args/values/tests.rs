//! Values as they are written: which are taken, and the sentences with which others are refused.

use super::*;
use crate::engine::testing::mutate::{Reading, each_text};
use crate::shell::cli::args::tests::network_of;
use crate::shell::cli::args::{Cli, CliCommand};

#[test]
fn a_line_that_carries_nothing_and_room_for_nothing_are_refused_with_a_sentence() {
    for (line, sentence) in [
        ("undertone --line 0", "the least is 1 envelope per second"),
        ("undertone listen --line 0", "the least is 1 envelope per second"),
        ("undertone --line 4294967296", "envelopes per second, from 1 to 4294967295"),
        ("undertone --line fast", "from 1 to 4294967295"),
        ("undertone --line -1", "from 1 to 4294967295"),
        ("undertone relay run --line -16", "from 1 to 4294967295"),
        ("undertone relay run --pool 8", "that is 8 B; the least size is 672 KiB, room for 256"),
        ("undertone relay run --pool 8", "right after a whole number, such as 64MiB or 1536MiB"),
        ("undertone relay run --pool 688127", "the least size is 672 KiB"),
        ("undertone relay run --archive 0", "the least size is 672 KiB"),
        ("undertone relay run --pool apples", "Units are KiB, MiB and GiB"),
        ("undertone relay run --pool 8MB", "Units are KiB, MiB and GiB"),
        ("undertone relay run --archive -1", "Units are KiB, MiB and GiB"),
        // Sizes that every machine has, in letters that are not taken.
        ("undertone relay run --pool 64MB", "expected a whole number of bytes. Units are KiB"),
        ("undertone relay run --pool 64mib", "expected a whole number of bytes. Units are KiB"),
        ("undertone relay run --pool 1.5GiB", "expected a whole number of bytes. Units are KiB"),
        ("undertone relay run --archive 10TiB", "expected a whole number of bytes. Units are"),
        ("undertone relay run --pool GiB", "expected a whole number of bytes. Units are KiB"),
        // And one that none has.
        ("undertone relay run --pool 99999999999GiB", "a size that a machine can have"),
        ("undertone relay run --pool 99999999999999999999", "a size that a machine can have"),
        ("undertone relay run --archive 4096GiB", "an archive can have 4 TiB at most"),
        ("undertone --floor -1", "-1 is not in 0..=48"),
        ("undertone --mining-threads -1", "expected a whole number of threads"),
        ("undertone listen --mining-threads many", "expected a whole number of threads"),
        ("undertone history bob --last -1", "-1 is not in 1..=500"),
        ("undertone listen --count -1", "expected a whole number"),
        ("undertone listen --count 0", "expected a whole number from 1 on"),
        ("undertone listen --timeout soon", "a time such as 90s, 5m or 2h"),
        ("undertone listen --junk 11/s", "a rate such as 2/min or 1/h, of 10/s at most"),
    ] {
        let message = network_of(line).unwrap_err();
        assert!(message.contains(sentence), "{message}");
    }
    for line in [
        "undertone --line 4294967295",
        "undertone relay run --pool 672KiB",
        "undertone relay run --archive 688128B",
        "undertone relay run --archive 4095GiB",
    ] {
        assert!(network_of(line).is_ok(), "{line}");
    }
}

#[test]
fn a_lifetime_or_a_limit_of_work_that_is_none_is_refused_with_those_there_are() {
    for life in ["10m", "8d", "", "Day"] {
        let line = ["undertone", "send", "bob", "hi", "--life", life];
        let message = Cli::of_words(line).unwrap_err().to_string();
        assert!(message.contains("6h, day, week"), "{message}");
        assert_eq!(message.contains("gone since version 2"), life == "10m", "{message}");
    }
    for times in ["0", "3", "512", "-1", "8x", ""] {
        let most = format!("--max-work={times}");
        let message = Cli::of_words(["undertone", "send", "bob", "hi", &most]).unwrap_err();
        let message = message.to_string();
        assert!(message.contains("there are 1, 2, 4, 8, 16, 32, 64, 128, 256"), "{message}");
        assert!(!message.contains("similar"), "{message}");
    }
    let apart = ["undertone", "send", "bob", "hi", "--max-work", "-1"];
    assert!(Cli::of_words(apart).unwrap_err().to_string().contains("there are 1, 2, 4, 8"));
    let help = Cli::of_words(["undertone", "send", "--help"]).unwrap_err().to_string();
    assert!(help.contains("[possible values: 6h, day, week]"), "{help}");
    let send = Cli::of_words(["undertone", "send", "bob", "--max-work", "256"]).unwrap().action;
    let Some(CliCommand::Send { max_work, .. }) = send else { panic!("it sends") };
    assert_eq!(max_work, Some(Step::MAX));
}

#[test]
fn a_name_that_is_none_is_not_in_what_is_printed_of_its_error() {
    let error = (lifetime_parser().read)("1h").unwrap_err();
    assert_eq!(format!("{error:?}"), "ParseNameError");
}

#[test]
fn an_address_as_other_programs_take_it_is_refused_with_how_it_is_written_here() {
    for (written, meant) in [
        ("192.0.2.7:4142", "/ip4/192.0.2.7/tcp/4142"),
        ("192.0.2.7", "/ip4/192.0.2.7/tcp/4141"),
        ("[2001:db8::1]:4142", "/ip6/2001:db8::1/tcp/4142"),
        ("2001:db8::1", "/ip6/2001:db8::1/tcp/4141"),
        ("relay.example.org:4142", "/dns/relay.example.org/tcp/4142"),
        ("relay.example.org", "/dns/relay.example.org/tcp/4141"),
        ("tcp://relay.example.org:4142/", "/dns/relay.example.org/tcp/4142"),
        ("/ip4/relay.example.org/tcp/4142", "/dns/relay.example.org/tcp/4142"),
    ] {
        let message = network_of(&format!("undertone --peer {written}")).unwrap_err();
        assert!(message.contains(&format!("perhaps {meant}")), "{message}");
        assert!(message.contains("such as /ip4/192.0.2.7/tcp/4141"), "{message}");
    }
    for nothing in ["relay:port", "a/b", "192.0.2.7:99999", "", "http://", "[::1", "\u{202e}x"] {
        let message = parse_address(nothing).unwrap_err().to_string();
        assert!(!message.contains("perhaps"), "{message}");
    }
    // What was typed is not told again.
    assert_eq!(format!("{:?}", parse_address("192.0.2.7").unwrap_err()), "AddressError");
}

#[test]
fn numbers_need_their_units() {
    assert_eq!("90s".parse(), Ok(DurationArg(Duration::from_secs(90))));
    assert_eq!("2h".parse(), Ok(DurationArg(Duration::from_secs(7_200))));
    assert_eq!("64MiB".parse(), Ok(SizeArg(64 << 20)));
    assert_eq!("2/min".parse(), Ok(RateArg(Millis(30_000))));
    assert_eq!("0/s".parse::<RateArg>(), Err(ParseNumberError::Rate));
    assert_eq!("11/s".parse::<RateArg>(), Err(ParseNumberError::Rate));
    assert_eq!("99999999999999999999h".parse::<DurationArg>(), Err(ParseNumberError::Time));
    assert_eq!("8784h".parse(), Ok(DurationArg(MAX_DURATION)));
    for too_long in ["8785h", "18446744073709551615", "18446744073709551615s"] {
        assert_eq!(too_long.parse::<DurationArg>(), Err(ParseNumberError::Time), "{too_long}");
    }
    assert_eq!("5 apples".parse::<SizeArg>(), Err(ParseNumberError::Size));
}

#[test]
fn changed_at_random_an_argument_is_a_value_or_refused() {
    each_text(&["90s", "5min", "2h", "7"], |text| {
        let span = text.parse::<DurationArg>();
        assert!(span.is_err() || span.is_ok_and(|DurationArg(span)| span <= MAX_DURATION));
        Reading::of(span)
    });
    each_text(&["64MiB", "7B", "1GiB", "0"], |text| Reading::of(text.parse::<SizeArg>()));
    each_text(&["64MiB", "688128"], |text| Reading::of(text.parse::<RoomArg>()));
    each_text(&["16", "4294967295"], |text| Reading::of(text.parse::<LineArg>()));
    each_text(&["2/min", "10 / s", "1/h"], |text| Reading::of(text.parse::<RateArg>()));
    each_text(&["7", "18446744073709551615"], |text| Reading::of(parse_count(text)));
    each_text(&["2", "18446744073709551615"], |text| Reading::of(parse_threads(text)));
    each_text(&LIFETIME_NAMES, |text| Reading::of((lifetime_parser().read)(text)));
    each_text(&LIMIT_NAMES, |text| Reading::of((limit_parser().read)(text)));
    each_text(&WORK_NAMES, |text| Reading::of((work_parser().read)(text)));
}
