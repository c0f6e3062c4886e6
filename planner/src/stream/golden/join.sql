-- Joins of changing inputs.

SELECT o.id, u.name, o.amount FROM orders o JOIN users u ON o.uid = u.id;
--> Fused select id, name, amount  key=(id) changing state=none
-->   Join inner on uid = id_1  key=(id) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Input orders (id, uid, amount)  key=(id) changing state=none
-->     Input users (id_1, name)  key=(id_1) changing state=none

SELECT o.id, u.name FROM orders o LEFT JOIN users u ON o.uid = u.id AND u.plan = 'free';
--> Fused select id, name  key=(id) changing state=none
-->   Join left on uid = id_1  key=(id) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Input orders (id, uid)  key=(id) changing state=none
-->     Fused where plan = 'free' | select id_1, name  key=(id_1) changing state=none
-->       Input users (id_1, name, plan)  key=(id_1) changing state=none

SELECT u.id, o.id AS oid FROM orders o RIGHT JOIN users u ON o.uid = u.id;
--> Fused select id_1 as id, id as oid  key=(oid, id) changing state=none
-->   Join right on uid = id_1  key=(id, id_1) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Input orders (id, uid)  key=(id) changing state=none
-->     Input users (id_1)  key=(id_1) changing state=none

SELECT u.id, t.total FROM users u FULL JOIN totals t ON u.id = t.uid;
--> Fused select id, total  key=none changing state=none
-->   Join full on id = uid  key=none changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Input users (id)  key=(id) changing state=none
-->     Input totals (uid, total)  key=(uid) changing state=none

SELECT o.id, u.id AS uid FROM orders o JOIN users u ON o.uid = u.id AND o.amount > u.id;
--> Fused select id, id_1 as uid  key=(id) changing state=none
-->   Join inner on uid = id_1 and cast(amount) > cast(id_1)  key=(id) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Fused where cast(amount) > cast(uid)  key=(id) changing state=none
-->       Input orders (id, uid, amount)  key=(id) changing state=none
-->     Input users (id_1)  key=(id_1) changing state=none

-- Without equal columns every row meets every row.
SELECT a.id, b.id AS bid FROM users a JOIN users b ON a.id < b.id;
--> Join inner on id < id_1  key=(id, bid) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->   Input users (id)  key=(id) changing state=none
-->   Input users (id_1)  key=(id_1) changing state=none

SELECT u.id, t.total FROM users u CROSS JOIN totals t;
--> Join inner on true  key=none changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->   Input users (id)  key=(id) changing state=none
-->   Input totals (total)  key=none changing state=none

-- Keys that are expressions, and a self-join.
SELECT a.uid, b.url FROM clicks a JOIN clicks b ON a.uid + 1 = b.uid;
--> Fused select uid, url  key=none append-only state=none
-->   Join inner on value = uid_1  key=none append-only state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Fused select uid, uid + 1 as value  key=none append-only state=none
-->       Input clicks (uid)  key=none append-only state=none
-->     Input clicks (uid_1, url)  key=none append-only state=none

-- More than two inputs, in any spelling.
SELECT p.name, a.category, b.price FROM bid b, auction a, person p WHERE b.auction = a.id AND a.seller = p.id;
--> Fused select name, category, price  key=none append-only state=none
-->   Join inner on seller = id_1  key=none append-only state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Fused select price, seller, category  key=none append-only state=none
-->       Join inner on auction = id  key=none append-only state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->         Input bid (auction, price)  key=none append-only state=none
-->         Input auction (id, seller, category)  key=none append-only state=none
-->     Input person (id_1, name)  key=none append-only state=none

-- Append-only stays append-only.
SELECT c.uid, l.line FROM clicks c JOIN log l ON c.uid = l.uid;
--> Fused select uid, line  key=none append-only state=none
-->   Join inner on uid = uid_1  key=none append-only state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Input clicks (uid)  key=none append-only state=none
-->     Input log (uid_1, line)  key=none append-only state=none

