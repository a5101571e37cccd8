//! Values that are read from text: addresses, names, times, sizes, rates and numbers.

#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command};

use crate::engine::env::Millis;
use crate::engine::envelope::Lifetime;
use crate::engine::price::Step;
use crate::engine::relay::pool::PoolBounds;
use crate::engine::secret::opaque_debug;
use crate::shell::api::words::{
    LIFETIME_NAMES, LIMIT_NAMES, WORK_NAMES, WorkLimit, lifetime_named, limit_named, work_named,
};
use crate::shell::archive;
use crate::shell::net::Multiaddr;
use crate::shell::text;

/// Reads an address of a node. The error says how what was meant is written.
pub(super) fn parse_address(text: &str) -> Result<Multiaddr, AddressError> {
    match text.parse::<Multiaddr>() {
        Ok(address) if !address.is_empty() => Ok(address),
        // Of no parts it is an address too, such as that of a variable that says nothing.
        Ok(_) | Err(_) => Err(AddressError { meant: meant_address(text) }),
    }
}

/// A text is no address of a node.
#[derive(thiserror::Error)]
#[error(
    "expected an address such as /ip4/192.0.2.7/tcp/4141 or /dns/relay.example.org/tcp/4141{}",
    perhaps(.meant.as_deref())
)]
pub(super) struct AddressError {
    /// The same as an address, if that can be told.
    meant: Option<String>,
}

opaque_debug!(struct AddressError { meant });

fn perhaps(address: Option<&str>) -> String {
    address.map(|address| format!("; perhaps {address}")).unwrap_or_default()
}

/// The address that somebody meant who wrote one as other programs take it: a host, with or without a port.
fn meant_address(text: &str) -> Option<String> {
    let text = text.trim();
    let after_scheme = text.split_once("://").map_or(text, |(_, rest)| rest).trim_end_matches('/');
    let (host, port) = if let Some(rest) = after_scheme.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        (host, port.strip_prefix(':').unwrap_or(USUAL_PORT))
    } else if after_scheme.parse::<IpAddr>().is_ok() {
        (after_scheme, USUAL_PORT)
    } else if let Some(written) =
        after_scheme.strip_prefix("/ip4/").or(after_scheme.strip_prefix("/ip6/"))
    {
        let (host, rest) = written.split_once('/')?;
        // A name where numbers are expected: the rest may be right.
        let address = format!("/dns/{host}/{rest}");
        return address.parse::<Multiaddr>().is_ok().then_some(address);
    } else {
        after_scheme.split_once(':').unwrap_or((after_scheme, USUAL_PORT))
    };
    let kind = match host.parse() {
        Ok(IpAddr::V4(_)) => "ip4",
        Ok(IpAddr::V6(_)) => "ip6",
        Err(_) => "dns",
    };
    let is_name =
        host.chars().all(|letter| letter.is_ascii_alphanumeric() || "-.".contains(letter));
    let address = format!("/{kind}/{host}/tcp/{port}");
    let is_one =
        !host.is_empty() && (kind != "dns" || is_name) && address.parse::<Multiaddr>().is_ok();
    is_one.then_some(address)
}

/// The port on which a relay listens if nothing else was said.
const USUAL_PORT: &str = "4141";

/// A value with one of a few names. Unlike clap's own, it says in a sentence what there is, and
/// suggests none that looks alike: 32 is not meant by 3.
#[derive(Clone, Copy)]
pub(super) struct NamesParser<T: 'static> {
    names: &'static [&'static str],
    read: fn(&str) -> Result<T, ParseNameError>,
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for NamesParser<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        self.read.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.names.iter().copied().map(PossibleValue::new)))
    }
}

/// The text is none of the names that there are; the sentence says which.
#[derive(thiserror::Error)]
#[error("{0}")]
struct ParseNameError(String);

opaque_debug!(struct ParseNameError(_));

pub(super) fn lifetime_parser() -> NamesParser<Lifetime> {
    NamesParser {
        names: &LIFETIME_NAMES,
        read: |name| {
            lifetime_named(name).ok_or_else(|| ParseNameError(text::lifetime::unknown(name)))
        },
    }
}

pub(super) fn limit_parser() -> NamesParser<WorkLimit> {
    NamesParser {
        names: &LIMIT_NAMES,
        read: |name| {
            let all = LIMIT_NAMES.join(", ");
            limit_named(name).ok_or_else(|| ParseNameError(format!("there are {all}")))
        },
    }
}

pub(super) fn work_parser() -> NamesParser<Step> {
    NamesParser {
        names: &WORK_NAMES,
        read: |name| {
            let all = WORK_NAMES.join(", ");
            work_named(name).ok_or_else(|| ParseNameError(format!("there are {all}")))
        },
    }
}

/// A time such as `90s`, `5m` or `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurationArg(pub Duration);

impl FromStr for DurationArg {
    type Err = ParseNumberError;

    fn from_str(text: &str) -> Result<Self, ParseNumberError> {
        const NONE: ParseNumberError = ParseNumberError::Time;
        let (number, unit) = split(text).ok_or(NONE)?;
        let seconds = match unit {
            "s" | "" => 1,
            "m" | "min" => 60,
            "h" => 3_600,
            _ => return Err(NONE),
        };
        number
            .checked_mul(seconds)
            .map(|all| Self(Duration::from_secs(all)))
            .filter(|Self(span)| *span <= MAX_DURATION)
            .ok_or(NONE)
    }
}

