-- TUMBLE and HOP: windows, watermarks, completion.

SELECT window_start, window_end, url, count(*) AS n
FROM TUMBLE(clicks, ts, INTERVAL '1 minute') GROUP BY window_start, window_end, url;
--> Aggregate count(*) group by (window_start, window_end, url) complete at watermark(clicks) >= window_end  key=(window_start, window_end, url) changing watermark=(window_start: clicks; window_end: clicks) state=until watermark(clicks)
-->   Fused tumble ts by 1min | select url, window_start, window_end  key=none append-only watermark=(window_start: clicks; window_end: clicks) state=none
-->     Input clicks (url, ts)  key=none append-only watermark=(ts: clicks) state=none

SELECT window_start, window_end, url, count(*) AS n
FROM TUMBLE(clicks, ts, INTERVAL '1 minute') GROUP BY window_start, window_end, url
EMIT ON WINDOW CLOSE;
--> Aggregate count(*) group by (window_start, window_end, url) complete at watermark(clicks) >= window_end, emitted then  key=(window_start, window_end, url) append-only watermark=(window_start: clicks; window_end: clicks) state=until watermark(clicks)
-->   Fused tumble ts by 1min | select url, window_start, window_end  key=none append-only watermark=(window_start: clicks; window_end: clicks) state=none
-->     Input clicks (url, ts)  key=none append-only watermark=(ts: clicks) state=none

SELECT window_start, count(*) AS n
FROM TUMBLE(clicks, ts, INTERVAL '1 hour', INTERVAL '15 minutes') GROUP BY window_start
EMIT ON WINDOW CLOSE;
--> Aggregate count(*) group by (window_start) complete at watermark(clicks) >= window_start + 1h, emitted then  key=(window_start) append-only watermark=(window_start: clicks) state=until watermark(clicks)
-->   Fused tumble ts by 1h from 15min | select window_start  key=none append-only watermark=(window_start: clicks) state=none
-->     Input clicks (ts)  key=none append-only watermark=(ts: clicks) state=none

SELECT auction, window_end, count(*) AS n
FROM HOP(bid, date_time, INTERVAL '2 seconds', INTERVAL '10 seconds') GROUP BY auction, window_end;
--> Aggregate count(*) group by (auction, window_end) complete at watermark(bid) >= window_end  key=(auction, window_end) changing watermark=(window_end: bid) state=until watermark(bid)
-->   Fused hop date_time every 2s by 10s | select auction, window_end  key=none append-only watermark=(window_end: bid) state=none
-->     Input bid (auction, date_time)  key=none append-only watermark=(date_time: bid) state=none

SELECT window_start, max(price) FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(date_time), INTERVAL '10' SECOND))
GROUP BY window_start, window_end;
--> Fused select window_start, max  key=none changing watermark=(window_start: bid) state=none
-->   Aggregate max(price) group by (window_start, window_end) complete at watermark(bid) >= window_end  key=(window_start, window_end) changing watermark=(window_start: bid; window_end: bid) state=until watermark(bid)
-->     Fused tumble date_time by 10s | select price, window_start, window_end  key=none append-only watermark=(window_start: bid; window_end: bid) state=none
-->       Input bid (price, date_time)  key=none append-only watermark=(date_time: bid) state=none

-- The window of a view's result goes on to those that read it.
SELECT count(*) AS n FROM TUMBLE(clicks, ts, INTERVAL '1 minute') GROUP BY window_end EMIT ON WINDOW CLOSE;
--> Fused select count as n  key=none append-only state=none
-->   Aggregate count(*) group by (window_end) complete at watermark(clicks) >= window_end, emitted then  key=(window_end) append-only watermark=(window_end: clicks) state=until watermark(clicks)
-->     Fused tumble ts by 1min | select window_end  key=none append-only watermark=(window_end: clicks) state=none
-->       Input clicks (ts)  key=none append-only watermark=(ts: clicks) state=none

-- Without an aggregate, rows are held back.
SELECT uid, window_end FROM TUMBLE(clicks, ts, INTERVAL '1 minute') EMIT ON WINDOW CLOSE;
--> HoldUntil watermark(clicks) >= window_end  key=none append-only watermark=(window_end: clicks) state=until watermark(clicks)
-->   Fused tumble ts by 1min | select uid, window_end  key=none append-only watermark=(window_end: clicks) state=none
-->     Input clicks (uid, ts)  key=none append-only watermark=(ts: clicks) state=none

SELECT uid, url FROM TUMBLE(clicks, ts, INTERVAL '1 minute') WHERE url <> '/' EMIT ON WINDOW CLOSE;
--> Fused select uid, url  key=none append-only state=none
-->   HoldUntil watermark(clicks) >= window_end  key=none append-only watermark=(window_start: clicks; window_end: clicks) state=until watermark(clicks)
-->     Fused where url != '/' | tumble ts by 1min  key=none append-only watermark=(ts: clicks; window_start: clicks; window_end: clicks) state=none
-->       Input clicks (uid, url, ts)  key=none append-only watermark=(ts: clicks) state=none

