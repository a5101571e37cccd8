//! What the network asks beyond the usual work in words, for the interface and the commands.

use serde_json::{Value, json};

use super::contact::awaited_decision;
use super::lifetime::{WorkCost, span};
use crate::engine::env::UnixSeconds;
use crate::engine::envelope::Lifetime;
use crate::engine::event::{ContactView, MessageView, SessionStatus, WaitsFor};
use crate::engine::price::Step;
use crate::engine::settings::DEFAULT_HIGHEST_STEP;
use crate::shell::api::{FillStatus, LineStatus, PriceStatus, StepsStatus, WaitingStatus};

/// What a message of one lifetime costs at the moment, and the most that may be paid for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell) struct AskedPrice {
    lifetime: Lifetime,
    now: Step,
    most: Step,
}

/// What holds a message of ours back that could leave otherwise: the price, its turn, or earlier ones
/// that are not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell) struct PriceHold {
    asked: AskedPrice,
    waits_for: WaitsFor,
    limit: Limit,
    look: Option<UnixSeconds>,
}

/// Whose limit keeps a message from being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    /// That of its contact, which can be raised.
    OfContact,
    /// Its own, which stays as it is.
    Own,
}

impl PriceHold {
    /// What holds back this message to this contact; `None` if nothing of this kind does.
    pub(in crate::shell) fn of(
        price: PriceStatus,
        message: &MessageView,
        contact: &ContactView,
    ) -> Option<Self> {
        let told = contact.waits_for(message)?;
        // It may be the request before it that is too dear.
        let lifetime = contact.waiting_request().unwrap_or_default().max(message.lifetime);
        let asked = AskedPrice::of_message(price, (lifetime, message.highest), contact);
        let waits_for = match told {
            // The price may have fallen since the node told.
            WaitsFor::Price if !asked.is_too_high() => WaitsFor::Turn,
            WaitsFor::Price | WaitsFor::Turn | WaitsFor::Acknowledgement => told,
        };
        let limit = if message.highest.is_some() { Limit::Own } else { Limit::OfContact };
        Some(Self { asked, waits_for, limit, look: contact.next_look })
    }

    /// What it waits for.
    pub(in crate::shell) const fn waits_for(self) -> WaitsFor {
        self.waits_for
    }

    /// What it costs and may cost.
    pub(in crate::shell) const fn asked(self) -> AskedPrice {
        self.asked
    }

    /// The least limit of the contact with which it leaves; `None` if no limit has it leave: it may be
    /// paid for already, or its writer said one of its own.
    pub(in crate::shell) fn freeing_limit(self) -> Option<Step> {
        let is_raised = self.waits_for == WaitsFor::Price && self.limit == Limit::OfContact;
        is_raised.then_some(self.asked.now)
    }

    /// `a lower price` or `its turn`, for what waits.
    pub(in crate::shell) const fn what(self) -> &'static str {
        match self.waits_for {
            WaitsFor::Price => "a lower price",
            WaitsFor::Turn => "its turn",
            WaitsFor::Acknowledgement => "an acknowledgement",
        }
    }

    /// Why it waits, and when the node looks again: `a day costs 16 times the usual work now, at most
    /// 8 times is allowed; the price is looked at again within 3 hours`, or `what is for this contact
    /// leaves one by one, the next within 4 minutes`.
    pub(in crate::shell) fn reason(self, now: UnixSeconds) -> String {
        match self.waits_for {
            WaitsFor::Price => format!("{}; {}", self.asked.excess(), looks(self.look, now)),
            WaitsFor::Turn => one_by_one(self.look, now),
            WaitsFor::Acknowledgement => UNANSWERED.to_owned(),
        }
    }
}

/// Why a message waits for an acknowledgement: of those before it.
pub(in crate::shell) const UNANSWERED: &str =
    "too many earlier messages have none yet; it is sent automatically once this contact answers";

/// When the price is looked at again: `the price is looked at again within 3 hours`.
pub(in crate::shell) fn looks(look: Option<UnixSeconds>, now: UnixSeconds) -> String {
    let when = within(look, now)
        .unwrap_or_else(|| "at random times, four hours apart on average".to_owned());
    format!("the price is looked at again {when}")
}

