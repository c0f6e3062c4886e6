-- Window functions without an operator of their own.

SELECT uid, url, lag(url) OVER (PARTITION BY uid ORDER BY ts) AS before FROM clicks;
--> Fused select uid, url, lag as before  key=none changing state=none
-->   General partition by (uid): lag(url) OVER (PARTITION BY uid ORDER BY ts RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)  key=none changing watermark=(ts: clicks) state=unbounded: keeps all rows it reads; PARTITION BY or GROUP BY window_end would bound it
-->     Input clicks (uid, url, ts)  key=none append-only watermark=(ts: clicks) state=none

SELECT id, sum(amount) OVER (PARTITION BY uid ORDER BY ts) AS running FROM orders;
--> Fused select id, sum as running  key=(id) changing state=none
-->   General partition by (uid): sum(amount) OVER (PARTITION BY uid ORDER BY ts RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)  key=(id) changing state=unbounded: keeps all rows it reads; PARTITION BY or GROUP BY window_end would bound it
-->     Input orders (id, uid, amount, ts)  key=(id) changing state=none

SELECT id, row_number() OVER (ORDER BY amount) AS n FROM orders;
--> Fused select id, row_number::bigint as n  key=(id) changing state=none
-->   General partition by (): row_number() OVER (ORDER BY amount RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)  key=(id) changing state=unbounded: keeps all rows it reads, in one partition; PARTITION BY or GROUP BY window_end would bound it
-->     Input orders (id, amount)  key=(id) changing state=none

SELECT id, sum(amount) OVER (PARTITION BY uid) AS s, rank() OVER (PARTITION BY uid ORDER BY amount) AS r FROM orders;
--> Fused select id, sum as s, rank::bigint as r  key=(id) changing state=none
-->   General partition by (uid): sum(amount) OVER (PARTITION BY uid)  key=(id) changing state=unbounded: keeps all rows it reads; PARTITION BY or GROUP BY window_end would bound it
-->     General partition by (uid): rank() OVER (PARTITION BY uid ORDER BY amount RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)  key=(id) changing state=unbounded: keeps all rows it reads; PARTITION BY or GROUP BY window_end would bound it
-->       Input orders (id, uid, amount)  key=(id) changing state=none

SELECT id, sum(amount) OVER (PARTITION BY uid, ts) AS s, avg(amount) OVER (PARTITION BY uid) AS a FROM orders;
--> Fused select id, sum as s, avg as a  key=(id) changing state=none
-->   General partition by (uid): avg(amount) OVER (PARTITION BY uid)  key=(id) changing state=unbounded: keeps all rows it reads; PARTITION BY or GROUP BY window_end would bound it
-->     Fused select id, uid, amount, sum  key=(id) changing state=none
-->       General partition by (uid, ts): sum(amount) OVER (PARTITION BY uid, ts)  key=(id) changing state=unbounded: keeps all rows it reads; PARTITION BY or GROUP BY window_end would bound it
-->         Input orders (id, uid, amount, ts)  key=(id) changing state=none

SELECT id, count(*) OVER (PARTITION BY uid % 3) AS c FROM orders;
--> Fused select id, count as c  key=(id) changing state=none
-->   General partition by (value): count(1) OVER (PARTITION BY value)  key=(id) changing state=unbounded: keeps all rows it reads; PARTITION BY or GROUP BY window_end would bound it
-->     Fused select id, uid % 3 as value  key=(id) changing state=none
-->       Input orders (id, uid)  key=(id) changing state=none

-- Of each window.
SELECT window_end, url, n, sum(n) OVER (PARTITION BY window_end) AS total FROM (
  SELECT window_end, url, count(*) AS n FROM TUMBLE(clicks, ts, INTERVAL '1 minute') GROUP BY window_end, url) s
EMIT ON WINDOW CLOSE;
--> General partition by (window_end): sum(count) OVER (PARTITION BY window_end)  key=(window_end, url) append-only watermark=(window_end: clicks) state=until watermark(clicks)
-->   Aggregate count(*) group by (window_end, url) complete at watermark(clicks) >= window_end, emitted then  key=(window_end, url) append-only watermark=(window_end: clicks) state=until watermark(clicks)
-->     Fused tumble ts by 1min | select url, window_end  key=none append-only watermark=(window_end: clicks) state=none
-->       Input clicks (url, ts)  key=none append-only watermark=(ts: clicks) state=none

-- A recursion is computed whole.
WITH RECURSIVE r (id, n) AS (SELECT id, 1 FROM users UNION ALL SELECT o.id, r.n + 1 FROM r JOIN orders o ON o.uid = r.id WHERE r.n < 5) SELECT id, max(n) AS n FROM r GROUP BY id;
--> Aggregate max(value) group by (id_2)  key=(id) changing state=unbounded: grows with the distinct (id_2); grouping by a watermarked window_end would bound it
-->   General recursion r  key=none changing state=unbounded: keeps all rows that WITH RECURSIVE reads, and computes it whole when they change
-->     Input users (id)  key=(id) changing state=none
-->     Input orders (id_1, uid)  key=(id_1) changing state=none
