-- q19, auction top-10 price: the ten highest bids of each auction. As in the Flink suite.
SELECT auction, bidder, price, channel, url, date_time, extra, rank_number
FROM (
  SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC) AS rank_number FROM bid
) t
WHERE rank_number <= 10;
