-- What is not maintained is refused by name.

SELECT now() AS t, id FROM users;
--> 0A000: now() in this place in a materialized view is not supported
--> hint: In WHERE, compare a time with it, plus or minus a length that is always the same: ts > now() - INTERVAL '24 hours' (days are that only in time zones without summer time); or use it in a SELECT over the view.

SELECT id FROM orders WHERE ts > now() - INTERVAL '1 day';
--> Fused select id  key=(id) changing state=none
-->   TemporalFilter now() < ts + 1d  key=(id) changing state=until its time is over
-->     Input orders (id, ts)  key=(id) changing state=none

SELECT id FROM orders WHERE ts::date = current_date;
--> 0A000: now() in this place in a materialized view is not supported
--> hint: In WHERE, compare a time with it, plus or minus a length that is always the same: ts > now() - INTERVAL '24 hours' (days are that only in time zones without summer time); or use it in a SELECT over the view.

SELECT id, random() AS r FROM users;
--> 0A000: the volatile function random() in a materialized view is not supported
--> hint: A view must answer the same for the same rows: use it in a SELECT over the view.

SELECT * FROM TUMBLE(clicks, ts, INTERVAL '1 month');
--> 0A000: a window of months or years is not supported
--> hint: Months differ in length: use days, or group by date_trunc('month', ...).

-- EMIT ON WINDOW CLOSE where nothing tells when.
SELECT uid, count(*) FROM clicks GROUP BY uid EMIT ON WINDOW CLOSE;
--> 0A000: EMIT ON WINDOW CLOSE without a window is not supported
--> hint: Group by window_end of TUMBLE or HOP over a source with a WATERMARK, order by its time, or leave EMIT ON WINDOW CLOSE out.

SELECT window_end, count(*) FROM TUMBLE(log, ts, INTERVAL '1 minute') GROUP BY window_end EMIT ON WINDOW CLOSE;
--> 0A000: EMIT ON WINDOW CLOSE over "log", which has no watermark, is not supported
--> hint: Declare WATERMARK FOR its time column, or leave EMIT ON WINDOW CLOSE out.

SELECT window_end, count(*) FROM TUMBLE(events, ts, INTERVAL '1 minute') GROUP BY window_end EMIT ON WINDOW CLOSE;
--> 0A000: EMIT ON WINDOW CLOSE over "events", whose rows may be deleted at any time, is not supported
--> hint: Declare the table APPEND ONLY, or leave EMIT ON WINDOW CLOSE out.

SELECT url, max(n) FROM (
  SELECT window_end, url, count(*) AS n FROM TUMBLE(clicks, ts, INTERVAL '1 minute') GROUP BY window_end, url) s
GROUP BY url EMIT ON WINDOW CLOSE;
--> 0A000: EMIT ON WINDOW CLOSE of rows that may change after their window has closed is not supported
--> hint: Group, partition and join by window_end, and join tables with FOR SYSTEM_TIME AS OF PROCTIME().

SELECT w.window_end, u.name FROM
  (SELECT window_end, uid, count(*) AS n FROM TUMBLE(clicks, ts, INTERVAL '1 minute') GROUP BY window_end, uid) w
JOIN users u ON w.uid = u.id EMIT ON WINDOW CLOSE;
--> 0A000: EMIT ON WINDOW CLOSE of rows that may change after their window has closed is not supported
--> hint: Group, partition and join by window_end, and join tables with FOR SYSTEM_TIME AS OF PROCTIME().

-- Joins as of arrival.
SELECT o.id, u.name FROM orders o JOIN users FOR SYSTEM_TIME AS OF PROCTIME() AS u ON o.uid = u.id;
--> 0A000: FOR SYSTEM_TIME AS OF PROCTIME() with a left side whose rows may change is not supported
--> hint: Join sources and APPEND ONLY tables as of their arrival, before rows are aggregated.

SELECT * FROM users FOR SYSTEM_TIME AS OF PROCTIME() AS u;
--> 0A000: FOR SYSTEM_TIME AS OF outside of the right side of a join is not supported
--> hint: Join the table: FROM stream JOIN table FOR SYSTEM_TIME AS OF PROCTIME() AS t ON ...

