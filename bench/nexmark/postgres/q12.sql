-- q12 in PostgreSQL's own words.
SELECT bidder, count(*) AS bid_count, starttime, starttime + INTERVAL '10 seconds' AS endtime
FROM (SELECT bidder, date_bin('10 seconds', date_time, '1970-01-01') AS starttime FROM bid) b
GROUP BY bidder, starttime;
