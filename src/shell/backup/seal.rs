//! A file sealed in chunks, so that it is written and read in bounded memory.
//!
//! Each chunk is sealed by AES-256-GCM (NIST SP 800-38D) under a key that seals this file alone.
//! Its nonce is its place in the file and whether it is the last: chunks that were cut off, added,
//! moved or changed do not open. After Hoang, Reyhanitabar, Rogaway and Vizar, "Online
//! Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", section 7 (STREAM). The meaning
//! of the bytes is not known here.

use std::io::{Read, Write};

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use zeroize::Zeroizing;

use super::BackupError;
use crate::engine::crypto::aead::TAG_SIZE;
use crate::engine::secret::Secret;

/// Writes a sealed file.
pub(super) struct StreamSealer<W> {
    output: W,
    cipher: ChunkCipher,
    /// Bytes not sealed yet: at most a chunk.
    plain: Zeroizing<Vec<u8>>,
}

impl<W: Write> StreamSealer<W> {
    /// Begins behind `head`, which is not sealed, and which every chunk authenticates.
    pub(super) fn begin(
        mut output: W,
        key: &Secret<32>,
        head: &[u8],
        size: usize,
    ) -> Result<Self, BackupError> {
        output.write_all(head)?;
        let cipher = ChunkCipher::new(key, head, size);
        // With all its room from the start it never moves, and so leaves no copy behind.
        Ok(Self { output, cipher, plain: Zeroizing::new(Vec::with_capacity(size + TAG_SIZE)) })
    }

    /// Seals `bytes` behind those before them.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), BackupError> {
        while !bytes.is_empty() {
            // A full chunk is sealed when more follows: the last one is marked.
            if self.plain.len() >= self.cipher.size {
                self.seal(LastChunk::No)?;
            }
            let room = self.cipher.size.saturating_sub(self.plain.len());
            let (now, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.plain.extend_from_slice(now);
            bytes = rest;
        }
        Ok(())
    }

    /// Seals the rest; without this the file counts as cut off.
    pub(super) fn finish(mut self) -> Result<W, BackupError> {
        self.seal(LastChunk::Yes)?;
        Ok(self.output)
    }

    fn seal(&mut self, last: LastChunk) -> Result<(), BackupError> {
        let nonce = self.cipher.next_nonce(last)?;
        self.cipher
            .cipher
            .encrypt_in_place(&nonce.into(), &self.cipher.head, &mut *self.plain)
            .map_err(|_| BackupError::TooLarge)?;
        self.output.write_all(&self.plain)?;
        self.plain.clear();
        Ok(())
    }
}

/// Reads a sealed file.
pub(super) struct StreamOpener<R> {
    input: R,
    cipher: ChunkCipher,
    /// The chunk that is read, opened.
    plain: Zeroizing<Vec<u8>>,
    /// How much of it was read.
    used: usize,
    /// The first byte of the next chunk, if there is one; without it this chunk is the last.
    ahead: Option<u8>,
}

impl<R: Read> StreamOpener<R> {
    /// Begins behind `head`, which was read from `input` before.
    pub(super) fn begin(
        mut input: R,
        key: &Secret<32>,
        head: &[u8],
        size: usize,
    ) -> Result<Self, BackupError> {
        let mut first = Vec::with_capacity(1);
        (&mut input).take(1).read_to_end(&mut first)?;
        let cipher = ChunkCipher::new(key, head, size);
        let ahead = first.first().copied();
        let mut opener = Self { input, cipher, plain: Zeroizing::default(), used: 0, ahead };
        opener.open_next()?;
        Ok(opener)
    }

