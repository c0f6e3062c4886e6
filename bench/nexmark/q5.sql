-- q5, hot items: the auctions with the most bids of each hopping window; a self-join of aggregates. As in the Flink
-- suite.
SELECT ab.auction, ab.num
FROM (
  SELECT auction, count(*) AS num, window_start AS starttime, window_end AS endtime
  FROM HOP(bid, date_time, INTERVAL '2 seconds', INTERVAL '10 seconds')
  GROUP BY auction, window_start, window_end
) AS ab
JOIN (
  SELECT max(cb.num) AS maxn, cb.starttime, cb.endtime
  FROM (
    SELECT count(*) AS num, window_start AS starttime, window_end AS endtime
    FROM HOP(bid, date_time, INTERVAL '2 seconds', INTERVAL '10 seconds')
    GROUP BY auction, window_start, window_end
  ) AS cb
  GROUP BY cb.starttime, cb.endtime
) AS mb
ON ab.starttime = mb.starttime AND ab.endtime = mb.endtime AND ab.num >= mb.maxn;
