//! What is counted in a town, and how it is printed.

use core::fmt;

use undertone::engine::env::{Millis, UnixSeconds};
use undertone::engine::envelope::{CheckedEnvelope, EnvelopeId};
use undertone::engine::price::{Share, Step};

/// What became of one envelope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) id: EnvelopeId,
    pub(crate) share: Share,
    pub(crate) paid: Step,
    pub(crate) at: Millis,
    pub(crate) expiry: UnixSeconds,
    /// Relays that hold it, or held it until its time.
    pub(crate) held: u8,
    /// Relays that had no room.
    pub(crate) no_room: u8,
    /// Relays that ignored it for their line.
    pub(crate) ignored: u8,
    /// Relays that let it go before its time.
    pub(crate) evicted: u8,
    /// Relays that passed it on.
    pub(crate) passed: u8,
    /// By which rules it was marked as in the pool: one bit each, of [`Rule`].
    pub(crate) marks: u8,
    pub(crate) by: Sender,
}

impl Sent {
    /// One that nobody has yet.
    pub(crate) fn new(checked: &CheckedEnvelope, paid: Step, (at, by): (Millis, Sender)) -> Self {
        Self {
            id: checked.id(),
            share: checked.lifetime().share(),
            paid,
            at,
            expiry: checked.expiry(),
            held: 0,
            no_room: 0,
            ignored: 0,
            evicted: 0,
            passed: 0,
            marks: 0,
            by,
        }
    }
}

/// Who sent an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Person,
    Attacker,
}

/// A rule by which an author takes an envelope for being in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// It showed what its author would have paid when it went out: by this rule a node says so.
    Shown,
    /// It showed what two of three neighbours said to ask when they were heard next.
    Asked,
    /// Two of three neighbours held it when they were heard next.
    Held,
}

impl Rule {
    pub(crate) const ALL: [Self; 3] = [Self::Shown, Self::Asked, Self::Held];

    pub(crate) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Everything that was counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Messages and acknowledgements that were to be sent.
    pub(crate) wanted: u64,
    /// Those that waited for a lower price at least once.
    pub(crate) waited: u64,
    /// Made again one step higher.
    pub(crate) again: u64,
    pub(crate) hours: Vec<Hour>,
}

/// What was noted down at half past each hour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hour {
    pub(crate) at: Millis,
    /// What the middle person believes to be asked for a day.
    pub(crate) asked: u8,
    /// What the middle person pays for a day.
    pub(crate) paid: u8,
    /// The same, once the half hour is over in which it pays one step more.
    pub(crate) lasting: u8,
}

/// What a scenario came to.
pub(crate) struct Report {
    pub(crate) relays: usize,
    /// Demand has been the same for three days by then: what came in a rush before has left.
    pub(crate) steady_from: Millis,
    pub(crate) sent: Vec<Sent>,
    pub(crate) counts: Counts,
}

impl Report {
    /// Envelopes of people, of these shares.
    pub(crate) fn honest(&self, shares: &[Share]) -> Part<'_> {
        let sent = self.sent.iter().filter(|sent| sent.by == Sender::Person);
        Part { of: self.relays, sent: sent.filter(|sent| shares.contains(&sent.share)).collect() }
    }

    fn hostile(&self) -> Part<'_> {
        let sent = self.sent.iter().filter(|sent| sent.by == Sender::Attacker);
        Part { of: self.relays, sent: sent.collect() }
    }

    /// The most that the price changes from one hour to the next, from this moment on. The price is
    /// what the middle person pays, but for the one step more that follows each rise for half an hour:
    /// with it every rise would count twice.
    pub(crate) fn swing(&self, from: Millis) -> u8 {
        let hours =
            self.counts.hours.iter().filter(|hour| hour.at >= from).map(|hour| hour.lasting);
        let pairs = hours.clone().zip(hours.skip(1));
        pairs.map(|(one, next)| one.abs_diff(next)).max().unwrap_or(0)
    }

    /// The mean and the most of what the middle person believes to be asked for a day, in units of
    /// the floor.
    pub(crate) fn asked(&self) -> (f64, u32) {
        let steps = || self.counts.hours.iter().map(|hour| Step::new(hour.asked).times());
        let mean = steps().map(f64::from).sum::<f64>() / steps().count().max(1) as f64;
        (mean, steps().max().unwrap_or(0))
    }
}