/// The longest a command waits. A guess: beyond the life of any process, and no sum of it and a
/// clock overflows.
const MAX_DURATION: Duration = Duration::from_secs(366 * 86_400);

/// A number of bytes such as `64MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SizeArg(usize);

impl FromStr for SizeArg {
    type Err = ParseNumberError;

    fn from_str(text: &str) -> Result<Self, ParseNumberError> {
        const TOO_LARGE: ParseNumberError = ParseNumberError::SizeTooLarge;
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = text.strip_suffix(unit).filter(|number| !number.is_empty());
        let number = number.ok_or(ParseNumberError::Size)?;
        let shift = match unit {
            "B" | "" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            _ => return Err(ParseNumberError::Size),
        };
        let number: u64 = number.parse().map_err(|_| TOO_LARGE)?;
        let bytes = number.checked_mul(1 << shift).ok_or(TOO_LARGE)?;
        usize::try_from(bytes).map(Self).map_err(|_| TOO_LARGE)
    }
}

/// A number of bytes that are room enough for the envelopes of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomArg(pub usize);

impl FromStr for RoomArg {
    type Err = ParseRoomError;

    fn from_str(text: &str) -> Result<Self, ParseRoomError> {
        let SizeArg(bytes) = text.parse()?;
        if bytes < PoolBounds::LEAST.bytes() {
            return Err(ParseRoomError::TooSmall { bytes });
        }
        Ok(Self(bytes))
    }
}

/// A number of bytes for which an archive can be made.
pub(super) fn parse_archive(text: &str) -> Result<RoomArg, ParseRoomError> {
    let room: RoomArg = text.parse()?;
    if room.0 as u64 > archive::MOST_BYTES { Err(ParseRoomError::TooLarge) } else { Ok(room) }
}

/// The text is not a size, or not one for a pool or an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseRoomError {
    /// It is no size.
    #[error("{0}")]
    Size(#[from] ParseNumberError),
    /// A share of it would have no room for the largest envelope.
    #[error(
        "that is {}; the least size is {}, room for {} envelopes of 2 KiB: with less, the part for \
         one of the three lifetimes could not hold the largest envelope. {SIZES}",
        text::size::words(*bytes as u64),
        text::size::words(PoolBounds::LEAST.bytes() as u64),
        PoolBounds::LEAST.places
    )]
    TooSmall {
        /// The size that was given, in bytes.
        bytes: usize,
    },
    /// No file of an archive can be so large.
    #[error("an archive can have {} at most. {SIZES}", text::size::words(archive::MOST_BYTES))]
    TooLarge,
}

/// The units of a size.
const SIZES: &str = "Units are KiB, MiB and GiB, in these letters right after a whole number, such as \
                     64MiB or 1536MiB; a number alone is bytes";

/// Blocks a second, such as `16`: envelopes of 2 KiB, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineArg(pub NonZeroU32);

impl FromStr for LineArg {
    type Err = ParseLineError;

    fn from_str(text: &str) -> Result<Self, ParseLineError> {
        let blocks: u32 = text.parse().map_err(|_| ParseLineError::NoNumber)?;
        NonZeroU32::new(blocks).map(Self).ok_or(ParseLineError::Nothing)
    }
}

/// The text is not a number of blocks a second that a node can pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseLineError {
    /// It is no number, or too large.
    #[error("expected a whole number of envelopes per second, from 1 to {}", u32::MAX)]
    NoNumber,
    /// 0.
    #[error(
        "a node that passes nothing on is of no use to others; the least is 1 envelope per second"
    )]
    Nothing,
}

/// How often something happens on average, such as `2/min`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateArg(pub Millis);

impl FromStr for RateArg {
    type Err = ParseNumberError;

    fn from_str(text: &str) -> Result<Self, ParseNumberError> {
        const NONE: ParseNumberError = ParseNumberError::Rate;
        let (number, per) = text.split_once('/').ok_or(NONE)?;
        let number: u64 = number.trim().parse().map_err(|_| NONE)?;
        let unit = match per.trim() {
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            _ => return Err(NONE),
        };
        // More than ten a second would flood the network by itself.
        match u64::checked_div(unit, number) {
            Some(mean) if mean >= 100 => Ok(Self(Millis(mean))),
            _ => Err(NONE),
        }
    }
}

/// A number of threads. Whether there can be so many is for the node to say.
pub(super) fn parse_threads(text: &str) -> Result<usize, &'static str> {
    text.parse().map_err(|_| "expected a whole number of threads")
}

pub(super) fn parse_count(text: &str) -> Result<u64, &'static str> {
    match text.parse() {
        // It would end before anything could be printed.
        Ok(0) => Err("expected a whole number from 1 on; without --count, --timeout alone ends it"),
        Ok(count) => Ok(count),
        Err(_) => Err("expected a whole number"),
    }
}

/// The text is not a whole number with one of the units of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseNumberError {
    /// It is no time.
    #[error("expected a time such as 90s, 5m or 2h, of 366 days at most")]
    Time,
    /// It is no size.
    #[error("expected a whole number of bytes. {SIZES}")]
    Size,
    /// It is a size, and no memory or disk can have it.
    #[error("expected a size that a machine can have. {SIZES}")]
    SizeTooLarge,
    /// It is no rate.
    #[error("expected a rate such as 2/min or 1/h, of 10/s at most")]
    Rate,
}

/// The number that a text begins with, and the rest.
fn split(text: &str) -> Option<(u64, &str)> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text.strip_suffix(unit)?;
    Some((number.parse().ok()?, unit))
}
