//! Many streams over one link, each with bounds, and a link that ends when its other end takes
//! nothing.
//!
//! **Fixed windows.** A receive window is what a peer may send before anybody here reads: memory
//! that the peer fills. libp2p's yamux lets windows grow to 1 GiB a connection and cannot be told
//! otherwise, so [`Yamux`] makes the connections of the crate below it, with the same bytes on the
//! wire and windows that stay at [`WINDOW`]. Frames are counted besides ([`super::unread`]).
//!
//! **Who takes nothing leaves** (the stall rule). What is written to a peer that does not read waits
//! here: in the stream, in the queues of the protocol above it, and in copies. So a stream on which
//! something waits, and which takes less than [`LEAST`] bytes in the time of
//! [`NetTiming::stall`], ends its link ([`LinkError::Stalled`]). Each stream is watched by itself:
//! reading pings helps no peer that leaves its gossip unread. A byte now and then helps neither.
//!
//! **Parting ends** (the close rule). The swarm awaits the end of closing, and yamux first writes
//! what waits: beside a peer that reads nothing that never ended, its place stayed taken, and its
//! queues were kept (libp2p/rust-yamux, pull request 219). So closing takes at most
//! [`NetTiming::farewell`]; then the link is dropped as it is.
//!
//! The latter two are around both transports alike ([`Metered`]). So is the pace at which a peer may open
//! streams ([`super::opens`]).

use core::cell::Cell;
use core::error::Error;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use futures::future::{Future as _, Ready, ready};
use futures::task::AtomicWaker;
use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent, SubstreamBox};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use tokio::time::{Instant, Sleep, sleep};

use super::opens::OpenedStreams;
use super::settings::NetTiming;
use super::unread::{CountedLink, CountedStream, UnreadFrames};

/// The bytes a peer may send on one stream before they are read: what yamux prescribes as the first
/// window. At 50 ms it carries 5 MB a second, a hundred times the default line.
pub(super) const WINDOW: usize = 256 << 10;

/// Streams that a peer may open before the first of them is looked at. Further ones are reset. A
/// guess: gossip, ping, identify and an exchange.
const WAITING: usize = 4;

/// The least that a stream takes in the time of [`NetTiming::stall`] while something waits, in
/// bytes: 0.8 KiB a second by default, less than any line on which this network is of use.
const LEAST: usize = 16 << 10;

/// The periods that the time of [`NetTiming::stall`] is counted in. A process that was stopped
/// wakes up after its deadline with the peer's answer unread: it is then one period late and not
/// all of them.
const PERIODS: u32 = 4;

/// yamux with windows that do not grow: `/yamux/1.0.0`, as libp2p's.
#[derive(Clone, Copy)]
pub(super) struct Yamux {
    /// The most streams at a time, of both sides together.
    pub(super) streams: usize,
}

impl Yamux {
    fn muxer<C>(self, link: C, mode: yamux::Mode) -> YamuxMuxer<C>
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        let mut config = yamux::Config::default();
        // In this order: the second asserts that its bound is room for all streams. It is no more
        // than that room, so that no window grows.
        config.set_max_num_streams(self.streams);
        config.set_max_connection_receive_window(Some(self.streams.saturating_mul(WINDOW)));
        let frames = UnreadFrames::default();
        let link = CountedLink::new(link, frames.clone());
        let connection = yamux::Connection::new(link, config, mode);
        let streams = OpenedStreams::none();
        YamuxMuxer { connection, frames, streams, opened: VecDeque::new(), waker: None }
    }
}

impl UpgradeInfo for Yamux {
    type Info = &'static str;
    type InfoIter = core::iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        core::iter::once("/yamux/1.0.0")
    }
}

impl<C> InboundConnectionUpgrade<C> for Yamux
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    type Output = YamuxMuxer<C>;
    type Error = io::Error;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, link: C, _: Self::Info) -> Self::Future {
        ready(Ok(self.muxer(link, yamux::Mode::Server)))
    }
}

impl<C> OutboundConnectionUpgrade<C> for Yamux
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    type Output = YamuxMuxer<C>;
    type Error = io::Error;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, link: C, _: Self::Info) -> Self::Future {
        ready(Ok(self.muxer(link, yamux::Mode::Client)))
    }
}

