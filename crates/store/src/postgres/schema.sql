CREATE SCHEMA IF NOT EXISTS "steadfast";
CREATE TABLE "steadfast".meta (one boolean PRIMARY KEY DEFAULT true CHECK (one), format integer NOT NULL);
CREATE TABLE "steadfast".space (space text COLLATE "C" PRIMARY KEY, revision bigint NOT NULL, logged bigint NOT NULL, mark bytea NOT NULL, base bigint NOT NULL) WITH (fillfactor = 20);
CREATE TABLE "steadfast".record (space text COLLATE "C", name bytea, version bigint NOT NULL, value bytea NOT NULL, PRIMARY KEY (space, name)) WITH (fillfactor = 80);
CREATE TABLE "steadfast".log (space text COLLATE "C", revision bigint, mark bytea NOT NULL, prev bytea NOT NULL, made timestamptz NOT NULL DEFAULT clock_timestamp(),
  names bytea[], contents bytea[], bulk_names bytea[], bulk_contents bytea[], PRIMARY KEY (space, revision));
ALTER TABLE "steadfast".log ALTER names SET STORAGE EXTERNAL, ALTER contents SET STORAGE EXTERNAL, ALTER bulk_names SET STORAGE EXTERNAL, ALTER bulk_contents SET STORAGE EXTERNAL;
-- beliefs: -1 is "absent". kinds: 0 nothing, 1 put, 2 delete. A name of the log whose content is NULL was deleted.
CREATE FUNCTION "steadfast".commit_v1(in_space text, in_mark bytea, in_floor bigint, in_beat boolean, in_keep integer,
  in_names bytea[], in_beliefs bigint[], in_kinds smallint[], in_values bytea[],
  OUT revision bigint, OUT mark bytea, OUT jumped boolean, OUT differ bytea[], OUT versions bigint[], OUT contents bytea[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE h "steadfast".space%ROWTYPE; old bigint;
BEGIN
  IF in_beat THEN PERFORM set_config('synchronous_commit', 'off', true);          -- unlogged enough: nobody waits for its sync
  ELSIF current_setting('synchronous_commit') = 'off' THEN PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  SELECT * INTO h FROM "steadfast".space s WHERE s.space = in_space FOR UPDATE;      -- the one lock: commit order = revision order
  IF NOT FOUND THEN
    INSERT INTO "steadfast".space VALUES (in_space, 0, 0, '', 0) ON CONFLICT DO NOTHING;
    SELECT * INTO STRICT h FROM "steadfast".space s WHERE s.space = in_space FOR UPDATE;
  END IF;
  jumped := in_floor > h.logged;
  SELECT array_agg(i.name), array_agg(r.version), array_agg(r.value) INTO differ, versions, contents
    FROM unnest(in_names, in_beliefs) AS i(name, belief)       -- OFFSET 0: each by the index; a join would rather read the whole table
    LEFT JOIN LATERAL (SELECT f.version, f.value FROM "steadfast".record f WHERE f.space = in_space AND f.name = i.name OFFSET 0) r ON true
   WHERE coalesce(r.version, -1) <> i.belief;
  IF differ IS NOT NULL THEN RETURN; END IF;
  IF NOT (1 = ANY (in_kinds) OR 2 = ANY (in_kinds)) THEN revision := h.logged; mark := h.mark; RETURN; END IF;
  old := greatest(h.revision, in_floor); revision := old + 1;
  INSERT INTO "steadfast".record AS r (space, name, version, value)
    SELECT in_space, i.name, old + 1, i.value FROM unnest(in_names, in_kinds, in_values) AS i(name, kind, value) WHERE i.kind = 1
    ON CONFLICT (space, name) DO UPDATE SET version = excluded.version, value = excluded.value;
  IF 2 = ANY (in_kinds) THEN
    DELETE FROM "steadfast".record r USING unnest(in_names, in_kinds) AS i(name, kind) WHERE r.space = in_space AND r.name = i.name AND i.kind = 2;
  END IF;
  IF in_beat THEN mark := h.mark; UPDATE "steadfast".space s SET revision = old + 1 WHERE s.space = in_space; RETURN; END IF;
  mark := in_mark;
  INSERT INTO "steadfast".log (space, revision, mark, prev, names, contents, bulk_names, bulk_contents)
    SELECT in_space, old + 1, in_mark, h.mark, array_agg(i.name) FILTER (WHERE NOT i.bulk), array_agg(i.value) FILTER (WHERE NOT i.bulk),
           array_agg(i.name) FILTER (WHERE i.bulk), array_agg(i.value) FILTER (WHERE i.bulk)
      FROM (SELECT u.*, substr(u.name, 1, 7) = 'client/'::bytea AS bulk FROM unnest(in_names, in_kinds, in_values) AS u(name, kind, value) WHERE u.kind <> 0) i;
  UPDATE "steadfast".space s SET revision = old + 1, logged = old + 1, mark = in_mark WHERE s.space = in_space;
  IF (old + 1) % 64 = 0 THEN PERFORM "steadfast".trim_v1(in_space, in_keep); END IF;
END $$;
CREATE FUNCTION "steadfast".trim_v1(in_space text, in_keep integer) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE upto bigint;
BEGIN
  SELECT max(l.revision) INTO upto FROM (SELECT l.revision, l.made, row_number() OVER (ORDER BY l.revision DESC) AS n FROM "steadfast".log l WHERE l.space = in_space) l
   WHERE l.n > in_keep OR (l.n > 256 AND l.made < clock_timestamp() - interval '10 minutes');
  IF upto IS NULL THEN RETURN; END IF;
  DELETE FROM "steadfast".log l WHERE l.space = in_space AND l.revision <= upto;
  UPDATE "steadfast".space s SET base = upto WHERE s.space = in_space;
END $$;
INSERT INTO "steadfast".meta (format) VALUES (1);
