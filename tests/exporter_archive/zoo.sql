-- Values that formats stumble over: every awkward type, and the values at its edges.
create domain score as numeric check (value >= 0);
create type mood as enum ('glad', 'sad "one"');
create type pair as (a integer, b text);
create table zoo (
    id bigint primary key, customer_id text not null, plain text, empty text, tiny smallint, big bigint,
    exact numeric, wide numeric(40, 20), ratio double precision, flag boolean, day date, at_zone timestamptz,
    at_local timestamp(3), at_time time, zoned timetz, span interval, key uuid, blob bytea, raw json, raws json[],
    parsed jsonb, words text[], grid integer[][], mood mood, pair pair, range int4range, address inet,
    domain score, "Weird, ""name"" x" text, generated bigint generated always as (big / 2) stored
);
insert into zoo values
    (1, 'acme', E'a,b;"c"\r\nd\te\\.\x01\x02\x7f', '', -32768, 9223372036854775807, 0.1, 12345678901234567890.12345678901234567890,
     0.1, true, '2024-02-29', '2024-02-29 23:59:59.999999-11', '2024-02-29 23:59:59.999', '23:59:59.5', '12:00+05:30',
     '1 year 2 months -3 days 04:05:06.7', '00000000-0000-0000-0000-000000000001', '\x0001ff0a0d22',
     E'{"a":\n1, "a": 2, "\\u0009": "\\u000a"}', array[E'{"x":\r\n1}', '[]']::json[], '{"ä": [null, {"b": "\\n"}]}',
     array['a,b', '"', null, E'x\ny', ''], '{{1,2},{3,4}}', 'sad "one"', row(1, 'x,"y"'), '[1,5)', '::1', 1.50, '"'),
    (2, 'acme', null, '', null, -9223372036854775808, 'NaN', null, 'Infinity', false, null, null, null, null, null, null,
     null, '', 'true', '{}', 'true', '{}', '{}', null, row(null, ''), 'empty', null, null, ''),
    (3, 'acme', '\.', '', null, null, null, null, '-0', null, '0001-01-01', '1900-01-01 00:00:00+00', null, '24:00',
     null, null, null, null, '1.50', null, null, '{NULL,"NULL"}', null, 'glad', null, null, null, null, null),
    (4, 'acme', E'שלום 日本語 🎓 e\u0301', ' ', 0, 9007199254740993, 1e-30, null, 5e-324, null, null, null, null, null, null, '0',
     null, null, '1', null, '0', null, null, null, null, null, null, null, E'\n');
create table copy_of_zoo (like zoo including generated);
