//! The `nexmark` crate's events, one table's at a time, put into Arrow columns.
//!
//! # Seeds
//! The crate draws an event from its id, which is its number plus `first_event_id`: another first id is another
//! stream. But ids of people and auctions are counted from it too, so they are counted back here. What then is
//! from before the stream's beginning (a bid may be on one of the last hundred auctions) is mapped to somebody in
//! it, so that every reference can be resolved as with seed 0.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringBuilder, TimestampMicrosecondArray};
use highwater_types::SqlType;
use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::{Auction, Bid, Event, EventType, Person};

/// Rounds between the streams of two seeds: more than anyone reads, and a multiple of the hundred people that
/// share a hot seller.
const ROUNDS_PER_SEED: u64 = 100 << 20;

/// How long a bid's texts are, on average and a little more.
const BID_CHANNEL_BYTES: usize = 12;
const BID_URL_BYTES: usize = 80;
const BID_EXTRA_BYTES: usize = 76;

/// One of Nexmark's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Person,
    Auction,
    Bid,
}

impl Table {
    pub(super) fn name(self) -> &'static str {
        match self {
            Table::Person => "person",
            Table::Auction => "auction",
            Table::Bid => "bid",
        }
    }

    /// Its columns, in the order in which [`Columns`] has them.
    pub(super) fn columns(self) -> &'static [(&'static str, SqlType)] {
        match self {
            Table::Person => &[
                ("id", SqlType::Int8),
                ("name", SqlType::Text),
                ("email_address", SqlType::Text),
                ("credit_card", SqlType::Text),
                ("city", SqlType::Text),
                ("state", SqlType::Text),
                ("date_time", SqlType::Timestamp),
                ("extra", SqlType::Text),
            ],
            Table::Auction => &[
                ("id", SqlType::Int8),
                ("item_name", SqlType::Text),
                ("description", SqlType::Text),
                ("initial_bid", SqlType::Int8),
                ("reserve", SqlType::Int8),
                ("date_time", SqlType::Timestamp),
                ("expires", SqlType::Timestamp),
                ("seller", SqlType::Int8),
                ("category", SqlType::Int8),
                ("extra", SqlType::Text),
            ],
            Table::Bid => &[
                ("auction", SqlType::Int8),
                ("bidder", SqlType::Int8),
                ("price", SqlType::Int8),
                ("channel", SqlType::Text),
                ("url", SqlType::Text),
                ("date_time", SqlType::Timestamp),
                ("extra", SqlType::Text),
            ],
        }
    }
}

/// The stream of events that a source is one table of.
pub(super) struct Stream {
    pub(super) table: Table,
    config: NexmarkConfig,
    /// Events in it, if it ends.
    pub(super) count: Option<u64>,
    /// Rounds by which the seed shifts it.
    shift_rounds: u64,
    /// Events in a round.
    pub(super) round: u64,
    /// Which events of a round are of the table.
    in_round: std::ops::Range<u64>,
}

impl Stream {
    pub(super) fn new(table: Table, mut config: NexmarkConfig, seed: u64, count: Option<u64>) -> Stream {
        let (people, auctions, bids) = (
            config.person_proportion as u64,
            config.auction_proportion as u64,
            config.bid_proportion as u64,
        );
        let round = people + auctions + bids;
        let shift_rounds = seed * ROUNDS_PER_SEED;
        config.first_event_id = (shift_rounds * round) as usize;
        let in_round = match table {
            Table::Person => 0..people,
            Table::Auction => people..people + auctions,
            Table::Bid => people + auctions..round,
        };
        Stream {
            table,
            config,
            count,
            shift_rounds,
            round,
            in_round,
        }
    }

    /// The number of the event at a position: the same, unless events are out of order.
    pub(super) fn number_at(&self, position: u64) -> u64 {
        let group = self.config.out_of_order_group_size as u64;
        (position / group) * group + (position * super::ORDER_STRIDE as u64) % group
    }

    /// Which event of the table this number is; `None` when it is another table's.
    pub(super) fn index_in_table(&self, number: u64) -> Option<u64> {
        let place = number % self.round;
        let size = self.in_round.end - self.in_round.start;
        self.in_round
            .contains(&place)
            .then(|| number / self.round * size + (place - self.in_round.start))
    }

    /// Makes the table's events.
    pub(super) fn generator(&self) -> EventGenerator {
        EventGenerator::new(self.config.clone()).with_type_filter(match self.table {
            Table::Person => EventType::Person,
            Table::Auction => EventType::Auction,
            Table::Bid => EventType::Bid,
        })
    }

    /// A person's id, counted from the stream's beginning, as of the event of this number.
    fn person(&self, id: usize, number: u64) -> i64 {
        let per_round = self.config.person_proportion as u64;
        let known = number / self.round * per_round + (number % self.round).min(per_round - 1) + 1;
        self.count_back(id, self.config.first_person_id, per_round, known)
    }

    /// An auction's id, likewise.
    fn auction(&self, id: usize, number: u64) -> i64 {
        let (people, per_round) = (
            self.config.person_proportion as u64,
            self.config.auction_proportion as u64,
        );
        let so_far = (number % self.round + 1).saturating_sub(people).min(per_round);
        let known = number / self.round * per_round + so_far;
        self.count_back(id, self.config.first_auction_id, per_round, known)
    }

    fn count_back(&self, id: usize, first: usize, per_round: u64, known: u64) -> i64 {
        let shifted = id as i64 - first as i64 - (self.shift_rounds * per_round) as i64;
        let index = if shifted < 0 {
            shifted.rem_euclid(known.max(1) as i64)
        } else {
            shifted
        };
        first as i64 + index
    }
}

