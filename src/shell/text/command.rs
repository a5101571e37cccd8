//! Parts of command lines as hints print them: each works as it stands there.

use crate::engine::price::Step;
use crate::shell::failure::shell_word;

/// A contact of the identity that was named, as the last arguments of a command may name it.
pub(in crate::shell) fn contact(name: &str, identity: Option<&str>) -> String {
    match identity {
        None => shell_word(name),
        // Without it, the contacts of another identity would be searched.
        Some(identity) => format!("-i {} {}", shell_word(identity), shell_word(name)),
    }
}

/// The command that has at most this much paid for whatever goes to a contact, as [`contact`] names
/// it.
pub(in crate::shell) fn allow(contact: &str, most: Step) -> String {
    format!("undertone contact max-work {contact} {}", most.times())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_of_a_named_identity_is_named_with_it() {
        assert_eq!(contact("ben smith", None), "'ben smith'");
        assert_eq!(contact("ben", Some("at work")), "-i 'at work' ben");
    }
}
