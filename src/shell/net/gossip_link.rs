//! Gossipsub's end of one connection, and ours around it.
//!
//! Gossipsub reads and decodes whole frames by itself and hands each to the one task that deals with
//! all neighbours. [`GossipLink`] reads in its place: it keeps the stream on which the neighbour
//! writes, looks at every frame ([`frame`]) and at every message in it, in the task of this
//! connection, and lets gossipsub decode what is left, one message at a time. So nobody's turn
//! is long, and what every node refuses never gets out of the connection that brought it.
//! Everything else, the stream on which we write above all, is gossipsub's own.
//!
//! **A budget of work.** Each frame costs work by its bytes, messages and fields; a neighbour may
//! cause [`RATE`] of it a second and [`BURST`] at once. Then nothing is read from it until that is
//! paid: no blame, and what it has written meanwhile waits with it.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use asynchronous_codec::Decoder;
use bytes::{Buf as _, BytesMut};
use futures::future::Either;
use futures::{AsyncRead as _, Future as _};
use libp2p::Stream;
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound};
use libp2p::swarm::{
    ConnectionHandler, ConnectionHandlerEvent, SubstreamProtocol, THandler, THandlerOutEvent,
};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::engine::envelope::EnvelopeId;
use crate::engine::secret::opaque_debug;

use super::backlog::Ledger;
use super::frame::{self, Breach, PassingOn, Sifted};
use super::inbound::{Gossipsub, Inspector, Look, OffTime};
use super::muxer::waited;
use super::peers::REFUSALS;

/// Work that one neighbour may cause a second: 1,300 usual envelopes, 85 times the default line. A
/// guess; the 112 neighbours that a node can have, all hostile, keep two cores busy with it, by
/// calculation. None of it is the work of the node's own task.
const RATE: u32 = 4_096;

/// Work that one neighbour may cause at once: four seconds of [`RATE`].
const BURST: u32 = 4 * RATE;

/// Streams that a neighbour may open one after the other; gossipsub's own bound.
const OPENED: u8 = 5;

/// Bytes read at a time.
const READ: usize = 8 << 10;

/// Messages looked at before others have a turn.
const TURN: usize = 32;

/// Gossipsub's own handler of a connection: its type has no public name.
type Inner = THandler<Gossipsub>;

/// What it tells gossipsub.
pub(super) type FromHandler = THandlerOutEvent<Gossipsub>;

/// Decodes a frame, given without its length.
type Decode = Box<dyn FnMut(&[u8]) -> Option<FromHandler> + Send>;

/// Gossipsub's decoder of what a neighbour writes, in the hands of its connection, and of the one task:
/// so that can tell gossipsub what only the neighbour could otherwise.
#[derive(Clone, Default)]
pub(super) struct FrameDecoder(Arc<Mutex<Option<Decode>>>);

opaque_debug!(struct FrameDecoder(_));

impl FrameDecoder {
    /// Decodes by this from now on.
    fn set(&self, decode: Decode) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(decode);
    }

    /// Decodes a frame, given without its length. None for what is none, and before the neighbour opened
    /// a stream.
    pub(super) fn event_of(&self, frame: &[u8]) -> Option<FromHandler> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut()?(frame)
    }
}

/// What a connection tells.
pub(super) enum FromLink {
    /// For gossipsub, as it is; holds no message.
    Protocol(FromHandler),
    /// An envelope, for gossipsub, and its id.
    Envelope {
        /// A frame with this message alone.
        event: FromHandler,
        /// The envelope's id.
        id: EnvelopeId,
        /// The envelope's bytes.
        size: usize,
    },
    /// The neighbour says whether it passes the flood on to us.
    PassingOn(PassingOn),
    /// The stream on which we write cannot be opened again: nothing more reaches the neighbour.
    Dead,
    /// What was left out of a frame.
    Left {
        /// Messages that every node refuses.
        refused: u32,
        /// Envelopes at the wrong time.
        off_time: OffTime,
    },
}

opaque_debug!(
    enum FromLink {
        Protocol,
        Envelope,
        PassingOn,
        Dead,
        Left,
    }
);

