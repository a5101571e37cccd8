//! Trust in a contact in marks and words, for the interface and the commands. Nothing here decides.

use jiff::tz::TimeZone;

use crate::engine::env::UnixSeconds;
use crate::engine::record::{HoldReason, Trust, VerificationMethod};
use crate::shell::calendar::Civil;

/// Trust as a mark of three columns of ASCII.
pub(in crate::shell) const fn mark(trust: Trust) -> &'static str {
    match trust {
        Trust::Unverified => "[?]",
        Trust::Verified { .. } => "[v]",
        Trust::OnHold { .. } => "[!]",
    }
}

/// Trust as a mark and as few words as say it.
pub(in crate::shell) fn brief(trust: Trust, zone: &TimeZone) -> String {
    let mark = mark(trust);
    match trust {
        Trust::Unverified => mark.to_owned(),
        Trust::Verified { at, .. } => format!("{mark} {}", date(at, zone)),
        // In capitals: without colours, and read aloud, it still stands out.
        Trust::OnHold { reason: HoldReason::KeyChanged { .. }, .. } => {
            format!("{mark} KEY CHANGED")
        }
        Trust::OnHold { reason: HoldReason::Mismatch, .. } => format!("{mark} NO MATCH"),
    }
}

/// Trust in words.
pub(in crate::shell) fn words(trust: Trust, zone: &TimeZone) -> String {
    let date = |at| date(at, zone);
    match trust {
        Trust::Unverified => "not verified".to_owned(),
        Trust::Verified { at, by } => format!("verified on {} by {}", date(at), means(by)),
        Trust::OnHold { since, reason: HoldReason::KeyChanged { verified }, attempts: _ } => {
            let before = verified.map_or_else(String::new, |at| {
                format!(", the previous one was verified on {}", date(at))
            });
            format!("KEY CHANGED on {}{before}; sending is paused", date(since))
        }
        Trust::OnHold { since, reason: HoldReason::Mismatch, attempts: _ } => {
            format!("NO MATCH when compared on {}; sending is paused", date(since))
        }
    }
}

/// The means of a comparison in one word.
pub(in crate::shell) const fn means(by: VerificationMethod) -> &'static str {
    match by {
        VerificationMethod::Sas => "words",
        VerificationMethod::SafetyNumber => "digits",
    }
}

fn date(at: UnixSeconds, zone: &TimeZone) -> String {
    Civil::at(at, zone).date()
}
