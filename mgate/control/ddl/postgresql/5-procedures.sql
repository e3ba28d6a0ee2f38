-- Instead of rights on tables: two functions, and mgate may run them and nothing else. [sources.NAME] mode =
-- "procedures", get_batch = "mgate.get_batch", set_state = "mgate.set_state". Write them over the core's own tables as
-- you like; these are over the outbox and the results of the other files, and do what mgate does in mode "table".
--
-- What they must keep:
--   get_batch   gives a row to one caller only while its lease lasts, and again afterwards; the oldest first; of one
--               customer none while an older one is neither taken nor refused nor in the same answer; a row that is to
--               be cancelled once, whether it was taken before or not.
--   set_state   may be called twice with the same; never goes back to a smaller sequence; ignores what it does not know.

REVOKE ALL ON mgate.outbox, mgate.results FROM mgate;

CREATE FUNCTION mgate.get_batch(most integer, lease interval, holder text)
RETURNS TABLE (
    id bigint, version text, recipient text, body text, traffic text, sender text, expires timestamptz,
    not_before timestamptz, customer text, batch text, meta jsonb, created timestamptz, cancel boolean
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
-- Statistics are those of an hour ago, when the table was empty, or full: no plan may sort a backlog.
SET enable_bitmapscan = off SET enable_seqscan = off SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    behind text[] := '{}';  -- customers whose older row somebody else has locked
    stuck  text[];
    ids    bigint[];
    room   integer := most;
    picked integer;
BEGIN
    FOR round IN 1..6 LOOP
        WITH picked AS MATERIALIZED (
            SELECT o.id, o.customer, o.status
            FROM mgate.outbox o
            WHERE (o.status IN ('new', 'claimed', 'cancelling') OR (o.status = 'taken' AND o.cancel))
                AND (o.status IN ('new', 'taken') OR o.leased_until < clock_timestamp())
                -- Who waits for a row that is with mgate is not picked.
                AND (o.status = 'taken' OR o.customer = '' OR (o.customer <> ALL (behind) AND NOT EXISTS (
                    SELECT FROM (
                        SELECT a.id, a.status, a.leased_until FROM mgate.outbox a
                        WHERE a.customer = o.customer AND a.status IN ('new', 'claimed', 'cancelling')
                        ORDER BY a.id LIMIT 1) oldest
                    WHERE oldest.id < o.id AND oldest.status <> 'new' AND oldest.leased_until >= clock_timestamp())))
            ORDER BY o.id LIMIT room FOR UPDATE OF o SKIP LOCKED
        ), fit AS MATERIALIZED (
            -- No query sees locks: who stands behind a locked row has an older open row that was not picked.
            SELECT p.id, p.customer, p.status = 'taken' OR b.id IS NULL OR p.id < b.id AS fits
            FROM picked p LEFT JOIN (
                SELECT c.customer, (
                    SELECT a.id FROM mgate.outbox a
                    WHERE a.customer = c.customer AND a.status IN ('new', 'claimed', 'cancelling')
                        AND a.id NOT IN (SELECT q.id FROM picked q)
                    ORDER BY a.id LIMIT 1) AS id
                FROM (SELECT DISTINCT customer FROM picked WHERE customer <> '') c
            ) b ON b.customer = p.customer
        ), claimed AS (
            UPDATE mgate.outbox o
            SET status = CASE WHEN o.cancel THEN 'cancelling' ELSE 'claimed' END,
                leased_until = clock_timestamp() + lease, claimed_by = holder
            WHERE o.id = ANY (ARRAY(SELECT f.id FROM fit f WHERE f.fits))
            RETURNING o.id
        )
        SELECT (SELECT count(*) FROM picked), (SELECT array_agg(c.id) FROM claimed c),
            (SELECT array_agg(DISTINCT f.customer) FROM fit f WHERE NOT f.fits)
        INTO picked, ids, stuck;

        RETURN QUERY
            SELECT o.id, o.version, o.recipient, o.body, o.traffic, o.sender, o.expires, o.not_before, o.customer,
                o.batch, o.meta, o.created, o.cancel
            FROM mgate.outbox o WHERE o.id = ANY (ids) ORDER BY o.id;
        EXIT WHEN picked < room OR stuck IS NULL;
        room := room - coalesce(cardinality(ids), 0);
        behind := behind || stuck;
    END LOOP;
END;
$$;

-- Results: a JSON array of objects with key, version, sequence, state, message, reason, may_have_been_sent, at (seconds
-- since 1970), channel, operator, parts, cost, currency, error. State "returned" gives a row back: nothing happened to it.
CREATE FUNCTION mgate.set_state(results jsonb, holder text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE mgate.outbox o
    SET status = CASE g.state WHEN 'returned' THEN 'new' WHEN 'refused' THEN 'refused'
            ELSE CASE o.status WHEN 'cancelling' THEN 'cancelled' ELSE 'taken' END END,
        leased_until = NULL
    FROM jsonb_to_recordset($1) AS g(key text, version text, state text)
    WHERE o.id = g.key::bigint AND o.version = g.version AND (
        (g.state IN ('taken', 'refused') AND o.status IN ('new', 'claimed', 'cancelling'))
        OR (g.state = 'returned' AND o.status IN ('claimed', 'cancelling') AND o.claimed_by = holder));

    INSERT INTO mgate.results AS r (key, version, sequence, state, message, reason, may_have_been_sent, at, channel,
        operator, parts, cost, currency, error)
    SELECT g.key, g.version, g.sequence, g.state, g.message, g.reason, g.may_have_been_sent, to_timestamp(g.at),
        g.channel, g.operator, g.parts, nullif(g.cost, '')::numeric, g.currency, g.error
    FROM jsonb_to_recordset($1) AS g(key text, version text, sequence bigint, state text, message text,
        reason text, may_have_been_sent boolean, at float8, channel text, operator text, parts integer, cost text,
        currency text, error text)
    WHERE g.state <> 'returned'
    ON CONFLICT (key, version) DO UPDATE
    SET sequence = excluded.sequence, state = excluded.state,
        message = coalesce(nullif(excluded.message, ''), r.message), reason = excluded.reason,
        may_have_been_sent = excluded.may_have_been_sent, at = excluded.at, channel = excluded.channel,
        operator = excluded.operator, parts = greatest(excluded.parts, r.parts), cost = excluded.cost,
        currency = excluded.currency, error = excluded.error
    WHERE r.sequence <= excluded.sequence;
$$;

REVOKE ALL ON FUNCTION mgate.get_batch(integer, interval, text), mgate.set_state(jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mgate.get_batch(integer, interval, text), mgate.set_state(jsonb, text) TO mgate;
