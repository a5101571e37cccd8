//! Forensics: the files, searched with the database's key after records were erased.
//!
//! Every page of the database and of its journal is decrypted here as SQLCipher 4 encrypts it, and
//! without SQLCipher: pages that are free and the gaps inside pages are searched like all others.

use std::collections::BTreeSet;

use aes_gcm::aes::Aes256;
use aes_gcm::aes::cipher::{BlockCipherDecrypt, KeyInit};
use data_encoding::HEXLOWER;

use super::*;
use crate::engine::env::{Env, Millis, UnixSeconds};
use crate::engine::id::OutgoingId;
use crate::engine::record::{ContactState, StoredDirection};
use crate::engine::testing::rng::SeededRng;
use crate::shell::store::tests::fixtures::{self, contact, message, outgoing, theirs};

/// A thief who has the files and the database's key.
pub(super) struct Thief {
    database: PathBuf,
    journal: PathBuf,
    key: Secret<KEY_BYTES>,
}

impl Thief {
    pub(super) fn of(home: &Home) -> Self {
        let key = open_key(&home.dir(), &passphrase("right")).unwrap();
        Self { database: home.file("store.db"), journal: home.file("store.db-journal"), key }
    }

    /// Whether one of these strings of [`PART`] bytes is in the database or its journal.
    pub(super) fn finds(&self, parts: &BTreeSet<Vec<u8>>) -> bool {
        assert!(!parts.is_empty(), "nothing to search for");
        [self.pages(), self.journal()].concat().iter().any(|page| shows(page, parts))
    }

    /// The pages of the database, decrypted.
    fn pages(&self) -> Vec<Vec<u8>> {
        let file = fs::read(&self.database).unwrap();
        assert_eq!(file.len() % PAGE, 0);
        let pages: Vec<_> =
            (1..).zip(file.chunks(PAGE)).map(|(number, page)| self.page(number, page)).collect();
        // The start of the schema's table, after the 16 bytes that SQLCipher keeps for its salt
        // (SQLite file format, section 1.3): the key and the layout are right.
        assert_eq!(pages[0][..5], [0x10, 0, 1, 1, 80]);
        pages
    }

    /// The pages in the journal, decrypted (SQLite file format, section 3). None once it is over.
    fn journal(&self) -> Vec<Vec<u8>> {
        let file = fs::read(&self.journal).unwrap_or_default();
        let Some(sector) = file.get(20..24) else { return Vec::new() };
        let sector = u32::from_be_bytes(sector.try_into().unwrap());
        let records = &file[usize::try_from(sector).unwrap()..];
        let page = |record: &[u8]| {
            let number = u32::from_be_bytes(record[..4].try_into().unwrap());
            self.page(number, &record[4..4 + PAGE])
        };
        records.chunks_exact(4 + PAGE + 4).map(page).collect()
    }

    /// AES-256-CBC: what it encrypts, then its first vector, then an authenticator. The first page
    /// begins with a salt in the clear (SQLCipher 4, "Design").
    fn page(&self, number: u32, page: &[u8]) -> Vec<u8> {
        let cipher = Aes256::new(self.key.expose().into());
        let (body, reserve) = page.split_at(PAGE - RESERVE);
        let mut before: [u8; 16] = reserve[..16].try_into().unwrap();
        let mut plain = Vec::with_capacity(PAGE);
        for sealed in body[if number == 1 { 16 } else { 0 }..].chunks_exact(16) {
            let sealed: [u8; 16] = sealed.try_into().unwrap();
            let mut block = sealed.into();
            cipher.decrypt_block(&mut block);
            plain.extend(block.iter().zip(before).map(|(byte, mask)| byte ^ mask));
            before = sealed;
        }
        plain
    }
}

fn shows(page: &[u8], parts: &BTreeSet<Vec<u8>>) -> bool {
    page.windows(PART).any(|window| parts.contains(window))
}

