-- ORDER BY ... LIMIT.

SELECT id, amount FROM orders ORDER BY amount DESC LIMIT 3;
--> TopN first 3 order by amount desc  key=(id) changing state=unbounded: grows with the rows it reads, which may be retracted; partitioning by a watermarked window_end would bound it
-->   Input orders (id, amount)  key=(id) changing state=none

SELECT id FROM orders ORDER BY amount DESC NULLS LAST, id LIMIT 3 OFFSET 2;
--> Fused select id  key=(id) changing state=none
-->   TopN first 3 after 2 order by amount desc nulls last, id  key=(id) changing state=unbounded: grows with the rows it reads, which may be retracted; partitioning by a watermarked window_end would bound it
-->     Input orders (id, amount)  key=(id) changing state=none

SELECT uid, url FROM clicks ORDER BY ts DESC LIMIT 10;
--> Fused select uid, url  key=none changing state=none
-->   TopN first 10 order by ts desc  key=none changing state=10 rows
-->     Input clicks (uid, url, ts)  key=none append-only watermark=(ts: clicks) state=none

SELECT uid, url FROM clicks LIMIT 5;
--> TopN first 5  key=none changing state=5 rows
-->   Input clicks (uid, url)  key=none append-only state=none

SELECT id FROM orders ORDER BY amount OFFSET 2;
--> Fused select id  key=(id) changing state=none
-->   TopN after 2 order by amount  key=(id) changing state=unbounded: grows with the rows it reads, which may be retracted; partitioning by a watermarked window_end would bound it
-->     Input orders (id, amount)  key=(id) changing state=none

SELECT uid, sum(amount) AS total FROM orders GROUP BY uid ORDER BY total DESC LIMIT 5;
--> TopN first 5 order by sum desc  key=(uid) changing state=unbounded: grows with the rows it reads, which may be retracted; partitioning by a watermarked window_end would bound it
-->   Aggregate sum(amount) group by (uid)  key=(uid) changing state=unbounded: grows with the distinct (uid); grouping by a watermarked window_end would bound it
-->     Input orders (uid, amount)  key=none changing state=none

SELECT id FROM orders ORDER BY amount FETCH FIRST 3 ROWS WITH TIES;
--> Fused select id  key=(id) changing state=none
-->   TopN by rank first 3 order by amount  key=(id) changing state=unbounded: grows with the rows it reads, which may be retracted; partitioning by a watermarked window_end would bound it
-->     Input orders (id, amount)  key=(id) changing state=none

-- row_number(), rank() and dense_rank() with a filter.
SELECT * FROM (SELECT uid, url, row_number() OVER (PARTITION BY uid ORDER BY ts DESC) AS n FROM clicks) s WHERE n <= 3;
--> Fused select uid, url, row_number::numeric(20,0)::bigint as n  key=none changing state=none
-->   TopN first 3 of each (uid) order by ts desc with number  key=(uid, row_number) changing state=unbounded: 3 rows of each (uid); partitioning by a watermarked window_end would bound it
-->     Input clicks (uid, url, ts)  key=none append-only watermark=(ts: clicks) state=none

SELECT uid, url FROM (SELECT uid, url, row_number() OVER (PARTITION BY uid ORDER BY ts DESC) AS n FROM clicks) s WHERE n = 1;
--> Fused select uid, url  key=(uid) changing state=none
-->   TopN first 1 of each (uid) order by ts desc  key=(uid) changing state=unbounded: 1 rows of each (uid); partitioning by a watermarked window_end would bound it
-->     Input clicks (uid, url, ts)  key=none append-only watermark=(ts: clicks) state=none

SELECT id, r FROM (SELECT id, rank() OVER (ORDER BY amount) AS r FROM orders) s WHERE r < 4;
--> Fused select id, rank::numeric(20,0)::bigint as r  key=(id) changing state=none
-->   TopN by rank first 3 order by amount with number  key=(id) changing state=unbounded: grows with the rows it reads, which may be retracted; partitioning by a watermarked window_end would bound it
-->     Input orders (id, amount)  key=(id) changing state=none