/// One link under [`Yamux`].
pub(super) struct YamuxMuxer<C> {
    connection: yamux::Connection<CountedLink<C>>,
    frames: UnreadFrames,
    /// How many the peer opened lately.
    streams: OpenedStreams,
    /// Streams that the peer opened and nobody here has taken yet, at most [`WAITING`].
    opened: VecDeque<CountedStream>,
    /// Whoever waits for such a stream.
    waker: Option<Waker>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> YamuxMuxer<C> {
    fn poll_opened(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<CountedStream, yamux::ConnectionError>> {
        // Nothing is read while the peer is to wait: yamux reads while it is asked for streams alone.
        ready!(self.streams.poll_room(context));
        let stream = match ready!(self.connection.poll_next_inbound(context)) {
            Some(stream) => stream?,
            None => return Poll::Ready(Err(yamux::ConnectionError::Closed)),
        };
        if !self.streams.add() {
            return Poll::Ready(Err(yamux::ConnectionError::TooManyStreams));
        }
        Poll::Ready(Ok(self.counted(stream)))
    }

    fn counted(&self, stream: yamux::Stream) -> CountedStream {
        CountedStream::new(stream, self.frames.clone())
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + 'static> StreamMuxer for YamuxMuxer<C> {
    type Substream = CountedStream;
    type Error = yamux::ConnectionError;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        if let Some(stream) = self.opened.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        let opened = self.poll_opened(context);
        if opened.is_pending() {
            self.waker = Some(context.waker().clone());
        }
        opened
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let opened = self.connection.poll_new_outbound(context);
        opened.map_ok(|stream| self.counted(stream))
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.connection.poll_close(context)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        // yamux moves only while it is asked for the next stream, so a stream may come here.
        let stream = match self.poll_opened(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(stream)) => stream,
        };
        if self.opened.len() < WAITING {
            self.opened.push_back(stream);
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        } else {
            // Dropping it resets it.
            drop(stream);
        }
        // Others have their turn first: a peer could open streams for ever.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The reason that a link ended by itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// The peer took next to nothing of what waited for it.
    #[error("the peer takes nothing of what is sent to it")]
    Stalled,
    /// The peer opened streams without end.
    #[error("the peer opens streams without end")]
    Opened,
    /// The link failed, or the peer ended it.
    #[error("the link failed: {0}")]
    Failed(#[source] io::Error),
}

impl LinkError {
    /// Whether a connection ended because of a stall, by the error that the swarm gives for its end.
    pub(super) fn is_stall(cause: &(dyn Error + 'static)) -> bool {
        causes(cause)
            .filter_map(|error| error.downcast_ref::<Self>())
            .any(|error| matches!(error, Self::Stalled))
    }
}

/// An error, and all that it was made from.
pub(super) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    core::iter::successors(Some(error), |&error| inner(error))
}

/// What an error was made from. `io::Error::source` leaves out the very error it holds.
fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    held.map(|held| held as &(dyn Error + 'static)).or_else(|| error.source())
}

/// The time a peer has to take something, and to let a link be closed.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    stall: Duration,
    farewell: Duration,
}

impl From<&NetTiming> for Patience {
    fn from(pace: &NetTiming) -> Self {
        Self { stall: pace.stall, farewell: pace.farewell }
    }
}

/// A link under the stall rule and the close rule.
pub(super) struct Metered {
    link: StreamMuxerBox,
    patience: Patience,
    alarm: Arc<Alarm>,
    /// How many streams the peer opened lately.
    streams: OpenedStreams,
    /// The latest end of closing, once that has begun.
    closing: Option<Pin<Box<Sleep>>>,
}

/// Tells a link of a stall on one of its streams.
#[derive(Default)]
struct Alarm {
    raised: AtomicBool,
    link: AtomicWaker,
}

impl Metered {
    /// Puts a link under both rules.
    pub(super) fn around(link: StreamMuxerBox, patience: Patience) -> StreamMuxerBox {
        let (alarm, streams) = (Arc::default(), OpenedStreams::none());
        StreamMuxerBox::new(Self { link, patience, alarm, streams, closing: None })
    }

    fn stream(&self, stream: SubstreamBox) -> MeteredStream<SubstreamBox> {
        MeteredStream::new(stream, self.patience.stall, Arc::clone(&self.alarm))
    }
}

impl StreamMuxer for Metered {
    type Substream = MeteredStream<SubstreamBox>;
    type Error = LinkError;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, LinkError>> {
        ready!(self.streams.poll_room(context));
        let opened = ready!(Pin::new(&mut self.link).poll_inbound(context));
        let stream = opened.map_err(LinkError::Failed)?;
        if !self.streams.add() {
            return Poll::Ready(Err(LinkError::Opened));
        }
        Poll::Ready(Ok(self.stream(stream)))
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, LinkError>> {
        let opened = Pin::new(&mut self.link).poll_outbound(context);
        opened.map_ok(|stream| self.stream(stream)).map_err(LinkError::Failed)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), LinkError>> {
        if let Poll::Ready(closed) = Pin::new(&mut self.link).poll_close(context) {
            return Poll::Ready(closed.map_err(LinkError::Failed));
        }
        let farewell = self.patience.farewell;
        let end = self.closing.get_or_insert_with(|| Box::pin(sleep(farewell)));
        // The link is dropped next, whether the peer was told or not.
        end.as_mut().poll(context).map(Ok)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, LinkError>> {
        self.alarm.link.register(context.waker());
        if self.alarm.raised.load(Ordering::Acquire) {
            // The swarm ends a link that fails at once, without the close that waits for the peer.
            return Poll::Ready(Err(LinkError::Stalled));
        }
        Pin::new(&mut self.link).poll(context).map_err(LinkError::Failed)
    }
}

/// A stream that raises the alarm when its peer takes nothing.
pub(super) struct MeteredStream<S> {
    stream: S,
    stall: Duration,
    alarm: Arc<Alarm>,
    /// Since something waited; none while nothing does.
    blocked: Option<Blocked>,
}

/// A time in which something waits.
struct Blocked {
    /// The end of the period under way.
    period: Pin<Box<Sleep>>,
    /// Periods that have ended.
    ended: u32,
    /// Bytes taken since the first of them began.
    taken: usize,
    /// When all that waited was taken, if nothing has waited since.
    relieved: Option<Instant>,
}

impl Blocked {
    fn new(period: Duration) -> Self {
        Self { period: Box::pin(sleep(period)), ended: 0, taken: 0, relieved: None }
    }
}

thread_local! {
    /// Whether a stream had to wait since this was last unset.
    static WAITED: Cell<bool> = const { Cell::new(false) };
}

/// Whether any stream had to wait for its peer while `poll` ran. A stream is polled within the poll
/// of whoever writes on it, so in the same thread.
pub(super) fn waited<T>(poll: impl FnOnce() -> T) -> (T, bool) {
    WAITED.set(false);
    let polled = poll();
    (polled, WAITED.get())
}

impl<S> MeteredStream<S> {
    const fn new(stream: S, stall: Duration, alarm: Arc<Alarm>) -> Self {
        Self { stream, stall, alarm, blocked: None }
    }

    /// Notes that the peer took so many bytes.
    const fn took(&mut self, bytes: usize) {
        if let Some(blocked) = &mut self.blocked {
            blocked.taken = blocked.taken.saturating_add(bytes);
        }
    }

    /// Notes that nothing waits any more.
    fn relieve(&mut self) {
        if let Some(blocked) = &mut self.blocked {
            blocked.relieved = Some(Instant::now());
        }
    }

    /// Notes that something waits. Whether it has waited for too long.
    fn wait(&mut self, context: &mut Context<'_>) -> bool {
        let period = self.stall / PERIODS;
        // Taking one frame and leaving the next unread is the same stall: only a stream on which
        // nothing waited for a while begins anew.
        let over = |since: Instant| since.elapsed() >= period;
        if self.blocked.as_ref().is_some_and(|blocked| blocked.relieved.is_some_and(over)) {
            self.blocked = None;
        }
        let blocked = self.blocked.get_or_insert_with(|| Blocked::new(period));
        blocked.relieved = None;
        while blocked.period.as_mut().poll(context).is_ready() {
            blocked.ended += 1;
            if blocked.ended >= PERIODS {
                if blocked.taken < LEAST {
                    return true;
                }
                (blocked.ended, blocked.taken) = (0, 0);
            }
            // From now, and not from the end of the last: see [`PERIODS`].
            blocked.period.as_mut().reset(Instant::now() + period);
        }
        false
    }

    /// Looks at the outcome of writing, flushing or closing.
    fn judge<T>(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            return outcome;
        }
        WAITED.set(true);
        if !self.wait(context) {
            return outcome;
        }
        self.alarm.raised.store(true, Ordering::Release);
        self.alarm.link.wake();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MeteredStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MeteredStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(bytes)) = &written {
            self.took(*bytes);
        }
        self.judge(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.relieve();
        }
        self.judge(context, flushed)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_close(context);
        self.judge(context, closed)
    }
}

#[cfg(test)]
mod tests {
    use core::future::poll_fn;

    use futures::io::{AsyncReadExt as _, AsyncWriteExt as _, sink};
    use futures::{FutureExt as _, StreamExt as _};
    use libp2p::core::transport::{
        DialOpts, ListenerId, MemoryTransport, PortUse, Transport as _, TransportEvent, memory,
    };
    use libp2p::core::{Endpoint, muxing::StreamMuxerExt as _};
    use libp2p::swarm::ConnectionError;

    use super::*;

    const SHORT: Duration = Duration::from_millis(40);
    const NEVER: Duration = Duration::from_secs(3_600);

    /// A link that never closes, whose streams take nothing.
    struct Deaf;

    impl StreamMuxer for Deaf {
        type Substream = DeafStream;
        type Error = io::Error;

        fn poll_inbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<DeafStream>> {
            Poll::Pending
        }

        fn poll_outbound(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<io::Result<DeafStream>> {
            Poll::Ready(Ok(DeafStream))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
            Poll::Pending
        }
    }

    struct DeafStream;

    impl AsyncRead for DeafStream {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for DeafStream {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    fn deaf(stall: Duration, farewell: Duration) -> StreamMuxerBox {
        Metered::around(StreamMuxerBox::new(Deaf), Patience { stall, farewell })
    }

    #[tokio::test]
    async fn a_link_ends_when_one_of_its_streams_is_never_taken_from() {
        let mut link = deaf(SHORT, NEVER);
        let mut stream = poll_fn(|context| link.poll_outbound_unpin(context)).await.unwrap();
        assert!(poll_fn(|context| link.poll_unpin(context)).now_or_never().is_none());
        let writing = stream.write_all(b"a frame");
        let ended = poll_fn(|context| link.poll_unpin(context));
        let (written, ended) = futures::join!(writing, ended);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let error = ConnectionError::IO(ended.unwrap_err());
        assert!(LinkError::is_stall(&error), "{error:?}");
        assert!(!LinkError::is_stall(&ConnectionError::IO(io::ErrorKind::TimedOut.into())));
        assert!(!LinkError::is_stall(&ConnectionError::KeepAliveTimeout));
    }

    #[tokio::test]
    async fn closing_ends_beside_a_peer_that_reads_nothing() {
        deaf(NEVER, SHORT).close().await.unwrap();
    }

    /// Has something wait on a stream for so many times a stall, while `meanwhile` happens.
    /// Whether that ends the link.
    async fn waits(times: u32, mut meanwhile: impl FnMut(&mut MeteredStream<()>)) -> bool {
        let mut stream = MeteredStream::new((), SHORT, Arc::default());
        let mut over = Box::pin(sleep(SHORT * times));
        poll_fn(|context| {
            meanwhile(&mut stream);
            let stalled = stream.wait(context);
            if stalled || over.poll_unpin(context).is_ready() {
                return Poll::Ready(stalled);
            }
            Poll::Pending
        })
        .await
    }

    #[tokio::test]
    async fn a_stream_that_takes_enough_waits_for_as_long_as_it_likes() {
        assert!(!waits(5, |stream| stream.took(LEAST)).await);
    }

    #[tokio::test]
    async fn a_byte_now_and_then_is_not_enough() {
        assert!(waits(1_000, |stream| stream.took(1)).await);
    }

    #[tokio::test]
    async fn taking_one_frame_and_leaving_the_next_is_not_enough() {
        let frame = |stream: &mut MeteredStream<()>| {
            stream.took(2_048);
            stream.relieve();
        };
        assert!(waits(1_000, frame).await);
    }

    #[tokio::test]
    async fn a_stream_that_had_nothing_to_wait_for_begins_anew() {
        let mut stream = MeteredStream::new(sink(), SHORT, Arc::default());
        stream.blocked = Some(Blocked::new(SHORT));
        stream.blocked.as_mut().unwrap().ended = PERIODS - 1;
        stream.write_all(b"taken at once").await.unwrap();
        stream.flush().await.unwrap();
        let blocked = stream.blocked.as_mut().unwrap();
        assert_eq!(blocked.taken, 13);
        blocked.relieved = Some(Instant::now() - SHORT);
        assert!(!poll_fn(|context| Poll::Ready(stream.wait(context))).await);
        assert_eq!(stream.blocked.as_ref().map(|blocked| blocked.ended), Some(0));
    }

    type Channel = memory::Channel<Vec<u8>>;

    /// Two ends of a link within this process.
    async fn ends() -> (Channel, Channel) {
        let mut transport = MemoryTransport::default().boxed();
        transport.listen_on(ListenerId::next(), "/memory/0".parse().unwrap()).unwrap();
        let Some(TransportEvent::NewAddress { listen_addr, .. }) = transport.next().await else {
            panic!("no address")
        };
        let how = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let dialled = transport.dial(listen_addr, how).unwrap();
        let accepted = async {
            match transport.next().await {
                Some(TransportEvent::Incoming { upgrade, .. }) => upgrade.await.unwrap(),
                _ => panic!("nobody came"),
            }
        };
        let (dialled, accepted) = futures::join!(dialled, accepted);
        (dialled.unwrap(), accepted)
    }

    #[tokio::test]
    async fn a_peer_that_was_read_fast_gets_no_larger_window() {
        const FAST: usize = 8 << 20;
        let (near, far) = ends().await;
        let mut near = Yamux { streams: 16 }.muxer(near, yamux::Mode::Server);
        let mut far = yamux::Connection::new(far, yamux::Config::default(), yamux::Mode::Client);
        let mut out = poll_fn(|context| far.poll_new_outbound(context)).await.unwrap();
        let (mut taken, mut read, mut from) = (0, 0, None);
        let mut bytes = vec![0; 64 << 10];
        // Until both ends have nothing to do: the writer out of credit, the reader tired.
        let mut idle = 0;
        while idle < 100 {
            let before = (taken, read);
            let turn = poll_fn(|context| {
                drop(far.poll_next_inbound(context));
                while let Poll::Ready(Ok(more)) = Pin::new(&mut out).poll_write(context, &bytes) {
                    taken += more;
                }
                drop(far.poll_next_inbound(context));
                if from.is_none() {
                    from = Some(ready!(near.poll_inbound_unpin(context)).unwrap());
                }
                drop(near.poll_unpin(context));
                let from = from.as_mut().unwrap();
                while read < FAST {
                    let Poll::Ready(Ok(more)) = Pin::new(&mut *from).poll_read(context, &mut bytes)
                    else {
                        break;
                    };
                    read += more;
                }
                drop(near.poll_unpin(context));
                Poll::<()>::Pending
            });
            assert!(turn.now_or_never().is_none());
            tokio::task::yield_now().await;
            idle = if before == (taken, read) { idle + 1 } else { 0 };
        }
        assert!(read >= FAST, "{read}");
        assert!(taken - read <= WINDOW, "{} bytes more", taken - read);
        drop(from);
    }

    #[tokio::test]
    async fn streams_that_nobody_took_are_few() {
        let (near, far) = ends().await;
        let mut near = Yamux { streams: 16 }.muxer(near, yamux::Mode::Server);
        let mut far = yamux::Connection::new(far, yamux::Config::default(), yamux::Mode::Client);
        let mut streams = Vec::new();
        for _ in 0..2 * WAITING {
            let mut stream = poll_fn(|context| far.poll_new_outbound(context)).await.unwrap();
            stream.write_all(b"opened").await.unwrap();
            streams.push(stream);
        }
        let reset = async {
            for mut stream in streams.split_off(WAITING) {
                let mut byte = [0];
                assert!(matches!(stream.read(&mut byte).await, Ok(0) | Err(_)));
            }
        };
        let far = async { while let Some(Ok(_)) = poll_fn(|c| far.poll_next_inbound(c)).await {} };
        let near_moves = poll_fn(|context| near.poll_unpin(context));
        let all = futures::future::select(Box::pin(near_moves), Box::pin(far));
        futures::future::select(Box::pin(reset), all).await;
        assert_eq!(near.opened.len(), WAITING);
    }
}
