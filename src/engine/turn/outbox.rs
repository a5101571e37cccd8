//! The outbox: jobs in the order of request, and the envelopes that are not done with.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::envelope::{Draft, EnvelopeId};
use crate::engine::id::{ContactId, MessageId, OutgoingId};
use crate::engine::price::Step;
use crate::engine::record::{EnvelopePurpose, OutgoingRecord};
use crate::engine::session::SessionId;

/// Junk jobs that wait at most: more would only make real envelopes wait. A guess.
const MAX_JUNK_WAITING: usize = 8;

/// A job to send one envelope. Its content is decided when its turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) enum Job {
    /// An envelope to a contact.
    Contact(ContactId, ContactJob),
    /// An envelope that is encrypted already.
    PublishStored(ContactId, OutgoingId),
    /// A junk envelope.
    Junk,
}

/// A job to send one envelope to one contact. What was set aside goes in this order: first what the
/// contact needs to read the rest, last what every other envelope carries, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) enum ContactJob {
    /// The pending offer, sealed afresh.
    Offer,
    /// The answer to the contact's offer of this session.
    AnswerOffer(SessionId),
    /// A message that was not acknowledged, encrypted afresh.
    Retransmit(MessageId),
    /// The same because a person asked for it.
    RetransmitNow(MessageId),
    /// The next queued message.
    SendNext,
    /// An acknowledgement.
    Acknowledge,
}

/// Jobs to send, and envelopes kept until they are done with.
#[derive(Debug, Default)]
pub(in crate::engine) struct Outbox {
    jobs: JobQueue,
    /// Encrypted and never published. By contact, so that work on one contact costs nothing for the
    /// others' envelopes.
    kept: BTreeMap<ContactId, BTreeMap<OutgoingId, OutgoingRecord>>,
    /// Jobs that wait for something else than their turn among all. By contact, each at most once, so
    /// bounded as jobs are.
    aside: BTreeMap<ContactId, BTreeMap<Job, Aside>>,
    /// Contacts for whom something waited for a lower price, or may have before a restart: what is
    /// for them leaves one by one.
    paced: BTreeMap<ContactId, Pace>,
    /// Contacts of which something was set aside or taken up again since that was told, or for which
    /// another price may be paid.
    repriced: BTreeSet<ContactId>,
    in_flight: Option<InFlight>,
}

/// What a job that was set aside waits for, as of the last look at the price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Aside {
    /// A lower price.
    Price,
    /// Its turn: it may be paid for, and what is for its contact leaves one by one.
    Turn,
    /// The offer of its session, which has to leave before it.
    Offer,
}

/// What may leave of that which waited for a lower price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// The next; all of it at the usual price, as it may have waited for something else.
    LinedUp,
    /// The next.
    Next,
    /// Nothing before the next look at the price.
    Later,
}

/// When an envelope to a contact that may be paid for leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Leave {
    /// Now, and so may the others.
    Now,
    /// Now; the others later.
    Alone,
    /// Later: another one has just left.
    Later,
}

/// The envelope that is on its way.
#[derive(Debug)]
pub(in crate::engine) struct InFlight {
    /// The envelope's record.
    pub(in crate::engine) record: OutgoingRecord,
    /// Its stage.
    pub(in crate::engine) stage: PublishStage,
}

/// The stage of the envelope on its way.
#[derive(Debug)]
pub(in crate::engine) enum PublishStage {
    /// Its work is being searched for.
    Mining {
        /// The envelope without its work.
        draft: Draft,
        /// How often the floor's work is doubled.
        step: Step,
        /// The tries it takes on average.
        tries: u64,
    },
    /// It is finished, and was handed to nobody.
    Mined {
        /// Its id.
        id: EnvelopeId,
        /// The step that its work was searched for.
        step: Step,
    },
}

impl Outbox {
    /// Appends a job for a contact, unless it waits already.
    pub(in crate::engine) fn push_for(&mut self, contact: ContactId, job: ContactJob) {
        self.jobs.push(Job::Contact(contact, job));
    }

