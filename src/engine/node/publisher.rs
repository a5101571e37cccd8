//! The way from job to publish, top to bottom: encrypt, store, search for work, check by our own
//! gate, publish.
//!
//! Every envelope pays exactly what is asked of its life at the moment (`price::AskingPrice`): when its
//! search begins, and once more when it is published, if the price rose meanwhile. What may not
//! cost so much is set aside and looked at again after hours, drawn each time; nothing of it is
//! encrypted until then. What waited so leaves one by one, minutes apart ([`one_by_one`]): all who
//! wait would otherwise send all they have before any of them can hear how full it became.
//!
//! One envelope is on its way at a time, and none is begun while no neighbour could take it. So at
//! most one message is encrypted and not published, it is always the last of its conversation, and
//! withdrawing it leaves no gap.
//!
//! Nothing that left is published again: neither the envelope nor its body in another one. Whoever
//! saw it before would know its author, and two addresses of that author. What has to go out again is
//! encrypted afresh, when its own timer says so ([`Messenger::spread`]).
//!
//! The waiting jobs and the envelope on its way are in the turn's outbox; [`Publisher`] is the way
//! through it.

use crate::engine::carrier::Carriage;
use crate::engine::conversation::{Budget, Need, Stay};
use crate::engine::env::Millis;
use crate::engine::envelope::{CheckedEnvelope, Draft, EnvelopeId, Lifetime, WorkNonce, check};
use crate::engine::id::{ContactId, OutgoingId};
use crate::engine::price::Step;
use crate::engine::price::asking::{LOOK_AGAIN, one_by_one};
use crate::engine::record::{EnvelopePurpose, OutgoingRecord, Record, RecordKey};
use crate::engine::session::junk;
use crate::engine::turn::{
    Aside, ContactJob, ContactTimer, Effect, InFlight, Job, Leave, PublishStage, Timer, Turn,
};

use super::messenger::Messenger;

/// The way of an envelope of ours to the flood, with the conversations it passes and the carrier.
pub(super) struct Publisher<'n> {
    pub(super) messenger: &'n mut Messenger,
    pub(super) carriage: &'n mut dyn Carriage,
}