SELECT c.url, u.name FROM clicks c FULL JOIN users FOR SYSTEM_TIME AS OF PROCTIME() AS u ON c.uid = u.id;
--> 0A000: FOR SYSTEM_TIME AS OF PROCTIME() here is not supported
--> hint: Put it on the right side of JOIN or LEFT JOIN, with the rows that arrive on the left.

SELECT c.url, u.name FROM clicks c JOIN users FOR SYSTEM_TIME AS OF c.ts AS u ON c.uid = u.id;
--> 0A000: FOR SYSTEM_TIME AS OF a column over "users", whose rows have no time of their own, is not supported
--> hint: Declare WATERMARK FOR its time column, or make that part of its primary key; or write ASOF JOIN, which names both times.

SELECT c.url, l.line FROM clicks c JOIN log FOR SYSTEM_TIME AS OF c.ts AS l ON c.uid = l.uid;
--> 0A000: FOR SYSTEM_TIME AS OF a column over "log", whose rows have no time of their own, is not supported
--> hint: Declare WATERMARK FOR its time column, or make that part of its primary key; or write ASOF JOIN, which names both times.

SELECT l.line, c.url FROM log l RIGHT JOIN clicks FOR SYSTEM_TIME AS OF l.ts AS c ON c.uid = l.uid;
--> 0A000: FOR SYSTEM_TIME AS OF a column in a RIGHT or FULL JOIN is not supported
--> hint: Use JOIN or LEFT JOIN, with the rows that have the time on the left.

SELECT l.line, c.url FROM log l NATURAL JOIN clicks FOR SYSTEM_TIME AS OF l.ts AS c;
--> 0A000: FOR SYSTEM_TIME AS OF a column in a NATURAL JOIN is not supported
--> hint: Write ON or USING with the columns that say which rows are versions of one thing.

SELECT l.line, c.url FROM log l ASOF JOIN clicks FOR SYSTEM_TIME AS OF l.ts AS c ON c.uid = l.uid AND c.ts <= l.ts;
--> 0A000: FOR SYSTEM_TIME AS OF a column in an ASOF JOIN is not supported
--> hint: Write one of the two: each finds the nearest row.

SELECT l.line, c.url FROM log l JOIN clicks FOR SYSTEM_TIME AS OF l.ts AS c ON c.url > l.line;
--> 42P10: FOR SYSTEM_TIME AS OF a column needs an equality of its sides, such as l.k = r.k

SELECT l.line, c.url FROM log l JOIN clicks FOR SYSTEM_TIME AS OF now() AS c ON c.uid = l.uid;
--> 0A000: FOR SYSTEM_TIME AS OF anything but PROCTIME() or a time of the left side is not supported
--> hint: Give a time column of the left side: FROM orders AS o JOIN rates FOR SYSTEM_TIME AS OF o.ts AS r ON ...

SELECT l.line, c.url FROM log l JOIN clicks FOR SYSTEM_TIME AS OF (SELECT max(ts) FROM log) AS c ON c.uid = l.uid;
--> 0A000: a subquery in the condition of FOR SYSTEM_TIME AS OF a column is not supported
--> hint: Join the subquery first.

SELECT l.line, c.url FROM log l JOIN clicks FOR SYSTEM_TIME AS OF l.line AS c ON c.uid = l.uid;
--> 42883: operator does not exist: timestamp with time zone <= text
--> hint: No operator matches the given name and argument types. You might need to add explicit type casts.

-- Mistakes.
SELECT id, id FROM users;
--> 42701: column "id" specified more than once

SELECT id FROM users WHERE id = $1;
--> 42P02: there is no parameter $1

SELECT nosuch FROM users;
--> 42703: column "nosuch" does not exist

SELECT id FROM users LIMIT (SELECT 1);
--> 0A000: a subquery in LIMIT is not supported
--> hint: Give a constant or a parameter.