/// How what waits its turn leaves: `what is for this contact leaves one by one, the next within 4
/// minutes`.
pub(in crate::shell) fn one_by_one(look: Option<UnixSeconds>, now: UnixSeconds) -> String {
    let when = within(look, now).unwrap_or_else(|| "within minutes".to_owned());
    format!("what is for this contact leaves one by one, the next {when}")
}

/// `within 4 minutes`, of a time to come.
fn within(look: Option<UnixSeconds>, now: UnixSeconds) -> Option<String> {
    let minutes = look?.0.saturating_sub(now.0).div_ceil(60);
    Some(match minutes {
        0 | 1 => "within a minute".to_owned(),
        2..=119 => format!("within {minutes} minutes"),
        more => format!("within {} hours", more.div_ceil(60)),
    })
}

impl AskedPrice {
    /// The price of this lifetime, for somebody who pays at most this step, or the usual one.
    pub(in crate::shell) fn of(
        price: PriceStatus,
        lifetime: Lifetime,
        highest: Option<Step>,
    ) -> Self {
        let most = highest.unwrap_or(price.usual_limit());
        Self { lifetime, now: price.of(lifetime), most }
    }

    /// The price of a message to a contact, for which its writer pays at most this step, or what is
    /// paid for the contact.
    pub(in crate::shell) fn of_message(
        price: PriceStatus,
        (lifetime, highest): (Lifetime, Option<Step>),
        contact: &ContactView,
    ) -> Self {
        Self::of(price, lifetime, highest.or(contact.highest))
    }

    /// The price of our request to this contact, while it has not left.
    pub(in crate::shell) fn of_request(price: PriceStatus, contact: &ContactView) -> Option<Self> {
        let has_not_left =
            contact.session == SessionStatus::OfferQueued && awaited_decision(contact).is_none();
        let lifetime = contact.waiting_request().unwrap_or_default();
        has_not_left.then(|| Self::of(price, lifetime, contact.highest))
    }

    /// The step that is asked.
    pub(in crate::shell) const fn now(self) -> Step {
        self.now
    }

    /// The highest step that may be paid.
    pub(in crate::shell) const fn most(self) -> Step {
        self.most
    }

    /// What is asked and what is allowed, and what it waits for, for programs.
    pub(in crate::shell) fn json(self, waits_for: Option<WaitsFor>) -> Value {
        json!({
            "work": self.now.times(),
            "max_work": self.most.times(),
            "waits": waits_for == Some(WaitsFor::Price),
            "waits_for_turn": waits_for == Some(WaitsFor::Turn),
        })
    }

    /// What something will wait for that is looked at next.
    pub(in crate::shell) fn hold(self) -> Option<WaitsFor> {
        self.is_too_high().then_some(WaitsFor::Price)
    }

    /// Whether no more than the usual work is asked.
    pub(in crate::shell) fn is_usual(self) -> bool {
        self.now == Step::default()
    }

    /// Whether more is asked than may be paid: the message waits.
    pub(in crate::shell) fn is_too_high(self) -> bool {
        self.now > self.most
    }

    /// `a day costs 16 times the usual work now`
    pub(in crate::shell) fn words(self) -> String {
        format!("{} {} now", costs(self.lifetime), work(self.now))
    }

    /// `a day costs 16 times`, beside something in times of the usual work.
    pub(in crate::shell) fn brief(self) -> String {
        format!("{} {}", costs(self.lifetime), times(self.now))
    }

    /// `a day costs 16 times the usual work now, at most 8 times is allowed`
    pub(in crate::shell) fn excess(self) -> String {
        format!("{}, at most {} is allowed", self.words(), most_work(self.most))
    }

    /// Why an acknowledgement may not come: a contact who says nothing else pays what is usual for
    /// everybody; `None` if that is enough.
    pub(in crate::shell) fn answers_wait(self) -> Option<String> {
        (self.now > DEFAULT_HIGHEST_STEP).then(|| {
            format!(
                "{}: the acknowledgement waits for a lower price, too, unless the contact allows as \
                 much (--max-work)",
                self.words()
            )
        })
    }

