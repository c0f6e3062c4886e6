-- q13, bounded side input: bids with values of a table as it is when they come. As in the Flink suite; whoever runs it
-- makes side_input (key, value).
SELECT b.auction, b.bidder, b.price, b.date_time, s.value
FROM bid b JOIN side_input FOR SYSTEM_TIME AS OF PROCTIME() s ON mod(b.auction, 10000) = s.key;
