//! The small tables beside records and messages: addresses of neighbours, and settings.

use rusqlite::OptionalExtension;

use super::{Store, StoreError, begin};

impl Store {
    /// The addresses of neighbours worth dialling first, the newest first, at most [`MAX_PEERS`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] and the like.
    pub fn peers(&self) -> Result<Vec<String>, StoreError> {
        let mut statement =
            self.connection.prepare("SELECT address FROM peer ORDER BY place DESC")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Puts addresses before all others, the last one first, and forgets the oldest beyond
    /// [`MAX_PEERS`]; in one commit. An address longer than [`MAX_TEXT_BYTES`] is left out: others
    /// choose them.
    ///
    /// # Errors
    ///
    /// That of storing them.
    pub fn remember_peers(&mut self, addresses: &[String]) -> Result<(), StoreError> {
        self.refuse_moved()?;
        let transaction = begin(&mut self.connection)?;
        for address in addresses.iter().filter_map(|address| bounded(address).ok()) {
            // Replacing gives a known address a new place, the highest: it answered just now.
            transaction.execute("INSERT OR REPLACE INTO peer (address) VALUES (?1)", [address])?;
        }
        transaction.execute(
            "DELETE FROM peer
             WHERE place NOT IN (SELECT place FROM peer ORDER BY place DESC LIMIT ?1)",
            [i64::try_from(MAX_PEERS).unwrap_or(0)],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// The value of a setting. The names are the program's own, which bounds their number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] and the like.
    pub fn setting(&self, name: &'static str) -> Result<Option<String>, StoreError> {
        let query = "SELECT value FROM setting WHERE name = ?1";
        Ok(self.connection.query_row(query, [name], |row| row.get(0)).optional()?)
    }

    /// Stores a setting, instead of its former value.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`] beyond [`MAX_TEXT_BYTES`], or that of storing the value.
    pub fn set_setting(&self, name: &'static str, value: &str) -> Result<(), StoreError> {
        self.refuse_moved()?;
        self.connection.execute(
            "INSERT INTO setting (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [name, bounded(value)?],
        )?;
        Ok(())
    }
}

fn bounded(text: &str) -> Result<&str, StoreError> {
    // Addresses come from the local network too: without a bound their length could fill the disk.
    if text.len() > MAX_TEXT_BYTES { Err(StoreError::TooLarge) } else { Ok(text) }
}

/// The most neighbours remembered. A guess: enough to find one that is up after a long absence.
pub const MAX_PEERS: usize = 64;

/// The longest address or setting. A guess: multiaddrs in use are below 200 bytes.
pub const MAX_TEXT_BYTES: usize = 1024;
