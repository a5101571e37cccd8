//! The rows of an archive's database: an envelope each, at the place that its id says.

use rusqlite::{Connection, params};

use crate::engine::envelope::EnvelopeId;
use crate::engine::envelope::wire::MAX_ENVELOPE_SIZE;
use crate::shell::store::StoreError;

/// The place of an envelope: the last 8 bytes of its id. The first would not do: they show its work
/// and are alike in many.
///
/// The table is a tree ordered by place, so it needs no index, and new rows land evenly in the room
/// of removed ones. Two ids that end alike push each other out, which is noticed: among four
/// million envelopes that happens by chance in one of two million archives, and a pair made on
/// purpose, of 2^32 envelopes with their work, costs its maker one of the two.
pub(super) fn place(id: &EnvelopeId) -> i64 {
    i64::from_be_bytes(id.tail())
}

/// Takes the rows of a group, each with its envelope; without one for bytes that do not belong at
/// their place.
pub(super) fn name_each(
    group: &mut Vec<(i64, Vec<u8>)>,
) -> impl Iterator<Item = (i64, Option<(EnvelopeId, Vec<u8>)>)> {
    let ids =
        EnvelopeId::of_each(&group.iter().map(|(_, bytes)| bytes.as_slice()).collect::<Vec<_>>());
    group.drain(..).zip(ids).map(|((place, bytes), id)| {
        let id = id.filter(|id| self::place(id) == place);
        (place, id.map(|id| (id, bytes)))
    })
}

/// The envelope whose encoding lies at a place; `None` for bytes that do not belong there.
pub(super) fn named(place: i64, bytes: &[u8]) -> Option<EnvelopeId> {
    EnvelopeId::of(bytes).filter(|id| self::place(id) == place)
}

pub(super) fn put(connection: &Connection, place: i64, bytes: &[u8]) -> rusqlite::Result<()> {
    connection
        .prepare(
            "INSERT INTO envelope (place, bytes) VALUES (?1, ?2)
             ON CONFLICT (place) DO UPDATE SET bytes = excluded.bytes",
        )?
        .execute(params![place, bytes])
        .map(drop)
}

pub(super) fn remove(connection: &Connection, place: i64) -> rusqlite::Result<()> {
    connection.prepare("DELETE FROM envelope WHERE place = ?1")?.execute([place]).map(drop)
}

/// Goes through all rows in the order of their places.
pub(super) fn pass(
    connection: &Connection,
    mut each: impl FnMut(i64, Vec<u8>),
) -> Result<(), StoreError> {
    let mut statement = connection.prepare("SELECT place, bytes FROM envelope ORDER BY place")?;
    let mut rows = statement.query([])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        let place: i64 = row.get(0)?;
        // In a damaged tree a walk may come by the same rows again and again.
        if last >= Some(place) {
            return Err(StoreError::Damaged);
        }
        last = Some(place);
        each(place, blob(row, 1));
    }
    Ok(())
}

/// A column's bytes; none, which are no envelope's, if it holds anything else or too much.
pub(super) fn blob(row: &rusqlite::Row<'_>, column: usize) -> Vec<u8> {
    let bytes = row.get_ref(column).ok().and_then(|value| value.as_blob().ok());
    bytes.filter(|bytes| bytes.len() <= MAX_ENVELOPE_SIZE).unwrap_or_default().to_vec()
}
