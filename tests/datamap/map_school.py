"""A small school: its map, its tables and a few rows."""

from __future__ import annotations

SCHOOL = b"""
version: 1
system: school
tenancy: rows
tables:
  customers:   {category: user, owner: {column: id}}
  users:       {category: user, owner: {column: customer_id}, leave_out: {password_hash: "secret"}}
  enrolments:  {category: course, owner: {path: [{column: user_id, to: users.id}]}}
  marks:       {category: report, owner: {path: [{column: enrolment_id, to: enrolments.id}]}}
  migrations:  {exempt: "schema history"}
"""

SCHEMA = """
    create table customers (id text primary key);
    create table users (id int primary key, customer_id text references customers, password_hash text, t text);
    create index on users (customer_id);
    create table enrolments (id int primary key, user_id int references users);
    create index on enrolments (user_id);
    create table marks (enrolment_id int references enrolments, mark float8);
    create index on marks (enrolment_id);
    create table migrations (version int);
    insert into customers values ('acme'), ('fjord');
    insert into users values (1, 'acme', 'x', 'one'), (2, 'acme', 'x', 'two'),
        (3, 'fjord', 'y', 'three'), (4, null, 'z', 'nobody');
    insert into enrolments values (10, 1), (11, 1), (12, 3), (13, 4), (14, null);
    insert into marks values (10, 0.1), (10, 0.1), (11, 1e300), (12, 'nan'), (13, null), (null, 5);
"""
