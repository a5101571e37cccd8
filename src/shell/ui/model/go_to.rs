//! The picker: a list of chats and pages that shrinks as one types.

use crate::engine::id::{ContactId, IdentityId};

use super::super::composer::{Composer, LineMode};
use super::super::keys::UiPage;
use super::directory::{ChatDirectory, ContactFilter};
use super::prompt::MAX_NAME_BYTES;
use super::{Model, UiEffect};

/// The pages one can go to besides the chats, in the order of the list.
const PAGES: [UiPage; 4] = [UiPage::Contacts, UiPage::Network, UiPage::Identities, UiPage::Help];

/// The text that filters the targets, and the index of the marked one.
pub(in crate::shell::ui) struct GoToPicker {
    pub(in crate::shell::ui) filter: Composer,
    pub(in crate::shell::ui) index: usize,
}

/// A place to go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shell::ui) enum GoToTarget {
    /// The chat with a contact.
    Chat(ContactId),
    /// A page.
    Page(UiPage),
}

impl GoToPicker {
    pub(super) const fn new() -> Self {
        Self { filter: Composer::new(LineMode::One, MAX_NAME_BYTES), index: 0 }
    }

    /// Marks the target above, or stays at the first.
    pub(super) const fn mark_above(&mut self) {
        self.index = self.index.saturating_sub(1);
    }

    /// Marks the target below, or stays at the last.
    pub(super) fn mark_below(&mut self, directory: &ChatDirectory, identity: Option<IdentityId>) {
        let last = self.targets(directory, identity).len().saturating_sub(1);
        self.index = (self.index + 1).min(last);
    }

    /// The targets of an identity that fit the text.
    pub(in crate::shell::ui) fn targets(
        &self,
        directory: &ChatDirectory,
        identity: Option<IdentityId>,
    ) -> Vec<GoToTarget> {
        targets(directory, identity, self.filter.text())
    }
}

impl GoToTarget {
    /// Its name in the picker.
    pub(in crate::shell::ui) fn name(self, directory: &ChatDirectory) -> String {
        match self {
            Self::Chat(contact) => directory.name_of(contact),
            Self::Page(UiPage::Chats) => "chats".to_owned(),
            Self::Page(UiPage::Contacts) => "contacts and requests".to_owned(),
            Self::Page(UiPage::Network) => "network".to_owned(),
            Self::Page(UiPage::Identities) => "identities".to_owned(),
            Self::Page(UiPage::Help) => "help".to_owned(),
        }
    }
}

/// The targets of an identity that fit `wanted`: its chats, then the pages; those whose names have
/// the letters together come first.
pub(super) fn targets(
    directory: &ChatDirectory,
    identity: Option<IdentityId>,
    wanted: &str,
) -> Vec<GoToTarget> {
    let contacts = directory.contacts_of(identity, ContactFilter::Listened).into_iter();
    let chats = contacts.map(|chat| GoToTarget::Chat(chat.id()));
    let pages = PAGES.into_iter().map(GoToTarget::Page);
    let mut targets: Vec<_> =
        chats.chain(pages).filter(|target| fits(wanted, &target.name(directory))).collect();
    // Letters that stand together mean more than letters that stand anywhere.
    let wanted = wanted.trim().to_lowercase();
    targets.sort_by_key(|target| !target.name(directory).to_lowercase().contains(&wanted));
    targets
}

/// Goes there.
pub(super) fn go(model: &mut Model, target: GoToTarget, effects: &mut Vec<UiEffect>) {
    match target {
        GoToTarget::Chat(contact) => model.open_chat(contact, effects),
        GoToTarget::Page(page) => model.show(page),
    }
}

/// Whether the letters of `wanted` stand in `name`, in their order.
fn fits(wanted: &str, name: &str) -> bool {
    let mut letters = name.chars().flat_map(char::to_lowercase);
    wanted
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .flat_map(char::to_lowercase)
        .all(|wanted| letters.any(|letter| letter == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_in_order_find_a_name() {
        assert!(fits("", "mira"));
        assert!(fits("MR", "mira"));
        assert!(fits("t nk", "田中 (tanaka)"));
        assert!(!fits("rm", "mira"));
    }

    #[test]
    fn a_page_whose_letters_stand_together_comes_first() {
        let directory = ChatDirectory::new(100);
        let found = targets(&directory, None, "net");
        assert_eq!(found.first(), Some(&GoToTarget::Page(UiPage::Network)));
        assert_eq!(targets(&directory, None, " ").len(), PAGES.len());
        assert_eq!(targets(&directory, None, "zz"), []);
    }
}
