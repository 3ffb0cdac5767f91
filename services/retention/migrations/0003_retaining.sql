-- What laws keep stays when the account is closed, and waits for its time (docs/states.md).

-- Whether all that the check found kept, the seventh value of a reading, is at holders that named a law for it.
create function kept_for_laws(state jsonb) returns boolean language sql immutable return
    not exists (
        select from jsonb_array_elements(state -> 'after') as reading
         where (reading ->> 6)::bigint > 0
           and not exists (
               select from jsonb_array_elements(state -> 'deletion' -> 'holders') as holder
                where holder ->> 'name' = reading ->> 0
                  and holder ->> 'status' = 'retained'
                  and jsonb_array_length(holder -> 'retained') > 0));

alter table cases
    drop constraint state_is_known,
    add constraint state_is_known check (
        state is null or state ->> 'kind' in (
            'unknown', 'serving', 'window', 'held', 'surveying', 'awaiting', 'deleting', 'checking', 'keeping',
            'certifying', 'retaining', 'closed', 'stalled')),
    drop constraint proven_only_when_all_erased,
    add constraint proven_only_when_all_erased check (
        state is null or state ->> 'kind' <> 'certifying'
        or each_holder(state, '$.deletion.holders[*] ? (@.status == "erased" || @.status == "retained")')),
    drop constraint checked_only_when_all_answered_well,
    add constraint checked_only_when_all_answered_well check (
        state is null or state ->> 'kind' not in ('checking', 'keeping')
        or each_holder(
            state, '$.deletion.holders[*] ? (@.status == "erased" || @.status == "retained" || @.status == "kept")')),
    drop constraint certified_only_when_nothing_is_left,
    add constraint certified_only_when_nothing_is_left check (
        state is null or state ->> 'kind' <> 'certifying'
        or (jsonb_array_length(state -> 'after') > 0
            and not jsonb_path_exists(state, 'strict $.after[*] ? (@[2] > 0)', '{}', true)
            and kept_for_laws(state))),
    add constraint retaining_waits_for_a_day check (
        state is null or state ->> 'kind' <> 'retaining'
        or (jsonb_array_length(state -> 'known' -> 'retained' -> 'rows') > 0
            and state -> 'known' -> 'retained' ->> 'due_at' is not null
            and state -> 'known' -> 'retained' ->> 'certificate_sha256' ~ '^[0-9a-f]{64}$'
            and coalesce((state -> 'known' -> 'retained' ->> 'came_back')::boolean, false) = false)),
    add constraint closed_retains_nothing check (
        state is null or state ->> 'kind' <> 'closed' or state -> 'known' -> 'retained' is null
        or jsonb_typeof(state -> 'known' -> 'retained') = 'null');
