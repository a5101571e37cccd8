//! The socket by which clients in other processes reach the node that runs in a home folder.
//!
//! One object of JSON on each line, of at most a MiB. The first line of each side says who it is
//! ([`frames::Introduction`], [`frames::Welcome`]); then come requests and answers in any order, in
//! the form of JSON-RPC 2.0, and the events of the streams that were asked for.
//!
//! [`server`] lets connections in and gives each a session of the node, and [`reception`] says who
//! has a place; [`link`] is the other end; [`endpoint`] is where the socket lies and how it is found.

pub(in crate::shell) mod endpoint;
pub(in crate::shell) mod frames;
pub(in crate::shell) mod link;
mod reception;
pub(in crate::shell) mod server;
mod socket_folder;

use self::endpoint::{EndpointError, LocateError};
use crate::shell::failure::{Failure, FailureCode, FailureText};

impl From<EndpointError> for Failure {
    fn from(error: EndpointError) -> Self {
        if let EndpointError::Home(error) = error {
            return error.into();
        }
        let text = FailureText {
            what: "the node was not started",
            why: &error.to_string(),
            safe: "nothing was done",
            next: "make one of them yours alone (chmod 700) with room in it, or set XDG_RUNTIME_DIR",
        };
        Self::new(FailureCode::Socket, text)
    }
}

impl From<LocateError> for Failure {
    fn from(error: LocateError) -> Self {
        if let LocateError::Home(error) = error {
            return error.into();
        }
        if matches!(error, LocateError::StandsStill) {
            return link::silent("nothing was done");
        }
        let text = FailureText {
            what: "the node of this home folder was not reached",
            why: &error.to_string(),
            safe: "nothing was done",
            next: "if no node runs there, remove the file node.json in the home folder",
        };
        Self::new(FailureCode::Socket, text)
    }
}

#[cfg(test)]
mod tests;
