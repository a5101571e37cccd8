//! The bytes that a link may bring before it stands.
//!
//! Protocols are agreed on before anybody has shown a key: each line of that costs its reader
//! two calls of the system, and libp2p reads any number of them. A link that stands took a few hundred
//! bytes; whoever brings more than [`MOST`] for it is not setting one up. How long it may take, and how many are
//! set up at a time, is decided in `transport`; what comes once it stands is no affair of this.

use core::cell::Cell;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;

use futures::{AsyncRead, AsyncWrite};

/// Bytes that a link may bring until it stands. The names of protocols and Noise's two messages are some 500,
/// and a key of RSA is 600 more, both by reckoning. 4 KiB of lines took 5 ms to answer (measured).
pub(super) const MOST: usize = 2 << 10;

thread_local! {
    /// What the link that is being set up at this moment may still bring; none if none is.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// What a link may still bring.
pub(super) struct Allowance(usize);

impl Default for Allowance {
    fn default() -> Self {
        Self(MOST)
    }
}

impl Allowance {
    /// Has this be the bound on what is read while `poll` runs: sockets are read within the poll that
    /// sets their link up, so in the same thread.
    pub(super) fn bounds<T>(&mut self, poll: impl FnOnce() -> T) -> T {
        LEFT.set(Some(self.0));
        let polled = poll();
        self.0 = LEFT.take().unwrap_or_default();
        polled
    }
}

/// A socket that brings no more than the [`Allowance`] of its link until that stands.
pub(in crate::shell::net) struct BoundedSocket<S>(pub(in crate::shell::net) S);

impl<S: AsyncRead + Unpin> AsyncRead for BoundedSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Some(left) = LEFT.get() else { return Pin::new(&mut self.0).poll_read(context, into) };
        if left == 0 {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let most = into.len().min(left);
        let read =
            Pin::new(&mut self.0).poll_read(context, into.get_mut(..most).unwrap_or_default());
        if let Poll::Ready(Ok(read)) = &read {
            LEFT.set(Some(left.saturating_sub(*read)));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BoundedSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, parts)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;
    use futures::{AsyncReadExt as _, FutureExt as _};

    use super::*;

    #[test]
    fn a_socket_brings_what_a_link_may_bring_until_it_stands_and_anything_from_then_on() {
        let mut socket = BoundedSocket(Cursor::new(vec![7; 3 * MOST]));
        let mut allowance = Allowance::default();
        let mut came = vec![0; MOST + 1];
        // In parts, as it comes: each poll has what the one before left.
        let read = allowance.bounds(|| socket.read(&mut came[..1_000]).now_or_never());
        assert!(matches!(read, Some(Ok(1_000))));
        let read = allowance.bounds(|| socket.read_exact(&mut came).now_or_never());
        let error = read.expect("at once").expect_err("more than it may");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(socket.0.position(), MOST as u64);
        socket.read_exact(&mut came).now_or_never().expect("at once").expect("it stands");
    }
}
