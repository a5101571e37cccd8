//! The contents of a payload, sorted by their effect on the conversation. A new kind of content
//! begins here.
//!
//! Numbered contents take their place among the contact's messages whether they are understood or
//! not: a version that knows fewer kinds than its contact must not hold up what follows.

use crate::engine::session::Content;

/// The effect of one payload.
pub(super) enum Contents {
    /// A content with a place in the order of messages.
    Numbered {
        /// Its number in the sender's epoch.
        number: u64,
        /// The content.
        content: NumberedContent,
    },
    /// The contact accepted our offer.
    Answer,
    /// The contact says that the session is over.
    Close,
    /// The contact has read our messages of this epoch below this number.
    ReadReceipt {
        /// Our epoch.
        epoch: u64,
        /// The lowest number that was not read.
        below: u64,
    },
    /// Nothing of its own: the payload carried an acknowledgement and a base.
    Nothing,
}

/// A content with a place in the order of messages.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum NumberedContent {
    /// A text that a person wrote.
    Text(String),
    /// A later version's message: acknowledged, and passed over.
    NotUnderstood,
}

impl Contents {
    /// Sorts a payload's content. A numbered kind that came without a number counts as nothing
    /// (`proto/session.md`, "Messages").
    pub(super) fn of(content: Content, number: Option<u64>) -> Self {
        let numbered =
            |content| number.map_or(Self::Nothing, |number| Self::Numbered { number, content });
        match content {
            Content::Text(text) => numbered(NumberedContent::Text(text)),
            Content::Unknown => numbered(NumberedContent::NotUnderstood),
            Content::Answer => Self::Answer,
            Content::Close => Self::Close,
            Content::Read { epoch, below } => Self::ReadReceipt { epoch, below },
            Content::Nothing => Self::Nothing,
        }
    }
}

impl core::fmt::Debug for NumberedContent {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text",
            Self::NotUnderstood => "NotUnderstood",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_prints_its_kind_alone() {
        let text = NumberedContent::Text("secret".to_owned());
        assert_eq!(format!("NumberedContent::{text:?}"), "NumberedContent::Text");
    }

    #[test]
    fn an_unknown_kind_takes_its_number_and_content_without_a_number_takes_none() {
        let numbered = |content| match Contents::of(content, Some(7)) {
            Contents::Numbered { number, content } => Some((number, content)),
            Contents::Answer
            | Contents::Close
            | Contents::ReadReceipt { .. }
            | Contents::Nothing => None,
        };
        assert_eq!(numbered(Content::Unknown), Some((7, NumberedContent::NotUnderstood)));
        let text = || "text".to_owned();
        assert_eq!(numbered(Content::Text(text())), Some((7, NumberedContent::Text(text()))));
        assert_eq!(numbered(Content::Answer), None);
        assert!(matches!(Contents::of(Content::Unknown, None), Contents::Nothing));
        assert!(matches!(Contents::of(Content::Text(text()), None), Contents::Nothing));
    }

    fn any_content() -> impl Strategy<Value = Content> {
        prop_oneof![
            Just(Content::Nothing),
            ".{0,20}".prop_map(Content::Text),
            Just(Content::Answer),
            Just(Content::Close),
            (any::<u64>(), any::<u64>()).prop_map(|(epoch, below)| Content::Read { epoch, below }),
            Just(Content::Unknown),
        ]
    }

    proptest! {
        #[test]
        fn texts_and_unknown_kinds_take_their_number_and_all_others_take_none(
            content in any_content(),
            number in any::<Option<u64>>(),
        ) {
            let sorted = Contents::of(content.clone(), number);
            let as_expected = match (content, number, sorted) {
                (
                    Content::Text(text),
                    Some(number),
                    Contents::Numbered { number: taken, content: NumberedContent::Text(kept) },
                ) => taken == number && kept == text,
                (
                    Content::Unknown,
                    Some(number),
                    Contents::Numbered { number: taken, content: NumberedContent::NotUnderstood },
                ) => taken == number,
                (
                    Content::Read { epoch, below },
                    _,
                    Contents::ReadReceipt { epoch: of, below: up_to },
                ) => (of, up_to) == (epoch, below),
                (Content::Text(_) | Content::Unknown, None, Contents::Nothing)
                | (Content::Nothing, _, Contents::Nothing)
                | (Content::Answer, _, Contents::Answer)
                | (Content::Close, _, Contents::Close) => true,
                (_, _, _) => false,
            };
            prop_assert!(as_expected);
        }
    }
}
