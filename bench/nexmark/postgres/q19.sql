-- q19 in PostgreSQL's own words: among bids as high, ours takes the first by all columns.
SELECT auction, bidder, price, channel, url, date_time, extra, rank_number
FROM (
  SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC, bidder, channel, url, date_time, extra)
    AS rank_number
  FROM bid
) t
WHERE rank_number <= 10;
