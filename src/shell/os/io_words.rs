//! What the operating system answers, in words for a person.

use std::io;

use rustix::io::Errno;

/// Says why a file was not read or written: no number, and no word that only programmers know.
#[must_use]
pub fn io_words(error: &io::Error) -> String {
    if is_out_of_files(error) {
        return "too many files are open: see ulimit -n, or the limit of the container".to_owned();
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is the standard library's")]
    let words = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder",
        io::ErrorKind::PermissionDenied => "you have no permission for that",
        io::ErrorKind::AlreadyExists => "it exists already",
        io::ErrorKind::IsADirectory => "it is a folder, not a file",
        io::ErrorKind::NotADirectory => "a part of the path is a file, not a folder",
        io::ErrorKind::StorageFull => "the disk is full",
        io::ErrorKind::QuotaExceeded => "your quota on the disk is used up",
        io::ErrorKind::ReadOnlyFilesystem => "the disk is read-only",
        io::ErrorKind::FileTooLarge => "the file would be larger than this process may write",
        io::ErrorKind::InvalidFilename => "the name is too long, or not allowed",
        io::ErrorKind::BrokenPipe => "nobody reads what is written",
        _ => return without_number(&error.to_string()).to_owned(),
    };
    words.to_owned()
}

/// Whether this process, or the system, has as many files open as it may.
#[must_use]
pub(in crate::shell) fn is_out_of_files(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|of| error.raw_os_error() == Some(of.raw_os_error()))
}

/// The text without the number that the standard library adds.
fn without_number(text: &str) -> &str {
    text.split_once(" (os error").map_or(text, |(words, _)| words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_of_the_system_is_put_without_its_number() {
        for number in 1..200 {
            let words = io_words(&io::Error::from_raw_os_error(number));
            assert!(!words.is_empty() && !words.contains("os error"), "{number}: {words}");
        }
        assert_eq!(io_words(&io::Error::from_raw_os_error(2)), "there is no such file or folder");
        for number in [23, 24] {
            assert!(io_words(&io::Error::from_raw_os_error(number)).contains("ulimit -n"));
        }
        assert_eq!(io_words(&io::Error::other("it is not one")), "it is not one");
    }
}
