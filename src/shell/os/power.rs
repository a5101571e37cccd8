//! Where the power of this machine comes from.

use std::fs;
use std::path::Path;

/// Whether this machine runs on its battery. Only Linux says so where everybody may look; elsewhere,
/// and where nothing is said, it does not.
#[must_use]
pub fn is_on_battery() -> bool {
    is_discharged(Path::new(SUPPLIES))
}

/// Whether a battery of the machine is used up, and nothing feeds it (kernel,
/// "sysfs-class-power").
fn is_discharged(supplies: &Path) -> bool {
    let Ok(supplies) = fs::read_dir(supplies) else { return false };
    let mut is_discharged = false;
    for supply in supplies.flatten().take(MOST_SUPPLIES) {
        let word = |file: &str| {
            let text = fs::read_to_string(supply.path().join(file)).unwrap_or_default();
            text.trim().to_owned()
        };
        match word("type").as_str() {
            // That of a mouse or a keyboard is not this machine's.
            "Battery" => {
                is_discharged |= word("scope") != "Device" && word("status") == "Discharging";
            }
            // From the mains, or by USB. 2 is a charger that was told how much to give.
            _ if matches!(word("online").as_str(), "1" | "2") => return false,
            _ => {}
        }
    }
    is_discharged
}

/// Where Linux lists what feeds a machine.
const SUPPLIES: &str = "/sys/class/power_supply";

/// So many of them are looked at. A guess: far more than a machine has.
const MOST_SUPPLIES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a folder of supplies, each with the words of its files.
    fn supplies(all: &[&[(&str, &str)]]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (number, files) in all.iter().enumerate() {
            let supply = folder.path().join(format!("BAT{number}"));
            fs::create_dir(&supply).unwrap();
            files.iter().for_each(|(name, word)| {
                fs::write(supply.join(name), format!("{word}\n")).unwrap();
            });
        }
        folder
    }

    #[test]
    fn a_machine_is_on_battery_while_one_is_used_up_and_nothing_feeds_it() {
        const NAMELESS: &[(&str, &str)] = &[];
        const USED: &[(&str, &str)] = &[("type", "Battery"), ("status", "Discharging")];
        const FULL: &[(&str, &str)] = &[("type", "Battery"), ("status", "Full")];
        const PLUGGED: &[(&str, &str)] = &[("type", "Mains"), ("online", "1")];
        const UNPLUGGED: &[(&str, &str)] = &[("type", "Mains"), ("online", "0")];
        const BY_USB: &[(&str, &str)] = &[("type", "USB"), ("online", "2")];
        const MOUSE: &[(&str, &str)] =
            &[("type", "Battery"), ("scope", "Device"), ("status", "Discharging")];
        for on_battery in [&[USED][..], &[FULL, USED], &[USED, UNPLUGGED], &[MOUSE, USED]] {
            assert!(is_discharged(supplies(on_battery).path()), "{on_battery:?}");
        }
        for other in [
            &[NAMELESS][..],
            &[],
            &[FULL],
            &[MOUSE],
            &[UNPLUGGED],
            &[MOUSE, UNPLUGGED],
            &[USED, PLUGGED],
            &[PLUGGED, USED],
            &[USED, BY_USB],
        ] {
            assert!(!is_discharged(supplies(other).path()), "{other:?}");
        }
        assert!(!is_discharged(Path::new("/nowhere")), "a system that says nothing");
    }
}
