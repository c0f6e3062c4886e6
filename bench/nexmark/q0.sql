-- q0, pass through: what it costs to take rows in and keep them. As in the Flink suite.
SELECT auction, bidder, price, date_time, extra FROM bid;
