//! The picker: a list of chats and pages that shrinks as one types.

use crate::engine::id::{ContactId, IdentityId};

use super::super::composer::{Composer, LineMode};
use super::super::keys::UiPage;
use super::directory::{ChatDirectory, ContactFilter};
use super::prompt::MAX_NAME_BYTES;
use super::{Model, Overlay, UiEffect};

/// The pages one can go to besides the chats, in the order of the list.
const PAGES: [UiPage; 4] = [UiPage::Contacts, UiPage::Network, UiPage::Identities, UiPage::Help];

/// The text that filters the targets, and the marked one.
pub(in crate::shell::ui) struct GoToPicker {
    pub(in crate::shell::ui) filter: Composer,
    /// The target itself and not its row: chats come, go and are renamed while one chooses.
    marked: Option<GoToTarget>,
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
    /// A picker without a text, with its first target marked.
    pub(super) fn new(directory: &ChatDirectory, identity: Option<IdentityId>) -> Self {
        let filter = Composer::new(LineMode::One, MAX_NAME_BYTES);
        let mut picker = Self { filter, marked: None };
        picker.mark_first(directory, identity);
        picker
    }

    /// Marks the first target.
    pub(super) fn mark_first(&mut self, directory: &ChatDirectory, identity: Option<IdentityId>) {
        self.marked = self.targets(directory, identity).first().copied();
    }

    /// Marks the target so many rows below, or above, or the last one in that direction; the first
    /// one if none is marked.
    pub(super) fn step(
        &mut self,
        step: isize,
        directory: &ChatDirectory,
        identity: Option<IdentityId>,
    ) {
        let targets = self.targets(directory, identity);
        let last = targets.len().saturating_sub(1);
        let row = self.row(&targets).map_or(0, |row| row.saturating_add_signed(step).min(last));
        self.marked = targets.get(row).copied();
    }

    /// The row of the marked target; none if it is gone.
    pub(in crate::shell::ui) fn row(&self, targets: &[GoToTarget]) -> Option<usize> {
        targets.iter().position(|target| Some(*target) == self.marked)
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

/// Shows the picker.
pub(super) fn show(model: &mut Model) {
    let picker = GoToPicker::new(&model.directory, model.navigation.speaking);
    model.navigation.overlay = Some(Overlay::GoTo(picker));
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
