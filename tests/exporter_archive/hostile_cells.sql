-- What people and programs put into cells: formulas, control characters, texts without end, days before and after the calendar.
create table hostile (
    id integer primary key, customer_id text not null, cell text, other text, moment timestamptz, local timestamp,
    day date, clock time, amount numeric, big bigint, ratio double precision, small real, flag boolean, blob bytea, doc jsonb, grid text[]
);
insert into hostile (id, customer_id, cell) select n, 'acme', cell from unnest(array[
    '=1+1', '+1', '-1', '@SUM(A1)', E'\t=1', E'\r=1', '=cmd|''/c calc''!A1', '''=1', '', ' ', '  two  spaces  ', 'null', 'NULL', '\N', '\.',
    E'\x01\x02\x08\x0b\x0c\x1f\x7f', E'tab\there', E'cr\rlf\ncrlf\r\nend', '_x0041_', '_x000D_ and _x005F_', ']]>', '<!--', '&amp;', '"quotes"', '<b a="c">',
    U&'\FFFE\FFFF', U&'\202E\200F\05D0\05D1 abc', 'שלום עולם', '日本語 🎓', E'e\u0301', U&'\FEFF\200B', repeat('🎓', 16383) || 'x', repeat('🎓', 16384), repeat('x', 32767),
    repeat('=', 32768), repeat(E'ä\n', 3500000), '\ud800', '1e5', '007', '1/2', '2024-01-01', 'TRUE'
]) with ordinality as u (cell, n);
insert into hostile (id, customer_id, moment, local, day, clock, amount, big, ratio, small, flag, blob, doc, grid) values
    (101, 'acme', '0001-01-01 00:00:00+00', '0001-01-01', '0001-01-01', '00:00', 0, 0, 0, 0, false, '', '{}', '{}'),
    (102, 'acme', '9999-12-31 23:59:59.999999+00', '9999-12-31 23:59:59.999999', '9999-12-31', '24:00', 999999999999999, 9007199254740992, 1e308, 1e38, true, '\x00', '"\u0001"', '{{a,b},{c,NULL}}'),
    (103, 'acme', '0044-03-15 12:00:00+00 BC', '0044-03-15 12:00:00 BC', '0044-03-15 BC', '23:59:59.999999', 1234567890123456, 9007199254740993, -1e308, -1e38, null, '\xff', 'null', '{"\\","\"",","}'),
    (104, 'acme', 'infinity', '-infinity', 'infinity', null, 'NaN', -9223372036854775808, 'NaN', 'NaN', null, null, '[[[[]]]]', null),
    (105, 'acme', '294276-12-31 00:00:00+00', '294276-12-31', '5874897-12-31', null, 'Infinity', 9223372036854775807, 'Infinity', '-Infinity', null, null, '{"a": 1e400}', null),
    (106, 'acme', '1900-02-28 00:00:00+00', '1900-02-28', '1900-02-28', null, 0.1, -9007199254740992, 0.1, 0.1, null, null, null, null),
    (107, 'acme', '1900-03-01 00:00:00+00', '1900-03-01', '1900-03-01', null, -12345.6789, -9007199254740993, 5e-324, 1e-45, null, null, null, null),
    (108, 'acme', null, null, '10000-01-01', null, 1e-20, 1, '-0', '-0', null, null, null, null),
    (109, 'acme', null, null, null, null, 1e40, -1, 1.7976931348623157e308, 3.4028235e38, null, null, null, null);
