-- Who deletes rows and when: the bank does, by a job of its own once a night; mgate has no right to delete.
--
-- A row of the outbox may go when it has its last word and is older than the reckoning looks back and a claim may be
-- repeated: 35 days are safe. Rows without a last word stay, for a person to look at:
--     SELECT status, count(*), min(created) FROM mgate.outbox GROUP BY status;
-- Call it until it returns 0; each call is short and locks what it deletes only.
CREATE FUNCTION mgate.housekeeping(keep interval DEFAULT '35 days', most integer DEFAULT 10000) RETURNS bigint
LANGUAGE sql AS $$
    WITH old AS (
        SELECT o.id, o.version FROM mgate.outbox o
        JOIN mgate.results r ON r.key = o.id::text AND r.version = o.version
        WHERE o.created < now() - keep
            AND r.state IN ('delivered', 'undelivered', 'expired', 'cancelled', 'no_receipt', 'refused')
        ORDER BY o.created LIMIT most
    ), results AS (
        DELETE FROM mgate.results r USING old WHERE r.key = old.id::text AND r.version = old.version
    ), gone AS (
        DELETE FROM mgate.outbox o USING old WHERE o.id = old.id RETURNING 1
    )
    SELECT count(*) FROM gone;
$$;

REVOKE ALL ON FUNCTION mgate.housekeeping(interval, integer) FROM PUBLIC;
