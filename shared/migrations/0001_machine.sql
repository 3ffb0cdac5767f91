-- The machine's tables, the same in every service's own database.

-- What was seen: an event's source and id as one key. Written in the transaction that carries out the event.
create table inbox (
    key bytea primary key
);

-- One row per customer: the service's state, what came too early, and the moment to look again.
create table cases (
    customer_id text primary key,
    state       jsonb,
    waiting     jsonb,
    revision    bigint not null default 0,
    wakes_at    timestamptz,
    -- Why waking failed the last time; wakes_at is then the next try.
    stuck       text,
    -- The key's hash as Kafka's default partitioner has it; worked out once.
    key_hash    integer not null,
    constraint waiting_is_a_list check (waiting is null or jsonb_typeof(waiting) = 'array'),
    constraint state_has_a_kind check (state is null or jsonb_typeof(state -> 'kind') = 'string')
) with (fillfactor = 50);
create index cases_wakes_at on cases (wakes_at) where wakes_at is not null;
create index cases_waiting on cases (customer_id) where waiting is not null;
create index cases_stuck on cases (customer_id) where stuck is not null;

-- What is owed to Kafka, with the columns that Debezium's outbox router expects. A row is deleted when it was sent.
-- seq is taken after the customer's row is locked, so one customer's events are owed in order; lane is the partition
-- of the customer's key, worked out once, and whoever holds the lane's lock sends for it.
create table outbox (
    seq           bigint generated always as identity,
    lane          smallint not null,
    id            uuid not null,
    aggregatetype text not null,
    aggregateid   text,
    type          text not null,
    payload       bytea,
    headers       text not null,
    -- The time of the record where it must be kept (a replay), in milliseconds; else Kafka sets it.
    timestamp_ms  bigint,
    owed_at       timestamptz not null,
    primary key (lane, seq)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000);

-- Work for the performer. A lease is a moment and a token: whoever finds the moment past takes the task over,
-- and an outcome counts only under the token that the row still has. Leases last for real time, so they go by the
-- database's own clock and a moved clock of a demo doesn't end them.
create table tasks (
    id          uuid primary key,
    customer_id text not null,
    kind        text not null,
    body        jsonb not null,
    due_at      timestamptz not null default clock_timestamp(),
    lease       uuid,
    attempts    integer not null default 0,
    failure     text,
    -- How far the work is: [stage, done, total or null].
    progress    jsonb
);
create index tasks_due_at on tasks (due_at);

-- Dead letters by topic, counted where they are made, so that a metric needs no scan of Kafka.
create table dead_letters (
    topic text primary key,
    buried bigint not null
);

-- Switches that an operator set; read by every worker of the service.
create table switches (
    name    text primary key,
    because text not null,
    since   timestamptz not null
);