    /// Fills `bytes`; reads nothing and returns [`StreamEnd::Reached`] at the very end of the file.
    ///
    /// # Errors
    ///
    /// [`BackupError::Damaged`] if the file ends before, or a chunk does not open.
    pub(super) fn read(&mut self, mut bytes: &mut [u8]) -> Result<StreamEnd, BackupError> {
        if self.used >= self.plain.len() && self.ahead.is_none() {
            return Ok(StreamEnd::Reached);
        }
        while !bytes.is_empty() {
            if self.used >= self.plain.len() {
                self.open_next()?;
            }
            let open = self.plain.get(self.used..).unwrap_or_default();
            let count = open.len().min(bytes.len());
            let (now, rest) = bytes.split_at_mut_checked(count).ok_or(BackupError::Damaged)?;
            now.copy_from_slice(open.get(..count).unwrap_or_default());
            self.used += count;
            bytes = rest;
        }
        Ok(StreamEnd::NotReached)
    }

    /// Opens the next chunk. There is one, and none is empty.
    fn open_next(&mut self) -> Result<(), BackupError> {
        let first = self.ahead.take().ok_or(BackupError::Damaged)?;
        // One byte more than a chunk, because only what follows shows whether it is the last, which
        // its nonce must say.
        let whole = self.cipher.size + TAG_SIZE;
        let mut chunk = Zeroizing::new(Vec::with_capacity(whole + 1));
        chunk.push(first);
        let most = u64::try_from(whole).unwrap_or(u64::MAX);
        (&mut self.input).take(most).read_to_end(&mut chunk)?;
        if chunk.len() > whole {
            self.ahead = chunk.pop();
        }
        let last = if self.ahead.is_none() { LastChunk::Yes } else { LastChunk::No };
        let nonce = self.cipher.next_nonce(last)?;
        self.cipher
            .cipher
            .decrypt_in_place(&nonce.into(), &self.cipher.head, &mut *chunk)
            .map_err(|_| BackupError::Damaged)?;
        if chunk.is_empty() {
            return Err(BackupError::Damaged);
        }
        (self.plain, self.used) = (chunk, 0);
        Ok(())
    }
}

/// Whether the end of the file was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamEnd {
    /// The end.
    Reached,
    /// Not the end.
    NotReached,
}

/// Whether a chunk is the last of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastChunk {
    Yes,
    No,
}

/// The cipher of one file, and the place of the next chunk.
struct ChunkCipher {
    cipher: Aes256Gcm,
    head: Vec<u8>,
    size: usize,
    place: u64,
}

impl ChunkCipher {
    fn new(key: &Secret<32>, head: &[u8], size: usize) -> Self {
        let cipher = Aes256Gcm::new(key.expose().into());
        Self { cipher, head: head.to_vec(), size, place: 0 }
    }

    /// The nonce of the next chunk: its place, little-endian; then 1 if it is the last; then zeros.
    fn next_nonce(&mut self, last: LastChunk) -> Result<[u8; 12], BackupError> {
        let place = self.place.to_le_bytes();
        self.place = self.place.checked_add(1).ok_or(BackupError::TooLarge)?;
        let mut nonce = [0; 12];
        let marks = place.into_iter().chain([u8::from(last == LastChunk::Yes)]);
        for (to, from) in nonce.iter_mut().zip(marks) {
            *to = from;
        }
        Ok(nonce)
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};

    const SIZE: usize = 32;
    const HEAD: &[u8] = b"head";

    fn key() -> Secret<32> {
        Secret::take(&mut [7; 32])
    }

    fn seal(parts: &[&[u8]]) -> Vec<u8> {
        let mut sealer = StreamSealer::begin(Vec::new(), &key(), HEAD, SIZE).unwrap();
        for part in parts {
            sealer.write(part).unwrap();
        }
        sealer.finish().unwrap()
    }

    fn open_with(key: &Secret<32>, head: &[u8], file: &[u8]) -> Result<Vec<u8>, BackupError> {
        let body = file.get(HEAD.len()..).ok_or(BackupError::Damaged)?;
        let mut opener = StreamOpener::begin(body, key, head, SIZE)?;
        let mut all = Vec::new();
        let mut byte = [0];
        while opener.read(&mut byte)? == StreamEnd::NotReached {
            all.extend(byte);
        }
        Ok(all)
    }

