//! The navigation alone, over a directory of two contacts.

use super::*;
use crate::shell::ui::model::navigation::ListRow;

fn directory() -> ChatDirectory {
    chatting().directory
}

#[test]
fn what_stands_in_front_of_a_page_goes_before_the_page_does() {
    let mut navigation = Navigation::new();
    navigation.show(UiPage::Help, &directory());
    navigation.prompt(PromptPurpose::AddKey(ME));
    navigation.back();
    assert!(navigation.overlay.is_none());
    assert_eq!(navigation.page, UiPage::Help);
    navigation.back();
    assert_eq!(navigation.page, UiPage::Chats);
}

#[test]
fn a_marked_row_is_always_one_of_the_list() {
    let directory = directory();
    let mut navigation = Navigation::new();
    navigation.speaking = Some(ME);
    assert_eq!(navigation.marked(&directory), None, "the page of chats has no list");
    navigation.show(UiPage::Contacts, &directory);
    navigation.mark_row(usize::MAX, &directory);
    assert_eq!(navigation.marked(&directory), Some(ListRow::Contact(MIRA)));
    navigation.next_tab(&directory);
    navigation.mark_row(usize::MAX, &directory);
    assert_eq!((navigation.row, navigation.marked(&directory)), (0, None));
}

#[test]
fn a_contact_that_is_gone_takes_along_what_is_said_of_it_and_nothing_else() {
    let about = |contact| [Overlay::Keys(contact), Overlay::Search(found_with(contact))];
    for overlay in about(MIRA) {
        let mut navigation = Navigation::new();
        (navigation.open, navigation.overlay) = (Some(MIRA), Some(overlay));
        navigation.forget_contact(MIRA);
        assert!(matches!(navigation.overlay, Some(Overlay::Gone(GoneSubject::Contact))));
        assert!(navigation.open.is_none());
    }
    for overlay in about(ECHO) {
        let mut navigation = Navigation::new();
        (navigation.open, navigation.overlay) = (Some(ECHO), Some(overlay));
        navigation.forget_contact(MIRA);
        assert!(!matches!(navigation.overlay, None | Some(Overlay::Gone(_))));
        assert_eq!(navigation.open, Some(ECHO));
    }
}

fn found_with(contact: ContactId) -> Search {
    Search::new(Some(contact), "ferry".to_owned())
}

#[test]
fn the_newest_message_is_read_only_where_nothing_hides_it() {
    let mut navigation = Navigation::new();
    navigation.open_chat(MIRA);
    assert!(navigation.can_read_newest() && navigation.shows_newest_of(MIRA));
    assert!(!navigation.shows_newest_of(ECHO));
    navigation.prompt(PromptPurpose::AddKey(ME));
    assert!(!navigation.can_read_newest());
    navigation.open_chat(MIRA);
    navigation.on_drawn(ScrollPosition::Middle);
    assert!(!navigation.can_read_newest() && !navigation.shows_newest_of(MIRA));
    navigation.show(UiPage::Network, &directory());
    navigation.on_drawn(ScrollPosition::Whole);
    assert!(!navigation.can_read_newest());
}