    /// Appends a junk job. Several may wait, or a slow search would make junk rarer than its rate.
    pub(in crate::engine) fn push_junk(&mut self) {
        self.jobs.push_junk();
    }

    /// Keeps an encrypted envelope and sends it when its turn comes.
    pub(in crate::engine) fn push_encrypted(&mut self, contact: ContactId, record: OutgoingRecord) {
        self.jobs.push(Job::PublishStored(contact, record.id));
        self.keep(contact, record);
    }

    /// Keeps an envelope that never left.
    pub(in crate::engine) fn keep(&mut self, contact: ContactId, record: OutgoingRecord) {
        self.kept.entry(contact).or_default().insert(record.id, record);
    }

    /// Sets a job of a contact aside until [`Self::resume`].
    pub(in crate::engine) fn set_aside(&mut self, contact: ContactId, job: Job, waits_for: Aside) {
        self.aside.entry(contact).or_default().insert(job, waits_for);
        self.note_repriced(contact);
    }

    /// The contacts for whom something is set aside.
    pub(in crate::engine) fn contacts_aside(&self) -> Vec<ContactId> {
        self.aside.keys().copied().collect()
    }

    /// Queues again what was set aside for a contact.
    pub(in crate::engine) fn resume(&mut self, contact: ContactId) {
        let Some(jobs) = self.aside.remove(&contact) else { return };
        for job in jobs.into_keys() {
            self.jobs.push(job);
        }
        self.note_repriced(contact);
    }

    /// Has what is for a contact leave one by one, as something waits for a lower price.
    pub(in crate::engine) fn slow_down(&mut self, contact: ContactId) {
        self.paced.insert(contact, Pace::Later);
    }

    /// Has what is for a contact leave one by one, if it does not so already: it waited, perhaps for
    /// a lower price.
    pub(in crate::engine) fn line_up(&mut self, contact: ContactId) {
        self.paced.entry(contact).or_insert(Pace::LinedUp);
    }

    /// Has all that was lined up for a contact leave: it may cost no more than is usual.
    pub(in crate::engine) fn free_lined_up(&mut self, contact: ContactId) {
        if self.paced.get(&contact) == Some(&Pace::LinedUp) {
            self.free(contact);
        }
    }

    /// Queues again what was set aside for a contact: one of it may leave. With nothing left, what
    /// comes next leaves as usual.
    pub(in crate::engine) fn look_again(&mut self, contact: ContactId) {
        if self.aside.contains_key(&contact) {
            if let Some(pace) = self.paced.get_mut(&contact) {
                *pace = Pace::Next;
            }
        } else {
            self.paced.remove(&contact);
        }
        self.resume(contact);
    }

    /// Queues again what was set aside for a contact, and has all of it leave: somebody wants it.
    pub(in crate::engine) fn free(&mut self, contact: ContactId) {
        self.paced.remove(&contact);
        self.resume(contact);
    }

    /// Whether something to a contact leaves, that may be paid for: counts as having left if so.
    pub(in crate::engine) fn leave(&mut self, contact: ContactId) -> Leave {
        match self.paced.get_mut(&contact) {
            None => Leave::Now,
            Some(Pace::Later) => Leave::Later,
            Some(pace) => {
                *pace = Pace::Later;
                Leave::Alone
            }
        }
    }

    /// What is set aside for a contact, and what each job waits for.
    pub(in crate::engine) fn aside(
        &self,
        contact: ContactId,
    ) -> impl Iterator<Item = (Job, Aside)> {
        self.aside.get(&contact).into_iter().flatten().map(|(job, waits_for)| (*job, *waits_for))
    }

    /// Forgets a job that was set aside and is not needed any more.
    pub(in crate::engine) fn forget_aside(&mut self, contact: ContactId, job: Job) {
        let Some(aside) = self.aside.get_mut(&contact) else { return };
        if aside.remove(&job).is_none() {
            return;
        }
        if aside.is_empty() {
            self.aside.remove(&contact);
        }
        self.note_repriced(contact);
    }

