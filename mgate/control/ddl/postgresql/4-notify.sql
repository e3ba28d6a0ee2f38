-- Optional: wake mgate as soon as rows are committed, instead of at its next poll. [sources.NAME] notify = "mgate_outbox".
--
-- One announcement a statement, and PostgreSQL sends equal ones of a transaction once. NOTIFY takes a lock on commit that
-- all announcing transactions share: on a core with thousands of commits a second measure it, or leave it and poll.
CREATE FUNCTION mgate.announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('mgate_outbox', '');
    RETURN NULL;
END;
$$;

CREATE TRIGGER outbox_announce AFTER INSERT ON mgate.outbox
    FOR EACH STATEMENT EXECUTE FUNCTION mgate.announce();
CREATE TRIGGER outbox_announce_cancel AFTER UPDATE OF cancel ON mgate.outbox
    FOR EACH STATEMENT EXECUTE FUNCTION mgate.announce();
