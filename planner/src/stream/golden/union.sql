-- UNION.

SELECT uid FROM clicks UNION ALL SELECT uid FROM log;
--> Union all (uid)  key=none append-only state=none
-->   Input clicks (uid)  key=none append-only state=none
-->   Input log (uid_1)  key=none append-only state=none

SELECT uid, ts FROM clicks UNION ALL SELECT id, ts FROM orders;
--> Union all (uid, ts)  key=none changing state=none
-->   Input clicks (uid, ts)  key=none append-only watermark=(ts: clicks) state=none
-->   Input orders (id, ts_1)  key=(id) changing state=none

SELECT uid FROM clicks UNION SELECT uid FROM log;
--> Aggregate distinct group by (uid_2)  key=(uid) changing state=unbounded: grows with the distinct (uid_2); grouping by a watermarked window_end would bound it
-->   Union all (uid_2)  key=none append-only state=none
-->     Input clicks (uid)  key=none append-only state=none
-->     Input log (uid_1)  key=none append-only state=none

SELECT a, t FROM (SELECT auction AS a, date_time AS t FROM bid UNION ALL SELECT id, date_time FROM auction) s WHERE a > 3;
--> Union all (a, t)  key=none append-only watermark=(t: bid, auction) state=none
-->   Fused where auction > 3  key=none append-only watermark=(date_time: bid) state=none
-->     Input bid (auction, date_time)  key=none append-only watermark=(date_time: bid) state=none
-->   Fused where id > 3  key=none append-only watermark=(date_time_1: auction) state=none
-->     Input auction (id, date_time_1)  key=none append-only watermark=(date_time_1: auction) state=none

SELECT window_end, count(*) AS n FROM TUMBLE(
  (SELECT date_time AS t FROM bid UNION ALL SELECT date_time FROM auction) AS s, t, INTERVAL '10 seconds')
GROUP BY window_end EMIT ON WINDOW CLOSE;
--> Aggregate count(*) group by (window_end) complete at watermark(bid, auction) >= window_end, emitted then  key=(window_end) append-only watermark=(window_end: bid, auction) state=until watermark(bid, auction)
-->   Fused tumble date_time_2 by 10s | select window_end  key=none append-only watermark=(window_end: bid, auction) state=none
-->     Union all (date_time_2)  key=none append-only watermark=(date_time_2: bid, auction) state=none
-->       Input bid (date_time)  key=none append-only watermark=(date_time: bid) state=none
-->       Input auction (date_time_1)  key=none append-only watermark=(date_time_1: auction) state=none

SELECT count(*) AS n FROM (SELECT uid FROM clicks UNION ALL SELECT uid FROM log) s;
--> Aggregate count(*)  key=() changing state=1 row
-->   Union all (row_2)  key=none append-only state=none
-->     Fused select true as row  key=none append-only state=none
-->       Input clicks (uid)  key=none append-only state=none
-->     Fused select true as row_1  key=none append-only state=none
-->       Input log (uid_1)  key=none append-only state=none
