//! The archive's thread: a disk takes as long as it takes, and holds nothing up that neighbours see.
//!
//! The network's thread gives orders and goes on; what was read comes back to it. Orders are carried
//! out one after the other, so what was given to be kept can be read by a later one. What waits is
//! bounded: beyond that an envelope is not kept, which the engine hears of as of any that the disk
//! lost.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc};
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;

use crate::engine::envelope::EnvelopeId;
use crate::engine::id::SyncResponseId;
use crate::engine::sync;
use crate::shell::api::ArchiveStatus;
use crate::shell::archive::{Archive, ArchiveFault};

/// Where envelopes are kept: an archive, and in tests one that stands still.
pub(super) trait Disk: Send + 'static {
    /// Keeps an envelope; if that fails, its id is among the lost.
    fn keep(&mut self, id: EnvelopeId, bytes: &[u8]);
    fn discard(&mut self, ids: &[EnvelopeId]);
    /// What was kept; if it is not there, its id is among the lost.
    fn get(&mut self, id: &EnvelopeId) -> Option<Vec<u8>>;
    fn take_lost(&mut self) -> Vec<EnvelopeId>;
    /// Writes all that was kept.
    fn beat(&mut self);
    fn status(&self) -> ArchiveStatus;
}

impl Disk for Archive {
    fn keep(&mut self, id: EnvelopeId, bytes: &[u8]) {
        self.keep(id, bytes);
    }

    fn discard(&mut self, ids: &[EnvelopeId]) {
        self.discard(ids);
    }

    fn get(&mut self, id: &EnvelopeId) -> Option<Vec<u8>> {
        self.get(id)
    }

    fn take_lost(&mut self) -> Vec<EnvelopeId> {
        self.take_lost()
    }

    fn beat(&mut self) {
        self.beat();
    }

    fn status(&self) -> ArchiveStatus {
        ArchiveStatus {
            bytes: self.bytes(),
            missed: self.missed(),
            trouble: self.trouble().map(|fault| ArchiveFault::words(fault).to_owned()),
        }
    }
}

/// What is told of an archive, as of the last second in which its disk answered.
#[derive(Clone)]
pub(super) struct ArchiveFigures {
    status: ArchiveStatus,
    /// Envelopes that were held when it had last written all it was given: what the next start has,
    /// whatever happens to this one. The carrier knows of newer ones already.
    pub(super) written: usize,
    /// Envelopes that found no room among those that wait.
    refused: u64,
    /// Whether some did in the last second.
    is_slow: bool,
}

impl ArchiveFigures {
    /// Those of one that holds so many envelopes, all of them written.
    pub(super) fn of(disk: &impl Disk, written: usize) -> Self {
        Self { status: disk.status(), written, refused: 0, is_slow: false }
    }

    /// What clients are told.
    pub(super) fn status(&self) -> ArchiveStatus {
        let ArchiveStatus { bytes, missed, trouble } = self.status.clone();
        let slow = || self.is_slow.then(|| ArchiveFault::Slow.words().to_owned());
        ArchiveStatus { bytes, missed: missed + self.refused, trouble: trouble.or_else(slow) }
    }
}

/// Shared with whoever tells them; nothing without an archive.
pub(super) type Figures = Arc<Mutex<Option<ArchiveFigures>>>;

/// Of an archive, as the network's thread holds it. Dropping it waits until all is written.
pub(super) struct ArchiveThread {
    /// `None` at its end.
    orders: Option<std_mpsc::SyncSender<Order>>,
    answers: mpsc::Receiver<DiskAnswer>,
    /// Bytes of envelopes that wait to be kept.
    waiting: Arc<AtomicUsize>,
    /// What is to go and found no room among the orders: rows of the archive, so never more than
    /// there are.
    unwanted: BTreeSet<EnvelopeId>,
    /// The lost that were reported to whoever asked.
    heard: u64,
    refused: u64,
    figures: Figures,
    thread: Option<JoinHandle<()>>,
}

