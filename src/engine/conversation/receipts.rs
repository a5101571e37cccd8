//! Read receipts: how far a person has read, sent to a contact if both turned that on.
//!
//! A receipt need not arrive. It goes in the envelopes that carry acknowledgements, in place of an
//! empty content, so nobody who carries them can tell that there are any.

use std::collections::BTreeMap;

use crate::engine::id::MessageId;

/// Delivered messages that await a receipt, in one conversation. The oldest gives way. A guess:
/// more than a person leaves unread and still wonders about.
pub const MAX_AWAITED_RECEIPTS: usize = 256;

/// Whether receipts are exchanged with a contact, and which of our messages await one.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    exchange: Exchange,
    /// Delivered messages that await a receipt, by number; at most [`MAX_AWAITED_RECEIPTS`].
    awaiting: BTreeMap<u64, MessageId>,
}

/// Whether receipts are exchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Exchange {
    /// Not exchanged.
    #[default]
    Off,
    /// Exchanged, and nothing was read since the last receipt.
    On,
    /// Exchanged, and a receipt is due.
    Due,
}

impl Receipts {
    #[expect(clippy::fn_params_excessive_bools, reason = "as it is stored with the contact")]
    pub(super) fn new(enabled: bool) -> Self {
        let exchange = if enabled { Exchange::On } else { Exchange::Off };
        Self { exchange, awaiting: BTreeMap::new() }
    }

    /// Whether receipts are on, which is always for both directions: ours are sent, the contact's
    /// are shown.
    pub(super) fn enabled(&self) -> bool {
        self.exchange != Exchange::Off
    }

    /// Turns receipts on or off; returns the messages that await none any more, or `None` if
    /// nothing changed. A receipt covers all before it, so what was read earlier is reported too;
    /// what was delivered earlier is not shown as read.
    #[expect(clippy::fn_params_excessive_bools, reason = "the command's own, named there")]
    pub(super) fn set_enabled(&mut self, enabled: bool) -> Option<Vec<MessageId>> {
        if self.enabled() == enabled {
            return None;
        }
        self.exchange = if enabled { Exchange::On } else { Exchange::Off };
        Some(self.forget_all())
    }

    /// Makes a receipt due after a person has read on, if receipts are on. Returns whether they
    /// are.
    pub(super) fn note_read(&mut self) -> bool {
        if self.enabled() {
            self.exchange = Exchange::Due;
        }
        self.enabled()
    }

    /// Whether a receipt is due.
    pub(super) fn is_due(&self) -> bool {
        self.exchange == Exchange::Due
    }

    /// Notes that an envelope carries the receipt.
    pub(super) fn tell(&mut self) {
        if self.is_due() {
            self.exchange = Exchange::On;
        }
    }

    /// Awaits the receipt of a message that was delivered, if one may come. Returns the message
    /// that awaits none any more: another one, or this one.
    pub(super) fn await_receipt(
        &mut self,
        id: MessageId,
        number: Option<u64>,
    ) -> Option<MessageId> {
        let Some(number) = number.filter(|_| self.enabled()) else { return Some(id) };
        self.awaiting.insert(number, id);
        if self.awaiting.len() > MAX_AWAITED_RECEIPTS {
            return self.awaiting.pop_first().map(|(_, id)| id);
        }
        None
    }

    /// Takes a receipt for everything below `below`; returns the messages that awaited it.
    pub(super) fn receive(&mut self, below: u64) -> Vec<MessageId> {
        let later = self.awaiting.split_off(&below);
        core::mem::replace(&mut self.awaiting, later).into_values().collect()
    }

    /// Awaits no receipt any more: one names an epoch, and would not fit another.
    pub(super) fn forget_all(&mut self) -> Vec<MessageId> {
        core::mem::take(&mut self.awaiting).into_values().collect()
    }

    /// Awaits no receipt for one message any more.
    pub(super) fn forget(&mut self, id: MessageId) {
        self.awaiting.retain(|_, awaited| *awaited != id);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_is_done_with_at_its_delivery_while_receipts_are_off() {
        let mut receipts = Receipts::default();
        assert_eq!(receipts.await_receipt(MessageId(1), Some(0)), Some(MessageId(1)));
        assert!(!receipts.note_read() && !receipts.is_due());
    }

    #[test]
    fn turning_receipts_off_forgets_awaited_receipts_and_the_one_that_is_due() {
        let mut receipts = Receipts::new(true);
        assert_eq!(receipts.await_receipt(MessageId(1), Some(0)), None);
        assert!(receipts.note_read() && receipts.is_due());
        assert_eq!(receipts.set_enabled(true), None);
        assert_eq!(receipts.set_enabled(false), Some(vec![MessageId(1)]));
        assert!(!receipts.is_due());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Deliver(u64),
        Receive(u64),
        Forget(u64),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0_u64..600).prop_map(Step::Deliver),
            1 => (0_u64..600).prop_map(Step::Receive),
            1 => (0_u64..600).prop_map(Step::Forget),
        ]
    }

    proptest! {
        #[test]
        fn the_latest_256_delivered_and_unread_messages_await_receipts(
            steps in proptest::collection::vec(any_step(), 1..700),
        ) {
            let mut receipts = Receipts::new(true);
            // A list of numbers, each with the message of the same name.
            let mut model: Vec<u64> = Vec::new();
            for step in steps {
                match step {
                    Step::Deliver(number) => {
                        model.retain(|waiting| *waiting != number);
                        model.push(number);
                        model.sort_unstable();
                        let oldest = (model.len() > MAX_AWAITED_RECEIPTS).then(|| model.remove(0));
                        let gone = receipts.await_receipt(MessageId(number), Some(number));
                        prop_assert_eq!(gone, oldest.map(MessageId));
                    }
                    Step::Receive(below) => {
                        let read: Vec<MessageId> =
                            model.iter().filter(|n| **n < below).map(|n| MessageId(*n)).collect();
                        model.retain(|waiting| *waiting >= below);
                        prop_assert_eq!(receipts.receive(below), read);
                    }
                    Step::Forget(number) => {
                        model.retain(|waiting| *waiting != number);
                        receipts.forget(MessageId(number));
                    }
                }
            }
            let rest: Vec<MessageId> = model.into_iter().map(MessageId).collect();
            prop_assert_eq!(receipts.forget_all(), rest);
        }
    }
}
