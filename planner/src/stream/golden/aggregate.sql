-- GROUP BY, DISTINCT, HAVING, FILTER.

SELECT uid, count(*) AS n, sum(amount) AS total FROM orders GROUP BY uid;
--> Aggregate count(*), sum(amount) group by (uid)  key=(uid) changing state=unbounded: grows with the distinct (uid); grouping by a watermarked window_end would bound it
-->   Input orders (uid, amount)  key=none changing state=none

SELECT uid % 10 AS bucket, min(amount), max(amount), avg(amount) FROM orders GROUP BY 1;
--> Aggregate min(amount), max(amount), avg(amount) group by (value)  key=(bucket) changing state=unbounded: grows with the distinct (value); grouping by a watermarked window_end would bound it
-->   Fused select amount, uid % 10 as value  key=none changing state=none
-->     Input orders (uid, amount)  key=none changing state=none

SELECT uid, count(DISTINCT url) AS urls, count(*) FILTER (WHERE url LIKE '/a%') AS a FROM clicks GROUP BY uid;
--> Aggregate count(distinct url), count(*) filter (where value) group by (uid)  key=(uid) changing state=unbounded: grows with the distinct (uid); grouping by a watermarked window_end would bound it
-->   Fused select uid, url, url LIKE '/a%' as value  key=none append-only state=none
-->     Input clicks (uid, url)  key=none append-only state=none

SELECT uid, count(*) AS n FROM clicks GROUP BY uid HAVING count(*) > 3;
--> Fused where count > 3 | select uid, count as n  key=(uid) changing state=none
-->   Aggregate count(*) group by (uid)  key=(uid) changing state=unbounded: grows with the distinct (uid); grouping by a watermarked window_end would bound it
-->     Input clicks (uid)  key=none append-only state=none

SELECT DISTINCT plan FROM users;
--> Aggregate distinct group by (plan)  key=(plan) changing state=unbounded: grows with the distinct (plan); grouping by a watermarked window_end would bound it
-->   Input users (plan)  key=none changing state=none

SELECT DISTINCT uid, url FROM clicks;
--> Aggregate distinct group by (uid, url)  key=(uid, url) changing state=unbounded: grows with the distinct (uid, url); grouping by a watermarked window_end would bound it
-->   Input clicks (uid, url)  key=none append-only state=none

-- One row even over no rows.
SELECT count(*) AS n, sum(amount) AS total FROM orders;
--> Aggregate count(*), sum(amount)  key=() changing state=1 row
-->   Input orders (amount)  key=none changing state=none

SELECT max(ts) FROM clicks;
--> Aggregate max(ts)  key=() changing state=1 row
-->   Input clicks (ts)  key=none append-only watermark=(ts: clicks) state=none

SELECT bool_and(amount > 0), bool_or(amount > 100) FROM orders;
--> Aggregate bool_and(value), bool_or(value_1)  key=() changing state=1 row
-->   Fused select cast(amount) as __common_expr_1 | select __common_expr_1 > 0.00 as value, __common_expr_1 > 100.00 as value_1  key=none changing state=none
-->     Input orders (amount)  key=none changing state=none

-- The general operator: ordered aggregates, and aggregates without an accumulator of their own.
SELECT uid, array_agg(url ORDER BY ts) AS urls FROM clicks GROUP BY uid;
--> General partition by (uid): array_agg(url ORDER BY ts, url NULLS FIRST)  key=(uid) changing state=unbounded: keeps all rows it reads; PARTITION BY or GROUP BY window_end would bound it
-->   Input clicks (uid, url, ts)  key=none append-only watermark=(ts: clicks) state=none

SELECT uid, stddev(amount) FROM orders GROUP BY uid;
--> General partition by (uid): stddev_samp(amount)  key=(uid) changing state=unbounded: keeps all rows it reads; PARTITION BY or GROUP BY window_end would bound it
-->   Input orders (uid, amount)  key=none changing state=none

SELECT string_agg(name, ',' ORDER BY name) FROM users;
--> General partition by (): string_agg(name, ',' ORDER BY name)  key=() changing state=unbounded: keeps all rows it reads, in one partition; PARTITION BY or GROUP BY window_end would bound it
-->   Input users (name)  key=none changing state=none

-- Aggregates of aggregates.
SELECT n, count(*) FROM (SELECT uid, count(*) AS n FROM clicks GROUP BY uid) AS s GROUP BY n;
--> Aggregate count(*) group by (n)  key=(n) changing state=unbounded: grows with the distinct (n); grouping by a watermarked window_end would bound it
-->   Fused select count as n  key=none changing state=none
-->     Aggregate count(*) group by (uid)  key=(uid) changing state=unbounded: grows with the distinct (uid); grouping by a watermarked window_end would bound it
-->       Input clicks (uid)  key=none append-only state=none

SELECT uid, sum(amount) + 1 AS s FROM orders WHERE amount > 0 GROUP BY uid;
--> Fused select uid, sum + 1 as s  key=(uid) changing state=none
-->   Aggregate sum(amount) group by (uid)  key=(uid) changing state=unbounded: grows with the distinct (uid); grouping by a watermarked window_end would bound it
-->     Fused where cast(amount) > 0.00  key=none changing state=none
-->       Input orders (uid, amount)  key=none changing state=none

SELECT plan, count(id) AS i, count(name) AS n FROM users GROUP BY plan;
--> Aggregate count(id), count(name) group by (plan)  key=(plan) changing state=unbounded: grows with the distinct (plan); grouping by a watermarked window_end would bound it
-->   Input users (id, name, plan)  key=(id) changing state=none

SELECT plan, count(*) FROM users GROUP BY ROLLUP (plan);
--> Union all (plan, count)  key=none changing state=none
-->   Aggregate count(*) group by (plan)  key=(plan) changing state=unbounded: grows with the distinct (plan); grouping by a watermarked window_end would bound it
-->     Input users (plan)  key=none changing state=none
-->   Fused select NULL as place0, count_1 as place2  key=() changing state=none
-->     Aggregate count(*)  key=() changing state=1 row
-->       Input users (id)  key=(id) changing state=none