impl Publisher<'_> {
    /// Begins the next job when nothing is on its way. Call while there is a neighbour.
    pub(super) fn drive(&mut self, turn: &mut Turn<'_, '_>) {
        loop {
            if let Some(in_flight) = turn.outbox.take_in_flight() {
                match in_flight.stage {
                    // One search at a time: its end is the next turn that comes here.
                    PublishStage::Mining { .. } => return turn.outbox.set_in_flight(in_flight),
                    // Others that join at the same moment would miss it.
                    PublishStage::Mined { .. } if turn.timers.is_set(Timer::Joining) => {
                        return turn.outbox.set_in_flight(in_flight);
                    }
                    PublishStage::Mined { id, step } => {
                        self.publish(turn, in_flight.record, (id, step));
                    }
                }
                continue;
            }
            let Some(job) = turn.outbox.pop() else { return };
            let budget = match self.need(turn, job) {
                Need::None => continue,
                Need::AfterOffer => {
                    set_aside(turn, job, Aside::Offer);
                    continue;
                }
                Need::Envelope(budget) => budget,
            };
            // Before anything is encrypted: what an envelope says is decided as late as it can be.
            let Some(step) = self.affordable(turn, budget) else {
                if let Some(contact) = contact_of(job) {
                    turn.outbox.slow_down(contact);
                }
                set_aside(turn, job, Aside::Price);
                continue;
            };
            if let Some(contact) = contact_of(job)
                && !leaves(turn, contact, (job, step))
            {
                continue;
            }
            if let Some(record) = self.begin(turn, job) {
                start_mining(turn, record, self.resend_step(turn, job, (step, budget)));
            }
        }
    }

    /// Says anew of all that is set aside whether it waits for a lower price or for its turn alone,
    /// by what is asked now. It leaves no sooner: nobody rushes in when a price falls.
    pub(super) fn judge_again(&mut self, turn: &mut Turn<'_, '_>) {
        for contact in turn.outbox.contacts_aside() {
            let jobs: Vec<(Job, Aside)> = turn.outbox.aside(contact).collect();
            for (job, before) in jobs {
                let Need::Envelope(budget) = self.need(turn, job) else { continue };
                let is_affordable = self.affordable(turn, budget).is_some();
                let waits_for = if is_affordable { Aside::Turn } else { Aside::Price };
                if before != Aside::Offer && waits_for != before {
                    turn.outbox.set_aside(contact, job, waits_for);
                }
            }
        }
    }

    /// The step that is asked of this lifetime now, if that may be paid.
    fn affordable(&mut self, turn: &Turn<'_, '_>, budget: Budget) -> Option<Step> {
        let asked = self.asked(turn, budget.lifetime);
        (asked <= budget.highest).then_some(asked)
    }

    /// The step that is asked of this lifetime now.
    fn asked(&mut self, turn: &Turn<'_, '_>, lifetime: Lifetime) -> Step {
        lifetime.share().of(self.carriage.market(turn.env).paid)
    }

    /// How long an envelope may be expected to be held that pays what is asked, or does not. If
    /// neighbours say that their lines ask the most there is, these may have nothing left for what
    /// shows that, too.
    #[expect(clippy::fn_params_excessive_bools, reason = "one flag, named where it is computed")]
    fn stay(&mut self, turn: &Turn<'_, '_>, pays: bool) -> Stay {
        let is_line_full = self.carriage.market(turn.env).heard_line == Step::MAX;
        if pays && !is_line_full { Stay::Whole } else { Stay::NotForLong }
    }

    /// What there is to do about a job, and what its envelope may cost.
    fn need(&self, turn: &Turn<'_, '_>, job: Job) -> Need {
        match job {
            Job::Contact(contact, job) => self.messenger.need(turn, contact, job),
            Job::PublishStored(contact, id) => match turn.outbox.kept(contact, id) {
                Some(record) => Need::Envelope(self.budget_of(turn, record)),
                None => Need::None,
            },
            Job::Junk => Need::Envelope(Budget {
                lifetime: turn.settings.lifetime,
                highest: turn.settings.highest_step,
            }),
        }
    }

    /// What an envelope that is encrypted already may cost.
    fn budget_of(&self, turn: &Turn<'_, '_>, record: &OutgoingRecord) -> Budget {
        let own = self.messenger.highest(turn, record.purpose);
        let highest = own.unwrap_or(turn.settings.highest_step);
        Budget { lifetime: Lifetime::covering(record.ttl), highest }
    }

    /// The step of a message that is sent again: one more than it was sent for last, if the line
    /// here asks more than that. Neighbours that say too little then keep nobody from being heard.
    fn resend_step(
        &mut self,
        turn: &Turn<'_, '_>,
        job: Job,
        (asked, budget): (Step, Budget),
    ) -> Step {
        let Job::Contact(contact, ContactJob::Retransmit(id) | ContactJob::RetransmitNow(id)) = job
        else {
            return asked;
        };
        let Some(paid) = self.messenger.paid(contact, id) else { return asked };
        if self.carriage.market(turn.env).own_line <= paid {
            return asked;
        }
        asked.max(paid.above().min(budget.highest))
    }

    /// Turns a job into an encrypted envelope; `None` when there is no need for it any more.
    fn begin(&mut self, turn: &mut Turn<'_, '_>, job: Job) -> Option<OutgoingRecord> {
        match job {
            Job::Contact(contact, job) => self.messenger.next_envelope(turn, contact, job),
            Job::PublishStored(contact, id) => turn.outbox.take_kept(contact, id),
            Job::Junk => {
                // The same way as all envelopes from here on: the same size, lifetime, work and
                // gate, so that only its wiped keys tell it from a message.
                let sealed = junk(turn.env);
                Some(OutgoingRecord {
                    id: OutgoingId::draw(turn.env),
                    purpose: EnvelopePurpose::Junk,
                    topic: sealed.topic,
                    body: sealed.body,
                    ttl: turn.settings.lifetime.ttl(),
                    envelope: None,
                })
            }
        }
    }

    /// Hands a finished envelope to the flood, and notes that for the conversation it belongs to.
    fn publish(
        &mut self,
        turn: &mut Turn<'_, '_>,
        record: OutgoingRecord,
        (id, step): (EnvelopeId, Step),
    ) {
        let Some(bytes) = record.envelope.clone() else { return };
        let Budget { lifetime, highest } = self.budget_of(turn, &record);
        let asked = self.asked(turn, lifetime);
        let pays =
            |checked: &CheckedEnvelope| turn.settings.floor.admits(checked.priority(), asked);
        let checked = check(bytes.clone(), turn.env.wall, &turn.settings.floor).ok();
        let Some(checked) = checked.filter(|checked| pays(checked) || asked > highest) else {
            // It waited too long for a neighbour, or the price rose meanwhile. The same body is
            // dated and mined again: encrypting again would take a second key for one message.
            let step = asked.min(highest);
            return start_mining(turn, OutgoingRecord { envelope: None, ..record }, step);
        };
        // Above its budget it leaves for what it may cost: kept back, it would be in the way of
        // what comes after it for hours.
        let stay = self.stay(turn, pays(&checked));
        let purpose = record.purpose;
        let stored = (purpose != EnvelopePurpose::Junk).then_some(RecordKey::Outgoing(record.id));
        if stored.is_some() {
            // From here on it counts as left: whoever finds it so after a crash never publishes it,
            // nor another envelope around its body.
            turn.put(Record::Outgoing(record));
            turn.settle();
        }
        // Into the pool first: what the flood brings back is then a duplicate, as for everybody who
        // forwarded it.
        self.carriage.admit_own(turn.env, checked);
        turn.effect(Effect::Publish { id, bytes });
        // With what is noted of it, below: what has to go out again is encrypted afresh.
        stored.into_iter().for_each(|key| turn.erase(key));
        if let EnvelopePurpose::Message(contact, message) = purpose {
            self.messenger.note_paid(contact, message, step);
        }
        if let Some(contact) = purpose.contact() {
            self.messenger.on_published(turn, contact, (purpose, stay));
        }
        turn.settle();
    }
}