-- Rows of a keyed table fall into one window each, or into several.
SELECT id, window_start FROM TUMBLE(orders, ts, INTERVAL '1 minute');
--> Fused tumble ts by 1min | select id, window_start  key=(id) changing state=none
-->   Input orders (id, ts)  key=(id) changing state=none

SELECT id, window_start FROM HOP(orders, ts, INTERVAL '1 minute', INTERVAL '5 minutes');
--> Fused hop ts every 1min by 5min | select id, window_start  key=(id, window_start) changing state=none
-->   Input orders (id, ts)  key=(id) changing state=none

-- A filter on a window's bounds stays above it, one on the rows goes below.
SELECT uid, window_end FROM TUMBLE(clicks, ts, INTERVAL '1 minute')
WHERE uid = 7 AND window_end > TIMESTAMPTZ '2024-01-01 00:00:00Z';
--> Fused where uid = 7 | tumble ts by 1min | select uid, window_end | where window_end > 1704067200000000  key=none append-only watermark=(window_end: clicks) state=none
-->   Input clicks (uid, ts)  key=none append-only watermark=(ts: clicks) state=none

-- Windows of windows.
SELECT window_start, window_end, sum(n) AS n FROM TUMBLE(
  (SELECT window_end AS t, url, count(*) AS n FROM TUMBLE(clicks, ts, INTERVAL '1 minute') GROUP BY window_end, url) AS m,
  t, INTERVAL '1 hour') GROUP BY window_start, window_end
EMIT ON WINDOW CLOSE;
--> Aggregate sum(n) group by (window_start_1, window_end_1) complete at watermark(clicks) >= window_end_1, emitted then  key=(window_start, window_end) append-only watermark=(window_start: clicks; window_end: clicks) state=until watermark(clicks)
-->   Fused select window_end, count as n | select window_end as inner_window_end, n | tumble inner_window_end by 1h | select n, window_start as window_start_1, window_end as window_end_1  key=none append-only watermark=(window_start_1: clicks; window_end_1: clicks) state=none
-->     Aggregate count(*) group by (window_end, url) complete at watermark(clicks) >= window_end, emitted then  key=(window_end, url) append-only watermark=(window_end: clicks) state=until watermark(clicks)
-->       Fused tumble ts by 1min | select url, window_end  key=none append-only watermark=(window_end: clicks) state=none
-->         Input clicks (url, ts)  key=none append-only watermark=(ts: clicks) state=none

-- Grouped by the time itself, a group is complete once the watermark is past it.
SELECT ts, count(*) AS n FROM clicks GROUP BY ts EMIT ON WINDOW CLOSE;
--> Aggregate count(*) group by (ts) complete at watermark(clicks) >= ts + 1us, emitted then  key=(ts) append-only watermark=(ts: clicks) state=until watermark(clicks)
-->   Input clicks (ts)  key=none append-only watermark=(ts: clicks) state=none

SELECT date_trunc('hour', ts) AS hour, count(*) AS n FROM clicks GROUP BY 1;
--> Aggregate count(*) group by (date_trunc) complete at watermark(clicks) >= date_trunc + 1h  key=(hour) changing watermark=(hour: clicks) state=until watermark(clicks)
-->   Fused select date_trunc('hour', ts) as date_trunc  key=none append-only watermark=(date_trunc: clicks) state=none
-->     Input clicks (ts)  key=none append-only watermark=(ts: clicks) state=none

-- A general aggregate of a window is held back.
SELECT window_end, array_agg(url ORDER BY ts) AS urls FROM TUMBLE(clicks, ts, INTERVAL '1 minute')
GROUP BY window_end EMIT ON WINDOW CLOSE;
--> HoldUntil watermark(clicks) >= window_end  key=(window_end) append-only watermark=(window_end: clicks) state=until watermark(clicks)
-->   General partition by (window_end): array_agg(url ORDER BY ts, url NULLS FIRST)  key=(window_end) changing watermark=(window_end: clicks) state=until watermark(clicks)
-->     Fused tumble ts by 1min | select url, ts, window_end  key=none append-only watermark=(ts: clicks; window_end: clicks) state=none
-->       Input clicks (url, ts)  key=none append-only watermark=(ts: clicks) state=none