/// All strings of [`PART`] bytes in some bytes, but for those that could be anybody's, like zeros.
pub(super) fn parts(bytes: &[u8]) -> BTreeSet<Vec<u8>> {
    let telling = |window: &&[u8]| window.iter().collect::<BTreeSet<_>>().len() > PART / 2;
    bytes.windows(PART).filter(telling).map(<[u8]>::to_vec).collect()
}

/// The parts of one row that could be found.
struct Loot {
    salt: Vec<u8>,
    sealed: Vec<u8>,
    name: Vec<u8>,
    plain: Vec<u8>,
}

impl Loot {
    /// The parts of a row that is in the store, read as by a thief who knows its place.
    fn of(store: &Store, thief: &Thief, record: &Record) -> Self {
        let name = codec::encode_key(&record.key()).unwrap();
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let found: (Vec<u8>, Vec<u8>) = match record.key() {
            RecordKey::Message(id) => store.connection.query_row(
                "SELECT bytes, value FROM message JOIN salt ON slot = salt WHERE id = ?1",
                [id.0.cast_signed()],
                read,
            ),
            RecordKey::Identity(_)
            | RecordKey::Contact(_)
            | RecordKey::Session(_)
            | RecordKey::Request(_)
            | RecordKey::Replay(_)
            | RecordKey::Outgoing(_) => store.connection.query_row(
                "SELECT bytes, value FROM record JOIN salt ON slot = salt WHERE key = ?1",
                [&name],
                read,
            ),
        }
        .unwrap();
        let (salt, sealed) = found;
        let plain = RowKey::of_database(&thief.key).open(&salt, &name, &sealed).unwrap().to_vec();
        Self { salt, sealed, name, plain }
    }

    fn salt(&self) -> BTreeSet<Vec<u8>> {
        BTreeSet::from([self.salt.clone()])
    }

    /// The content of the row besides its name, by which the database sorts it and which is not
    /// sealed.
    ///
    /// A part shares at most half its bytes with the name. The name stays in the database, followed
    /// by other bytes, sealed ones among them: 15 bytes of the name and the next one of the row are
    /// found by chance in one run of 256, 8 and the next 8 in one of 2^64.
    fn said(&self) -> BTreeSet<Vec<u8>> {
        let name: BTreeSet<&[u8]> = self.name.windows(PART / 2 + 1).collect();
        let mut said = parts(&self.plain);
        said.retain(|part| !part.windows(PART / 2 + 1).any(|shared| name.contains(shared)));
        said
    }
}

/// A store on disk with some records, and a thief who has taken its key.
fn robbed(records: &[Record]) -> (Home, Store, Thief) {
    let home = Home::new();
    let mut store = home.open().unwrap();
    store.commit(&puts(records)).unwrap();
    let thief = Thief::of(&home);
    (home, store, thief)
}

/// The sample's identity, with a secret key that is not found by accident.
fn identity() -> Record {
    let secret: Vec<u8> = (1..=32).collect();
    let row = fixtures::IDENTITY_ROW.replace(&"07".repeat(32), &HEXLOWER.encode(&secret));
    codec::decode(&fixtures::unhex(&row)).unwrap()
}

fn closed(id: u64) -> Record {
    let Record::Contact(mut closed) = contact(id) else { panic!("another kind") };
    closed.state = ContactState::Inactive;
    Record::Contact(closed)
}

fn sized(id: u64, bytes: usize) -> Record {
    let Record::Outgoing(mut sized) = outgoing(id) else { panic!("another kind") };
    sized.body = (0..=u8::MAX).cycle().take(bytes).collect();
    Record::Outgoing(sized)
}

