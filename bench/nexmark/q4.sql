-- q4, average price for a category: the average of the winning bids of auctions; an aggregate over a changing
-- aggregate over a join. As in the Flink suite, but that avg(bigint) is numeric, as in PostgreSQL.
SELECT q.category, avg(q.final) AS avg
FROM (
  SELECT max(b.price) AS final, a.category
  FROM auction a, bid b
  WHERE a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires
  GROUP BY a.id, a.category
) q
GROUP BY q.category;