SELECT id FROM (SELECT id, dense_rank() OVER (PARTITION BY uid ORDER BY amount) AS r FROM orders) s WHERE r BETWEEN 2 AND 3;
--> Fused select id  key=(id) changing state=none
-->   TopN by dense rank first 2 after 1 of each (uid) order by amount  key=(id) changing state=unbounded: grows with the rows it reads, which may be retracted; partitioning by a watermarked window_end would bound it
-->     Input orders (id, uid, amount)  key=(id) changing state=none

SELECT id, r FROM (SELECT id, amount, row_number() OVER (PARTITION BY uid % 2 ORDER BY amount + id) AS r FROM orders) s WHERE 5 >= r AND amount > 2;
--> Fused select id, amount, value, value_1, row_number::numeric(20,0) as row_number_1 | where cast(amount) > 2.00 | select id, row_number_1::bigint as r  key=(id) changing state=none
-->   TopN first 5 of each (value) order by value_1 with number  key=(id) changing state=unbounded: grows with the rows it reads, which may be retracted; partitioning by a watermarked window_end would bound it
-->     Fused select id, amount, uid % 2 as value, amount + id as value_1  key=(id) changing state=none
-->       Input orders (id, uid, amount)  key=(id) changing state=none

SELECT DISTINCT ON (uid) uid, url FROM clicks ORDER BY uid, ts DESC;
--> Fused select uid, url  key=(uid) changing state=none
-->   TopN first 1 of each (uid) order by ts desc  key=(uid) changing state=unbounded: 1 rows of each (uid); partitioning by a watermarked window_end would bound it
-->     Input clicks (uid, url, ts)  key=none append-only watermark=(ts: clicks) state=none

-- Of each window: released with it, and settled when what it reads is.
SELECT * FROM (
  SELECT auction, window_end, n, row_number() OVER (PARTITION BY window_end ORDER BY n DESC) AS r FROM (
    SELECT auction, window_end, count(*) AS n FROM HOP(bid, date_time, INTERVAL '2 seconds', INTERVAL '10 seconds') GROUP BY auction, window_end
  ) c) t WHERE r <= 3;
--> Fused select auction, window_end, count as n, row_number::numeric(20,0)::bigint as r  key=(auction, window_end) changing watermark=(window_end: bid) state=none
-->   TopN first 3 of each (window_end) order by count desc with number  key=(auction, window_end) changing watermark=(window_end: bid) state=until watermark(bid)
-->     Aggregate count(*) group by (auction, window_end) complete at watermark(bid) >= window_end  key=(auction, window_end) changing watermark=(window_end: bid) state=until watermark(bid)
-->       Fused hop date_time every 2s by 10s | select auction, window_end  key=none append-only watermark=(window_end: bid) state=none
-->         Input bid (auction, date_time)  key=none append-only watermark=(date_time: bid) state=none

SELECT auction, window_end, n FROM (
  SELECT auction, window_end, n, rank() OVER (PARTITION BY window_end ORDER BY n DESC) AS r FROM (
    SELECT auction, window_end, count(*) AS n FROM HOP(bid, date_time, INTERVAL '2 seconds', INTERVAL '10 seconds') GROUP BY auction, window_end
  ) c) t WHERE r = 1
EMIT ON WINDOW CLOSE;
--> Fused select auction, window_end, count as n  key=(auction, window_end) append-only watermark=(window_end: bid) state=none
-->   TopN by rank first 1 of each (window_end) order by count desc  key=(auction, window_end) append-only watermark=(window_end: bid) state=until watermark(bid)
-->     Aggregate count(*) group by (auction, window_end) complete at watermark(bid) >= window_end, emitted then  key=(auction, window_end) append-only watermark=(window_end: bid) state=until watermark(bid)
-->       Fused hop date_time every 2s by 10s | select auction, window_end  key=none append-only watermark=(window_end: bid) state=none
-->         Input bid (auction, date_time)  key=none append-only watermark=(date_time: bid) state=none