-- A table's rows may be deleted at any time: its watermark bounds nothing.
SELECT window_end, count(*) AS n FROM TUMBLE(events, ts, INTERVAL '1 minute') GROUP BY window_end;
--> Aggregate count(*) group by (window_end)  key=(window_end) changing state=unbounded: grows with the distinct (window_end); grouping by a watermarked window_end would bound it
-->   Fused tumble ts by 1min | select window_end  key=none changing state=none
-->     Input events (ts)  key=none changing state=none

-- Views on views.
SELECT window_end, max(bids) AS most FROM minutes GROUP BY window_end;
--> Aggregate max(bids) group by (window_end) complete at watermark(bid) >= window_end  key=(window_end) changing watermark=(window_end: bid) state=until watermark(bid)
-->   Input minutes (window_end, bids)  key=none changing watermark=(window_end: bid) state=none

SELECT window_end, max(bids) AS most FROM closed_minutes GROUP BY window_end EMIT ON WINDOW CLOSE;
--> Aggregate max(bids) group by (window_end) complete at watermark(bid) >= window_end, emitted then  key=(window_end) append-only watermark=(window_end: bid) state=until watermark(bid)
-->   Input closed_minutes (window_end, bids)  key=none append-only watermark=(window_end: bid) state=none

SELECT * FROM closed_minutes WHERE bids > 3 EMIT ON WINDOW CLOSE;
--> Fused where bids > 3  key=(window_start, window_end, auction) append-only watermark=(window_start: bid; window_end: bid) state=none
-->   Input closed_minutes (window_start, window_end, auction, bids)  key=(window_start, window_end, auction) append-only watermark=(window_start: bid; window_end: bid) state=none

SELECT * FROM minutes EMIT ON WINDOW CLOSE;
--> HoldUntil watermark(bid) >= window_end  key=(window_start, window_end, auction) append-only watermark=(window_start: bid; window_end: bid) state=until watermark(bid)
-->   Input minutes (window_start, window_end, auction, bids)  key=(window_start, window_end, auction) changing watermark=(window_start: bid; window_end: bid) state=none

SELECT uid, total FROM totals WHERE total > 10;
--> Fused where total > 10.00  key=(uid) changing state=none
-->   Input totals (uid, total)  key=(uid) changing state=none

SELECT * FROM CUMULATE(clicks, ts, INTERVAL '1 minute', INTERVAL '1 hour');
--> Fused cumulate ts by 1min to 1h  key=none append-only watermark=(ts: clicks; window_start: clicks; window_end: clicks) state=none
-->   Input clicks (uid, url, ts)  key=none append-only watermark=(ts: clicks) state=none

SELECT window_end, url, count(*) FROM CUMULATE(clicks, ts, INTERVAL '10 minutes', INTERVAL '1 hour') GROUP BY window_end, url;
--> Aggregate count(*) group by (window_end, url) complete at watermark(clicks) >= window_end  key=(window_end, url) changing watermark=(window_end: clicks) state=until watermark(clicks)
-->   Fused cumulate ts by 10min to 1h | select url, window_end  key=none append-only watermark=(window_end: clicks) state=none
-->     Input clicks (url, ts)  key=none append-only watermark=(ts: clicks) state=none

SELECT window_start, window_end, count(*) FROM CUMULATE(clicks, ts, INTERVAL '10 minutes', INTERVAL '1 hour') GROUP BY window_start, window_end EMIT ON WINDOW CLOSE;
--> Aggregate count(*) group by (window_start, window_end) complete at watermark(clicks) >= window_end, emitted then  key=(window_start, window_end) append-only watermark=(window_end: clicks) state=until watermark(clicks)
-->   Fused cumulate ts by 10min to 1h | select window_start, window_end  key=none append-only watermark=(window_start: clicks; window_end: clicks) state=none
-->     Input clicks (ts)  key=none append-only watermark=(ts: clicks) state=none

-- Sessions end anywhere: rows come again as long as theirs is open.
SELECT uid, window_end, count(*) AS n FROM SESSION(clicks PARTITION BY uid, ts, INTERVAL '10 minutes') GROUP BY uid, window_end EMIT ON WINDOW CLOSE;
--> Aggregate count(*) group by (uid, window_end) complete at watermark(clicks) >= window_end, emitted then  key=(uid, window_end) append-only watermark=(window_end: clicks) state=until watermark(clicks)
-->   Fused select uid, window_end  key=none changing watermark=(window_end: clicks) state=none
-->     Session ts gap 10min partition by (uid) complete at watermark(clicks) >= window_end  key=none changing watermark=(window_end: clicks) state=until watermark(clicks)
-->       Input clicks (uid, ts)  key=none append-only watermark=(ts: clicks) state=none

SELECT * FROM SESSION(events, ts, INTERVAL '10 minutes');
--> Session ts gap 10min  key=none changing state=unbounded: grows with the rows it reads; a watermark on the time column would bound it
-->   Input events (id, kind, ts)  key=none changing state=none
