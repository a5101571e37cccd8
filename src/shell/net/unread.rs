//! What a peer sent on the streams of a link and nobody has read yet, counted by frames.
//!
//! A window bounds the bytes that a peer sends on a stream before they are read. yamux keeps each
//! frame by itself, and a frame of one byte takes some 64: 44 links that filled their windows with
//! such took 1.4 GB. So the frames are counted, too, as they come and as they are read; with [`MOST`]
//! of them unread nothing more is read from the link ([`CountedLink`]). If nobody reads any for
//! [`PATIENCE`], as on a stream on which we only write, the link ends.
//!
//! The layout of a frame is that of yamux (`/yamux/1.0.0`), section "Framing".

use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::Future as _;
use futures::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep};

/// Frames that are unread at most on all streams of a link: with what yamux takes of each, a quarter
/// of a megabyte. Sixteen full windows of frames of 1 KiB.
const MOST: usize = 4_096;

/// The time for which a link may have so many without that anybody reads one: as long as a peer may
/// take nothing of what is sent to it ([`super::settings::NetTiming::stall`]).
const PATIENCE: Duration = Duration::from_secs(20);

/// The frames of a link, shared by the link and its streams.
#[derive(Clone, Default)]
pub(super) struct UnreadFrames(Arc<Mutex<Book>>);

/// By stream: the bytes of each frame, the oldest first.
#[derive(Default)]
struct Book {
    streams: BTreeMap<u32, VecDeque<u32>>,
    count: usize,
    /// The link, if it waits until some are read.
    waker: Option<Waker>,
}

impl UnreadFrames {
    fn book(&self) -> MutexGuard<'_, Book> {
        // Each change is made by one call that cannot fail half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// A stream was opened, by either side.
    fn open(&mut self, stream: u32) {
        self.streams.entry(stream).or_default();
    }

    /// A frame came. One of a stream that is gone is dropped by yamux.
    fn came(&mut self, stream: u32, bytes: u32) {
        if let Some(frames) = self.streams.get_mut(&stream).filter(|_| bytes > 0) {
            frames.push_back(bytes);
            self.count += 1;
        }
    }

    /// So many bytes of a stream were read.
    fn take(&mut self, stream: u32, bytes: usize) {
        let Some(frames) = self.streams.get_mut(&stream) else { return };
        let mut left = u32::try_from(bytes).unwrap_or(u32::MAX);
        while let Some(first) = frames.front_mut().filter(|_| left > 0) {
            let taken = left.min(*first);
            *first -= taken;
            left -= taken;
            if *first == 0 {
                frames.pop_front();
                self.count -= 1;
            }
        }
        self.wake();
    }

    /// Nobody has a stream any more.
    fn close(&mut self, stream: u32) {
        self.count -= self.streams.remove(&stream).map_or(0, |frames| frames.len());
        self.wake();
    }

    fn wake(&mut self) {
        if self.count < MOST
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }
}

/// The link below yamux: it sees each frame before yamux does.
pub(super) struct CountedLink<C> {
    link: C,
    frames: UnreadFrames,
    place: FramePlace,
    patience: Duration,
    /// The end of patience, while there are too many.
    end: Option<Pin<Box<Sleep>>>,
}

/// Where in a frame the link is.
#[derive(Default)]
struct FramePlace {
    /// What has come of a header.
    header: Vec<u8>,
    /// What is to come of its bytes.
    body: usize,
}

impl FramePlace {
    /// Goes on over what came.
    fn follow(&mut self, mut bytes: &[u8], book: &mut Book) {
        while !bytes.is_empty() {
            let of_body = self.body.min(bytes.len());
            self.body -= of_body;
            bytes = bytes.get(of_body..).unwrap_or_default();
            let of_header = (HEADER - self.header.len()).min(bytes.len());
            let (came, rest) = bytes.split_at(of_header);
            self.header.extend_from_slice(came);
            bytes = rest;
            if self.header.len() == HEADER {
                self.begin(book);
                self.header.clear();
            }
        }
    }

    /// A header is whole.
    fn begin(&mut self, book: &mut Book) {
        let Some(&[_, kind, _, flags, a, b, c, d, e, f, g, h]) = self.header.first_chunk() else {
            return;
        };
        let (stream, length) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        if flags & SYN != 0 && kind <= WINDOW_UPDATE {
            book.open(stream);
        }
        if kind == DATA {
            book.came(stream, length);
            self.body = usize::try_from(length).unwrap_or(usize::MAX);
        }
    }
}

