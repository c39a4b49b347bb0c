-- May be run again: what is there is left as it is. Two who run it at once wait for each other.
SELECT pg_advisory_xact_lock(hashtext('"steadfast"'));
-- Only if it is not there: who may not make one may have been given an empty one.
DO $$ BEGIN
  IF to_regnamespace('"steadfast"') IS NULL THEN CREATE SCHEMA "steadfast"; END IF;
END $$;
CREATE TABLE IF NOT EXISTS "steadfast".meta (one boolean PRIMARY KEY DEFAULT true CHECK (one), format integer NOT NULL);
CREATE TABLE IF NOT EXISTS "steadfast".space (space text COLLATE "C" PRIMARY KEY, revision bigint NOT NULL, logged bigint NOT NULL, mark bytea NOT NULL, base bigint NOT NULL) WITH (fillfactor = 20);
CREATE TABLE IF NOT EXISTS "steadfast".record (space text COLLATE "C", name bytea, version bigint NOT NULL, value bytea NOT NULL, PRIMARY KEY (space, name)) WITH (fillfactor = 80);
CREATE TABLE IF NOT EXISTS "steadfast".log (space text COLLATE "C", revision bigint, mark bytea NOT NULL, prev bytea NOT NULL, made timestamptz NOT NULL DEFAULT clock_timestamp(),
  names bytea[], contents bytea[], bulk_names bytea[], bulk_contents bytea[], PRIMARY KEY (space, revision));
ALTER TABLE "steadfast".log ALTER names SET STORAGE EXTERNAL, ALTER contents SET STORAGE EXTERNAL, ALTER bulk_names SET STORAGE EXTERNAL, ALTER bulk_contents SET STORAGE EXTERNAL;

