//! STUB
use serde::{Deserialize, Serialize};

/// STUB
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer;
/// STUB
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OfferId(pub [u8; 32]);
/// STUB
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReceivedOffer;
/// STUB
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    id: SessionId,
}
/// STUB
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionId(pub [u8; 32]);
impl Session {
    /// STUB
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }
}