    /// Notes that another price may be paid for what goes to a contact, or that something else waits
    /// for a lower one.
    pub(in crate::engine) fn note_repriced(&mut self, contact: ContactId) {
        self.repriced.insert(contact);
    }

    /// Takes the contacts that [`Self::note_repriced`] noted.
    pub(in crate::engine) fn take_repriced(&mut self) -> BTreeSet<ContactId> {
        core::mem::take(&mut self.repriced)
    }

    /// An envelope that is kept.
    pub(in crate::engine) fn kept(
        &self,
        contact: ContactId,
        id: OutgoingId,
    ) -> Option<&OutgoingRecord> {
        self.kept.get(&contact)?.get(&id)
    }

    /// Takes an envelope out that was kept.
    pub(in crate::engine) fn take_kept(
        &mut self,
        contact: ContactId,
        id: OutgoingId,
    ) -> Option<OutgoingRecord> {
        let kept = self.kept.get_mut(&contact)?;
        let record = kept.remove(&id);
        if kept.is_empty() {
            self.kept.remove(&contact);
        }
        record
    }

    /// The jobs for contacts that wait for their turn alone, oldest first.
    pub(in crate::engine) fn waiting(&self) -> Vec<(ContactId, ContactJob)> {
        let for_contact = |job: &Job| match *job {
            Job::Contact(contact, job) => Some((contact, job)),
            Job::PublishStored(..) | Job::Junk => None,
        };
        self.jobs.order.values().filter_map(for_contact).collect()
    }

    /// Drops the junk that waits.
    pub(in crate::engine) fn drop_junk(&mut self) {
        self.jobs.drop_junk();
    }

    /// The next job, oldest first.
    pub(in crate::engine) fn pop(&mut self) -> Option<Job> {
        self.jobs.pop()
    }

    /// Drops a job for a contact, if it waits.
    pub(in crate::engine) fn drop_job(&mut self, contact: ContactId, job: ContactJob) {
        self.drop_jobs(contact, Job::Contact(contact, job));
    }

    fn drop_jobs(&mut self, contact: ContactId, job: Job) {
        self.jobs.remove(job);
        self.forget_aside(contact, job);
    }

    /// Whether a job for a contact waits for its turn, or for a lower price.
    pub(in crate::engine) fn waits(&self, contact: ContactId, job: ContactJob) -> bool {
        let job = Job::Contact(contact, job);
        self.jobs.contains(job)
            || self.aside.get(&contact).is_some_and(|aside| aside.contains_key(&job))
    }

    /// Takes the envelope that is on its way.
    pub(in crate::engine) const fn take_in_flight(&mut self) -> Option<InFlight> {
        self.in_flight.take()
    }

    /// Takes the envelope that is on its way if it is this one.
    pub(in crate::engine) fn take_in_flight_if(&mut self, id: OutgoingId) -> Option<InFlight> {
        self.in_flight.take_if(|in_flight| in_flight.record.id == id)
    }

    /// Puts an envelope on its way.
    pub(in crate::engine) fn set_in_flight(&mut self, in_flight: InFlight) {
        self.in_flight = Some(in_flight);
    }

    /// Whether something for a contact waits for its turn, or is on its way, that nobody is shown as
    /// not sent: an acknowledgement, a read mark, an answer or a farewell.
    pub(in crate::engine) fn owes(&self) -> bool {
        let is_owed =
            |record: &OutgoingRecord| matches!(record.purpose, EnvelopePurpose::Control(_));
        let in_flight = self.in_flight.as_ref();
        in_flight.is_some_and(|in_flight| is_owed(&in_flight.record))
            || self.jobs.order.values().any(|job| match *job {
                Job::Contact(_, ContactJob::AnswerOffer(_) | ContactJob::Acknowledge) => true,
                Job::Contact(
                    _,
                    ContactJob::Offer
                    | ContactJob::Retransmit(_)
                    | ContactJob::RetransmitNow(_)
                    | ContactJob::SendNext,
                )
                | Job::Junk => false,
                Job::PublishStored(contact, id) => self.kept(contact, id).is_some_and(is_owed),
            })
    }

