-- q18, last bid: the last bid of each bidder on each auction; deduplication. As in the Flink suite.
SELECT auction, bidder, price, channel, url, date_time, extra
FROM (
  SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC) AS rank_number FROM bid
) t
WHERE rank_number <= 1;
