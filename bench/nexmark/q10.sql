-- q10, log to files: the rows that the Flink suite writes to a folder a day and minute, with the names of those.
SELECT auction, bidder, price, date_time, extra, to_char(date_time, 'YYYY-MM-DD') AS dt,
  to_char(date_time, 'HH24:MI') AS hm
FROM bid;
