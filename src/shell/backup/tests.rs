//! Whole files, and rows inside the seal that somebody with the passphrase put together.

use std::sync::LazyLock;

use data_encoding::HEXLOWER;
use proptest::prelude::*;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::engine::crypto::keys::Identity;
use crate::engine::envelope::Lifetime;
use crate::engine::id::{ContactId, IdentityId, MessageId};
use crate::engine::node::MAX_IDENTITIES;
use crate::engine::record::{
    Change, ContactRecord, ContactState, DeliveryLog, IdentityRecord, MessageRecord, MessageState,
    ReceiveSequence, ReplayRecord, SendSequence, SessionRecord, StoredDirection, Trust,
};
use crate::engine::session::{Offer, OfferId, WINDOW};
use crate::engine::testing::mutate::{Reading, each_case, each_slow_case};
use crate::engine::testing::rng::{NOW, SeededRng};
use crate::shell::store::encode_record;

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.to_owned())).unwrap()
}

fn sealing() -> BackupKey {
    BackupKey::draw_at_cost(&passphrase("right"), KeyCost::LEAST).unwrap()
}

fn message(id: u64, direction: StoredDirection, text: &str) -> Record {
    Record::Message(MessageRecord {
        id: MessageId(id),
        contact: ContactId(2),
        direction,
        number: Some(id),
        text: text.to_owned(),
        at: NOW,
        missing: 0,
        early: None,
        postage: Lifetime::Day.into(),
        delivery: DeliveryLog::default(),
    })
}

/// A store with an identity, a contact, a session, an offer seen, and these messages.
fn store(messages: impl IntoIterator<Item = Record>) -> Store {
    let mut seeded = SeededRng::new(1);
    let mut env = seeded.turn();
    let (own, their) = (Identity::generate(&mut env), Identity::generate(&mut env));
    let key = their.public();
    let (_, session) = Offer::new(&mut env, &own, &key, WINDOW);
    let people = [
        Record::Identity(IdentityRecord {
            id: IdentityId(1),
            name: "nightjar".to_owned(),
            identity: own,
            created: NOW,
        }),
        Record::Contact(ContactRecord {
            id: ContactId(2),
            identity: IdentityId(1),
            key,
            petname: "mira".to_owned(),
            state: ContactState::Active,
            sent: SendSequence { epoch: 3, next: 4 },
            received: vec![ReceiveSequence { epoch: 5, next: 6, sack: 0, read_up_to: 2 }],
            offer: None,
            trust: Trust::Unverified,
            read_receipts: false,
            restored: None,
            highest: None,
        }),
        Record::Session(SessionRecord { contact: ContactId(2), session: Box::new(session) }),
        Record::Replay(ReplayRecord { offer: OfferId([9; 32]), until: NOW }),
    ];
    let mut store = Store::in_memory().unwrap();
    let puts: Vec<Change> = people.into_iter().chain(messages).map(Change::Put).collect();
    store.commit(&puts).unwrap();
    store
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("backup")
    }

    fn create(&self, store: &Store, history: History) -> BackupSummary {
        create(store, &self.file(), sealing(), NOW, history).unwrap()
    }

    fn open(&self) -> Result<Backup, BackupError> {
        Backup::open(&self.file(), &passphrase("right"))
    }

    fn restored(&self) -> Store {
        let mut store = Store::in_memory().unwrap();
        let mut seeded = SeededRng::new(2);
        let whole = self.open().unwrap().check().unwrap();
        whole.restore(&mut seeded.turn(), &mut store).unwrap();
        store
    }

    /// What checking the file says with these bytes in place of its own.
    fn check_bytes(&self, bytes: &[u8]) -> Result<BackupSummary, BackupError> {
        fs::write(self.file(), bytes).unwrap();
        Ok(self.open()?.check()?.summary())
    }
}

/// Theirs 10 to 14, of which the last two are unread; ours delivered, and ours on its way.
fn conversation() -> Store {
    let theirs = (10..15).map(|id| message(id, StoredDirection::Delivered, "theirs"));
    let mut store = store(theirs.clone().take(3));
    store.mark_read(ContactId(2), MessageId(12)).unwrap();
    let delivered = message(20, StoredDirection::Outgoing(MessageState::Delivered), "arrived");
    let sent = message(21, StoredDirection::Outgoing(MessageState::Sent), "on its way");
    let held = message(22, StoredDirection::Buffered { epoch: 5 }, "waits");
    let rest: Vec<Change> =
        [delivered, sent, held].into_iter().chain(theirs.skip(3)).map(Change::Put).collect();
    store.commit(&rest).unwrap();
    store
}

