//! The network, the floor and the size of an archive: what its label says, and what without one.

use super::*;

#[test]
fn a_smaller_size_that_not_all_fits_into_is_refused_and_removes_nothing_unless_that_is_asked_for() {
    let all = alike(600);
    let (before, small) = (sized(LARGE), sized(688_128));
    let home = labelled(&all, before.clone());
    for _ in 0..2 {
        let refused = start(&home, small.clone(), (256, REFUSED)).unwrap_err();
        let ArchiveError::Overflows { over: 344, all: 600, wanted, before: Some(was), .. } =
            refused
        else {
            panic!("{refused}")
        };
        assert!(wanted == small && was == before);
        assert_eq!(home.contents(), (all.clone(), ArchiveScan::default()));
        assert!(on_disk(&home).as_ref() == Some(&before));
    }
    // A smaller size that all fits into takes nothing away; a larger one neither.
    for bytes in [LARGE / 2, LARGE * 4, LARGE] {
        drop(start(&home, sized(bytes), (600, REFUSED)).unwrap());
        assert!(on_disk(&home) == Some(sized(bytes)));
        assert_eq!(home.contents().0, all);
    }
    let on_purpose = (256, ArchiveOverflow::Removed);
    let (mut archive, _) = start(&home, small.clone(), on_purpose).unwrap();
    archive.beat();
    drop(archive);
    assert_eq!(home.contents().0.len(), 256);
    // It has this size now, and the next start needs no word.
    drop(start(&home, small, (256, REFUSED)).unwrap());
}

#[test]
fn what_was_on_its_way_out_when_a_process_was_killed_keeps_no_relay_from_starting() {
    let home = labelled(&alike(300), sized(688_128));
    let (mut archive, _) = start(&home, sized(688_128), (256, REFUSED)).unwrap();
    archive.beat();
    drop(archive);
    assert_eq!(home.contents().0.len(), 256);
}

#[test]
fn an_archive_belongs_to_its_network_and_floor_and_one_that_holds_nothing_to_nobody() {
    let all = alike(20);
    let ours = sized(LARGE);
    let home = labelled(&all, ours.clone());
    let others = [
        ArchiveLabel { network: "test".parse().unwrap(), ..ours.clone() },
        ArchiveLabel { floor: Floor::new(3), ..ours.clone() },
        ArchiveLabel { floor: Floor::new(5), ..ours.clone() },
    ];
    for other in others.clone() {
        for overflow in [REFUSED, ArchiveOverflow::Removed] {
            let refused = start(&home, other.clone(), (0, overflow)).unwrap_err();
            let ArchiveError::OtherNetwork { of, wanted } = refused else { panic!("{refused}") };
            assert!(of == ours && wanted == other);
        }
    }
    assert!(on_disk(&home) == Some(ours.clone()));
    let seen = Archive::on_disk(home.0.path()).unwrap();
    assert_eq!(seen.bytes, Some(fs::metadata(home.file()).unwrap().len()));
    assert_eq!(home.contents(), (all, ArchiveScan::default()));

    let nothing = labelled(&Kept::new(), ours.clone());
    let mut before = ours;
    for other in others {
        let (archive, naming) = start(&nothing, other.clone(), (0, REFUSED)).unwrap();
        drop(archive);
        assert!(naming == Naming::Was(std::mem::replace(&mut before, other.clone())));
        assert!(on_disk(&nothing) == Some(other));
    }
}

#[test]
fn an_archive_without_a_label_is_given_the_network_of_the_first_start_that_it_fits() {
    let all = alike(300);
    let home = labelled(&all, sized(LARGE));
    // As earlier builds left it.
    fs::remove_file(home.0.path().join(FOLDER).join(label::LABEL_FILE)).unwrap();
    assert!(on_disk(&home).is_none());
    let refused = start(&home, sized(688_128), (256, REFUSED)).unwrap_err();
    let ArchiveError::Overflows { over: 44, all: 300, before: None, .. } = refused else {
        panic!("{refused}")
    };
    let mut archive = home.open();
    let unfit = Unfit { below_floor: 1, without_room: 0, held: 299 };
    let refused = archive.begin(unfit).unwrap_err();
    drop(archive);
    let ArchiveError::BelowFloor { below: 1, all: 300, floor, .. } = refused else {
        panic!("{refused}")
    };
    assert!(floor == Floor::new(4) && on_disk(&home).is_none(), "nothing was decided");
    for (label, expected) in [
        (sized(LARGE), Naming::New),
        (sized(LARGE), Naming::AsBefore),
        (sized(LARGE * 2), Naming::Was(sized(LARGE))),
    ] {
        let (archive, naming) = start(&home, label.clone(), (300, REFUSED)).unwrap();
        assert_eq!(naming, expected);
        drop(archive);
        assert!(on_disk(&home) == Some(label));
    }
    assert_eq!(home.contents().0, all);
}

