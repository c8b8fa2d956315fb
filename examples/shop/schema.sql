-- SPDX-License-Identifier: Apache-2.0
CREATE TABLE item (name text PRIMARY KEY, price int NOT NULL, stock int NOT NULL);
CREATE TABLE orders (id bigserial PRIMARY KEY, xid xid8 NOT NULL, session text NOT NULL, seq bigint NOT NULL, reply text NOT NULL);
CREATE INDEX ON orders (xid);
