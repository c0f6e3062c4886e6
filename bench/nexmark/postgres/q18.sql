-- q18 in PostgreSQL's own words: where two bids are as late, ours takes the first by all columns.
SELECT auction, bidder, price, channel, url, date_time, extra
FROM (
  SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC, price, channel, url, extra)
    AS rank_number
  FROM bid
) t
WHERE rank_number <= 1;