#[test]
fn a_label_that_is_there_and_says_nothing_is_an_error_and_not_that_of_an_earlier_build() {
    let home = labelled(&alike(20), sized(LARGE));
    behead(&home);
    let label = home.0.path().join(FOLDER).join(label::LABEL_FILE);
    for (text, fault) in [
        (&b""[..], LabelFault::Empty),
        (b"{\"network\":", LabelFault::Garbled),
        (&[0; 900], LabelFault::Garbled),
    ] {
        fs::write(&label, text).unwrap();
        let before = folder(&home);
        for overflow in [REFUSED, ArchiveOverflow::Removed] {
            let refused = start(&home, sized(LARGE), (20, overflow)).unwrap_err();
            assert!(matches!(refused, ArchiveError::Label(why) if why == fault), "{refused}");
        }
        assert!(folder(&home) == before, "nothing was touched");
        let seen = Archive::on_disk(home.0.path()).unwrap();
        assert!(seen.label == WrittenLabel::Unusable(fault));
    }
    fs::remove_file(&label).unwrap();
    fs::create_dir(&label).unwrap();
    let refused = start(&home, sized(LARGE), (20, REFUSED)).unwrap_err();
    assert!(matches!(refused, ArchiveError::Label(LabelFault::NotAFile)), "{refused}");
}

#[test]
fn an_archive_that_holds_nothing_is_seen_to_be_empty_wherever_its_folder_lies() {
    let home = Home::new();
    let folder = home.0.path().join("100% ?mode=ro#\u{e9}");
    data_dir::prepare(&folder).unwrap();
    let open = |label| Archive::open(&folder, label, REFUSED);
    let other = ArchiveLabel { network: "test".parse().unwrap(), ..sized(LARGE) };
    open(sized(LARGE)).unwrap().begin(Unfit::default()).unwrap();
    let mut archive = open(other.clone()).unwrap();
    archive.begin(Unfit::default()).unwrap();
    keep_all(&mut archive, &alike(1));
    drop(archive);
    assert!(matches!(open(sized(LARGE)), Err(ArchiveError::OtherNetwork { .. })));
    drop(open(other).unwrap());
}

#[test]
fn an_archive_that_was_there_without_a_label_is_said_to_name_no_network_though_it_holds_nothing() {
    let home = labelled(&Kept::new(), sized(LARGE));
    fs::remove_file(home.0.path().join(FOLDER).join(label::LABEL_FILE)).unwrap();
    let (_, naming) = start(&home, sized(LARGE), (0, REFUSED)).unwrap();
    assert_eq!(naming, Naming::New);
    let (_, naming) = start(&Home::new(), sized(LARGE), (0, REFUSED)).unwrap();
    assert_eq!(naming, Naming::AsBefore, "nobody can have named a new one");
}

#[test]
fn a_label_that_the_disk_did_not_take_is_written_once_it_does() {
    let home = labelled(&alike(5), sized(LARGE));
    let mut archive = home.open_as(sized(LARGE * 2)).unwrap();
    everything(&mut archive);
    // Whatever makes the name of the new file impossible stands for a disk that is full.
    let in_the_way = home.0.path().join(FOLDER).join(format!("{}.new", label::LABEL_FILE));
    fs::create_dir(&in_the_way).unwrap();
    archive.begin(Unfit::default()).unwrap();
    archive.beat();
    assert!(on_disk(&home) == Some(sized(LARGE)));
    fs::remove_dir(&in_the_way).unwrap();
    archive.beat();
    assert!(on_disk(&home) == Some(sized(LARGE * 2)));
}

#[test]
fn what_is_found_on_a_disk_prints_nothing_of_it() {
    let found = ArchiveOnDisk { bytes: Some(7), label: WrittenLabel::Missing, obstacle: None };
    assert_eq!(format!("{found:?}"), "ArchiveOnDisk");
    assert_eq!(format!("{:?}", start::Before::Empty(None)), "Before::Empty");
}
