-- Projections and filters become steps of one Fused node.

SELECT * FROM users;
--> Input users (id, name, plan)  key=(id) changing state=none

SELECT id, upper(name) AS n FROM users WHERE plan = 'free' AND id > 10;
--> Fused where plan = 'free' AND id > 10 | select id, upper(name) as n  key=(id) changing state=none
-->   Input users (id, name, plan)  key=(id) changing state=none

SELECT a, b * 2 AS c FROM (SELECT uid AS a, uid + 1 AS b FROM clicks WHERE url LIKE '/a%') AS s WHERE b > 3;
--> Fused where (url LIKE '/a%') AND (uid + 1) > 3 | select uid as a, (uid + 1) * 2 as c  key=none append-only state=none
-->   Input clicks (uid, url)  key=none append-only state=none

-- The key goes with its column, the watermark with the time column.
SELECT url, ts FROM clicks;
--> Input clicks (url, ts)  key=none append-only watermark=(ts: clicks) state=none

SELECT name FROM users;
--> Input users (name)  key=none changing state=none

SELECT id AS a, id AS b FROM users;
--> Fused select id as a, id as b  key=(a) changing state=none
-->   Input users (id)  key=(id) changing state=none

-- An order without a limit means nothing in a view.
SELECT id, name FROM users ORDER BY name;
--> Input users (id, name)  key=(id) changing state=none

SELECT 1 AS one, 'x' AS x;
--> Fused select 1 as one, 'x' as x  key=() append-only state=none
-->   Constant (row) 1 rows  key=() append-only state=none

VALUES (1, 'a'), (2, 'b');
--> Constant (column1, column2) 2 rows  key=none append-only state=none

SELECT * FROM (VALUES (1, 'a'), (2, NULL)) AS v (k, t) WHERE k > 1;
--> Fused where column1 > 1 | select column1 as k, column2 as t  key=none append-only state=none
-->   Constant (column1, column2) 2 rows  key=none append-only state=none

SELECT count(*) FROM users;
--> Aggregate count(*)  key=() changing state=1 row
-->   Input users (id)  key=(id) changing state=none

SELECT u.id, w FROM users u, string_to_table(u.name, ' ') w;
--> Fused select id, string_to_array(name, ' ') as value | unnest value | select id, value_1 as w  key=none changing state=none
-->   Input users (id, name)  key=(id) changing state=none

SELECT u.id, generate_series(1, 3) AS n, w.o FROM users u LEFT JOIN LATERAL string_to_table(u.name, ' ') WITH ORDINALITY AS w(t, o) ON true;
--> Fused select id, ordinality, [1, 2, 3] as value_4 | unnest value_4 | select id, value_5::integer as n, ordinality as o  key=none changing state=none
-->   Join left on name is not distinct from name_1  key=none changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Input users (id, name)  key=(id) changing state=none
-->     Fused select string_to_array(name_1, ' ') as __common_expr_1, name_1 | select __common_expr_1 as value, generate_series(1, array_length(__common_expr_1)::bigint + 0, 1)::integer[] as value_1, name_1 | unnest value, value_1 | select value_3::bigint as ordinality, name_1  key=none changing state=none
-->       Aggregate distinct group by (name_1)  key=(name_1) changing state=unbounded: grows with the distinct (name_1); grouping by a watermarked window_end would bound it
-->         Input users (name_1)  key=none changing state=none

-- The clock.
SELECT id FROM orders WHERE ts > now() - INTERVAL '1 day' AND amount > 3;
--> Fused select id  key=(id) changing state=none
-->   TemporalFilter now() < ts + 1d  key=(id) changing state=until its time is over
-->     Fused where cast(amount) > 3.00  key=(id) changing state=none
-->       Input orders (id, amount, ts)  key=(id) changing state=none

SELECT count(*) FROM orders WHERE now() BETWEEN ts AND ts + INTERVAL '2 hours';
--> Aggregate count(*)  key=() changing state=1 row
-->   Fused select ts  key=none changing state=none
-->     TemporalFilter now() >= ts and now() < value + 1us  key=none changing state=until its time is over
-->       Fused select ts, ts + interval '2h' as value  key=none changing state=none
-->         Input orders (ts)  key=none changing state=none
