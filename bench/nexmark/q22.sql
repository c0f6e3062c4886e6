-- q22, address parts: three folders of each bid's address. As in the Flink suite, with split_part, which counts from
-- one, for split_index.
SELECT auction, bidder, price, channel, split_part(url, '/', 4) AS dir1, split_part(url, '/', 5) AS dir2,
  split_part(url, '/', 6) AS dir3
FROM bid;
