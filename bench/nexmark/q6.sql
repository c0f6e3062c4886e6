-- q6, average selling price by seller: over the winning bids of each seller's last ten auctions and this one. As in the
-- Flink suite (which cannot run it), with a last key that settles ties.
SELECT seller, avg(final) OVER (
    PARTITION BY seller ORDER BY bid_date_time, id ROWS BETWEEN 10 PRECEDING AND CURRENT ROW) AS avg
FROM (
  SELECT a.id, a.seller, b.price AS final, b.date_time AS bid_date_time,
    row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time ASC) AS rownum
  FROM auction a, bid b
  WHERE a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires
) t
WHERE rownum <= 1;
