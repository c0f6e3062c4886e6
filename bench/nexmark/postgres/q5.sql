-- q5 in PostgreSQL's own words: the windows that hold a time are the last one to start before it and four earlier ones.
WITH counts AS (
  SELECT auction, count(*) AS num, starttime
  FROM bid, generate_series(
    date_bin('2 seconds', date_time, '1970-01-01') - INTERVAL '8 seconds',
    date_bin('2 seconds', date_time, '1970-01-01'),
    INTERVAL '2 seconds') AS starttime
  GROUP BY auction, starttime
)
SELECT auction, num
FROM counts JOIN (SELECT max(num) AS maxn, starttime FROM counts GROUP BY starttime) AS mb USING (starttime)
WHERE num >= maxn;
