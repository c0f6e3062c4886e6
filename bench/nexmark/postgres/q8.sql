-- q8 in PostgreSQL's own words.
SELECT p.id, p.name, p.starttime
FROM (SELECT DISTINCT id, name, date_bin('10 seconds', date_time, '1970-01-01') AS starttime FROM person) p
JOIN (SELECT DISTINCT seller, date_bin('10 seconds', date_time, '1970-01-01') AS starttime FROM auction) a
ON p.id = a.seller AND p.starttime = a.starttime;