#[test]
fn a_thief_with_the_key_reads_a_record_that_is_kept() {
    let [session, ..] = fixtures::handshake();
    let (_home, mut store, thief) = robbed(&[session.clone(), contact(8)]);
    let loot = Loot::of(&store, &thief, &session);
    assert_eq!(loot.plain, *codec::encode(&session).unwrap());
    assert!(thief.finds(&loot.salt()));
    assert!(parts(&loot.sealed).iter().all(|part| thief.finds(&BTreeSet::from([part.clone()]))));
    // Not even a page that is decrypted shows the keys themselves.
    assert!(!thief.finds(&loot.said()));
    // While the transaction that erases it is open, it is in the journal.
    let transaction = begin(&mut store.connection).unwrap();
    erase(&transaction, &store.rows, &session.key()).unwrap();
    let journal = thief.journal();
    assert!(journal.iter().any(|page| shows(page, &loot.salt())));
    assert!(journal.iter().any(|page| shows(page, &parts(&loot.sealed))));
}

#[test]
fn the_name_of_a_session_is_not_taken_for_its_row_whatever_stands_beside_it() {
    let [session, ..] = fixtures::handshake();
    let (_home, store, thief) = robbed(std::slice::from_ref(&session));
    let loot = Loot::of(&store, &thief, &session);
    let said = loot.said();
    for byte in 0..=u8::MAX {
        assert!(!shows(&[&[byte], loot.name.as_slice(), &[byte]].concat(), &said), "{byte}");
    }
    // With half a part of the row beside it, it is.
    let id = &loot.name[4..];
    let end = loot.plain.windows(id.len()).position(|bytes| bytes == id).unwrap() + id.len();
    assert!(shows(&[id, &loot.plain[end..end + PART / 2]].concat(), &said));
    assert!(!shows(&[id, &loot.plain[end..end + PART / 2 - 1]].concat(), &said));
}

/// Erasures and replacements: what they are called, what is there, the record that goes, and how.
fn goings() -> Vec<(&'static str, Vec<Record>, Record, Vec<Change>)> {
    let [session, pending, other, request] = fixtures::handshake();
    let gone = |record: &Record| vec![Change::Erase(record.key())];
    let said = theirs(2, 7, "the quick brown fox");
    let waits = message(5, 7, StoredDirection::Buffered { epoch: 5 }, "jumps over the dog");
    let shown = theirs(5, 7, "jumps over the dog");
    let conversation = vec![contact(7), session.clone(), theirs(1, 7, "hi"), said.clone()];
    let removal = vec![
        Change::Erase(session.key()),
        Change::EraseMessages(ContactId(7)),
        Change::Erase(contact(7).key()),
    ];
    let close =
        vec![Change::Erase(session.key()), Change::Put(closed(7)), Change::Put(outgoing(9))];
    let long = theirs(3, 7, &"a long message ".repeat(1500));
    let all = |record: &Record| vec![record.clone(), theirs(4, 8, "other"), contact(9)];
    vec![
        ("a session steps", all(&session), session.clone(), puts(&[other])),
        ("a session ends", all(&session), session.clone(), gone(&session)),
        ("a session is closed", conversation.clone(), session.clone(), close),
        ("a request is decided", all(&request), request.clone(), gone(&request)),
        ("an identity is erased", all(&identity()), identity(), gone(&identity())),
        ("an offer is answered", all(&pending), pending, puts(&[contact(7)])),
        ("a contact is removed", conversation.clone(), contact(7), removal.clone()),
        ("its session with it", conversation.clone(), session, removal.clone()),
        ("its messages with it", conversation, said, removal),
        ("a held message is shown", all(&waits), waits, puts(&[shown])),
        ("a long message is erased", all(&long), long.clone(), gone(&long)),
        ("a long row gets shorter", all(&sized(5, 30_000)), sized(5, 30_000), puts(&[outgoing(5)])),
        ("a long row is erased", all(&sized(5, 30_000)), sized(5, 30_000), gone(&outgoing(5))),
    ]
}

#[test]
fn an_erased_or_replaced_record_is_in_no_page_and_the_journal_is_empty() {
    for (name, records, record, changes) in goings() {
        let (home, mut store, thief) = robbed(&records);
        let loot = Loot::of(&store, &thief, &record);
        assert!(thief.finds(&loot.salt()) && thief.finds(&parts(&loot.sealed)), "{name}");
        store.commit(&changes).unwrap();
        assert_eq!(fs::metadata(home.file("store.db-journal")).unwrap().len(), 0, "{name}");
        assert!(!thief.finds(&loot.salt()), "{name}: the salt is left");
        assert!(!thief.finds(&parts(&loot.sealed)), "{name}: the sealed row is left");
        assert!(!thief.finds(&loot.said()), "{name}: the row itself is left");
    }
}

