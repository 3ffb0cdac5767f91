-- What was due to be deleted and when, and how much of it: the blast radius is counted here, over all customers.
create table due_deletions (
    deletion_id text primary key,
    customer_id text not null,
    due_at      timestamptz not null,
    rows        bigint not null check (rows >= 0)
);
create index due_deletions_due_at on due_deletions (due_at);

-- The state machine's rules that no release of the code may break, whatever it decides (docs/states.md).
-- A check of a row that fails buries the event, or leaves the case stuck, and nothing of it counts.

-- The moment at which a state's window closes.
create function closes_at(state jsonb) returns timestamptz language sql stable return
    (coalesce(state -> 'deletion' -> 'window', state -> 'window') ->> 'closes_at')::timestamptz;

-- Whether each of a deletion's holders is as the path wants it; there must be one at least.
create function each_holder(state jsonb, wanted jsonpath) returns boolean language sql immutable return
    jsonb_array_length(state -> 'deletion' -> 'holders') > 0
    and jsonb_array_length(jsonb_path_query_array(state, wanted)) = jsonb_array_length(state -> 'deletion' -> 'holders');

-- Whether the first command went out after the window had closed.
create function commanded_in_time(state jsonb) returns boolean language sql stable return
    not exists (
        select from jsonb_array_elements(state -> 'deletion' -> 'holders') as holder
         where (holder ->> 'sent')::integer > 0
           and (holder ->> 'commanded_at')::timestamptz < closes_at(state)
    );

alter table cases
    add constraint state_is_known check (
        state is null or state ->> 'kind' in (
            'unknown', 'serving', 'window', 'held', 'surveying', 'awaiting', 'deleting', 'checking', 'certifying',
            'closed', 'stalled')),
    add constraint ended_has_a_window check (
        state is null or state ->> 'kind' in ('unknown', 'serving') or closes_at(state) is not null),
    add constraint window_has_days check (
        state is null or state ->> 'kind' in ('unknown', 'serving')
        or ((state -> 'known' ->> 'window_days')::integer >= 90 and state -> 'known' ->> 'policy_version' <> '')),
    add constraint awaiting_names_what_is_missing check (
        state is null or state ->> 'kind' <> 'awaiting' or jsonb_array_length(state -> 'missing') > 0),
    add constraint deleting_has_holders check (
        state is null or state ->> 'kind' <> 'deleting' or jsonb_array_length(state -> 'deletion' -> 'holders') > 0),
    add constraint commanded_after_the_window check (
        state is null or state ->> 'kind' not in ('deleting', 'checking', 'certifying', 'stalled')
        or commanded_in_time(state)),
    add constraint proven_only_when_all_erased check (
        state is null or state ->> 'kind' not in ('checking', 'certifying')
        or each_holder(state, '$.deletion.holders[*] ? (@.status == "erased")')),
    add constraint certified_only_when_nothing_is_left check (
        state is null or state ->> 'kind' <> 'certifying'
        or (jsonb_array_length(state -> 'after') > 0 and not jsonb_path_exists(state, 'strict $.after[*] ? (@[2] > 0)', '{}', true))),
    add constraint closed_has_a_certificate check (
        state is null or state ->> 'kind' <> 'closed'
        or (state ->> 'certificate' like 's3://%' and state ->> 'certificate_sha256' ~ '^[0-9a-f]{64}$'
            and (state ->> 'closed_at')::timestamptz >= closes_at(state))),
    add constraint stalled_has_a_reason check (
        state is null or state ->> 'kind' <> 'stalled'
        or (state ->> 'reason' <> '' and state ->> 'step' in ('survey', 'answers', 'check', 'certify', 'contract')
            and (state ->> 'step' = 'survey' or jsonb_typeof(state -> 'deletion') = 'object')));
