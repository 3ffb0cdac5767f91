-- Who says that it keeps other rows than the check found may be commanded again, and then only a later answer counts (docs/states.md).

-- Whether no holder stands by an answer that the check has found otherwise.
create function answered_anew(state jsonb) returns boolean language sql stable return
    not exists (
        select from jsonb_array_elements(state -> 'deletion' -> 'holders') as holder
         where holder ->> 'disputed' is not null
           and not coalesce((holder ->> 'answered_at')::timestamptz > (holder ->> 'disputed')::timestamptz, false));

alter table cases
    add constraint proven_only_by_new_answers check (
        state is null or state ->> 'kind' not in ('checking', 'keeping', 'certifying') or answered_anew(state)),
    add constraint disputed_only_by_a_check check (
        state is null or state ->> 'kind' <> 'stalled' or coalesce(jsonb_array_length(state -> 'disputed'), 0) = 0
        or (state ->> 'step' = 'check' and state ->> 'reason' = 'counts'
            and each_holder(
                state,
                '$.deletion.holders[*] ? (@.status == "erased" || @.status == "retained" || @.status == "kept")')));
