//! Why a runtime could not start or go on.

use crate::shell::archive::ArchiveError;
use crate::shell::failure::{Failure, FailureCode, FailureText};
use crate::shell::net::NetError;
use crate::shell::os::io_words::io_words;
use crate::shell::store::StoreError;

/// The reason why a runtime could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The store failed. Nothing was reported that is not durable.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The network could not be set up.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The ledger of a debug build could not be written.
    #[error("the ledger cannot be written: {}", io_words(.0))]
    Ledger(#[from] std::io::Error),
    /// The archive could not be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// There is no thread to be had for the network, or it ended.
    #[error("the network has no thread: {}", io_words(.0))]
    Thread(std::io::Error),
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        match error {
            RuntimeError::Store(error) => error.into(),
            RuntimeError::Net(error) => error.into(),
            RuntimeError::Archive(error) => error.into(),
            RuntimeError::Thread(error) => error.into(),
            RuntimeError::Ledger(error) => {
                let text = FailureText {
                    what: "the record of sent envelopes was not written",
                    why: &io_words(&error),
                    safe: "nothing was sent",
                    next: "check its path",
                };
                Self::new(FailureCode::Ledger, text)
            }
        }
    }
}
