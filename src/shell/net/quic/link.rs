//! A QUIC connection as a link with many streams.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;

use futures::stream::{BoxStream, StreamExt as _, unfold};
use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use quinn::{Connection, ConnectionError, RecvStream, SendStream};

type Opened = Result<(SendStream, RecvStream), ConnectionError>;

/// One link over QUIC.
pub(super) struct QuicLink {
    connection: Connection,
    /// Streams that the peer opens.
    inbound: BoxStream<'static, Opened>,
    /// Streams that are opened here, one each time this is asked.
    outbound: BoxStream<'static, Opened>,
}

impl QuicLink {
    /// Takes over a connection that was set up.
    pub(super) fn new(connection: Connection) -> Self {
        let accept =
            |connection: Connection| async { Some((connection.accept_bi().await, connection)) };
        let open =
            |connection: Connection| async { Some((connection.open_bi().await, connection)) };
        Self {
            inbound: unfold(connection.clone(), accept).boxed(),
            outbound: unfold(connection.clone(), open).boxed(),
            connection,
        }
    }
}

fn next(
    streams: &mut BoxStream<'static, Opened>,
    context: &mut Context<'_>,
) -> Poll<io::Result<QuicStream>> {
    streams.poll_next_unpin(context).map(|opened| match opened {
        Some(Ok((send, receive))) => Ok(QuicStream { send, receive, is_closed: false }),
        Some(Err(error)) => Err(error.into()),
        None => Err(io::ErrorKind::NotConnected.into()),
    })
}

impl StreamMuxer for QuicLink {
    type Substream = QuicStream;
    type Error = io::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<QuicStream>> {
        next(&mut self.inbound, context)
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<QuicStream>> {
        next(&mut self.outbound, context)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The endpoint tells the peer, and needs nobody to wait for that.
        self.connection.close(quinn::VarInt::from_u32(0), &[]);
        Poll::Ready(Ok(()))
    }

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        // A link stays at its addresses ([`super`]), and its end shows where streams are awaited.
        Poll::Pending
    }
}

/// A stream of a [`QuicLink`]: two halves that end each by itself.
pub(super) struct QuicStream {
    send: SendStream,
    receive: RecvStream,
    /// quinn takes a second end for an error, and libp2p closes as often as it likes.
    is_closed: bool,
}

impl AsyncRead for QuicStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        AsyncRead::poll_read(Pin::new(&mut self.receive), context, into)
    }
}

impl AsyncWrite for QuicStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(&mut self.send), context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.send), context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_closed {
            return Poll::Ready(Ok(()));
        }
        let closed = AsyncWrite::poll_close(Pin::new(&mut self.send), context);
        self.is_closed = closed.is_ready();
        closed
    }
}