    fn open(file: &[u8]) -> Result<Vec<u8>, BackupError> {
        open_with(&key(), HEAD, file)
    }

    fn refused(file: &[u8]) -> bool {
        matches!(open(file), Err(BackupError::Damaged))
    }

    #[test]
    fn a_chunk_is_what_another_implementation_makes_of_the_same_inputs() {
        // Python's cryptography 48.0.0: AESGCM(bytes([7]) * 32).encrypt(nonce, data, b"head") with
        // the nonces 00 * 12 for the first 32 bytes and 01 00*7 01 00*3 for the rest.
        let sealed = seal(&[&[1; SIZE], &[2; 3]]);
        assert_eq!(HEXLOWER.encode(&sealed[HEAD.len()..]), GOLDEN.replace(' ', ""));
    }

    const GOLDEN: &str = "\
        60d9a5b3fa930ae9e0068e65c57a4aafbceea8f872ddaa5a171481c94ee81b67f1ef4380 \
         71b9ebbaa4e0a0a04718488164f9062ba85ae1779c631e4f610a8f0a35e153";

    #[test]
    fn chunks_that_are_cut_off_added_doubled_or_exchanged_are_noticed() {
        let file = seal(&[&[1; SIZE * 3]]);
        let whole = SIZE + TAG_SIZE;
        assert_eq!(file.len(), HEAD.len() + 3 * whole, "a full chunk may be the last");
        assert_eq!(open(&file).unwrap(), [1; SIZE * 3]);
        let (head, body) = file.split_at(HEAD.len());
        let chunks: Vec<&[u8]> = body.chunks(whole).collect();
        for order in [&[0, 1][..], &[0], &[], &[1, 2], &[0, 2, 1], &[0, 1, 1, 2], &[0, 1, 2, 2]] {
            let chosen: Vec<&[u8]> = order.iter().map(|&place: &usize| chunks[place]).collect();
            assert!(refused(&[head, &chosen.concat()].concat()), "{order:?}");
        }
    }

    #[test]
    fn an_empty_file_is_no_file_and_no_chunk_is_empty() {
        assert!(refused(HEAD));
        assert!(refused(&seal(&[])));
    }

    #[test]
    fn another_key_or_head_opens_nothing() {
        let file = seal(&[b"text"]);
        assert!(open_with(&Secret::take(&mut [8; 32]), HEAD, &file).is_err());
        assert!(open_with(&key(), b"Head", &file).is_err());
    }

    proptest! {
        #[test]
        fn what_was_sealed_in_any_parts_opens_whole_and_no_changed_bit_or_length_does(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..6),
            at in any::<prop::sample::Index>(),
            flip in 1_u8..,
        ) {
            let all = parts.concat();
            prop_assume!(!all.is_empty());
            let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let file = seal(&slices);
            prop_assert_eq!(open(&file).unwrap(), all);
            let at = at.index(file.len() - HEAD.len()) + HEAD.len();
            prop_assert!(refused(&file[..at]));
            let mut changed = file.clone();
            changed[at] ^= flip;
            prop_assert!(refused(&changed));
            let mut longer = file;
            longer.push(flip);
            prop_assert!(refused(&longer));
        }

        #[test]
        fn opening_anything_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(refused(&[HEAD, &bytes].concat()));
        }
    }

    #[test]
    fn changed_at_random_a_sealed_file_opens_only_as_it_was() {
        let files = [1, SIZE, SIZE + 1, 3 * SIZE].map(|length| seal(&[&vec![1; length]]));
        each_case(&files, |file| {
            // What it begins with is not read here.
            Reading::again(open(file).ok(), |all| {
                [&file[..HEAD.len()], &seal(&[&all])[HEAD.len()..]].concat()
            })
        });
    }
}
