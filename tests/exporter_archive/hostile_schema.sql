-- A schema with everything that makes tables hard to make anew: types and sequences of its own, several schemas, partitions,
-- names that need quotes, keys in a ring, functions of its own, columns and tables that the export leaves out.
create schema "Odd-schema";
create type "Odd-schema"."Mood's" as enum ('glad', 'it''s "sad"');
create domain "Odd-schema".percent as numeric(5, 2) default 0 check (value between 0 and 100);
create type pair as (low "Odd-schema".percent, high "Odd-schema".percent);
create type span as range (subtype = "Odd-schema".percent);
create sequence shared_numbers start 7 increment 3;
create function next_code() returns text language sql as $$ select 'code-' || nextval('shared_numbers') $$;
create function tidy(text) returns text language sql immutable as $$ select lower($1) $$;
create table elsewhere (id integer primary key);
insert into elsewhere values (1);
create table "Odd-schema"."Order" (
    "select" bigserial primary key,
    customer_id text not null references public.customers,
    "Next" bigint,
    twin bigint generated always as identity (start with 1000 increment by 10) unique,
    number integer not null default nextval('shared_numbers'),
    code text default next_code(),
    mood "Odd-schema"."Mood's", share "Odd-schema".percent, pairs pair[], spans span,
    price money, bits bit(5), place point,
    secret text, hint text generated always as (left(secret, 1)) stored,
    plain text not null default E'a\\b''c' check (plain <> 'secret'),
    doubled integer generated always as (number * 2) stored,
    tidied text generated always as (tidy(plain)) stored,
    elsewhere integer references elsewhere,
    constraint "keeps it"" secret" check (secret <> 'known'),
    constraint tidily check (tidy(plain) = plain)
);
alter table "Odd-schema"."Order" add constraint ring foreign key ("Next") references "Odd-schema"."Order" deferrable;
create index on "Odd-schema"."Order" (secret);
create index "by mood" on "Odd-schema"."Order" (mood desc, lower(plain)) where number > 0;
create index tidy_index on "Odd-schema"."Order" (tidy(plain));
create table parted (
    order_id bigint not null references "Odd-schema"."Order", day date not null, note text collate "C",
    primary key (order_id, day)
) partition by range (day);
create table parted_old partition of parted for values from (minvalue) to ('2025-01-01');
create table parted_new partition of parted for values from ('2025-01-01') to (maxvalue);
create index on parted (day);
create unlogged table "Odd-schema"."order" (order_id bigint, day date, foreign key (order_id, day) references parted);
insert into "Odd-schema"."Order" (customer_id, "Next", mood, share, pairs, spans, price, bits, place, secret, elsewhere)
select case when n = 4 then 'other' else 'acme' end, n % 4 + 1, 'it''s "sad"', n, array[row(n, null)::pair, null],
       span(n, n + 1), -1234.5 * n, n::bit(5), point(n, 0.1), 's' || n, 1
  from generate_series(1::int, 4) n;
insert into parted select "select", date '2024-12-31' + (n - 1), E'tab\t\\N\\.' from "Odd-schema"."Order", generate_series(1, 2) n;
insert into "Odd-schema"."order" select order_id, day from parted;