/// Columns being filled, in the order of [`Table::columns`].
pub(super) enum Columns {
    Person(PersonColumns),
    Auction(AuctionColumns),
    Bid(BidColumns),
}

#[derive(Default)]
pub(super) struct PersonColumns {
    id: Vec<i64>,
    name: StringBuilder,
    email_address: StringBuilder,
    credit_card: StringBuilder,
    city: StringBuilder,
    state: StringBuilder,
    date_time: Vec<i64>,
    extra: StringBuilder,
}

#[derive(Default)]
pub(super) struct AuctionColumns {
    id: Vec<i64>,
    item_name: StringBuilder,
    description: StringBuilder,
    initial_bid: Vec<i64>,
    reserve: Vec<i64>,
    date_time: Vec<i64>,
    expires: Vec<i64>,
    seller: Vec<i64>,
    category: Vec<i64>,
    extra: StringBuilder,
}

#[derive(Default)]
pub(super) struct BidColumns {
    auction: Vec<i64>,
    bidder: Vec<i64>,
    price: Vec<i64>,
    channel: StringBuilder,
    url: StringBuilder,
    date_time: Vec<i64>,
    extra: StringBuilder,
}

impl Columns {
    /// For up to this many rows. Bids are most of what is read: theirs have room from the start.
    pub(super) fn new(table: Table, rows: usize) -> Columns {
        match table {
            Table::Person => Columns::Person(PersonColumns::default()),
            Table::Auction => Columns::Auction(AuctionColumns::default()),
            Table::Bid => Columns::Bid(BidColumns {
                auction: Vec::with_capacity(rows),
                bidder: Vec::with_capacity(rows),
                price: Vec::with_capacity(rows),
                channel: StringBuilder::with_capacity(rows, rows * BID_CHANNEL_BYTES),
                url: StringBuilder::with_capacity(rows, rows * BID_URL_BYTES),
                date_time: Vec::with_capacity(rows),
                extra: StringBuilder::with_capacity(rows, rows * BID_EXTRA_BYTES),
            }),
        }
    }

    /// Adds the event of this number.
    pub(super) fn push(&mut self, stream: &Stream, number: u64, event: &Event) {
        match (self, event) {
            (Columns::Person(columns), Event::Person(person)) => columns.push(stream, number, person),
            (Columns::Auction(columns), Event::Auction(auction)) => columns.push(stream, number, auction),
            (Columns::Bid(columns), Event::Bid(bid)) => columns.push(stream, number, bid),
            (Columns::Person(_) | Columns::Auction(_) | Columns::Bid(_), other) => {
                unreachable!("a generator of one table made {other:?}")
            }
        }
    }

    pub(super) fn finish(self) -> Vec<ArrayRef> {
        match self {
            Columns::Person(c) => vec![
                numbers(c.id),
                texts(c.name),
                texts(c.email_address),
                texts(c.credit_card),
                texts(c.city),
                texts(c.state),
                times(c.date_time),
                texts(c.extra),
            ],
            Columns::Auction(c) => vec![
                numbers(c.id),
                texts(c.item_name),
                texts(c.description),
                numbers(c.initial_bid),
                numbers(c.reserve),
                times(c.date_time),
                times(c.expires),
                numbers(c.seller),
                numbers(c.category),
                texts(c.extra),
            ],
            Columns::Bid(c) => vec![
                numbers(c.auction),
                numbers(c.bidder),
                numbers(c.price),
                texts(c.channel),
                texts(c.url),
                times(c.date_time),
                texts(c.extra),
            ],
        }
    }
}

impl PersonColumns {
    fn push(&mut self, stream: &Stream, number: u64, person: &Person) {
        self.id.push(stream.person(person.id, number));
        self.name.append_value(&person.name);
        self.email_address.append_value(&person.email_address);
        self.credit_card.append_value(&person.credit_card);
        self.city.append_value(&person.city);
        self.state.append_value(&person.state);
        self.date_time.push(micros(person.date_time));
        self.extra.append_value(&person.extra);
    }
}

impl AuctionColumns {
    fn push(&mut self, stream: &Stream, number: u64, auction: &Auction) {
        self.id.push(stream.auction(auction.id, number));
        self.item_name.append_value(&auction.item_name);
        self.description.append_value(&auction.description);
        self.initial_bid.push(auction.initial_bid as i64);
        self.reserve.push(auction.reserve as i64);
        self.date_time.push(micros(auction.date_time));
        self.expires.push(micros(auction.expires));
        self.seller.push(stream.person(auction.seller, number));
        self.category.push(auction.category as i64);
        self.extra.append_value(&auction.extra);
    }
}

impl BidColumns {
    fn push(&mut self, stream: &Stream, number: u64, bid: &Bid) {
        self.auction.push(stream.auction(bid.auction, number));
        self.bidder.push(stream.person(bid.bidder, number));
        self.price.push(bid.price as i64);
        self.channel.append_value(&bid.channel);
        self.url.append_value(&bid.url);
        self.date_time.push(micros(bid.date_time));
        self.extra.append_value(&bid.extra);
    }
}

fn micros(millis: u64) -> i64 {
    millis as i64 * 1000
}

fn numbers(values: Vec<i64>) -> ArrayRef {
    Arc::new(Int64Array::from(values))
}

fn times(values: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values))
}

fn texts(mut values: StringBuilder) -> ArrayRef {
    Arc::new(values.finish())
}