#[test]
fn what_was_backed_up_is_there_again_in_its_order_and_unread_as_it_was() {
    let folder = Folder::new();
    let before = conversation();
    let made = folder.create(&before, History::With);
    assert_eq!(
        made,
        BackupSummary {
            made: NOW,
            history: History::With,
            identities: 1,
            contacts: 1,
            offers: 1,
            messages: 8,
        }
    );
    assert_eq!(folder.open().unwrap().check().unwrap().summary(), made);
    let after = folder.restored();
    let page = after.messages().page(ContactId(2), None, 100).unwrap();
    let ids: Vec<u64> = page.iter().map(|message| message.id.0).collect();
    assert_eq!(ids, [10, 11, 12, 20, 21, 13, 14]);
    assert_eq!(after.messages().unread().unwrap(), [(ContactId(2), 2)]);
    assert_eq!(after.messages().unread().unwrap(), before.messages().unread().unwrap());
    let sides: Vec<StoredDirection> = page.iter().map(|message| message.direction).collect();
    assert_eq!(sides[3], StoredDirection::Outgoing(MessageState::Delivered));
    assert_eq!(sides[4], StoredDirection::Outgoing(MessageState::Unacknowledged));
    let held = after.messages().get(MessageId(22)).unwrap().unwrap();
    assert_eq!(held.direction, StoredDirection::Buffered { epoch: 5 });
}

#[test]
fn without_history_there_are_people_and_no_messages() {
    let folder = Folder::new();
    let made = folder.create(&conversation(), History::Without);
    assert_eq!((made.identities, made.contacts, made.messages), (1, 1, 0));
    let after = folder.restored();
    assert!(after.messages().page(ContactId(2), None, 100).unwrap().is_empty());
    let records = after.load().unwrap();
    assert_eq!(records.len(), 3, "{records:?}");
    let Record::Contact(contact) = &records[1] else { panic!("not a contact") };
    assert_eq!(contact.restored, Some(NOW));
    assert_ne!(contact.sent.epoch, 3, "it numbers by another name");
}

#[test]
fn a_long_history_takes_many_chunks_and_comes_back_whole() {
    let folder = Folder::new();
    let text = "x".repeat(1_800);
    let before = store((0..2_000).map(|id| message(id, StoredDirection::Delivered, &text)));
    assert_eq!(folder.create(&before, History::With).messages, 2_000);
    assert!(fs::metadata(folder.file()).unwrap().len() > 3 * 1024 * 1024);
    let mut count = 0;
    let each = |_| {
        count += 1;
        Ok::<(), StoreError>(())
    };
    folder.restored().messages().each(None, each).unwrap();
    assert_eq!(count, 2_000);
}

#[test]
fn the_file_is_its_owners_alone_holds_no_plain_text_and_leaves_nothing_beside_it() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new();
    folder.create(&conversation(), History::With);
    assert_eq!(fs::metadata(folder.file()).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 1);
    let bytes = fs::read(folder.file()).unwrap();
    for plain in [&b"nightjar"[..], b"mira", b"theirs", b"on its way", b"right"] {
        assert!(!bytes.windows(plain.len()).any(|window| window == plain));
    }
}

#[test]
fn two_backups_of_one_store_have_nothing_in_common() {
    let (one, other) = (Folder::new(), Folder::new());
    let before = conversation();
    one.create(&before, History::With);
    other.create(&before, History::With);
    let sealed = |folder: &Folder| fs::read(folder.file()).unwrap().split_off(26);
    let (one, other) = (sealed(&one), sealed(&other));
    assert!(!one.windows(16).any(|window| other.windows(16).any(|same| same == window)));
}

#[test]
fn no_file_is_written_over_and_an_unfinished_one_is_told() {
    let folder = Folder::new();
    fs::write(folder.file(), "precious").unwrap();
    let again = create(&conversation(), &folder.file(), sealing(), NOW, History::With);
    assert!(matches!(again, Err(BackupError::Exists)));
    assert_eq!(fs::read(folder.file()).unwrap(), b"precious");
    fs::remove_file(folder.file()).unwrap();
    fs::write(unfinished(&folder.file()), "left").unwrap();
    let again = create(&conversation(), &folder.file(), sealing(), NOW, History::With);
    assert!(matches!(again, Err(BackupError::Unfinished(_))));
    assert!(!folder.file().exists());
}