/// Whether a job that may be paid for has its turn; if not, it is set aside.
fn leaves(turn: &mut Turn<'_, '_>, contact: ContactId, (job, asked): (Job, Step)) -> bool {
    if asked == Step::default() {
        turn.outbox.free_lined_up(contact);
    }
    let leave = turn.outbox.leave(contact);
    match leave {
        // Whatever else waits for this contact may cost as much.
        Leave::Now => turn.outbox.resume(contact),
        Leave::Alone => look_after(turn, contact, one_by_one(asked)),
        Leave::Later => {
            turn.outbox.set_aside(contact, job, Aside::Turn);
            look_after(turn, contact, one_by_one(asked));
        }
    }
    leave != Leave::Later
}

/// Sets a job aside for which the price is too high, or whose offer has to leave before it. Junk is
/// dropped: the next is as good.
fn set_aside(turn: &mut Turn<'_, '_>, job: Job, waits_for: Aside) {
    let Some(contact) = contact_of(job) else { return };
    turn.outbox.set_aside(contact, job, waits_for);
    look_after(turn, contact, LOOK_AGAIN);
}

/// Looks at the price of what is for a contact after this time in the mean, unless that is done
/// sooner.
fn look_after(turn: &mut Turn<'_, '_>, contact: ContactId, mean: Millis) {
    let wait = turn.env.exponential(mean);
    turn.wake_by(contact, ContactTimer::Price, turn.env.mono.plus(wait));
    // Front ends say when that is.
    turn.outbox.note_repriced(contact);
}

/// The contact that the envelope of a job is for.
const fn contact_of(job: Job) -> Option<ContactId> {
    match job {
        Job::Contact(contact, _) | Job::PublishStored(contact, _) => Some(contact),
        Job::Junk => None,
    }
}

/// Dates an envelope and starts the search for the work of this step.
fn start_mining(turn: &mut Turn<'_, '_>, record: OutgoingRecord, step: Step) {
    // Rounded up: a home of an earlier build may keep a life of ten minutes.
    let lifetime = Lifetime::covering(record.ttl);
    let drafted = Draft::new(turn.env.wall, lifetime, record.topic, record.body.clone());
    let Ok(draft) = drafted else { return };
    let asked = (turn.settings.floor, step);
    let job = draft.mining_job(record.id, asked, turn.env.draw_u64());
    let tries = job.tries();
    turn.effect(Effect::StartMining(job));
    let stage = PublishStage::Mining { draft, step, tries };
    turn.outbox.set_in_flight(InFlight { record, stage });
}

/// Takes the nonce that was found. The finished envelope is stored when it leaves: a process that
/// ends before loses the work, and nobody has to guess whether it left.
pub(super) fn on_mined(turn: &mut Turn<'_, '_>, outgoing: OutgoingId, nonce: WorkNonce) {
    // The search was stopped meanwhile: nobody wants that envelope any more.
    let Some(in_flight) = turn.outbox.take_in_flight_if(outgoing) else { return };
    let InFlight { mut record, stage } = in_flight;
    let PublishStage::Mining { draft, step, .. } = stage else {
        return turn.outbox.set_in_flight(InFlight { record, stage });
    };
    let (id, bytes) = draft.finish(nonce);
    if check(bytes.clone(), turn.env.wall, &turn.settings.floor).is_err() {
        // The time moved on while the search ran, or the miner was wrong: dated and mined again.
        return start_mining(turn, record, step);
    }
    record.envelope = Some(bytes);
    turn.outbox.set_in_flight(InFlight { record, stage: PublishStage::Mined { id, step } });
}

/// Queues a junk envelope and draws the time of the next.
pub(super) fn on_junk_due(turn: &mut Turn<'_, '_>) {
    turn.outbox.push_junk();
    schedule_junk(turn);
}

/// Draws the time of the next junk envelope: a Poisson process, whose past says nothing of its
/// future.
pub(super) fn schedule_junk(turn: &mut Turn<'_, '_>) {
    let Some(mean) = turn.settings.junk else { return };
    let wait = turn.env.exponential(mean).0.max(1);
    turn.timers.set(Timer::Junk, turn.env.mono.plus(Millis(wait)));
}
