-- The results: what became of each message, one row a message, written again as it goes on. The core reads it, and
-- joins it by key = outbox.id::text.
CREATE TABLE mgate.results (
    key                 text NOT NULL,
    version             text NOT NULL DEFAULT '',
    -- The number of the event in mgate's journal. It only grows: what comes late never overwrites what is newer.
    -- `mgatectl source rewind` sets it to -1, and the next word to its own.
    sequence            bigint NOT NULL,
    -- taken, refused, accepted, sent, delivered, undelivered, expired, cancelled, uncertain, no_receipt, ...
    -- (docs/core-banking.md); the last word is delivered, undelivered, expired, cancelled, no_receipt or refused.
    state               text NOT NULL,
    -- The message's id in mgate: for mgatectl message trace.
    message             text NOT NULL DEFAULT '',
    reason              text NOT NULL DEFAULT '',
    -- Whether the operator may have got it, whatever the state says.
    may_have_been_sent  boolean NOT NULL DEFAULT false,
    at                  timestamptz NOT NULL,
    channel             text NOT NULL DEFAULT '',
    operator            text NOT NULL DEFAULT '',
    parts               integer NOT NULL DEFAULT 0,
    cost                numeric,
    currency            text NOT NULL DEFAULT '',
    -- A sentence for a person, of a row that was refused.
    error               text NOT NULL DEFAULT '',
    -- When the row of the message was written. In mode "view" mgate finds by it how far it had come.
    created             timestamptz,
    PRIMARY KEY (key, version)
);

CREATE INDEX results_created ON mgate.results (created);
CREATE INDEX results_at ON mgate.results (at);

GRANT SELECT, INSERT, UPDATE ON mgate.results TO mgate;