/// A connection's gossip.
pub(super) struct GossipLink {
    inner: Inner,
    inspector: Arc<Inspector>,
    inbound: Option<Inbound>,
    opened: u8,
    /// What is told next; at most what a new stream and the head of a frame give.
    told: VecDeque<FromLink>,
    work: WorkBudget,
    ledger: Arc<Ledger>,
    decoder: FrameDecoder,
    outbound: Outbound,
    /// The neighbour is to be parted with: nothing more is read.
    is_over: bool,
}

/// What is known of the stream on which gossipsub writes.
#[derive(Default)]
struct Outbound {
    is_open: bool,
    /// How often it was opened, or that was tried.
    tried: u8,
}

/// The stream on which the neighbour writes.
struct Inbound {
    stream: Stream,
    /// What has come of the next frames: less than one of the longest, and one read.
    came: BytesMut,
    decoder: FrameDecoder,
    /// The frame under way.
    current: Option<Current>,
}

/// A frame whose messages are handed on one by one.
struct Current {
    frame: BytesMut,
    messages: VecDeque<core::ops::Range<usize>>,
    refused: u32,
    off_time: OffTime,
}

/// What looking further has come to.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Outcome {
    Told(FromLink),
    /// Others have their turn.
    Turn,
    /// Nothing more has come.
    Wait,
    /// The neighbour closed the stream, or it failed.
    Ended,
}

impl GossipLink {
    /// Puts gossipsub's handler of a connection behind the look of this inspector. The ledger and the
    /// decoder are those of the neighbour, whatever number of connections it has.
    pub(super) fn new(
        inner: Inner,
        inspector: Arc<Inspector>,
        ledger: Arc<Ledger>,
        decoder: FrameDecoder,
    ) -> Self {
        Self {
            inner,
            inspector,
            inbound: None,
            opened: 0,
            told: VecDeque::new(),
            work: WorkBudget::new(Instant::now()),
            ledger,
            decoder,
            outbound: Outbound::default(),
            is_over: false,
        }
    }

    /// Takes a stream that the neighbour opened, in the place of an earlier one.
    fn take(&mut self, stream: Stream, came: BytesMut, decode: Decode) {
        self.decoder.set(decode);
        let decoder = self.decoder.clone();
        self.inbound = Some(Inbound { stream, came, decoder, current: None });
    }

    /// Lets gossipsub write, and settles what was handed to the neighbour when nothing of it waits.
    fn write(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<
        ConnectionHandlerEvent<
            <Inner as ConnectionHandler>::OutboundProtocol,
            <Inner as ConnectionHandler>::OutboundOpenInfo,
            FromHandler,
        >,
    > {
        let handed = self.ledger.handed();
        let (polled, waited) = waited(|| self.inner.poll(context));
        match &polled {
            // It takes from the queue until that is empty or the stream has to wait.
            Poll::Pending if self.outbound.is_open && !waited => self.ledger.settle(handed),
            Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { .. }) => {
                self.outbound.is_open = false;
            }
            Poll::Pending | Poll::Ready(_) => {}
        }
        polled
    }

    fn breach(&mut self) -> Outcome {
        self.is_over = true;
        self.inbound = None;
        // As many as part with it at once: no honest program writes such a frame by accident.
        Outcome::Told(FromLink::Left { refused: REFUSALS, off_time: OffTime::default() })
    }

    /// Looks at what has come, until there is something to tell.
    fn look(&mut self, context: &mut Context<'_>) -> Outcome {
        if self.is_over || self.work.is_spent(context) {
            return Outcome::Wait;
        }
        let Some(inbound) = &mut self.inbound else { return Outcome::Wait };
        if inbound.current.is_some() {
            return match inbound.next_message(&self.inspector) {
                Ok(step) => step,
                Err(Breach) => self.breach(),
            };
        }
        match inbound.next_frame(context) {
            Poll::Pending => Outcome::Wait,
            Poll::Ready(Ok(None)) => Outcome::Ended,
            Poll::Ready(Ok(Some(frame))) => self.begin(frame),
            Poll::Ready(Err(Breach)) => self.breach(),
        }
    }

    fn begin(&mut self, frame: BytesMut) -> Outcome {
        let Some(inbound) = &mut self.inbound else { return Outcome::Wait };
        let sifted = frame::sift(&frame, self.inspector.flood());
        let Ok(Sifted { rest, passing_on, messages, work }) = sifted else {
            return self.breach();
        };
        self.work.charge(work, Instant::now());
        if !messages.is_empty() {
            inbound.current = Some(Current {
                frame,
                messages: messages.into(),
                refused: 0,
                off_time: OffTime::default(),
            });
        }
        let passing_on = passing_on.map(FromLink::PassingOn);
        if rest.is_empty() {
            return passing_on.map_or(Outcome::Turn, Outcome::Told);
        }
        match inbound.decoder.event_of(&rest) {
            Some(event) => {
                self.told.extend(passing_on);
                Outcome::Told(FromLink::Protocol(event))
            }
            None => self.breach(),
        }
    }
}

