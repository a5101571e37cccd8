//! Starts that are refused, and what they leave as it was.

use super::damage::Damage;
use super::*;
use crate::shell::store::StoreError;

#[test]
fn what_lies_where_the_database_keeps_its_own_files_is_looked_at_before_it_is_opened() {
    let home = Home::with(&alike(3));
    for end in ["-journal", "-wal", "-shm"] {
        let mut path = home.file().into_os_string();
        path.push(end);
        // Left by a killed process, and open to others since.
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let wide = home.open_as(sized(LARGE)).err().unwrap();
        assert!(matches!(wide, ArchiveError::Store(StoreError::UnsafePermissions(_))), "{wide}");
        fs::remove_file(&path).unwrap();
    }
    assert_eq!(home.contents().0.len(), 3);
}

#[test]
fn a_start_in_another_network_changes_no_byte_of_an_archive_in_whatever_state_that_is() {
    let home = labelled(&alike(300), sized(LARGE));
    let killed = {
        let mut archive = home.begun();
        keep_all(&mut archive, &some(20));
        home.copy()
    };
    let (damaged, outdated, foreign) = (home.copy(), home.copy(), home.copy());
    behead(&damaged);
    mark(&outdated, 1);
    fs::write(foreign.file(), b"something else").unwrap();
    let noted = damaged.copy();
    drop(noted.contents());
    assert!(noted.0.path().join(FOLDER).join(note::NOTE_FILE).exists());
    for home in [home, killed, damaged, outdated, foreign, noted] {
        let before = folder(&home);
        for overflow in [REFUSED, ArchiveOverflow::Removed] {
            let other = ArchiveLabel { network: "test".parse().unwrap(), ..sized(LARGE) };
            let refused = start(&home, other, (0, overflow)).unwrap_err();
            assert!(matches!(refused, ArchiveError::OtherNetwork { .. }), "{refused}");
            assert!(folder(&home) == before);
        }
    }
}

#[test]
fn a_start_that_is_refused_changes_no_byte_of_an_archive_in_whatever_state_that_is() {
    let home = labelled(&alike(600), sized(LARGE));
    let killed = {
        let mut archive = home.begun();
        keep_all(&mut archive, &some(20));
        home.copy()
    };
    let (damaged, unnamed) = (home.copy(), home.copy());
    behead(&damaged);
    let damaged_and_killed = killed.copy();
    behead(&damaged_and_killed);
    let damaged_and_unnamed = damaged.copy();
    let (whole, hurt) = (FileCondition::Whole, FileCondition::Damaged);
    for home in [&unnamed, &damaged_and_unnamed] {
        fs::remove_file(home.0.path().join(FOLDER).join(label::LABEL_FILE)).unwrap();
    }
    for (home, expected) in [
        (&home, whole),
        (&killed, whole),
        (&unnamed, whole),
        (&damaged, hurt),
        // Its first page lies in the log, too.
        (&damaged_and_killed, whole),
        (&damaged_and_unnamed, hurt),
    ] {
        let before = folder(home);
        for _ in 0..2 {
            let refused = start(home, sized(688_128), (256, REFUSED)).unwrap_err();
            assert!(matches!(refused, ArchiveError::Overflows { .. }), "{refused}");
            assert_eq!(refused.file(), expected);
            assert!(folder(home) == before);
        }
    }
    // A floor above what the envelopes show.
    for (home, expected) in [(&unnamed, whole), (&damaged_and_unnamed, hurt)] {
        let before = folder(home);
        let mut archive = home.open();
        everything(&mut archive);
        let unfit = Unfit { below_floor: 600, without_room: 0, held: 0 };
        let refused = archive.begin(unfit).unwrap_err();
        drop(archive);
        assert!(matches!(refused, ArchiveError::BelowFloor { below: 600, all: 600, .. }));
        assert_eq!(refused.file(), expected);
        assert!(folder(home) == before);
    }
    let mut all = alike(600);
    all.extend(some(20));
    let mended = ArchiveScan { salvaged: Some(all.len() as u64), ..ArchiveScan::default() };
    let (kept, found) = damaged.contents();
    assert!(kept == all && found == mended, "it goes on as soon as it may: {found:?}");
}

#[test]
fn what_is_read_twice_because_of_damage_is_counted_once() {
    let home = labelled(&alike(600), sized(LARGE));
    fs::remove_file(home.0.path().join(FOLDER).join(label::LABEL_FILE)).unwrap();
    let mut bytes = fs::read(home.file()).unwrap();
    let pages = bytes.len() / database::PAGE;
    // Of the pages in the middle some are leaves, and what lies before them is handed over first.
    for page in (pages / 2..pages).step_by(40) {
        Damage::Zero(page).apply(&mut bytes);
    }
    fs::write(home.file(), bytes).unwrap();
    let refused = start(&home, sized(688_128), (256, REFUSED)).unwrap_err();
    let ArchiveError::Overflows { over, all, .. } = refused else { panic!("{refused}") };
    let (kept, found) = home.contents();
    assert!(found.salvaged.is_some() && kept.len() < 600, "{found:?}");
    assert_eq!((over, all), (kept.len() as u64 - 256, kept.len() as u64));
}

#[test]
fn whatever_stands_where_the_folder_or_a_file_of_an_archive_belongs_is_named_and_left_alone() {
    let names = [
        "",
        "envelopes.db",
        "envelopes.db-wal",
        "envelopes.db-journal",
        "envelopes.db.new",
        "mended.json",
        "mended.json.new",
        "label.json.new",
        "lock",
    ];
    for name in names {
        let home = Home::new();
        let path = home.0.path().join(FOLDER).join(name);
        let folder = home.0.path().join(FOLDER);
        data_dir::prepare(&folder).unwrap();
        if name.is_empty() {
            fs::remove_dir(&folder).unwrap();
            fs::write(&folder, "a file").unwrap();
        } else {
            fs::create_dir(&path).unwrap();
        }
        let refused = home.open_as(sized(LARGE)).unwrap_err();
        let ArchiveError::Obstacle(obstacle) = refused else { panic!("{name}: {refused}") };
        let expected = if name.is_empty() {
            format!("{folder:?} is a file, and the folder of an archive belongs there")
        } else {
            format!("{path:?} is a folder, and a file of an archive belongs there")
        };
        assert_eq!(obstacle.words(), expected);
        let seen = Archive::on_disk(home.0.path()).unwrap();
        assert!(seen.obstacle == Some(obstacle) && seen.bytes.is_none(), "{name}");
        if !name.is_empty() {
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "{name}: nothing was made");
        }
    }
}

#[test]
fn a_link_in_the_place_of_an_archive_or_its_database_is_named_wherever_it_leads() {
    use std::os::unix::fs::symlink;
    let home = Home::new();
    let folder = home.0.path().join(FOLDER);
    symlink("nowhere", &folder).unwrap();
    let told = |home: &Home| {
        let refused = home.open_as(sized(LARGE)).unwrap_err();
        let ArchiveError::Obstacle(obstacle) = refused else { panic!("{refused}") };
        obstacle.words().to_owned()
    };
    assert!(
        told(&home).ends_with("/archive\" is a link, and the folder of an archive belongs there")
    );
    fs::remove_file(&folder).unwrap();
    data_dir::prepare(&folder).unwrap();
    symlink("/dev/null", home.file()).unwrap();
    assert!(
        told(&home).ends_with("envelopes.db\" is a link, and a file of an archive belongs there")
    );
    assert!(Archive::on_disk(Home::new().0.path()).is_none(), "nothing is in the way of a new one");
}