    /// `busy: a day costs 15 s now (16 times the usual work)`
    pub(in crate::shell) fn busy(self, cost: WorkCost) -> String {
        match cost.seconds() {
            None | Some(0) => format!("busy: {}", self.words()),
            Some(seconds) => format!(
                "busy: {} {} now ({} the usual work)",
                costs(self.lifetime),
                span(seconds),
                times(self.now)
            ),
        }
    }
}

/// Whether the next message to a contact with this session, or the request before it, leaves as soon
/// as the price allows it.
pub(in crate::shell) const fn is_under_way(session: SessionStatus) -> bool {
    match session {
        SessionStatus::OfferQueued
        | SessionStatus::OfferSent
        | SessionStatus::AwaitingConfirmation
        | SessionStatus::Established => true,
        SessionStatus::None | SessionStatus::Blocked => false,
    }
}

/// What this node asks of others by its room and its line: `the usual work`, or `8 times the usual
/// work for a day (15 minutes ahead), 2 times to be passed on (peak of two minutes)`. Neither is of this moment, so beside how full room and line are it would contradict
/// them.
pub(in crate::shell) fn steps(steps: StepsStatus) -> String {
    let StepsStatus { six_hours, day, week, line } = steps;
    let room = [(six_hours, "for 6 hours"), (day, "for a day"), (week, "for a week")];
    let room = listed(&room).map(|words| format!("{words} ({AHEAD})"));
    let line = (line > 0).then(|| {
        let usual = if room.is_none() { " the usual work" } else { "" };
        format!("{}{usual} to be passed on ({PEAK})", times(Step::new(line)))
    });
    let parts: Vec<String> = [room, line].into_iter().flatten().collect();
    if parts.is_empty() { "the usual work".to_owned() } else { parts.join(", ") }
}

/// When a share asks what is said of it (`proto/README.md`, "Room").
const AHEAD: &str = "15 minutes ahead";

/// When a line asked what is said of it (`proto/README.md`, "Asking price").
const PEAK: &str = "peak of two minutes";

/// The same, as one figure among those of a network, where it is not what a sender here pays; `None`
/// while it is the usual work: beside a price that others ask, that would only contradict it.
pub(in crate::shell) fn own_steps(asked: StepsStatus) -> Option<String> {
    let words = format!("of others, by its own room and line: {}", steps(asked));
    (asked != StepsStatus::default()).then_some(words)
}

/// What is asked of a sender here beyond the usual work, and whether it is paid: `busy: you pay 4
/// times the usual work for a day`, or `busy: 16 times the usual work for a day is asked; without
/// another limit you pay at most 8 times, so what costs more waits`; `None` if nothing is.
pub(in crate::shell) fn busy(price: PriceStatus) -> Option<String> {
    let PriceStatus { six_hours, day, week, highest } = price;
    let asked = [(six_hours, "for 6 hours"), (day, "for a day"), (week, "for a week")];
    let words = listed(&asked)?;
    if asked.iter().all(|(step, _)| *step <= highest) {
        return Some(format!("busy: you pay {words}"));
    }
    let most = most_work(price.usual_limit());
    Some(format!(
        "busy: {words} is asked; without another limit you pay at most {most}, so what costs more waits"
    ))
}