    /// The tries that the search under way takes on average, if there is one.
    pub(in crate::engine) fn mining_tries(&self) -> Option<u64> {
        match self.in_flight.as_ref()?.stage {
            PublishStage::Mining { tries, .. } => Some(tries),
            PublishStage::Mined { .. } => None,
        }
    }

    /// Forgets every envelope to a contact whose purpose is `unwanted`; returns which, and which of
    /// them is being mined.
    pub(super) fn forget(
        &mut self,
        contact: ContactId,
        unwanted: impl Fn(EnvelopePurpose) -> bool,
    ) -> (Vec<OutgoingId>, Option<OutgoingId>) {
        let kept = self.kept.get(&contact).into_iter().flat_map(BTreeMap::values);
        let mut gone: Vec<OutgoingId> =
            kept.filter(|record| unwanted(record.purpose)).map(|record| record.id).collect();
        for &id in &gone {
            self.take_kept(contact, id);
            self.drop_jobs(contact, Job::PublishStored(contact, id));
        }
        let concerns =
            |record: &OutgoingRecord| record.purpose.concerns(contact) && unwanted(record.purpose);
        let stopped = self.in_flight.take_if(|in_flight| concerns(&in_flight.record));
        let stopped = stopped.map(|in_flight| in_flight.record.id);
        gone.extend(stopped);
        (gone, stopped)
    }

    /// Whether this message is encrypted and was never published.
    pub(in crate::engine) fn is_unpublished(&self, contact: ContactId, message: MessageId) -> bool {
        let carries = |record: &OutgoingRecord| matches!(record.purpose, EnvelopePurpose::Message(_, id) if id == message);
        self.in_flight.as_ref().is_some_and(|in_flight| carries(&in_flight.record))
            || self.kept.get(&contact).into_iter().flat_map(BTreeMap::values).any(carries)
    }

    /// Forgets all jobs and envelopes for contacts. Nothing is erased from the store. Returns the
    /// envelope on its way, if it was for a contact: its search is to be stopped.
    pub(in crate::engine) fn drop_contacts(&mut self) -> Option<OutgoingId> {
        // Junk goes on, so a lock does not show.
        self.jobs.retain_junk();
        self.kept.clear();
        self.aside.clear();
        self.paced.clear();
        self.repriced.clear();
        let for_contact =
            |in_flight: &mut InFlight| in_flight.record.purpose != EnvelopePurpose::Junk;
        self.in_flight.take_if(for_contact).map(|in_flight| in_flight.record.id)
    }
}

/// Jobs in the order of request, each but junk at most once.
///
/// Traffic is an anonymity property: no contact is served before another that asked earlier.
#[derive(Debug, Default)]
struct JobQueue {
    order: BTreeMap<u64, Job>,
    /// The place of each job; junk, of which several may wait, is not among them.
    places: BTreeMap<Job, u64>,
    junk: BTreeSet<u64>,
    /// How many were ever appended: 2^64 never come.
    appended: u64,
}

impl JobQueue {
    fn push(&mut self, job: Job) {
        // Its content is decided when its turn comes, so one job does what two would, at the place
        // of the earlier.
        if !self.places.contains_key(&job) {
            self.appended += 1;
            self.places.insert(job, self.appended);
            self.order.insert(self.appended, job);
        }
    }

    fn push_junk(&mut self) {
        if self.junk.len() < MAX_JUNK_WAITING {
            self.appended += 1;
            self.junk.insert(self.appended);
            self.order.insert(self.appended, Job::Junk);
        }
    }

    fn pop(&mut self) -> Option<Job> {
        let (place, job) = self.order.pop_first()?;
        self.places.remove(&job);
        self.junk.remove(&place);
        Some(job)
    }