/// Some envelopes, and at how many relays they were counted.
pub(crate) struct Part<'r> {
    of: usize,
    pub(crate) sent: Vec<&'r Sent>,
}

impl Part<'_> {
    fn share(&self, count: impl Fn(&Sent) -> u8) -> f64 {
        let all = (self.sent.len() * self.of).max(1) as f64;
        self.sent.iter().map(|sent| f64::from(count(sent))).sum::<f64>() / all
    }

    /// Of all envelopes at all relays: how many came too late for the room.
    pub(crate) fn too_late(&self) -> f64 {
        self.share(|sent| sent.no_room)
    }

    /// Of all: how many left before their time.
    pub(crate) fn evicted(&self) -> f64 {
        self.share(|sent| sent.evicted)
    }

    pub(crate) fn ignored(&self) -> f64 {
        self.share(|sent| sent.ignored)
    }

    pub(crate) fn held(&self) -> f64 {
        self.share(|sent| sent.held)
    }

    /// Those that were marked by a rule.
    pub(crate) fn marked(&self, rule: Rule) -> Self {
        let marked = |sent: &&&Sent| sent.marks & rule.bit() != 0;
        Self { of: self.of, sent: self.sent.iter().filter(marked).copied().collect() }
    }

    /// What was paid on average, in units of the floor.
    pub(crate) fn paid(&self) -> f64 {
        let paid: f64 = self.sent.iter().map(|sent| f64::from(sent.paid.times())).sum();
        paid / self.sent.len().max(1) as f64
    }

    fn by_step(&self) -> [usize; 9] {
        let mut counts = [0; 9];
        for sent in &self.sent {
            counts[usize::from(sent.paid.get())] += 1;
        }
        counts
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { wanted, waited, again, .. } = self.counts;
        let (mean, most) = self.asked();
        writeln!(
            f,
            "to be sent {wanted}; waited, and said so {waited} ({:.1} %); made again {again}",
            100.0 * waited as f64 / wanted.max(1) as f64
        )?;
        writeln!(
            f,
            "asked for a day: mean {mean:.1} x, most {most} x; paid: largest change in an hour {}, later {}",
            self.swing(Millis(0)),
            self.swing(self.steady_from)
        )?;
        writeln!(
            f,
            "{:>22} {:>9} {:>7} {:>9} {:>9} {:>9} {:>9}  by step 0 to 8",
            "", "sent", "paid x", "held %", "late %", "ignored %", "evicted %"
        )?;
        let row = |f: &mut fmt::Formatter<'_>, name: &str, part: &Part<'_>| {
            writeln!(
                f,
                "{name:>22} {:>9} {:>7.2} {:>9.3} {:>9.3} {:>9.3} {:>9.4}  {:?}",
                part.sent.len(),
                part.paid(),
                100.0 * part.held(),
                100.0 * part.too_late(),
                100.0 * part.ignored(),
                100.0 * part.evicted(),
                part.by_step()
            )
        };
        row(f, "people", &self.honest(&Share::ALL))?;
        for share in Share::ALL {
            row(f, &format!("{share:?}"), &self.honest(&[share]))?;
        }
        for rule in Rule::ALL {
            let name = format!("marked, if {rule:?}");
            row(f, &name, &self.honest(&Share::ALL).marked(rule))?;
        }
        row(f, "attacker", &self.hostile())?;
        let digits = |of: fn(&Hour) -> u8| -> String {
            self.counts.hours.iter().map(|hour| char::from(b'0' + of(hour))).collect()
        };
        writeln!(f, "asked for a day, each hour: {}", digits(|hour| hour.asked))?;
        writeln!(f, "paid for a day, each hour:  {}", digits(|hour| hour.paid))?;
        writeln!(f, "without the step more: {}", digits(|hour| hour.lasting))?;
        Ok(())
    }
}
