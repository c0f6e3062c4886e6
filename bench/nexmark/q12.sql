-- q12, windows of bids by bidder. The Flink suite's windows are of processing time (when the row was seen), so that its
-- answer differs from run to run; here they are of event time, so that it can be checked. The work is the same.
SELECT bidder, count(*) AS bid_count, window_start AS starttime, window_end AS endtime
FROM TUMBLE(bid, date_time, INTERVAL '10 seconds')
GROUP BY bidder, window_start, window_end;