    fn remove(&mut self, job: Job) {
        if let Some(place) = self.places.remove(&job) {
            self.order.remove(&place);
        }
    }

    fn contains(&self, job: Job) -> bool {
        self.places.contains_key(&job)
    }

    fn drop_junk(&mut self) {
        for place in core::mem::take(&mut self.junk) {
            self.order.remove(&place);
        }
    }

    fn retain_junk(&mut self) {
        self.places.clear();
        self.order.retain(|_, job| *job == Job::Junk);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn any_job() -> impl Strategy<Value = Job> {
        let job = prop_oneof![
            Just(ContactJob::Offer),
            Just(ContactJob::SendNext),
            (0_u64..3).prop_map(|id| ContactJob::Retransmit(MessageId(id))),
            Just(ContactJob::Acknowledge),
        ];
        (0_u64..3, job).prop_map(|(contact, job)| Job::Contact(ContactId(contact), job))
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(Job),
        PushJunk,
        Pop,
        Remove(Job),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => any_job().prop_map(Step::Push),
            2 => Just(Step::PushJunk),
            2 => Just(Step::Pop),
            1 => any_job().prop_map(Step::Remove),
        ]
    }

    #[test]
    fn what_waited_for_a_lower_price_leaves_one_by_one_until_nothing_waits_or_somebody_wants_it() {
        let contact = ContactId(1);
        let jobs = [ContactJob::SendNext, ContactJob::Acknowledge];
        let mut outbox = Outbox::default();
        assert_eq!(outbox.leave(contact), Leave::Now);
        for job in jobs {
            outbox.set_aside(contact, Job::Contact(contact, job), Aside::Price);
        }
        outbox.slow_down(contact);
        // What is new does not overtake what waits.
        assert_eq!(outbox.leave(contact), Leave::Later);
        outbox.look_again(contact);
        assert_eq!(jobs.map(|job| outbox.pop() == Some(Job::Contact(contact, job))), [true; 2]);
        assert_eq!([outbox.leave(contact), outbox.leave(contact)], [Leave::Alone, Leave::Later]);
        let last = Job::Contact(contact, ContactJob::Acknowledge);
        outbox.set_aside(contact, last, Aside::Turn);
        outbox.look_again(contact);
        assert_eq!([outbox.leave(contact), outbox.leave(contact)], [Leave::Alone, Leave::Later]);
        outbox.look_again(contact);
        assert_eq!([outbox.leave(contact), outbox.leave(contact)], [Leave::Now; 2]);
        outbox.slow_down(contact);
        assert_eq!(outbox.leave(ContactId(2)), Leave::Now, "another contact's affair");
        outbox.free(contact);
        assert_eq!(outbox.leave(contact), Leave::Now);
    }

    proptest! {
        #[test]
        fn jobs_come_in_the_order_of_request_each_once_and_junk_in_bounded_number(
            steps in proptest::collection::vec(any_step(), 1..200),
        ) {
            let mut queue = JobQueue::default();
            let mut model: VecDeque<Job> = VecDeque::new();
            for step in steps {
                match step {
                    Step::Push(job) => {
                        queue.push(job);
                        if !model.contains(&job) {
                            model.push_back(job);
                        }
                    }
                    Step::PushJunk => {
                        queue.push_junk();
                        let waiting = model.iter().filter(|job| **job == Job::Junk).count();
                        if waiting < MAX_JUNK_WAITING {
                            model.push_back(Job::Junk);
                        }
                    }
                    Step::Pop => prop_assert_eq!(queue.pop(), model.pop_front()),
                    Step::Remove(job) => {
                        queue.remove(job);
                        model.retain(|waiting| *waiting != job);
                        prop_assert!(!queue.contains(job));
                    }
                }
            }
            let rest: Vec<Job> = core::iter::from_fn(|| queue.pop()).collect();
            prop_assert_eq!(rest, Vec::from(model));
        }
    }
}
