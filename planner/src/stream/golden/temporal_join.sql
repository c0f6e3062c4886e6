-- FOR SYSTEM_TIME AS OF PROCTIME(), and of a time of the left side.

SELECT c.url, u.name, c.ts FROM clicks c JOIN users FOR SYSTEM_TIME AS OF PROCTIME() AS u ON c.uid = u.id;
--> Fused select url, name, ts  key=none append-only watermark=(ts: clicks) state=none
-->   TemporalJoin inner as of arrival on uid = id  key=none append-only watermark=(ts: clicks) state=unbounded: keeps the rows of the right side, and none of the left
-->     Input clicks (uid, url, ts)  key=none append-only watermark=(ts: clicks) state=none
-->     Input users (id, name)  key=(id) changing state=none

SELECT c.url, u.name FROM clicks c LEFT JOIN users FOR SYSTEM_TIME AS OF PROCTIME() AS u ON c.uid = u.id AND u.plan = 'pro';
--> Fused select url, name  key=none append-only state=none
-->   TemporalJoin left as of arrival on uid = id  key=none append-only state=unbounded: keeps the rows of the right side, and none of the left
-->     Input clicks (uid, url)  key=none append-only state=none
-->     Fused where plan = 'pro' | select id, name  key=(id) changing state=none
-->       Input users (id, name, plan)  key=(id) changing state=none

SELECT c.url, u.name FROM clicks c JOIN users FOR SYSTEM_TIME AS OF PROCTIME() AS u ON c.uid = u.id WHERE u.plan = 'pro';
--> Fused select url, name  key=none append-only state=none
-->   TemporalJoin inner as of arrival on uid = id  key=none append-only state=unbounded: keeps the rows of the right side, and none of the left
-->     Input clicks (uid, url)  key=none append-only state=none
-->     Fused where plan = 'pro' | select id, name  key=(id) changing state=none
-->       Input users (id, name, plan)  key=(id) changing state=none

-- What comes after it may be windowed and closed.
SELECT window_end, plan, count(*) AS n FROM TUMBLE(
  (SELECT c.ts, u.plan FROM clicks c JOIN users FOR SYSTEM_TIME AS OF PROCTIME() AS u ON c.uid = u.id) AS j,
  ts, INTERVAL '1 minute') GROUP BY window_end, plan
EMIT ON WINDOW CLOSE;
--> Aggregate count(*) group by (window_end, plan) complete at watermark(clicks) >= window_end, emitted then  key=(window_end, plan) append-only watermark=(window_end: clicks) state=until watermark(clicks)
-->   Fused select ts, plan | tumble ts by 1min | select plan, window_end  key=none append-only watermark=(window_end: clicks) state=none
-->     TemporalJoin inner as of arrival on uid = id  key=none append-only watermark=(ts: clicks) state=unbounded: keeps the rows of the right side, and none of the left
-->       Input clicks (uid, ts)  key=none append-only watermark=(ts: clicks) state=none
-->       Input users (id, plan)  key=(id) changing state=none

SELECT w.window_end, w.uid, w.n, u.name FROM
  (SELECT window_end, uid, count(*) AS n FROM TUMBLE(clicks, ts, INTERVAL '1 minute') GROUP BY window_end, uid) w
JOIN users FOR SYSTEM_TIME AS OF PROCTIME() AS u ON w.uid = u.id
EMIT ON WINDOW CLOSE;
--> Fused select window_end, uid, count as n, name  key=(window_end, uid) append-only watermark=(window_end: clicks) state=none
-->   TemporalJoin inner as of arrival on uid = id  key=(window_end, uid) append-only watermark=(window_end: clicks) state=unbounded: keeps the rows of the right side, and none of the left
-->     Aggregate count(*) group by (window_end, uid) complete at watermark(clicks) >= window_end, emitted then  key=(window_end, uid) append-only watermark=(window_end: clicks) state=until watermark(clicks)
-->       Fused tumble ts by 1min | select uid, window_end  key=none append-only watermark=(window_end: clicks) state=none
-->         Input clicks (uid, ts)  key=none append-only watermark=(ts: clicks) state=none
-->     Input users (id, name)  key=(id) changing state=none

-- Another join beside it does not change its place.
SELECT c.url, u.name, l.line FROM clicks c JOIN users FOR SYSTEM_TIME AS OF PROCTIME() AS u ON c.uid = u.id, log l WHERE l.uid = c.uid;
--> Fused select url, name, line  key=none append-only state=none
-->   Join inner on uid = uid_1  key=none append-only state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Fused select uid, url, name  key=none append-only state=none
-->       TemporalJoin inner as of arrival on uid = id  key=none append-only state=unbounded: keeps the rows of the right side, and none of the left
-->         Input clicks (uid, url)  key=none append-only state=none
-->         Input users (id, name)  key=(id) changing state=none
-->     Input log (uid_1, line)  key=none append-only state=none

SELECT c.url, l.line FROM clicks c ASOF JOIN log l MATCH_CONDITION (c.ts >= l.ts) ON c.uid = l.uid;
--> Fused select url, line  key=none changing state=none
-->   Join inner on ts is not distinct from key1 and uid is not distinct from key2  key=none changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Input clicks (uid, url, ts)  key=none append-only watermark=(ts: clicks) state=none
-->     Fused select line, key1, key2  key=(key1, key2) changing state=none
-->       TopN first 1 of each (key1, key2) order by ts_1 desc nulls last, uid_1 nulls first, line nulls first, ts_1 nulls first  key=(key1, key2) changing state=unbounded: grows with the rows it reads, which may be retracted; partitioning by a watermarked window_end would bound it
-->         Join inner on uid_1 = key2 and ts_1 <= key1  key=none changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->           Input log (uid_1, line, ts_1)  key=none append-only state=none
-->           Aggregate distinct group by (key1, key2) complete at watermark(clicks) >= key1 + 1us  key=(key1, key2) changing watermark=(key1: clicks) state=until watermark(clicks)
-->             Fused select ts_2 as key1, uid_2 as key2  key=none append-only watermark=(key1: clicks) state=none
-->               Input clicks (uid_2, ts_2)  key=none append-only watermark=(ts_2: clicks) state=none

-- As of a time: the version that was current then, of which the rest of the condition is asked.
SELECT l.line, c.url FROM log l LEFT JOIN clicks FOR SYSTEM_TIME AS OF l.ts AS c ON l.uid = c.uid AND c.url <> l.line;
--> Fused select line, url  key=none changing state=none
-->   Join left on ts is not distinct from key1 and uid is not distinct from key2 and url != line  key=none changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Input log (uid, line, ts)  key=none append-only state=none
-->     Fused select url, key1, key2  key=(key1, key2) changing state=none
-->       TopN first 1 of each (key1, key2) order by ts_1 desc nulls last, uid_1 nulls first, url nulls first, ts_1 nulls first  key=(key1, key2) changing state=unbounded: grows with the rows it reads, which may be retracted; partitioning by a watermarked window_end would bound it
-->         Join inner on uid_1 = key2 and key1 >= ts_1  key=none changing state=unbounded: keeps the rows of the left side; a limit on how much later the other side's time may be would bound it
-->           Input clicks (uid_1, url, ts_1)  key=none append-only watermark=(ts_1: clicks) state=none
-->           Aggregate distinct group by (key1, key2)  key=(key1, key2) changing state=unbounded: grows with the distinct (key1, key2); grouping by a watermarked window_end would bound it
-->             Fused select ts_2 as key1, uid_2 as key2  key=none append-only state=none
-->               Input log (uid_2, ts_2)  key=none append-only state=none