#[test]
fn a_wrong_passphrase_is_told_apart_from_damage() {
    let folder = Folder::new();
    folder.create(&conversation(), History::With);
    let wrong = Backup::open(&folder.file(), &passphrase("wrong"));
    assert!(matches!(wrong, Err(BackupError::WrongPassphrase)));
    let whole = fs::read(folder.file()).unwrap();
    for end in [HEAD_BYTES, HEAD_BYTES + 1, whole.len() - 1] {
        assert!(matches!(folder.check_bytes(&whole[..end]), Err(BackupError::Damaged)), "{end}");
    }
    let mut changed = whole.clone();
    changed[HEAD_BYTES + 5] ^= 1;
    assert!(matches!(folder.check_bytes(&changed), Err(BackupError::Damaged)));
    let mut newer = whole.clone();
    newer[8] += 1;
    assert!(matches!(folder.check_bytes(&newer), Err(BackupError::Newer)));
    assert!(matches!(folder.check_bytes(b"PK\x03\x04"), Err(BackupError::Foreign)));
    assert!(folder.check_bytes(&whole).is_ok());
}

#[test]
fn a_file_that_asks_for_a_hundred_gibibytes_is_refused_before_they_are_spent() {
    use sha2::{Digest as _, Sha256};

    let folder = Folder::new();
    folder.create(&conversation(), History::With);
    let mut file = fs::read(folder.file()).unwrap();
    file[20..24].copy_from_slice(&(100 * 1024 * 1024_u32).to_le_bytes());
    let sum = Sha256::digest(&file[10..96]);
    file[96..128].copy_from_slice(&sum);
    assert!(matches!(folder.check_bytes(&file), Err(BackupError::TooCostly)));
}

#[test]
fn nothing_is_taken_from_a_file_that_is_not_whole_or_by_a_store_that_holds_something() {
    let folder = Folder::new();
    let text = "x".repeat(1_800);
    folder.create(
        &store((0..1_000).map(|id| message(id, StoredDirection::Delivered, &text))),
        History::With,
    );
    let mut full = conversation();
    let before = full.load().unwrap();
    let mut seeded = SeededRng::new(2);
    let whole = folder.open().unwrap().check().unwrap();
    let refused = whole.restore(&mut seeded.turn(), &mut full);
    assert!(matches!(refused, Err(BackupError::Store(StoreError::Exists))));
    assert_eq!(full.load().unwrap(), before);

    let mut bytes = fs::read(folder.file()).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(folder.file(), &bytes).unwrap();
    let damaged = folder.open().unwrap().check();
    assert!(matches!(damaged, Err(BackupError::Damaged)));

    // Whole when it was checked, and changed before it was taken over.
    bytes[last] ^= 1;
    fs::write(folder.file(), &bytes).unwrap();
    let whole = folder.open().unwrap().check().unwrap();
    bytes[last] ^= 1;
    fs::write(folder.file(), &bytes).unwrap();
    let mut empty = Store::in_memory().unwrap();
    let refused = whole.restore(&mut seeded.turn(), &mut empty);
    assert!(matches!(refused, Err(BackupError::Damaged)));
    assert!(empty.load().unwrap().is_empty());
}

/// What a reader says of rows that somebody who has the passphrase put together.
fn read_rows(bytes: &[u8]) -> Result<BackupSummary, BackupError> {
    let key = Secret::take(&mut [7; 32]);
    let mut sealer = StreamSealer::begin(Vec::new(), &key, b"", 64)?;
    sealer.write(bytes)?;
    let sealed = sealer.finish()?;
    let mut reader = BackupReader::begin(StreamOpener::begin(sealed.as_slice(), &key, b"", 64)?)?;
    while reader.next_row()?.is_some() {}
    Ok(reader.summary())
}

/// The rows that a reader finds there.
fn records_of(bytes: &[u8]) -> Result<Vec<Imported>, BackupError> {
    let key = Secret::take(&mut [7; 32]);
    let mut sealer = StreamSealer::begin(Vec::new(), &key, b"", 64)?;
    sealer.write(bytes)?;
    let sealed = sealer.finish()?;
    let mut reader = BackupReader::begin(StreamOpener::begin(sealed.as_slice(), &key, b"", 64)?)?;
    std::iter::from_fn(|| reader.next_row().transpose()).collect()
}

/// The rows of a store, not sealed.
fn plain_rows(store: &Store, history: History) -> Vec<u8> {
    let key = Secret::take(&mut [7; 32]);
    let sealer = StreamSealer::begin(Vec::new(), &key, b"", 64).unwrap();
    let mut writer = BackupWriter::begin(sealer, NOW, history).unwrap();
    for record in backup::portable(store.load().unwrap(), history) {
        writer.add(&Imported::Record(record)).unwrap();
    }
    let (sealed, _) = writer.finish().unwrap();
    let mut opener = StreamOpener::begin(sealed.as_slice(), &key, b"", 64).unwrap();
    let mut plain = Vec::new();
    let mut byte = [0];
    while opener.read(&mut byte).unwrap() == seal::StreamEnd::NotReached {
        plain.extend(byte);
    }
    plain
}