#[test]
fn without_secure_delete_the_search_finds_rows_but_never_their_salts() {
    let mut found = 0;
    for (name, records, record, changes) in goings() {
        let (_home, mut store, thief) = robbed(&records);
        store.connection.pragma_update(None, "secure_delete", "OFF").unwrap();
        let loot = Loot::of(&store, &thief, &record);
        store.commit(&changes).unwrap();
        found += usize::from(thief.finds(&parts(&loot.sealed)));
        assert!(!thief.finds(&loot.salt()), "{name}");
    }
    assert!(found > 8, "the search misses what is there: {found}");
}

/// Writes, replaces and erases rows of changing sizes, and searches for all that are gone: how many
/// of the searches found a salt, and how many a sealed row.
fn after_much_coming_and_going(seed: u64) -> (usize, usize) {
    let (_home, mut store, thief) = robbed(&[]);
    store.connection.pragma_update(None, "synchronous", "OFF").unwrap();
    let mut seeded = SeededRng::new(seed);
    let mut env = Env::new(Millis(0), UnixSeconds(0), &mut seeded);
    let mut draw = |below: u64| {
        let mut bytes = [0; 8];
        env.fill(&mut bytes);
        u64::from_le_bytes(bytes) % below
    };
    let column = |store: &Store, query| -> BTreeSet<Vec<u8>> {
        let mut statement = store.connection.prepare(query).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let (mut salts, mut sealed) = (BTreeSet::new(), BTreeSet::new());
    let (mut salts_found, mut sealed_found) = (0, 0);
    for step in 0..400 {
        let id = draw(40);
        // Times of growth and times of erasure, as when conversations begin and end.
        let erase = draw(10) < if step % 100 < 50 { 2 } else { 7 };
        let size = usize::try_from(draw(1000)).unwrap();
        store
            .commit(&[if erase {
                Change::Erase(RecordKey::Outgoing(OutgoingId(id)))
            } else {
                Change::Put(sized(id, size))
            }])
            .unwrap();
        let live_salts = column(&store, "SELECT bytes FROM salt WHERE free = 0");
        let live: BTreeSet<Vec<u8>> =
            column(&store, "SELECT value FROM record").iter().flat_map(|row| blocks(row)).collect();
        salts.extend(live_salts.iter().cloned());
        sealed.extend(live.iter().cloned());
        if step % 20 == 19 {
            salts_found += usize::from(thief.finds(&(&salts - &live_salts)));
            sealed_found += usize::from(thief.finds(&(&sealed - &live)));
        }
    }
    let slots: i64 =
        store.connection.query_row("SELECT COUNT(*) FROM salt", [], |row| row.get(0)).unwrap();
    assert!(slots <= 41, "slots are used again, and one more while a row is replaced: {slots}");
    (salts_found, sealed_found)
}

fn blocks(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.chunks_exact(PART).map(<[u8]>::to_vec).collect()
}

#[test]
fn sqlite_leaves_copies_of_erased_rows_but_no_salt_to_read_them_with() {
    let found = [1, 2, 3].map(after_much_coming_and_going);
    assert!(found.iter().all(|(salts, _)| *salts == 0), "{found:?}");
    // Why salts are kept apart: if this ever fails, SQLite has become as thorough as is needed.
    assert!(found.iter().any(|(_, sealed)| *sealed > 0), "{found:?}");
}

/// How many bytes in a row are searched for: a salt, which nothing else is by chance.
const PART: usize = 16;

/// The size of a page, and what of it SQLCipher keeps for itself (SQLCipher 4's defaults).
const PAGE: usize = 4096;
const RESERVE: usize = 80;