-- Windows of both sides.
SELECT p.id, p.window_end FROM
  (SELECT id, window_start, window_end FROM TUMBLE(person, date_time, INTERVAL '10 seconds') GROUP BY id, window_start, window_end) p
JOIN
  (SELECT seller, window_start, window_end FROM TUMBLE(auction, date_time, INTERVAL '10 seconds') GROUP BY seller, window_start, window_end) a
ON p.id = a.seller AND p.window_start = a.window_start AND p.window_end = a.window_end;
--> Fused select id, window_end  key=none changing watermark=(window_end: auction, person) state=none
-->   Join inner on id = seller and window_start = window_start_1 and window_end = window_end_1  key=(id, window_start, window_end) changing watermark=(window_start: auction, person; window_end: auction, person; window_start_1: auction, person; window_end_1: auction, person) state=until watermark(auction, person)
-->     Aggregate distinct group by (id, window_start, window_end) complete at watermark(person) >= window_end  key=(id, window_start, window_end) changing watermark=(window_start: person; window_end: person) state=until watermark(person)
-->       Fused tumble date_time by 10s | select id, window_start, window_end  key=none append-only watermark=(window_start: person; window_end: person) state=none
-->         Input person (id, date_time)  key=none append-only watermark=(date_time: person) state=none
-->     Aggregate distinct group by (seller, window_start_1, window_end_1) complete at watermark(auction) >= window_end_1  key=(seller, window_start_1, window_end_1) changing watermark=(window_start_1: auction; window_end_1: auction) state=until watermark(auction)
-->       Fused tumble date_time_1 by 10s | select seller, window_start as window_start_1, window_end as window_end_1  key=none append-only watermark=(window_start_1: auction; window_end_1: auction) state=none
-->         Input auction (seller, date_time_1)  key=none append-only watermark=(date_time_1: auction) state=none

SELECT p.id, a.seller, p.window_end FROM
  (SELECT id, window_start, window_end FROM TUMBLE(person, date_time, INTERVAL '10 seconds') GROUP BY id, window_start, window_end) p
LEFT JOIN
  (SELECT seller, window_start, window_end FROM TUMBLE(auction, date_time, INTERVAL '10 seconds') GROUP BY seller, window_start, window_end) a
ON p.id = a.seller AND p.window_start = a.window_start AND p.window_end = a.window_end
EMIT ON WINDOW CLOSE;
--> HoldUntil watermark(auction, person) >= window_end  key=none append-only watermark=(window_end: auction, person) state=until watermark(auction, person)
-->   Fused select id, seller, window_end  key=none changing watermark=(window_end: auction, person) state=none
-->     Join left on id = seller and window_start = window_start_1 and window_end = window_end_1  key=(id, window_start, window_end) changing watermark=(window_start: auction, person; window_end: auction, person; window_start_1: auction, person; window_end_1: auction, person) state=until watermark(auction, person)
-->       Aggregate distinct group by (id, window_start, window_end) complete at watermark(person) >= window_end, emitted then  key=(id, window_start, window_end) append-only watermark=(window_start: person; window_end: person) state=until watermark(person)
-->         Fused tumble date_time by 10s | select id, window_start, window_end  key=none append-only watermark=(window_start: person; window_end: person) state=none
-->           Input person (id, date_time)  key=none append-only watermark=(date_time: person) state=none
-->       Aggregate distinct group by (seller, window_start_1, window_end_1) complete at watermark(auction) >= window_end_1, emitted then  key=(seller, window_start_1, window_end_1) append-only watermark=(window_start_1: auction; window_end_1: auction) state=until watermark(auction)
-->         Fused tumble date_time_1 by 10s | select seller, window_start as window_start_1, window_end as window_end_1  key=none append-only watermark=(window_start_1: auction; window_end_1: auction) state=none
-->           Input auction (seller, date_time_1)  key=none append-only watermark=(date_time_1: auction) state=none