impl<C> CountedLink<C> {
    pub(super) fn new(link: C, frames: UnreadFrames) -> Self {
        Self { link, frames, place: FramePlace::default(), patience: PATIENCE, end: None }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for CountedLink<C> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut book = this.frames.book();
        if book.count >= MOST {
            book.waker = Some(context.waker().clone());
            let patience = this.patience;
            let end = this.end.get_or_insert_with(|| Box::pin(sleep(patience)));
            ready!(end.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        this.end = None;
        let read = ready!(Pin::new(&mut this.link).poll_read(context, into))?;
        this.place.follow(into.get(..read).unwrap_or_default(), &mut book);
        Poll::Ready(Ok(read))
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for CountedLink<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.link).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_close(context)
    }
}

/// A stream that tells what is read of it.
pub(super) struct CountedStream {
    stream: yamux::Stream,
    frames: UnreadFrames,
}

impl CountedStream {
    pub(super) fn new(stream: yamux::Stream, frames: UnreadFrames) -> Self {
        frames.book().open(stream.id().val());
        Self { stream, frames }
    }
}

impl Drop for CountedStream {
    fn drop(&mut self) {
        self.frames.book().close(self.stream.id().val());
    }
}

impl AsyncRead for CountedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, into))?;
        self.frames.book().take(self.stream.id().val(), read);
        Poll::Ready(Ok(read))
    }
}

impl AsyncWrite for CountedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}

/// The bytes of a frame's header, two kinds of frame, and the flag of the first on a stream.
const HEADER: usize = 12;
const DATA: u8 = 0;
const WINDOW_UPDATE: u8 = 1;
const SYN: u8 = 1;

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use futures::io::{AsyncReadExt as _, Cursor};
    use proptest::prelude::*;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};

    /// A frame of data, the first one of its stream.
    fn frame(stream: u32, length: usize) -> Vec<u8> {
        let length_bytes = u32::try_from(length).unwrap().to_be_bytes();
        let body = vec![7; length];
        [&[0, DATA, 0, SYN][..], &stream.to_be_bytes(), &length_bytes, &body].concat()
    }

    fn counted(bytes: Vec<u8>) -> (CountedLink<Cursor<Vec<u8>>>, UnreadFrames) {
        let frames = UnreadFrames::default();
        (CountedLink::new(Cursor::new(bytes), frames.clone()), frames)
    }

    #[test]
    fn changed_at_random_what_came_is_followed_to_its_end() {
        let seeds = [frame(1, 0), frame(1, 3), [frame(2, 40), frame(3, 1)].concat()];
        each_case(&seeds, |bytes| {
            let (mut place, mut book) = (FramePlace::default(), Book::default());
            place.follow(bytes, &mut book);
            assert_eq!(book.count, book.streams.values().map(VecDeque::len).sum::<usize>());
            Reading::Taken
        });
    }

    proptest! {
        #[test]
        fn frames_are_counted_alike_however_they_are_cut(
            frames in prop::collection::vec((1_u32..4, 0_usize..40), 0..30), cut in 1_usize..50,
        ) {
            let bytes: Vec<u8> =
                frames.iter().flat_map(|(stream, length)| frame(*stream, *length)).collect();
            let (mut place, mut book) = (FramePlace::default(), Book::default());
            bytes.chunks(cut).for_each(|some| place.follow(some, &mut book));
            let some = frames.iter().filter(|(_, length)| *length > 0).count();
            prop_assert_eq!(book.count, some);
            for stream in 1..4 {
                let of_it = || frames.iter().filter(|(of, _)| *of == stream);
                let all: usize = of_it().map(|(_, length)| length).sum();
                book.take(stream, all);
                prop_assert!(book.streams.get(&stream).is_none_or(VecDeque::is_empty));
            }
            prop_assert_eq!(book.count, 0);
        }
    }

    #[tokio::test]
    async fn a_link_with_too_many_unread_frames_waits_until_some_are_read_and_ends_if_none_is() {
        let (mut link, frames) = counted(frame(1, 1).repeat(3 * MOST));
        link.patience = Duration::from_millis(40);
        let mut some = [0; 13];
        let mut came = 0;
        while let Some(read) = link.read(&mut some).now_or_never() {
            came += read.unwrap();
        }
        assert_eq!(came, MOST * some.len(), "one by one, as many as may be");
        // Half of them are read, or their stream is closed.
        frames.book().take(1, MOST / 2);
        while let Some(read) = link.read(&mut some).now_or_never() {
            came += read.unwrap();
        }
        assert_eq!(came, (MOST + MOST / 2) * some.len());
        frames.book().close(1);
        assert_eq!(link.read(&mut some).await.unwrap(), some.len());
        frames.book().open(1);
        frames.book().came(1, 1);
        while let Some(read) = link.read(&mut some).now_or_never() {
            assert_ne!(read.unwrap(), 0);
        }
        assert_eq!(link.read(&mut some).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn frames_of_a_stream_that_is_gone_do_not_count() {
        let (mut place, mut book) = (FramePlace::default(), Book::default());
        place.follow(&frame(1, 5), &mut book);
        book.close(1);
        let late =
            [&[0, DATA, 0, 0][..], &1_u32.to_be_bytes(), &1_u32.to_be_bytes(), &[7]].concat();
        place.follow(&late, &mut book);
        assert_eq!((book.count, book.streams.len()), (0, 0));
    }
}