-- One commit of a space: all of a batch, or nothing of it.
-- in_floor: the highest revision the caller saw. in_at, in_known: a commit of the history it believes in, and its mark.
-- beliefs: -1 is "absent". kinds: 0 nothing, 1 put, 2 delete. A name of the log whose content is NULL was deleted.
-- It is planned once a session, maybe when there was nothing yet. So each record is looked for by its whole key: a join of
-- an empty table is planned as one that reads all of it, and goes on doing so when it is large.
CREATE OR REPLACE FUNCTION "steadfast".commit_v1(in_space text, in_mark bytea, in_floor bigint, in_at bigint, in_known bytea, in_beat boolean, in_keep integer,
  in_names bytea[], in_beliefs bigint[], in_kinds smallint[], in_values bytea[],
  OUT revision bigint, OUT mark bytea, OUT jumped boolean, OUT differ bytea[], OUT versions bigint[], OUT contents bytea[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
DECLARE h "steadfast".space%ROWTYPE; there bytea; stranger boolean; old bigint;
BEGIN
  IF in_beat THEN PERFORM set_config('synchronous_commit', 'off', true);          -- nobody waits for its sync, nor misses the last of them
  ELSIF current_setting('synchronous_commit') = 'off' THEN PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  SELECT * INTO h FROM "steadfast".space s WHERE s.space = in_space FOR UPDATE;      -- the one lock: commit order = revision order
  IF NOT FOUND THEN
    INSERT INTO "steadfast".space VALUES (in_space, 0, 0, '', 0) ON CONFLICT DO NOTHING;
    SELECT * INTO STRICT h FROM "steadfast".space s WHERE s.space = in_space FOR UPDATE;
  END IF;
  -- A log that is shorter than was seen, or has another commit there, is not that log: the store was rolled back, and a
  -- version that is believed in may be another record's by now.
  jumped := in_floor > h.logged;
  IF NOT jumped AND in_known IS NOT NULL AND in_at > h.base THEN
    IF in_at = h.logged THEN there := h.mark;
    ELSE SELECT l.mark INTO there FROM "steadfast".log l WHERE l.space = in_space AND l.revision = in_at;
    END IF;
    jumped := there IS DISTINCT FROM in_known;
  END IF;
  stranger := jumped AND in_known IS NOT NULL;
  SELECT array_agg(i.name), array_agg(r.version), array_agg(r.value) INTO differ, versions, contents
    FROM unnest(in_names, in_beliefs) AS i(name, belief)
    LEFT JOIN LATERAL (SELECT * FROM "steadfast".record r WHERE r.space = in_space AND r.name = i.name LIMIT 1) r ON true
   WHERE coalesce(r.version, -1) <> i.belief OR (stranger AND i.belief <> -1);
  IF differ IS NOT NULL THEN RETURN; END IF;
  IF NOT (1 = ANY (in_kinds) OR 2 = ANY (in_kinds)) THEN revision := h.logged; mark := h.mark; RETURN; END IF;
  old := greatest(h.revision, in_floor); revision := old + 1;
  INSERT INTO "steadfast".record AS r (space, name, version, value)
    SELECT in_space, i.name, old + 1, i.value FROM unnest(in_names, in_kinds, in_values) AS i(name, kind, value) WHERE i.kind = 1
    ON CONFLICT (space, name) DO UPDATE SET version = excluded.version, value = excluded.value;
  IF 2 = ANY (in_kinds) THEN
    FOR at IN 1 .. cardinality(in_kinds) LOOP
      IF in_kinds[at] = 2 THEN DELETE FROM "steadfast".record r WHERE r.space = in_space AND r.name = in_names[at]; END IF;
    END LOOP;
  END IF;
  IF in_beat THEN mark := h.mark; UPDATE "steadfast".space s SET revision = old + 1 WHERE s.space = in_space; RETURN; END IF;
  mark := in_mark;
  INSERT INTO "steadfast".log (space, revision, mark, prev, names, contents, bulk_names, bulk_contents)
    SELECT in_space, old + 1, in_mark, h.mark, array_agg(i.name) FILTER (WHERE NOT i.bulk), array_agg(i.value) FILTER (WHERE NOT i.bulk),
           array_agg(i.name) FILTER (WHERE i.bulk), array_agg(i.value) FILTER (WHERE i.bulk)
      FROM (SELECT u.*, substr(u.name, 1, 7) = 'client/'::bytea AS bulk FROM unnest(in_names, in_kinds, in_values) AS u(name, kind, value) WHERE u.kind <> 0) i;
  UPDATE "steadfast".space s SET revision = old + 1, logged = old + 1, mark = in_mark WHERE s.space = in_space;
  -- Once in 64 numbers, whichever of them are beats.
  IF (old + 1) / 64 <> h.logged / 64 THEN PERFORM "steadfast".trim_v1(in_space, in_keep); END IF;
END $$;

-- Drops the commits beyond the newest in_keep, and those older than ten minutes, but for the newest 256.
CREATE OR REPLACE FUNCTION "steadfast".trim_v1(in_space text, in_keep integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
  SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE beyond bigint; spare bigint; young bigint; upto bigint;
BEGIN
  SELECT l.revision INTO beyond FROM "steadfast".log l WHERE l.space = in_space ORDER BY l.revision DESC OFFSET in_keep LIMIT 1;
  SELECT l.revision INTO spare FROM "steadfast".log l WHERE l.space = in_space ORDER BY l.revision DESC OFFSET 256 LIMIT 1;
  SELECT l.revision INTO young FROM "steadfast".log l
   WHERE l.space = in_space AND l.made >= clock_timestamp() - interval '10 minutes' ORDER BY l.revision LIMIT 1;
  upto := greatest(beyond, least(spare, young - 1));
  IF upto IS NULL OR spare IS NULL THEN RETURN; END IF;
  DELETE FROM "steadfast".log l WHERE l.space = in_space AND l.revision <= upto;
  IF FOUND THEN UPDATE "steadfast".space s SET base = upto WHERE s.space = in_space; END IF;
END $$;
INSERT INTO "steadfast".meta (format) VALUES (1) ON CONFLICT DO NOTHING;