-- IN, EXISTS and their opposites.
SELECT id FROM users WHERE id IN (SELECT uid FROM orders);
--> Join semi on id = uid  key=(id) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->   Input users (id)  key=(id) changing state=none
-->   Input orders (uid)  key=none changing state=none

SELECT id FROM users WHERE id NOT IN (SELECT uid FROM orders);
--> Fused select CASE WHEN count IS NOT NULL THEN count ELSE 0 END as __common_expr_3, id, found, count_1 | where (CASE WHEN count_1 IS NOT NULL THEN count_1 ELSE 0 END >= __common_expr_3) OR found IS NOT NULL OR (__common_expr_3 = 0) OR NULL | select id  key=(id) changing state=none
-->   Join left on true  key=(id) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Fused select id, found | where found IS NULL  key=(id) changing state=none
-->       Join left on id = value1  key=(id) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->         Input users (id)  key=(id) changing state=none
-->         Fused select uid as value1, true as found  key=(value1) changing state=none
-->           Aggregate distinct group by (uid)  key=(uid) changing state=unbounded: grows with the distinct (uid); grouping by a watermarked window_end would bound it
-->             Input orders (uid)  key=none changing state=none
-->     Aggregate count(*), count(uid_1)  key=() changing state=1 row
-->       Input orders (uid_1)  key=none changing state=none

SELECT id FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.uid = u.id AND o.amount > 10);
--> Join semi on id = key1  key=(id) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->   Input users (id)  key=(id) changing state=none
-->   Fused where cast(amount) > 10.00 | select uid as key1  key=none changing state=none
-->     Input orders (uid, amount)  key=none changing state=none

SELECT id FROM users u WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.uid = u.id);
--> Join anti on id = uid  key=(id) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->   Input users (id)  key=(id) changing state=none
-->   Input orders (uid)  key=none changing state=none

SELECT id FROM users u WHERE plan = 'pro' OR EXISTS (SELECT 1 FROM orders o WHERE o.uid = u.id);
--> Fused select id, plan, count1 | where (plan = 'pro') OR (CASE WHEN count1 IS NOT NULL THEN count1 ELSE 0 END > 0) | select id  key=(id) changing state=none
-->   Join left on id = key1  key=(id) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Input users (id, plan)  key=(id) changing state=none
-->     Fused select count as count1, uid as key1  key=(key1) changing state=none
-->       Aggregate count(*) group by (uid)  key=(uid) changing state=unbounded: grows with the distinct (uid); grouping by a watermarked window_end would bound it
-->         Input orders (uid)  key=none changing state=none

-- Scalar subqueries.
SELECT id, (SELECT max(amount) FROM orders o WHERE o.uid = u.id) AS most FROM users u;
--> Fused select id, max1 as most  key=(id) changing state=none
-->   Join left on id = key1  key=(id) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Input users (id)  key=(id) changing state=none
-->     Fused select max as max1, uid as key1  key=(key1) changing state=none
-->       Aggregate max(amount) group by (uid)  key=(uid) changing state=unbounded: grows with the distinct (uid); grouping by a watermarked window_end would bound it
-->         Input orders (uid, amount)  key=none changing state=none

SELECT id FROM orders WHERE amount > (SELECT avg(amount) FROM orders);
--> Fused select id  key=(id) changing state=none
-->   Join inner on cast(cast(amount)) > avg  key=(id) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Input orders (id, amount)  key=(id) changing state=none
-->     Aggregate avg(amount_1)  key=() changing state=1 row
-->       Input orders (amount_1)  key=none changing state=none

SELECT id, (SELECT name FROM users u WHERE u.id = o.uid) AS name FROM orders o;
--> Fused select id, single_value1 as name  key=(id) changing state=none
-->   Join left on uid = key1  key=(id) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Input orders (id, uid)  key=(id) changing state=none
-->     Fused select single_value as single_value1, id_1 as key1  key=(key1) changing state=none
-->       General partition by (id_1): single_value(name)  key=(id_1) changing state=unbounded: keeps all rows it reads; PARTITION BY or GROUP BY window_end would bound it
-->         Fused select name, id_1  key=(id_1) changing state=none
-->           Input users (id_1, name)  key=(id_1) changing state=none

