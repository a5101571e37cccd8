//! The write-ahead log beside an archive's database, looked at before SQLite sees it.
//!
//! SQLite reads a log up to the first frame whose checksum is wrong, and takes all that follows for
//! what a crash left behind, without a word: a byte that changed near its beginning hides thousands
//! of envelopes. Their pages are still there, and [`super::carve`] reads them.
//!
//! A process that is killed between two writes leaves one frame whose checksum is wrong, the last
//! one: that is no damage. A log that was cut looks like one that was never longer.
//!
//! The layout is the SQLite file format, section 4.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::database::{PAGE, PAGE_BYTES};

/// What a log has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LogFrames {
    /// The number of a page and the offset of its image, in the order they were written.
    pub(super) images: Vec<(u32, u64)>,
    /// Whether SQLite reads all of them, but for the last.
    pub(super) is_whole: bool,
}

impl LogFrames {
    /// Looks at a log. One that cannot be read has nothing.
    pub(super) fn of(log: &File) -> Self {
        let mut header = [0; HEADER];
        let mut found = Self { images: Vec::new(), is_whole: true };
        if log.read_exact_at(&mut header, 0).is_err() {
            return found;
        }
        let slots = (0..).map(|slot| HEADER as u64 + slot * (FRAME as u64 + PAGE_BYTES));
        let slots = slots.map_while(|offset| Frame::read(log, offset));
        let mut sums = LogSums::of_header(&header);
        let mut salts = sums.as_ref().map(|_| part(&header, 16));
        // Of the checksums of all frames that belong to this round of the log.
        let mut last = Checked::Right;
        let mut is_behind = false;
        for frame in slots {
            // Without a header the first frame says which round it is.
            let round = *salts.get_or_insert(frame.salts);
            if frame.salts != round {
                // Left by an earlier round, or a frame that changed.
                is_behind = true;
                continue;
            }
            found.is_whole &= last == Checked::Right && !is_behind && sums.is_some();
            last = sums.as_mut().map_or(Checked::Wrong, |sums| sums.follow(&frame));
            found.images.push((frame.page, frame.image));
        }
        found
    }
}

/// Whether a checksum is what it should be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Checked {
    Right,
    Wrong,
}

/// One page of a log.
struct Frame {
    page: u32,
    /// The offset of its image.
    image: u64,
    /// The round of the log that wrote it.
    salts: [u8; 8],
    /// All that its checksum is of: the first bytes of its header, and the image.
    checked: [Vec<u8>; 2],
    sums: [u32; 2],
}

impl Frame {
    fn read(log: &File, offset: u64) -> Option<Self> {
        let (mut header, mut page) = ([0; FRAME], vec![0; PAGE]);
        let image = offset + FRAME as u64;
        log.read_exact_at(&mut header, offset).ok()?;
        log.read_exact_at(&mut page, image).ok()?;
        Some(Self {
            page: number(&header, 0),
            image,
            salts: part(&header, 8),
            checked: [part::<8>(&header, 0).to_vec(), page],
            sums: [number(&header, 16), number(&header, 20)],
        })
    }
}

/// The checksum of a log up to some frame: each goes on from the one before.
struct LogSums {
    sums: [u32; 2],
    word: fn([u8; 4]) -> u32,
}

impl LogSums {
    /// That of a header; nothing if it is not one of this program's logs.
    fn of_header(header: &[u8; HEADER]) -> Option<Self> {
        let word = match number(header, 0) {
            0x377f_0682 => u32::from_le_bytes,
            0x377f_0683 => u32::from_be_bytes,
            _ => return None,
        };
        let is_ours = number(header, 4) == 3_007_000 && u64::from(number(header, 8)) == PAGE_BYTES;
        let mut sums = Self { sums: [0; 2], word };
        sums.add(header.get(..24)?);
        (is_ours && sums.sums == [number(header, 24), number(header, 28)]).then_some(sums)
    }

    fn add(&mut self, bytes: &[u8]) {
        let [mut one, mut two] = self.sums;
        for pair in bytes.as_chunks::<8>().0 {
            one = one.wrapping_add((self.word)(part(pair, 0))).wrapping_add(two);
            two = two.wrapping_add((self.word)(part(pair, 4))).wrapping_add(one);
        }
        self.sums = [one, two];
    }

    fn follow(&mut self, frame: &Frame) -> Checked {
        frame.checked.iter().for_each(|bytes| self.add(bytes));
        if self.sums == frame.sums { Checked::Right } else { Checked::Wrong }
    }
}

/// The bytes that begin there; zeros beyond the end, which no caller asks for.
fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(part(bytes, at))
}

const HEADER: usize = 32;
const FRAME: usize = 24;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::engine::testing::mutate::{Reading, each_case};
    use crate::shell::archive::tests::killed_with_a_log;

    fn of(bytes: &[u8]) -> LogFrames {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        LogFrames::of(&file)
    }

    #[test]
    fn changed_at_random_a_log_has_frames_that_lie_in_it() {
        let (_, _, mut log) = killed_with_a_log(8);
        // Some frames are enough, and are looked at sooner.
        log.truncate(HEADER + 12 * (FRAME + PAGE));
        assert!(of(&log).is_whole);
        each_case(&[log], |bytes| {
            let found = of(bytes);
            let is_in_it = |image: u64| image + PAGE_BYTES <= bytes.len() as u64;
            assert!(found.images.iter().all(|(_, image)| is_in_it(*image)));
            Reading::Taken
        });
    }

    #[test]
    fn a_byte_that_changed_shows_in_each_frame_but_the_last_and_a_cut_or_a_crash_does_not() {
        let (_, _, log) = killed_with_a_log(8);
        let whole = of(&log);
        assert!(whole.is_whole && whole.images.len() > 12);
        let last = log.len() - FRAME - PAGE;
        for at in (0..log.len()).step_by(97) {
            let mut changed = log.clone();
            changed[at] ^= 1;
            let found = of(&changed);
            // Between the header's numbers of rounds nothing decides.
            assert_eq!(found.is_whole, at >= last, "{at}");
            assert!(found.images.len() >= whole.images.len() - 1, "{at}");
        }
        for cut in [0, 10, HEADER, last, log.len() - 1] {
            assert!(of(&log[..cut]).is_whole, "{cut}");
        }
        // A round has begun over an earlier one, and was killed before the first image was written.
        let mut begun = log.clone();
        begun[HEADER + FRAME] ^= 1;
        assert!(!of(&begun).is_whole);
        for frame in (HEADER..log.len()).step_by(FRAME + PAGE).skip(1) {
            begun[frame + 8] ^= 1;
        }
        assert!(of(&begun).is_whole);
    }
}
