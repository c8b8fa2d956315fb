-- SPDX-License-Identifier: Apache-2.0
-- As that of RUBiS: each update inserts a row of its own, so one that is done twice is there
-- twice. Amounts are in cents. Nothing here is unique by request: request and xid are what
-- a transaction's outcome is told by, not what keeps it from being done again.
CREATE TABLE users (id bigserial PRIMARY KEY, nickname text NOT NULL, rating int NOT NULL DEFAULT 0,
	xid xid8 NOT NULL DEFAULT pg_current_xact_id(), request text NOT NULL);
CREATE TABLE categories (id bigserial PRIMARY KEY, name text NOT NULL);
CREATE TABLE items (id bigserial PRIMARY KEY, seller bigint NOT NULL REFERENCES users, category bigint NOT NULL REFERENCES categories,
	name text NOT NULL, top bigint NOT NULL, bids int NOT NULL DEFAULT 0, ends timestamptz NOT NULL,
	xid xid8 NOT NULL DEFAULT pg_current_xact_id(), request text NOT NULL);
CREATE TABLE bids (id bigserial PRIMARY KEY, bidder bigint NOT NULL REFERENCES users, item bigint NOT NULL REFERENCES items,
	amount bigint NOT NULL, admitted timestamptz NOT NULL,
	xid xid8 NOT NULL DEFAULT pg_current_xact_id(), request text NOT NULL);
CREATE TABLE comments (id bigserial PRIMARY KEY, author bigint NOT NULL REFERENCES users, about bigint NOT NULL REFERENCES users,
	item bigint NOT NULL REFERENCES items, rating int NOT NULL, text text NOT NULL,
	xid xid8 NOT NULL DEFAULT pg_current_xact_id(), request text NOT NULL);
CREATE INDEX ON users (xid);
CREATE INDEX ON users (nickname);
CREATE INDEX ON items (xid);
CREATE INDEX ON items (category, ends);
CREATE INDEX ON bids (xid);
CREATE INDEX ON bids (item, amount);
CREATE INDEX ON comments (xid);
CREATE INDEX ON comments (about);
