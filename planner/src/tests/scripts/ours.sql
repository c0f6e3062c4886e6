CREATE SOURCE clicks (uid BIGINT, url TEXT, ts TIMESTAMPTZ, WATERMARK FOR ts AS ts - INTERVAL '5 seconds') WITH (connector = 'datagen');
CREATE TABLE g (a int, b int AS (a * 2), c text DEFAULT 'c');
CREATE TABLE log (a int) APPEND ONLY;
INSERT INTO g (a) VALUES (1), (2);
