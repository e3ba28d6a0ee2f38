-- Instead of an outbox: a view over the core's own tables, which mgate can read and not change. [sources.NAME] mode =
-- "view", outbox = "mgate.messages", results = "mgate.results". What was taken stands in the result table (file 3), the
-- only thing that mgate writes.
--
-- The view needs a key for ever, the number, the text, and `created`: when the row was written. A row may appear up to
-- `window` after its `created` (a long transaction), not later: what comes later is not found. Index the tables so that
-- `WHERE created > ... ORDER BY created, id` is quick: it is asked each second.
--
-- Here it stands over the outbox of file 2, to try it; write yours over the core's tables.
REVOKE ALL ON mgate.outbox FROM mgate;

CREATE VIEW mgate.messages AS
    SELECT id, version, recipient, body, traffic, sender, expires, not_before, customer, batch, meta, created, cancel
    FROM mgate.outbox;

CREATE INDEX outbox_created_id ON mgate.outbox (created, id);
-- Rows that are to be cancelled are looked for as often; a view without `cancel` needs none of it ("cancel=" in columns).
CREATE INDEX outbox_cancelled ON mgate.outbox (created, id) WHERE cancel;

GRANT SELECT ON mgate.messages TO mgate;
