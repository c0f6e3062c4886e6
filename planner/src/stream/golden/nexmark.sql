-- The Nexmark queries.

-- q1
SELECT auction, bidder, 0.908 * price AS price, date_time FROM bid;
--> Fused select auction, bidder, 0.908 * price as price, date_time  key=none append-only watermark=(date_time: bid) state=none
-->   Input bid (auction, bidder, price, date_time)  key=none append-only watermark=(date_time: bid) state=none

-- q2
SELECT auction, price FROM bid WHERE auction % 123 = 0;
--> Fused where (auction % 123) = 0  key=none append-only state=none
-->   Input bid (auction, price)  key=none append-only state=none

-- q3
SELECT p.name, p.city, p.state, a.id FROM auction a JOIN person p ON a.seller = p.id
WHERE a.category = 10 AND (p.state = 'OR' OR p.state = 'ID' OR p.state = 'CA');
--> Fused select name, city, state, id  key=none append-only state=none
-->   Join inner on seller = id_1  key=none append-only state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Fused where category = 10 | select id, seller  key=none append-only state=none
-->       Input auction (id, seller, category)  key=none append-only state=none
-->     Fused where (state = 'OR') OR (state = 'ID') OR (state = 'CA')  key=none append-only state=none
-->       Input person (id_1, name, city, state)  key=none append-only state=none

-- q4
SELECT q.category, avg(q.final) AS avg FROM (
  SELECT max(b.price) AS final, a.category FROM auction a, bid b
  WHERE a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires GROUP BY a.id, a.category) q
GROUP BY q.category;
--> Aggregate avg(final) group by (category)  key=(category) changing state=unbounded: grows with the distinct (category); grouping by a watermarked window_end would bound it
-->   Fused select max as final, category  key=none changing state=none
-->     Aggregate max(price) group by (id, category)  key=(id, category) changing state=unbounded: grows with the distinct (id, category); grouping by a watermarked window_end would bound it
-->       Fused select id, category, price  key=none append-only state=none
-->         Join inner on id = auction and date_time_1 >= date_time AND date_time_1 <= expires  key=none append-only state=until watermark(bid, auction)
-->           Input auction (id, category, date_time, expires)  key=none append-only watermark=(date_time: auction) state=none
-->           Input bid (auction, price, date_time_1)  key=none append-only watermark=(date_time_1: bid) state=none

-- q5
SELECT ab.auction, ab.num FROM
  (SELECT auction, count(*) AS num, window_start AS starttime, window_end AS endtime
   FROM HOP(bid, date_time, INTERVAL '2 seconds', INTERVAL '10 seconds') GROUP BY auction, window_start, window_end) ab
JOIN
  (SELECT max(num) AS maxn, starttime, endtime FROM
    (SELECT count(*) AS num, window_start AS starttime, window_end AS endtime
     FROM HOP(bid, date_time, INTERVAL '2 seconds', INTERVAL '10 seconds') GROUP BY auction, window_start, window_end) cb
   GROUP BY starttime, endtime) mb
ON ab.starttime = mb.starttime AND ab.endtime = mb.endtime AND ab.num >= mb.maxn;
--> Fused select auction, num  key=none changing state=none
-->   Join inner on window_start = window_start_1 and window_end = window_end_1 and num >= maxn  key=(auction, window_start, window_end) changing watermark=(window_start: bid; window_end: bid; window_start_1: bid; window_end_1: bid) state=until watermark(bid)
-->     Fused select auction, count as num, window_start, window_end  key=(auction, window_start, window_end) changing watermark=(window_start: bid; window_end: bid) state=none
-->       Aggregate count(*) group by (auction, window_start, window_end) complete at watermark(bid) >= window_end  key=(auction, window_start, window_end) changing watermark=(window_start: bid; window_end: bid) state=until watermark(bid)
-->         Fused hop date_time every 2s by 10s | select auction, window_start, window_end  key=none append-only watermark=(window_start: bid; window_end: bid) state=none
-->           Input bid (auction, date_time)  key=none append-only watermark=(date_time: bid) state=none
-->     Fused select max as maxn, window_start_1, window_end_1  key=(window_start_1, window_end_1) changing watermark=(window_start_1: bid; window_end_1: bid) state=none
-->       Aggregate max(num_1) group by (window_start_1, window_end_1) complete at watermark(bid) >= window_end_1  key=(window_start_1, window_end_1) changing watermark=(window_start_1: bid; window_end_1: bid) state=until watermark(bid)
-->         Fused select count as num_1, window_start as window_start_1, window_end as window_end_1  key=none changing watermark=(window_start_1: bid; window_end_1: bid) state=none
-->           Aggregate count(*) group by (auction, window_start, window_end) complete at watermark(bid) >= window_end  the same as above

-- q7
SELECT b.auction, b.price, b.bidder, b.date_time, b1.maxprice FROM bid b JOIN
  (SELECT max(price) AS maxprice, window_end AS date_time FROM TUMBLE(bid, date_time, INTERVAL '10 seconds') GROUP BY window_start, window_end) b1
