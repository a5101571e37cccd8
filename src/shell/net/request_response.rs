//! One request and one response on a stream of their own: their frames and their bounds.
//!
//! A frame is everything up to the end of its writer's half of the stream. Neither side ever holds
//! more of it than its bound. A peer that reads or writes slowly holds one stream for a bounded
//! time, and delays no other.

use std::io;
use std::sync::Arc;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::{StreamProtocol, request_response};

use super::NetError;
use super::address_range::RangeNumbers;
use super::desk::{Asker, Desk, DeskPlace, KnownExchanges};
use super::settings::{NetLimits, NetTiming, ProtocolNames};

/// The longest request, in bytes: room for fingerprints of every hour of a week, several times
/// over. A guess.
pub const LONGEST_REQUEST: usize = 64 << 10;

/// The longest response, in bytes: five times the longest envelope of the network, so that a round
/// trip fetches several. A guess.
pub const LONGEST_RESPONSE: usize = 320 << 10;

/// What is written of a response at once, in bytes: whoever takes that much makes progress.
const SLICE: usize = 16 << 10;

/// libp2p's request and response with our frames.
pub(super) type SyncBehaviour = request_response::Behaviour<FrameCodec>;

/// The events of [`SyncBehaviour`].
pub(super) type SyncBehaviourEvent = request_response::Event<Vec<u8>, Vec<u8>>;

/// Sends and answers requests under the name of this network.
pub(super) fn sync_behaviour(
    names: &ProtocolNames,
    ranges: RangeNumbers,
    limits: &NetLimits,
    pace: &NetTiming,
) -> Result<KnownExchanges, NetError> {
    let protocol = StreamProtocol::try_from_owned(names.sync.clone())
        .map_err(|error| NetError::Protocol(error.to_string()))?;
    let config = request_response::Config::default()
        .with_request_timeout(pace.exchange)
        .with_max_concurrent_streams(limits.exchanges_per_link);
    let protocols = [(protocol, request_response::ProtocolSupport::Full)];
    let desk = Arc::new(Desk::new(limits.exchanges));
    let codec = FrameCodec { desk: Arc::clone(&desk), asker: None, held: None };
    Ok(KnownExchanges::new(SyncBehaviour::with_codec(codec, protocols, config), desk, ranges))
}

/// Reads and writes frames. The behaviour has one, each connection a clone of it, each stream a clone
/// of that.
pub(super) struct FrameCodec {
    desk: Arc<Desk>,
    /// The neighbour at the other end; none in the behaviour's own.
    asker: Option<Arc<Asker>>,
    /// The place among the requests answered at a time, for as long as the stream lasts.
    held: Option<DeskPlace>,
}

impl Clone for FrameCodec {
    fn clone(&self) -> Self {
        let asker = self.asker.clone().or_else(|| self.desk.entering());
        // The place belongs to the stream that took it, so a clone begins without one.
        Self { desk: Arc::clone(&self.desk), asker, held: None }
    }
}

impl request_response::Codec for FrameCodec {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        // Nobody asks without a connection; should libp2p make handlers otherwise one day, nobody is
        // answered.
        let asker = self.asker.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let place = self.held.insert(self.desk.place(asker).await?);
        place.read(read(io, LONGEST_REQUEST)).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        // No place: our own requests are bounded where they are sent, and must not be kept from
        // being answered by those of others.
        read(io, LONGEST_RESPONSE).await
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&request).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        response: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let place = self.held.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        for slice in response.chunks(SLICE) {
            place.hold(io.write_all(slice)).await?;
        }
        Ok(())
    }
}

/// Reads a frame of 1 to `longest` bytes. A longer one is not read to its end, and a stream that
/// ends at once carried no frame: the request was refused.
async fn read(io: &mut (impl AsyncRead + Unpin + Send), longest: usize) -> io::Result<Vec<u8>> {
    let mut frame = Vec::new();
    // One byte more than fits tells a frame that is too long from one of exactly `longest`.
    let one_more = u64::try_from(longest).unwrap_or(u64::MAX).saturating_add(1);
    io.take(one_more).read_to_end(&mut frame).await?;
    if frame.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if frame.len() > longest {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::{Cursor, repeat};
    use libp2p::request_response::Codec as _;
    use proptest::prelude::*;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};
    use crate::shell::net::desk::tests::asker;

    static PROTOCOL: StreamProtocol = StreamProtocol::new("/sync");

    #[test]
    fn reading_an_endless_frame_stops_at_its_bound() {
        let error = block_on(read(&mut repeat(7), LONGEST_RESPONSE)).expect_err("too long");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    /// A codec of a stream of this neighbour.
    fn stream(desk: &Arc<Desk>, asker: &Arc<Asker>) -> FrameCodec {
        FrameCodec { desk: Arc::clone(desk), asker: Some(Arc::clone(asker)), held: None }
    }

    async fn asked(stream: &mut FrameCodec) -> bool {
        stream.read_request(&PROTOCOL, &mut Cursor::new([1])).await.is_ok()
    }

    async fn answered(stream: &mut FrameCodec) -> bool {
        let mut written = Cursor::new(Vec::new());
        stream.write_response(&PROTOCOL, &mut written, vec![1; SLICE + 1]).await.is_ok()
    }

    #[tokio::test]
    async fn a_place_is_held_from_the_request_to_the_end_of_its_stream() {
        let desk = Arc::new(Desk::new(1));
        let (first, second) = (asker(1), asker(2));
        let mut streams = [stream(&desk, &first), stream(&desk, &second)];
        assert!(asked(&mut streams[0]).await && asked(&mut streams[1]).await);
        assert!(!answered(&mut streams[0]).await, "it lost its place");
        assert!(answered(&mut streams[1]).await);
        let [_, mut ended] = streams;
        ended.held = None;
        assert!(!answered(&mut ended).await, "no answer without a request");
    }

    #[tokio::test]
    async fn nobody_is_answered_by_a_codec_that_belongs_to_no_neighbour() {
        let desk = Arc::new(Desk::new(1));
        let mut own = FrameCodec { desk, asker: None, held: None };
        assert!(!asked(&mut own).await && !asked(&mut own.clone()).await);
        // A request of ours needs none, nor a place.
        assert!(own.read_response(&PROTOCOL, &mut Cursor::new([1])).await.is_ok());
    }

    proptest! {
        #[test]
        fn a_frame_within_its_bound_reads_back_and_any_other_is_refused(
            frame in prop::collection::vec(any::<u8>(), 0..64), longest in 1..64_usize,
        ) {
            let mut written = Cursor::new(Vec::new());
            let mut frames = FrameCodec { desk: Arc::new(Desk::new(1)), asker: None, held: None };
            let write = frames.write_request(&PROTOCOL, &mut written, frame.clone());
            prop_assert!(block_on(write).is_ok());
            let read = block_on(read(&mut Cursor::new(written.into_inner()), longest));
            let good = !frame.is_empty() && frame.len() <= longest;
            prop_assert_eq!(read.ok(), good.then_some(frame));
        }
    }

    #[test]
    fn changed_at_random_a_frame_is_what_it_was_or_too_long_or_none() {
        each_case(&[vec![1], vec![7; 40], vec![8; 64]], |bytes| {
            let frame = block_on(read(&mut Cursor::new(bytes), 64)).ok();
            assert_eq!(frame.is_some(), (1..=64).contains(&bytes.len()));
            Reading::again(frame, |frame| frame)
        });
    }
}