/// What of ours is held back: `2 messages, 1 message to be sent again, 1 contact request,
/// acknowledgements to 3 contacts`; `None` if nothing does.
pub(in crate::shell) fn held_back(held: WaitingStatus) -> Option<String> {
    let WaitingStatus { messages, retries, requests, answers } = held;
    let counted = |count: usize, one: &str, more: &str| match count {
        0 => None,
        1 => Some(one.to_owned()),
        count => Some(more.replace('#', &count.to_string())),
    };
    let parts: Vec<String> = [
        counted(messages, "1 message", "# messages"),
        counted(retries, "1 message to be sent again", "# messages to be sent again"),
        counted(requests, "1 contact request", "# contact requests"),
        counted(answers, "answers to 1 contact", "answers to # contacts"),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// How many messages wait until earlier ones are acknowledged: `until earlier ones are acknowledged: 2
/// messages`; `None` if none does.
pub(in crate::shell) fn unanswered(messages: usize) -> Option<String> {
    let held = held_back(WaitingStatus { messages, ..WaitingStatus::default() });
    held.map(|what| format!("until earlier ones are acknowledged: {what}"))
}

/// Why no junk is sent: `none now: more than 8 times the usual work is asked`.
pub(in crate::shell) fn no_junk(price: PriceStatus) -> String {
    format!("none now: more than {} the usual work is asked", times(price.usual_limit()))
}

/// How full the room for each lifetime is: `6 hours 12% full, a day 40%, a week 3%`.
pub(in crate::shell) fn fill(fill: FillStatus) -> String {
    let FillStatus { six_hours, day, week } = fill;
    format!("6 hours {six_hours}% full, a day {day}%, a week {week}%")
}

/// What may be passed on: `16 envelopes per second at most, 93% of two minutes left`. An envelope of
/// a messenger is one block.
pub(in crate::shell) fn line(line: LineStatus) -> String {
    let LineStatus { blocks_per_second, percent_left } = line;
    let envelopes = if blocks_per_second == 1 { "envelope" } else { "envelopes" };
    format!(
        "{blocks_per_second} {envelopes} per second at most, {percent_left}% of two minutes left"
    )
}

/// The parts of which more than the usual work is asked; `None` if there are none.
fn listed(parts: &[(u8, &str)]) -> Option<String> {
    let asked = parts.iter().filter(|(step, _)| *step > 0);
    let asked = asked.enumerate().map(|(index, (step, what))| {
        let usual = if index == 0 { " the usual work" } else { "" };
        format!("{}{usual} {what}", times(Step::new(*step)))
    });
    let asked: Vec<String> = asked.collect();
    (!asked.is_empty()).then(|| asked.join(", "))
}

/// `16 times`, before `the usual work`: of a step above 0.
fn times(step: Step) -> String {
    format!("{} times", step.times())
}

/// `16 times the usual work`, or `the usual work`.
pub(in crate::shell) fn work(step: Step) -> String {
    if step == Step::default() {
        "the usual work".to_owned()
    } else {
        format!("{} the usual work", times(step))
    }
}

/// A limit of work behind a price in times of the usual work: `8 times`, or `the usual work`.
fn most_work(most: Step) -> String {
    if most == Step::default() { work(most) } else { times(most) }
}

const fn costs(lifetime: Lifetime) -> &'static str {
    match lifetime {
        Lifetime::SixHours => "6 hours cost",
        Lifetime::Day => "a day costs",
        Lifetime::Week => "a week costs",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: PriceStatus = PriceStatus { six_hours: 0, day: 4, week: 1, highest: 3 };

    #[test]
    fn a_price_is_told_in_times_of_the_usual_work_and_in_seconds_where_they_are_known() {
        let day = AskedPrice::of(BUSY, Lifetime::Day, None);
        assert!(day.is_too_high() && !day.is_usual());
        assert_eq!(
            day.excess(),
            "a day costs 16 times the usual work now, at most 8 times is allowed"
        );
        let cost = |rate| WorkCost::of(Lifetime::Day, 21, Step::new(4), rate);
        assert_eq!(
            day.busy(cost(2_237_000)),
            "busy: a day costs 14 s now (16 times the usual work)"
        );
        assert_eq!(day.busy(cost(0)), "busy: a day costs 16 times the usual work now");
        assert_eq!(day.busy(cost(u64::MAX)), "busy: a day costs 16 times the usual work now");
    }

    #[test]
    fn a_price_is_too_high_only_above_what_may_be_paid() {
        let too_high = |highest| AskedPrice::of(BUSY, Lifetime::Day, highest).is_too_high();
        assert!(too_high(None) && too_high(Some(Step::new(0))) && too_high(Some(Step::new(3))));
        assert!(!too_high(Some(Step::new(4))) && !too_high(Some(Step::MAX)));
        assert!(!AskedPrice::of(BUSY, Lifetime::Week, None).is_too_high());
        let least = AskedPrice::of(BUSY, Lifetime::Week, Some(Step::new(0)));
        assert_eq!(
            least.excess(),
            "a week costs 2 times the usual work now, at most the usual work is allowed"
        );
        assert!(AskedPrice::of(BUSY, Lifetime::SixHours, None).is_usual());
    }

    #[test]
    fn only_what_is_above_the_usual_work_is_listed() {
        let all = StepsStatus { six_hours: 1, day: 3, week: 8, line: 2 };
        assert_eq!(
            steps(all),
            "2 times the usual work for 6 hours, 8 times for a day, 256 times for a week (15 \
             minutes ahead), 4 times to be passed on (peak of two minutes)"
        );
        assert_eq!(steps(StepsStatus::default()), "the usual work");
        let line = StepsStatus { line: 1, ..StepsStatus::default() };
        let words = "2 times the usual work to be passed on (peak of two minutes)";
        assert_eq!(steps(line), words);
        assert_eq!(
            own_steps(line).as_deref(),
            Some(format!("of others, by its own room and line: {words}").as_str())
        );
        assert_eq!(own_steps(StepsStatus::default()), None);
    }

    #[test]
    fn nobody_is_said_to_pay_what_they_do_not_pay() {
        assert_eq!(
            busy(BUSY).as_deref(),
            Some(
                "busy: 16 times the usual work for a day, 2 times for a week is asked; without \
                 another limit you pay at most 8 times, so what costs more waits"
            )
        );
        let allowed = PriceStatus { highest: 4, ..BUSY };
        assert_eq!(
            busy(allowed).as_deref(),
            Some("busy: you pay 16 times the usual work for a day, 2 times for a week")
        );
        let least = busy(PriceStatus { highest: 0, ..BUSY }).unwrap();
        assert!(
            least.contains("without another limit you pay at most the usual work, so"),
            "{least}"
        );
        assert_eq!(busy(PriceStatus::default()), None);
    }

    #[test]
    fn an_acknowledgement_is_said_to_wait_above_what_is_paid_where_nobody_says_more() {
        let answers = |day| {
            let price = PriceStatus { day, highest: 8, ..PriceStatus::default() };
            AskedPrice::of(price, Lifetime::Day, None).answers_wait()
        };
        assert_eq!((answers(0), answers(3)), (None, None));
        let told = answers(4).unwrap();
        assert!(told.starts_with("a day costs 16 times the usual work now: the ack"), "{told}");
    }

    #[test]
    fn the_time_of_the_next_look_is_told_in_minutes_and_in_hours_where_these_are_many() {
        let at =
            |seconds: u64| within(Some(UnixSeconds(1_000 + seconds)), UnixSeconds(1_000)).unwrap();
        let all = [0, 60, 61, 119 * 60, 119 * 60 + 1, 3 * 3_600, 3 * 3_600 + 1].map(at);
        let minutes = ["within a minute", "within a minute", "within 2 minutes"];
        assert_eq!(all[..3], minutes);
        assert_eq!(
            all[3..],
            ["within 119 minutes", "within 2 hours", "within 3 hours", "within 4 hours"]
        );
        assert_eq!(
            within(Some(UnixSeconds(1)), UnixSeconds(9)).as_deref(),
            Some("within a minute")
        );
        assert_eq!(within(None, UnixSeconds(9)), None);
    }

    #[test]
    fn room_and_line_are_told_in_percent() {
        let full = FillStatus { six_hours: 12, day: 100, week: 0 };
        assert_eq!(fill(full), "6 hours 12% full, a day 100%, a week 0%");
        let two = LineStatus { blocks_per_second: 2, percent_left: 93 };
        assert_eq!(line(two), "2 envelopes per second at most, 93% of two minutes left");
        let one = LineStatus { blocks_per_second: 1, ..two };
        assert_eq!(line(one), "1 envelope per second at most, 93% of two minutes left");
    }
}