#[test]
fn rows_keep_their_bytes() {
    use sha2::{Digest as _, Sha256};

    // Too long to read: the sum stands for the bytes. A change of it is a new version of backups.
    let sum = Sha256::digest(plain_rows(&conversation(), History::With));
    assert_eq!(
        HEXLOWER.encode(&sum[..8]),
        ROWS_SUM,
        "left is what the rows are, right what they were"
    );
}

const ROWS_SUM: &str = "8033ce1861075de3";

#[test]
fn rows_that_no_sound_node_has_are_refused() {
    let rows = plain_rows(&conversation(), History::With);
    let about = &rows[..14];
    assert!(read_rows(&rows).is_ok());
    assert!(read_rows(about).is_ok());
    let row = |record: &Record| {
        let bytes = encode_record(record).unwrap();
        let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        [&[1][..], &length, &bytes].concat()
    };
    let session = store([]).load().unwrap().into_iter().nth(2).unwrap();
    let stray = row(&message(1, StoredDirection::Delivered, "to nobody"));
    for bytes in [
        [rows.as_slice(), about].concat(),
        [about, &row(&session)].concat(),
        [about, &stray].concat(),
        [about, &[1, 255, 255, 255, 255][..]].concat(),
        [about, &[3, 0, 0, 0, 0][..]].concat(),
        [about, &[2, 0, 0, 0, 0][..]].concat(),
        rows[14..].to_vec(),
        [0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2].to_vec(),
    ] {
        assert!(matches!(read_rows(&bytes), Err(BackupError::Damaged)), "{bytes:?}");
    }
    // Messages in a backup that says it has none.
    let mut lying = rows;
    lying[13] = 0;
    assert!(matches!(read_rows(&lying), Err(BackupError::Damaged)));
}

/// The rows of a conversation, not sealed.
static ROWS: LazyLock<Vec<u8>> = LazyLock::new(|| plain_rows(&conversation(), History::With));

/// A backup of a conversation.
static SOUND: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = Folder::new();
    folder.create(&conversation(), History::With);
    fs::read(folder.file()).unwrap()
});

proptest! {
    #[test]
    fn reading_any_rows_never_panics(rest in proptest::collection::vec(any::<u8>(), 0..300)) {
        let about = [0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let read = read_rows(&[&about, rest.as_slice()].concat());
        prop_assert!(rest.is_empty() || read.is_err());
        prop_assert!(rest.is_empty() || read_rows(&rest).is_err());
    }

    #[test]
    fn a_changed_byte_of_sound_rows_never_panics(
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        let mut rows = ROWS.clone();
        let at = at.index(rows.len());
        rows[at] ^= flip;
        if let Ok(summary) = read_rows(&rows) {
            prop_assert!(summary.identities <= 1 && summary.contacts <= 1);
        }
    }

    #[test]
    fn no_bit_of_a_file_can_be_changed_unnoticed(at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut file = SOUND.clone();
        let at = at.index(file.len());
        file[at] ^= 1_u8 << bit;
        prop_assert!(Folder::new().check_bytes(&file).is_err());
    }
}

#[test]
fn changed_at_random_a_head_is_one_of_this_version_or_refused() {
    each_case(&[SOUND[..HEAD_BYTES].to_vec()], |head| Reading::of(parse_head(head)));
}

/// What somebody writes who has the passphrase.
#[test]
fn changed_at_random_rows_are_those_of_a_sound_node_or_refused() {
    each_case(std::slice::from_ref(&*ROWS), |rows| {
        let summary = read_rows(rows);
        assert!(summary.as_ref().map_or(true, |read| read.identities <= MAX_IDENTITIES));
        Reading::of(summary)
    });
}

#[test]
fn changed_at_random_rows_that_are_read_are_restored_and_start_a_node() {
    each_slow_case(std::slice::from_ref(&*ROWS), |rows| {
        let Ok(records) = records_of(rows) else { return Reading::Refused };
        let mut seeded = SeededRng::new(2);
        let mut env = seeded.turn();
        let mut store = Store::in_memory().unwrap();
        let rows = records.into_iter().filter_map(|row| match row {
            Imported::Record(record) => backup::restored(&mut env, record).map(Imported::Record),
            unread @ Imported::Unread(..) => Some(unread),
        });
        let taken: Result<(), BackupError> = store.import().unwrap().take_over(rows.map(Ok));
        assert!(taken.is_err() || store.load().is_ok());
        Reading::of(taken)
    });
}

#[test]
fn changed_at_random_a_file_is_the_one_that_was_written_or_refused() {
    let folder = Folder::new();
    each_slow_case(std::slice::from_ref(&*SOUND), |file| {
        Reading::again(folder.check_bytes(file).ok(), |_| SOUND.clone())
    });
}