/// What is to be done on the thread.
enum Order {
    Keep(EnvelopeId, Vec<u8>),
    Discard(Vec<EnvelopeId>),
    /// Finishes a response with these envelopes.
    Read {
        id: SyncResponseId,
        response: Vec<u8>,
        stored: Vec<EnvelopeId>,
    },
    /// A second has passed. So many envelopes are held, and so many lost ones were heard of.
    Beat {
        held: usize,
        heard: u64,
    },
}

/// What comes back.
#[derive(PartialEq, Eq)]
pub(super) enum DiskAnswer {
    /// A response is complete. What was not there is left out.
    Response(SyncResponseId, Vec<u8>),
    /// Envelopes that are not kept although the engine counts on it. Each is named once.
    Lost(Vec<EnvelopeId>),
}

impl ArchiveThread {
    /// Starts it, for a disk that has so many envelopes.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn start(disk: impl Disk, written: usize, figures: Figures) -> io::Result<Self> {
        let (orders, ordered) = std_mpsc::sync_channel(WAITING_ORDERS);
        let (answers_tx, answers) = mpsc::channel(WAITING_ANSWERS);
        let waiting = Arc::new(AtomicUsize::new(0));
        *lock(&figures) = Some(ArchiveFigures::of(&disk, written));
        let worker = Worker {
            disk,
            answers: answers_tx,
            waiting: Arc::clone(&waiting),
            lost: 0,
            figures: Arc::clone(&figures),
        };
        let on_thread = move || worker.work(&ordered);
        let thread = thread::Builder::new().name("archive".to_owned()).spawn(on_thread)?;
        let (orders, thread, unwanted) = (Some(orders), Some(thread), BTreeSet::new());
        Ok(Self { orders, answers, waiting, unwanted, heard: 0, refused: 0, figures, thread })
    }

    /// Has an envelope kept. Whether it may: if too much waits, it is lost already.
    pub(super) fn keep(&mut self, id: EnvelopeId, bytes: Vec<u8>) -> bool {
        let length = bytes.len();
        let is_room = self.waiting.load(Ordering::Relaxed) + length <= WAITING_BYTES;
        if is_room {
            self.waiting.fetch_add(length, Ordering::Relaxed);
            if self.order(Order::Keep(id, bytes)).is_ok() {
                // It may have been discarded a moment ago and come back.
                self.unwanted.remove(&id);
                return true;
            }
            self.waiting.fetch_sub(length, Ordering::Relaxed);
        }
        self.refused += 1;
        false
    }

    /// Has envelopes discarded.
    pub(super) fn discard(&mut self, ids: Vec<EnvelopeId>) {
        if let Err(Order::Discard(ids)) = self.order(Order::Discard(ids)) {
            self.unwanted.extend(ids);
        }
    }

    /// Has a response finished with these envelopes; it comes back as an answer.
    ///
    /// # Errors
    /// When too much waits: the response as it was.
    pub(super) fn finish(
        &self,
        id: SyncResponseId,
        response: Vec<u8>,
        stored: Vec<EnvelopeId>,
    ) -> Result<(), Vec<u8>> {
        match self.order(Order::Read { id, response, stored }) {
            Err(Order::Read { response, .. }) => Err(response),
            Err(_) | Ok(()) => Ok(()),
        }
    }

    /// Has all written that was kept. Call it every second, with the number of envelopes that are
    /// held.
    pub(super) fn beat(&mut self, held: usize) {
        if !self.unwanted.is_empty() {
            let unwanted = std::mem::take(&mut self.unwanted);
            self.discard(unwanted.into_iter().collect());
        }
        // If too much waits, the next one does.
        drop(self.order(Order::Beat { held, heard: self.heard }));
        if let Some(figures) = &mut *lock(&self.figures) {
            figures.is_slow = self.refused > figures.refused;
            figures.refused = self.refused;
        }
    }

    /// The next answer.
    pub(super) async fn answer(&mut self) -> DiskAnswer {
        match self.answers.recv().await {
            Some(answer) => {
                if let DiskAnswer::Lost(ids) = &answer {
                    self.heard += ids.len() as u64;
                }
                answer
            }
            // The thread died: nothing comes any more, and orders find no room.
            None => std::future::pending().await,
        }
    }

    fn order(&self, order: Order) -> Result<(), Order> {
        use std_mpsc::TrySendError::{Disconnected, Full};
        let Some(orders) = &self.orders else { return Err(order) };
        orders.try_send(order).map_err(|(Full(order) | Disconnected(order))| order)
    }
}

