"""A schema with everything in it that schemas have: rings, strange names and types, several schemas; two customers."""

from __future__ import annotations

SCHEMA = """
    create schema "Lärande"; create schema "odd.name";
    create type mood as enum ('good', 'bad');
    create domain code as varchar(12);
    create type place as (street text, number int);

    create table customers (id uuid primary key, name text, main_user int, settings jsonb, balance money);
    create table users (
        id int primary key, customer_id uuid not null references customers, boss_id int references users,
        email text, password_hash text, "apiToken" text, feeling mood, tags text[], avatar bytea,
        shouted text generated always as (upper(email)) stored, active daterange, lives place, created_at bigint
    );
    alter table customers add foreign key (main_user) references users deferrable initially deferred;
    create index on users (customer_id); create index on users (boss_id); create index on customers (main_user);
    create table schools (customer_id uuid references customers, code code, primary key (customer_id, code));
    create table classes (
        customer_id uuid, school code, year int, primary key (customer_id, school, year),
        foreign key (customer_id, school) references schools
    );
    create table "Lärande"."Select" (
        "Id" bigint primary key, "customer id" uuid, "userId" int references users, "order" int, "from" text
    );
    create index on "Lärande"."Select" ("userId");
    create table "odd.name"."a ""b"".c" (id int primary key, user_id int references users);
    create index on "odd.name"."a ""b"".c" (user_id);
    create table events (id bigint, user_id int references users, at date, payload json, primary key (id, at))
        partition by range (at);
    create table events_2025 partition of events for values from ('2025-01-01') to ('2026-01-01');
    create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
    create index on events (user_id);
    alter table events_2026 add foreign key (user_id) references users on delete cascade;
    create table notes (id int primary key, notable_type text, notable_id text, body text);
    create index on notes (notable_id);
    create table countries (code char(2) primary key, name text);
    create table ring_a (id int primary key, b_id int, user_id int references users);
    create table ring_b (id int primary key, a_id int references ring_a);
    alter table ring_a add foreign key (b_id) references ring_b;
    create index on ring_a (b_id); create index on ring_a (user_id); create index on ring_b (a_id);
    create view everybody as select * from users;
    create materialized view copies as select id, customer_id from users;

    insert into customers values
        ('00000000-0000-0000-0000-00000000000a', 'Acme', null, '{"a": 1}', 12.5),
        ('00000000-0000-0000-0000-00000000000b', 'Fjord', null, null, null);
    insert into users (id, customer_id, boss_id, email, password_hash, "apiToken", feeling, tags, avatar, active,
                       lives, created_at) values
        (1, '00000000-0000-0000-0000-00000000000a', null, 'a@x', '$2y$10$abc', 'k', 'good', '{a,b}', '\\x00',
         '[2025-01-01,)', row('x', 1), 1767225600),
        (2, '00000000-0000-0000-0000-00000000000a', 1, 'b@x', '$2y$10$abd', 'l', 'bad', '{}', null, null, null,
         1767225601),
        (3, '00000000-0000-0000-0000-00000000000b', null, 'c@x', '$2y$10$abe', 'm', null, null, null, null, null, 0);
    update customers set main_user = 1 where name = 'Acme';
    insert into schools values
        ('00000000-0000-0000-0000-00000000000a', 'N'), ('00000000-0000-0000-0000-00000000000b', 'N');
    insert into classes values
        ('00000000-0000-0000-0000-00000000000a', 'N', 1), ('00000000-0000-0000-0000-00000000000a', 'N', 2),
        ('00000000-0000-0000-0000-00000000000b', 'N', 1);
    insert into "Lärande"."Select" values (1, null, 1, 1, 'x'), (2, null, 3, 1, 'y');
    insert into "odd.name"."a ""b"".c" values (1, 2), (2, 3);
    insert into events values (1, 1, '2025-05-05', '{}'), (2, 2, '2026-05-05', null), (3, 3, '2026-05-06', '[]');
    insert into notes values (1, 'User', '1', 'x'), (2, 'App\\Models\\User', '3', 'y'), (3, 'Customer',
        '00000000-0000-0000-0000-00000000000a', 'z');
    insert into countries values ('SE', 'Sverige');
    insert into ring_a values (1, null, 1), (2, null, 3);
    insert into ring_b values (1, 1), (2, 2);
    update ring_a set b_id = id;
"""
ACME = "00000000-0000-0000-0000-00000000000a"
# How many rows of each table are Acme's.
ACMES = {
    "customers": 1,
    "users": 2,
    "schools": 1,
    "classes": 2,
    "Lärande.Select": 1,
    '"odd.name"."a ""b"".c"': 1,
    "events": 2,
    "notes": 2,
    "ring_a": 1,
    "ring_b": 1,
}