impl Inbound {
    /// The next whole frame; none when the stream has ended.
    fn next_frame(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<BytesMut>, Breach>> {
        loop {
            match frame::measure(&self.came) {
                Err(breach) => return Poll::Ready(Err(breach)),
                Ok(Some((before, length))) if self.came.len() - before >= length => {
                    self.came.advance(before);
                    let frame = self.came.split_to(length);
                    if self.came.is_empty() {
                        // An idle neighbour holds no memory.
                        self.came = BytesMut::new();
                    }
                    return Poll::Ready(Ok(Some(frame)));
                }
                Ok(_) => {}
            }
            let mut some = [0; READ];
            match Pin::new(&mut self.stream).poll_read(context, &mut some) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Ok(None)),
                // With what has come, and not at once to the length that the neighbour announced.
                Poll::Ready(Ok(read)) => {
                    self.came.extend_from_slice(some.get(..read).unwrap_or_default());
                }
            }
        }
    }

    /// Looks at the messages of the frame under way up to one that is handed on.
    fn next_message(&mut self, inspector: &Inspector) -> Result<Outcome, Breach> {
        for _ in 0..TURN {
            let Some(current) = &mut self.current else { return Ok(Outcome::Turn) };
            let Some(place) = current.messages.pop_front() else {
                let (refused, off_time) = (current.refused, current.off_time);
                self.current = None;
                if refused == 0 && off_time == OffTime::default() {
                    return Ok(Outcome::Turn);
                }
                return Ok(Outcome::Told(FromLink::Left { refused, off_time }));
            };
            let said = frame::message(current.frame.get(place).ok_or(Breach)?)?;
            if said.is_anonymous {
                match inspector.look(said.topic, said.data) {
                    Look::Admitted(id) => {
                        let event = self.decoder.event_of(&frame::alone(&said)).ok_or(Breach)?;
                        let size = said.data.len();
                        return Ok(Outcome::Told(FromLink::Envelope { event, id, size }));
                    }
                    Look::OffTime(why) => {
                        current.off_time.count(why);
                        continue;
                    }
                    Look::Refused => {}
                }
            }
            current.refused += 1;
            // Its neighbour is parted with for these alone, so the rest of the frame costs nothing.
            if current.refused >= REFUSALS {
                current.messages.clear();
            }
        }
        Ok(Outcome::Turn)
    }
}

/// The decoder of a stream: gossipsub's, whose type has no public name.
fn decoder<C>(mut codec: C) -> Decode
where
    C: Decoder<Item = FromHandler> + Send + 'static,
{
    Box::new(move |frame| {
        let mut bytes = Vec::with_capacity(frame.len() + 4);
        frame::put_number(&mut bytes, u64::try_from(frame.len()).unwrap_or(u64::MAX));
        bytes.extend_from_slice(frame);
        codec.decode(&mut BytesMut::from(bytes.as_slice())).ok().flatten()
    })
}

impl ConnectionHandler for GossipLink {
    type FromBehaviour = <Inner as ConnectionHandler>::FromBehaviour;
    type ToBehaviour = FromLink;
    type InboundProtocol = <Inner as ConnectionHandler>::InboundProtocol;
    type OutboundProtocol = <Inner as ConnectionHandler>::OutboundProtocol;
    type InboundOpenInfo = <Inner as ConnectionHandler>::InboundOpenInfo;
    type OutboundOpenInfo = <Inner as ConnectionHandler>::OutboundOpenInfo;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol, Self::InboundOpenInfo> {
        self.inner.listen_protocol()
    }