impl Drop for ArchiveThread {
    fn drop(&mut self) {
        self.orders = None;
        // Nobody takes what was read: it does not wait for that.
        self.answers.close();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the archive's thread died, which is a fault of this program");
        }
    }
}

/// What runs on the thread.
struct Worker<D> {
    disk: D,
    answers: mpsc::Sender<DiskAnswer>,
    waiting: Arc<AtomicUsize>,
    /// The lost that were reported.
    lost: u64,
    figures: Figures,
}

impl<D: Disk> Worker<D> {
    fn work(mut self, orders: &std_mpsc::Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            self.carry_out(order);
            self.report_lost();
        }
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Keep(id, bytes) => {
                self.disk.keep(id, &bytes);
                self.waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
            }
            Order::Discard(ids) => self.disk.discard(&ids),
            Order::Read { id, mut response, stored } => {
                for envelope in stored.iter().filter_map(|id| self.disk.get(id)) {
                    sync::append_envelope(&mut response, &envelope);
                }
                self.answer(DiskAnswer::Response(id, response));
            }
            Order::Beat { held, heard } => {
                self.disk.beat();
                self.report_lost();
                // The carrier counted on those still.
                let unheard = usize::try_from(self.lost.saturating_sub(heard)).unwrap_or(held);
                let (status, written) = (self.disk.status(), held.saturating_sub(unheard));
                if let Some(figures) = &mut *lock(&self.figures) {
                    figures.status = status;
                    figures.written = written;
                }
            }
        }
    }

    fn report_lost(&mut self) {
        let lost = self.disk.take_lost();
        if !lost.is_empty() {
            self.lost += lost.len() as u64;
            self.answer(DiskAnswer::Lost(lost));
        }
    }

    fn answer(&self, answer: DiskAnswer) {
        // At the end nobody hears it, and what is left is written all the same.
        if self.answers.blocking_send(answer).is_err() {
            tracing::debug!("nobody waits for the archive any more");
        }
    }
}

fn lock(figures: &Figures) -> std::sync::MutexGuard<'_, Option<ArchiveFigures>> {
    figures.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Orders that wait at most: with the greatest line, those of a disk that stands still for half a
/// minute.
const WAITING_ORDERS: usize = 1_024;

/// Bytes of envelopes that wait to be kept at most.
const WAITING_BYTES: usize = 8 << 20;

