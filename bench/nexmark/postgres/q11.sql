-- q11 in PostgreSQL's own words: a bid begins a session when none came in the ten seconds before it.
SELECT bidder, count(*) AS bid_count, min(date_time) AS starttime, max(date_time) + INTERVAL '10 seconds' AS endtime
FROM (
  SELECT bidder, date_time, count(*) FILTER (WHERE begins) OVER (PARTITION BY bidder ORDER BY date_time) AS session
  FROM (
    SELECT bidder, date_time,
      coalesce(date_time - lag(date_time) OVER (PARTITION BY bidder ORDER BY date_time) >= INTERVAL '10 seconds', true)
        AS begins
    FROM bid
  ) b
) s
GROUP BY bidder, session;