    fn connection_keep_alive(&self) -> bool {
        self.inner.connection_keep_alive()
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<
        ConnectionHandlerEvent<Self::OutboundProtocol, Self::OutboundOpenInfo, Self::ToBehaviour>,
    > {
        if let Poll::Ready(event) = self.write(context) {
            return Poll::Ready(event.map_custom(FromLink::Protocol));
        }
        if let Some(told) = self.told.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(told));
        }
        match self.look(context) {
            Outcome::Told(told) => {
                return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(told));
            }
            Outcome::Turn => context.waker().wake_by_ref(),
            Outcome::Wait => {}
            Outcome::Ended => self.inbound = None,
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, event: Self::FromBehaviour) {
        self.inner.on_behaviour_event(event);
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "libp2p's enum, open to new variants")]
    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<
            '_,
            Self::InboundProtocol,
            Self::OutboundProtocol,
            Self::InboundOpenInfo,
            Self::OutboundOpenInfo,
        >,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: Either::Left((framed, kind)),
                ..
            }) => {
                self.opened = self.opened.saturating_add(1);
                if self.opened > OPENED || self.is_over {
                    return;
                }
                let parts = framed.into_parts();
                self.take(parts.io, parts.read_buffer, decoder(parts.codec));
                // Before any message: until gossipsub knows the kind of a neighbour it takes it for
                // one that wants everything.
                self.told.push_back(FromLink::Protocol(FromHandler::PeerKind(kind)));
            }
            event => {
                if event.is_outbound() {
                    let is_open = matches!(event, ConnectionEvent::FullyNegotiatedOutbound(_));
                    self.outbound.is_open = is_open;
                    self.outbound.tried = self.outbound.tried.saturating_add(1);
                    if self.outbound.tried == OPENED {
                        // Gossipsub gives up and says nothing: its queue would be kept for ever.
                        self.outbound.is_open = false;
                        self.told.push_back(FromLink::Dead);
                    }
                }
                self.inner.on_connection_event(event);
            }
        }
    }
}

/// The work that a neighbour may cause.
struct WorkBudget {
    /// When all that it has caused would be done at [`RATE`].
    done: Instant,
    /// Until there is enough again.
    pause: Option<Pin<Box<Sleep>>>,
}

impl WorkBudget {
    const fn new(now: Instant) -> Self {
        Self { done: now, pause: None }
    }

    /// Counts work that was caused.
    fn charge(&mut self, work: u32, now: Instant) {
        self.done = self.done.max(now) + Duration::from_secs(1) * work / RATE;
        let within = Duration::from_secs(1) * BURST / RATE;
        let pause = self.done.saturating_duration_since(now).saturating_sub(within);
        if !pause.is_zero() {
            self.pause = Some(Box::pin(sleep_until(now + pause)));
        }
    }

    /// Whether there is none left at this moment.
    fn is_spent(&mut self, context: &mut Context<'_>) -> bool {
        let Some(pause) = &mut self.pause else { return false };
        if pause.as_mut().poll(context).is_pending() {
            return true;
        }
        self.pause = None;
        false
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn is_spent(budget: &mut WorkBudget) -> bool {
        core::future::poll_fn(|context| Poll::Ready(budget.is_spent(context)))
            .now_or_never()
            .expect("it says so at once")
    }

    #[test]
    fn debug_of_what_a_connection_tells_shows_its_kind_alone() {
        let told = FromLink::Left { refused: 3, off_time: OffTime::default() };
        assert_eq!(format!("{told:?}"), "FromLink::Left");
        assert_eq!(format!("{:?}", FrameDecoder::default()), "FrameDecoder");
        assert!(FrameDecoder::default().event_of(&frame::unwanted(&[7])).is_none());
    }

    #[tokio::test]
    async fn more_work_than_a_neighbour_may_cause_at_once_pauses_it() {
        let now = Instant::now();
        let mut budget = WorkBudget::new(now);
        for _ in 0..BURST / 16 {
            budget.charge(16, now);
        }
        assert!(!is_spent(&mut budget));
        budget.charge(RATE, now);
        assert!(is_spent(&mut budget));
        let pause = budget.pause.as_ref().expect("it is spent").deadline();
        assert_eq!(pause.duration_since(now).as_secs(), 1, "until that second is paid");
    }

    #[tokio::test]
    async fn a_neighbour_that_was_quiet_for_long_has_no_more_than_a_burst() {
        let now = Instant::now();
        let mut budget = WorkBudget::new(now);
        let later = now + Duration::from_secs(3_600);
        budget.charge(BURST + RATE, later);
        let pause = budget.pause.as_ref().expect("it is spent").deadline();
        assert_eq!(pause, later + Duration::from_secs(1));
    }
}
