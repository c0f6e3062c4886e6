-- q2, selection: a filter that few rows pass. As in the Flink suite.
SELECT auction, price FROM bid WHERE mod(auction, 123) = 0;
