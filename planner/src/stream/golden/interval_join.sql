-- Times of both sides a bounded distance apart: rows that can meet no later one are released.

SELECT a.uid, b.bidder FROM clicks a JOIN bid b ON a.uid = b.bidder AND b.date_time BETWEEN a.ts AND a.ts + INTERVAL '5 minutes';
--> Fused select uid, bidder  key=none append-only state=none
-->   Join inner on uid = bidder and cast(date_time) >= ts AND cast(date_time) <= (ts + interval '5min')  key=none append-only state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Input clicks (uid, ts)  key=none append-only watermark=(ts: clicks) state=none
-->     Input bid (bidder, date_time)  key=none append-only watermark=(date_time: bid) state=none

SELECT a.id, b.price FROM auction a JOIN bid b ON a.id = b.auction AND b.date_time >= a.date_time AND b.date_time < a.date_time + INTERVAL '10 seconds';
--> Fused select id, price  key=none append-only state=none
-->   Join inner on id = auction and date_time_1 >= date_time AND date_time_1 < (date_time + interval '10s')  key=none append-only state=until watermark(bid, auction)
-->     Input auction (id, date_time)  key=none append-only watermark=(date_time: auction) state=none
-->     Input bid (auction, price, date_time_1)  key=none append-only watermark=(date_time_1: bid) state=none

SELECT a.id, b.price FROM auction a JOIN bid b ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires;
--> Fused select id, price  key=none append-only state=none
-->   Join inner on id = auction and date_time_1 >= date_time AND date_time_1 <= expires  key=none append-only state=until watermark(bid, auction)
-->     Input auction (id, date_time, expires)  key=none append-only watermark=(date_time: auction) state=none
-->     Input bid (auction, price, date_time_1)  key=none append-only watermark=(date_time_1: bid) state=none

-- Windows shifted by a fixed length stay windows.
SELECT window_end + INTERVAL '1 second' AS t, count(*) AS n FROM TUMBLE(bid, date_time, INTERVAL '1 minute') GROUP BY 1 EMIT ON WINDOW CLOSE;
--> Aggregate count(*) group by (value) complete at watermark(bid) >= value - 1s, emitted then  key=(t) append-only watermark=(t: bid) state=until watermark(bid)
-->   Fused tumble date_time by 1min | select window_end + interval '1s' as value  key=none append-only watermark=(value: bid) state=none
-->     Input bid (date_time)  key=none append-only watermark=(date_time: bid) state=none