ON b.price = b1.maxprice WHERE b.date_time BETWEEN b1.date_time - INTERVAL '10 seconds' AND b1.date_time;
--> Fused select auction, price, bidder, date_time, maxprice  key=none changing state=none
-->   Join inner on price = maxprice and window_end >= date_time AND date_time >= (window_end - interval '10s')  key=none changing state=until watermark(bid)
-->     Input bid (auction, bidder, price, date_time)  key=none append-only watermark=(date_time: bid) state=none
-->     Fused select max as maxprice, window_end  key=none changing watermark=(window_end: bid) state=none
-->       Aggregate max(price_1) group by (window_start, window_end) complete at watermark(bid) >= window_end  key=(window_start, window_end) changing watermark=(window_start: bid; window_end: bid) state=until watermark(bid)
-->         Fused tumble date_time_1 by 10s | select price_1, window_start, window_end  key=none append-only watermark=(window_start: bid; window_end: bid) state=none
-->           Input bid (price_1, date_time_1)  key=none append-only watermark=(date_time_1: bid) state=none

-- q9
SELECT id, seller, auction, bidder, price, bid_time FROM (
  SELECT a.id, a.seller, b.auction, b.bidder, b.price, b.date_time AS bid_time,
    row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time ASC) AS rownum
  FROM auction a, bid b WHERE a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires) t
WHERE rownum <= 1;
--> Fused select id, seller, auction, bidder, price, date_time_1 as bid_time  key=(id) changing state=none
-->   TopN first 1 of each (id) order by price desc, date_time_1  key=(id) changing state=unbounded: 1 rows of each (id); partitioning by a watermarked window_end would bound it
-->     Fused select id, seller, auction, bidder, price, date_time_1  key=none append-only state=none
-->       Join inner on id = auction and date_time_1 >= date_time AND date_time_1 <= expires  key=none append-only state=until watermark(bid, auction)
-->         Input auction (id, seller, date_time, expires)  key=none append-only watermark=(date_time: auction) state=none
-->         Input bid (auction, bidder, price, date_time_1)  key=none append-only watermark=(date_time_1: bid) state=none

-- q12, by event time
SELECT bidder, count(*) AS bid_count, window_start, window_end FROM TUMBLE(bid, date_time, INTERVAL '10 seconds')
GROUP BY bidder, window_start, window_end;
--> Fused select bidder, count as bid_count, window_start, window_end  key=(bidder, window_start, window_end) changing watermark=(window_start: bid; window_end: bid) state=none
-->   Aggregate count(*) group by (bidder, window_start, window_end) complete at watermark(bid) >= window_end  key=(bidder, window_start, window_end) changing watermark=(window_start: bid; window_end: bid) state=until watermark(bid)
-->     Fused tumble date_time by 10s | select bidder, window_start, window_end  key=none append-only watermark=(window_start: bid; window_end: bid) state=none
-->       Input bid (bidder, date_time)  key=none append-only watermark=(date_time: bid) state=none

-- q15
SELECT to_char(date_time, 'YYYY-MM-DD') AS day, count(*) AS total_bids,
  count(*) FILTER (WHERE price < 10000) AS rank1_bids,
  count(DISTINCT bidder) AS total_bidders,
  count(DISTINCT bidder) FILTER (WHERE price < 10000) AS rank1_bidders
FROM bid GROUP BY to_char(date_time, 'YYYY-MM-DD');
--> Aggregate count(*), count(*) filter (where value), count(distinct bidder), count(distinct bidder) filter (where value) group by (to_char)  key=(day) changing state=unbounded: grows with the distinct (to_char); grouping by a watermarked window_end would bound it
-->   Fused select bidder, to_char(date_time, 'YYYY-MM-DD') as to_char, price < 10000 as value  key=none append-only state=none
-->     Input bid (bidder, price, date_time)  key=none append-only watermark=(date_time: bid) state=none

-- q18
SELECT auction, bidder, price, channel, date_time FROM (
  SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC) AS rank_number FROM bid) t
WHERE rank_number <= 1;
--> Fused select auction, bidder, price, channel, date_time  key=(bidder, auction) changing state=none
-->   TopN first 1 of each (bidder, auction) order by date_time desc  key=(bidder, auction) changing state=unbounded: 1 rows of each (bidder, auction); partitioning by a watermarked window_end would bound it
-->     Input bid (auction, bidder, price, channel, date_time)  key=none append-only watermark=(date_time: bid) state=none

-- q20
SELECT b.auction, b.bidder, b.price, a.category, a.seller FROM bid b JOIN auction a ON b.auction = a.id WHERE a.category = 10;
--> Fused select auction, bidder, price, category, seller  key=none append-only state=none
-->   Join inner on auction = id  key=none append-only state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Input bid (auction, bidder, price)  key=none append-only state=none
-->     Fused where category = 10  key=none append-only state=none
-->       Input auction (id, seller, category)  key=none append-only state=none
