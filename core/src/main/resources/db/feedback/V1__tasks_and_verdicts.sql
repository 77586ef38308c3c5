-- In the part of SQL that SQLite and PostgreSQL share. Times are milliseconds since 1970 (UTC).

CREATE TABLE annotator (
    number      BIGINT NOT NULL PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE
);

-- Never changed, but for `done`.
CREATE TABLE task (
    number      BIGINT NOT NULL PRIMARY KEY,  -- order of arrival, from 1
    id          TEXT NOT NULL UNIQUE,         -- SHA-256 of the content
    content     TEXT NOT NULL,                -- JSON: prompt, answers, gold
    servable    INTEGER NOT NULL CHECK (servable IN (0, 1)),
    done        INTEGER NOT NULL DEFAULT 0,   -- annotators whose first verdict counts
    created_at  BIGINT NOT NULL
);
CREATE INDEX task_to_do ON task (servable, done, number);

-- Who was asked what, and in which order the answers stood.
CREATE TABLE assignment (
    task          BIGINT NOT NULL REFERENCES task (number),
    annotator     BIGINT NOT NULL REFERENCES annotator (number),
    occasion      INTEGER NOT NULL,           -- 0; 1: asked a second time, for self-consistency
    shown         TEXT NOT NULL,              -- JSON: indexes of answers, first shown first
    overlap       INTEGER NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('OPEN', 'DONE', 'SKIPPED')),
    leased_until  BIGINT NOT NULL,
    PRIMARY KEY (task, annotator, occasion)
);
CREATE INDEX assignment_of ON assignment (annotator, state);

-- Only ever added to: a correction is a new row that names the one it supersedes.
CREATE TABLE verdict (
    number      BIGINT NOT NULL PRIMARY KEY,  -- order of arrival, from 1
    id          TEXT NOT NULL UNIQUE,         -- chosen by who submits: the same twice is one row
    task        BIGINT NOT NULL REFERENCES task (number),
    annotator   BIGINT NOT NULL REFERENCES annotator (number),
    occasion    INTEGER NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('RANKED', 'ALL_BAD', 'SKIPPED', 'WITHDRAWN')),
    content     TEXT NOT NULL,                -- JSON: order shown, ranks, remarks, circumstances
    supersedes  TEXT UNIQUE REFERENCES verdict (id),
    late        INTEGER NOT NULL CHECK (late IN (0, 1)),
    created_at  BIGINT NOT NULL
);
CREATE UNIQUE INDEX verdict_first ON verdict (task, annotator, occasion) WHERE supersedes IS NULL;