/// Answers that wait until the network's thread comes to them.
const WAITING_ANSWERS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that answers nothing before it may.
    struct Still {
        may: std_mpsc::Receiver<()>,
        rows: Vec<EnvelopeId>,
        lost: Vec<EnvelopeId>,
        kept: Arc<AtomicUsize>,
    }

    impl Disk for Still {
        fn keep(&mut self, id: EnvelopeId, _: &[u8]) {
            self.may.recv().ok();
            self.rows.push(id);
            self.kept.store(self.rows.len(), Ordering::Relaxed);
        }

        fn discard(&mut self, ids: &[EnvelopeId]) {
            self.rows.retain(|row| !ids.contains(row));
        }

        fn get(&mut self, id: &EnvelopeId) -> Option<Vec<u8>> {
            if self.rows.contains(id) {
                return Some(id.0.to_vec());
            }
            self.lost.push(*id);
            None
        }

        fn take_lost(&mut self) -> Vec<EnvelopeId> {
            std::mem::take(&mut self.lost)
        }

        fn beat(&mut self) {}

        fn status(&self) -> ArchiveStatus {
            ArchiveStatus { bytes: 0, missed: 0, trouble: None }
        }
    }

    fn id(number: u32) -> EnvelopeId {
        let mut id = [0; 32];
        id[28..].copy_from_slice(&number.to_be_bytes());
        EnvelopeId(id)
    }

    /// A thread on such a disk, what lets it go on, and how much it has kept.
    fn still() -> (ArchiveThread, std_mpsc::Sender<()>, Arc<AtomicUsize>) {
        let (lets, may) = std_mpsc::channel();
        let kept = Arc::new(AtomicUsize::new(0));
        let disk = Still { may, rows: Vec::new(), lost: Vec::new(), kept: Arc::clone(&kept) };
        let thread = ArchiveThread::start(disk, 0, Figures::default()).unwrap();
        (thread, lets, kept)
    }

    fn told(archive: &ArchiveThread) -> ArchiveFigures {
        lock(&archive.figures).clone().unwrap()
    }

    #[test]
    fn what_waits_for_a_disk_that_stands_still_is_bounded_and_kept_when_it_goes_on() {
        for (length, bound) in [(300, WAITING_ORDERS), (60_000, WAITING_BYTES / 60_000)] {
            let (mut archive, lets, kept) = still();
            let many = u32::try_from(WAITING_ORDERS).unwrap() + 100;
            let taken = (0..many).filter(|n| archive.keep(id(*n), vec![0; length])).count();
            // One is on the thread already, perhaps.
            assert!((bound..=bound + 1).contains(&taken), "{taken} of {length} bytes");
            archive.beat(taken);
            let refused = u64::from(many) - taken as u64;
            assert_eq!(told(&archive).status().missed, refused);
            assert_eq!(
                told(&archive).status().trouble.as_deref(),
                Some(ArchiveFault::Slow.words())
            );
            assert_eq!(told(&archive).written, 0, "nothing is written yet");
            drop(lets);
            drop(archive);
            assert_eq!(kept.load(Ordering::Relaxed), taken);
        }
    }

    #[tokio::test]
    async fn an_envelope_that_was_just_given_is_in_a_response_and_one_that_is_not_there_is_reported()
     {
        let (mut archive, lets, _) = still();
        drop(lets);
        assert!(archive.keep(id(1), vec![0; 300]));
        let sent = archive.finish(SyncResponseId(7), vec![9], vec![id(1), id(2)]);
        assert_eq!(sent, Ok(()));
        let mut expected = vec![9];
        sync::append_envelope(&mut expected, &id(1).0);
        assert!(archive.answer().await == DiskAnswer::Response(SyncResponseId(7), expected));
        assert!(archive.answer().await == DiskAnswer::Lost(vec![id(2)]));
    }

    #[tokio::test]
    async fn the_lost_that_nobody_heard_of_yet_do_not_count_as_written() {
        let (mut archive, lets, _) = still();
        drop(lets);
        let written_after_a_beat = |archive: &mut ArchiveThread, held| {
            archive.beat(held);
            // What comes back is read after the beat.
            assert_eq!(archive.finish(SyncResponseId(1), Vec::new(), Vec::new()), Ok(()));
        };
        assert_eq!(archive.finish(SyncResponseId(0), Vec::new(), vec![id(2)]), Ok(()));
        written_after_a_beat(&mut archive, 5);
        assert!(matches!(archive.answer().await, DiskAnswer::Response(..)));
        assert!(archive.answer().await == DiskAnswer::Lost(vec![id(2)]));
        assert!(matches!(archive.answer().await, DiskAnswer::Response(..)));
        assert_eq!(told(&archive).written, 4);
        written_after_a_beat(&mut archive, 4);
        assert!(matches!(archive.answer().await, DiskAnswer::Response(..)));
        assert_eq!(told(&archive).written, 4);
    }

    #[test]
    fn what_comes_back_is_not_discarded_by_an_order_that_found_no_room_before() {
        let (mut archive, lets, kept) = still();
        let many = u32::try_from(WAITING_ORDERS).unwrap() + 10;
        for number in 0..many {
            archive.keep(id(number), vec![0; 300]);
        }
        archive.discard(vec![id(0), id(1)]);
        assert_eq!(archive.unwanted.len(), 2);
        assert!(!archive.keep(id(1), vec![0; 300]));
        assert_eq!(archive.unwanted.len(), 2, "it is lost, and what is on the disk goes");
        lets.send(()).unwrap();
        while !archive.keep(id(1), vec![0; 300]) {
            thread::yield_now();
        }
        assert_eq!(archive.unwanted.len(), 1);
        drop(lets);
        drop(archive);
        assert!(kept.load(Ordering::Relaxed) >= WAITING_ORDERS);
    }
}