-- NULL equals NULL.
SELECT o.id, u.id AS uid FROM orders o JOIN users u ON o.uid IS NOT DISTINCT FROM u.id;
--> Fused select id, id_1 as uid  key=(id) changing state=none
-->   Join inner on uid is not distinct from id_1  key=(id) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Input orders (id, uid)  key=(id) changing state=none
-->     Input users (id_1)  key=(id_1) changing state=none

SELECT uid FROM clicks INTERSECT SELECT uid FROM log;
--> Join semi on uid is not distinct from uid_1  key=(uid) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->   Aggregate distinct group by (uid)  key=(uid) changing state=unbounded: grows with the distinct (uid); grouping by a watermarked window_end would bound it
-->     Input clicks (uid)  key=none append-only state=none
-->   Input log (uid_1)  key=none append-only state=none

SELECT uid FROM clicks EXCEPT SELECT uid FROM log;
--> Join anti on uid is not distinct from uid_1  key=(uid) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->   Aggregate distinct group by (uid)  key=(uid) changing state=unbounded: grows with the distinct (uid); grouping by a watermarked window_end would bound it
-->     Input clicks (uid)  key=none append-only state=none
-->   Input log (uid_1)  key=none append-only state=none

SELECT uid FROM clicks EXCEPT ALL SELECT uid FROM log;
--> Fused select uid  key=none changing state=none
-->   Join anti on uid is not distinct from uid_1 and number is not distinct from value  key=none changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Fused select uid, row_number::bigint as number  key=none changing state=none
-->       General partition by (uid): row_number() OVER (PARTITION BY uid)  key=none changing state=unbounded: keeps all rows it reads; PARTITION BY or GROUP BY window_end would bound it
-->         Input clicks (uid)  key=none append-only state=none
-->     Fused select uid_1, row_number_1::bigint as value  key=none changing state=none
-->       General partition by (uid_1): row_number() OVER (PARTITION BY uid_1)  key=none changing state=unbounded: keeps all rows it reads; PARTITION BY or GROUP BY window_end would bound it
-->         Input log (uid_1)  key=none append-only state=none

-- LATERAL.
SELECT u.id, l.n FROM users u, LATERAL (SELECT count(*) AS n FROM orders o WHERE o.uid = u.id) l;
--> Fused select id, n  key=(id) changing state=none
-->   Join inner on id is not distinct from id_1  key=(id) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Input users (id)  key=(id) changing state=none
-->     Fused select CASE WHEN count IS NOT NULL THEN count ELSE 0 END as n, id_1  key=(id_1) changing state=none
-->       Join left on id_1 = uid  key=(id_1) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->         Aggregate distinct group by (id_1)  key=(id_1) changing state=unbounded: grows with the distinct (id_1); grouping by a watermarked window_end would bound it
-->           Input users (id_1)  key=(id_1) changing state=none
-->         Aggregate count(*) group by (uid)  key=(uid) changing state=unbounded: grows with the distinct (uid); grouping by a watermarked window_end would bound it
-->           Input orders (uid)  key=none changing state=none

-- A join whose condition takes in columns of an outer join's far side is an inner one.
SELECT o.id FROM orders o LEFT JOIN users u ON o.uid = u.id WHERE u.plan = 'free';
--> Fused select id  key=(id) changing state=none
-->   Join inner on uid = id_1  key=(id) changing state=unbounded: keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound it
-->     Input orders (id, uid)  key=(id) changing state=none
-->     Fused where plan = 'free' | select id_1  key=(id_1) changing state=none
-->       Input users (id_1, plan)  key=(id_1) changing state=none
