-- The tables of the store.
--
-- Append only: a migration that was ever released is not edited, a change is one more migration.
-- Each starts with a line of its own, "-- migration"; the database's user_version counts those it
-- has been through.

-- migration

-- What the engine reads back whole when it starts: every record that is not a message.
CREATE TABLE record (
    key BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Conversations. `place` orders them by when a message was accepted or shown; it is never used
-- twice. `author` is 0 for us and 1 for the contact. `open` is 1 while the engine has something
-- left to do with the message: ours has not been acknowledged, or theirs waits for those before it.
CREATE TABLE message (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    id INTEGER NOT NULL UNIQUE,
    contact INTEGER NOT NULL,
    author INTEGER NOT NULL CHECK (author IN (0, 1)),
    open INTEGER NOT NULL CHECK (open IN (0, 1)),
    value BLOB NOT NULL
) STRICT;

CREATE INDEX message_of_contact ON message (contact, place);
CREATE INDEX message_open ON message (place) WHERE open = 1;

-- How far a person has read in each conversation that has something to read.
CREATE TABLE read_mark (
    contact INTEGER PRIMARY KEY,
    place INTEGER NOT NULL
) STRICT;

-- Addresses of neighbours that once answered, the newest with the highest place.
CREATE TABLE peer (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    address TEXT NOT NULL UNIQUE
) STRICT;

-- Choices of the person, by a name the program gives them.
CREATE TABLE setting (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- migration

-- What a sealed row cannot be read without. A salt is written where a slot is free and overwritten
-- there; slots are never deleted and all have one length, so that SQLite never moves one and never
-- leaves a copy behind, as it does of rows.
CREATE TABLE salt (
    slot INTEGER PRIMARY KEY,
    free INTEGER NOT NULL CHECK (free IN (0, 1)),
    bytes BLOB NOT NULL CHECK (length(bytes) = 16)
) STRICT;

CREATE INDEX salt_free ON salt (slot) WHERE free = 1;

-- From here on every `value` is sealed; `salt` is the slot of its salt.
ALTER TABLE record ADD COLUMN salt INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN salt INTEGER NOT NULL DEFAULT 0;

-- 1 while a message that was shown came in a session that the contact has not confirmed: the engine
-- has something left to do with it, too.
ALTER TABLE message ADD COLUMN early INTEGER NOT NULL DEFAULT 0 CHECK (early IN (0, 1));

CREATE INDEX message_early ON message (place) WHERE early = 1;

-- However a row goes or is replaced, its salt goes with it.
CREATE TRIGGER record_erased AFTER DELETE ON record BEGIN
    UPDATE salt SET free = 1, bytes = zeroblob(16) WHERE slot = OLD.salt;
END;
CREATE TRIGGER record_replaced AFTER UPDATE OF salt ON record WHEN OLD.salt <> NEW.salt BEGIN
    UPDATE salt SET free = 1, bytes = zeroblob(16) WHERE slot = OLD.salt;
END;
CREATE TRIGGER message_erased AFTER DELETE ON message BEGIN
    UPDATE salt SET free = 1, bytes = zeroblob(16) WHERE slot = OLD.salt;
END;
CREATE TRIGGER message_replaced AFTER UPDATE OF salt ON message WHEN OLD.salt <> NEW.salt BEGIN
    UPDATE salt SET free = 1, bytes = zeroblob(16) WHERE slot = OLD.salt;
END;

-- migration

-- What messages and contacts say was added to inside their sealed rows: every row is written again.
